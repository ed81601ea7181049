"""A name server's UDP address of which a test says what it answers: nothing, lies, or what a real server does.

BIND listens only on addresses of the machine's interfaces; this listens on any of 127.0.0.0/8.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

RELAY_SECONDS = 5.0

Answer = Callable[[bytes], Iterable[bytes]]
"""What comes back for one datagram."""


class Datagrams:
    """Answers on a thread for each datagram. `answer` may be changed at any time."""

    def __init__(self, address: str, port: int, answer: Answer) -> None:
        self.address = address
        self.port = port
        self.answer = answer
        self.asked = 0
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._thread = threading.Thread(target=self._serve)
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """An empty datagram of our own ends it."""
        with socket.socket(type=socket.SOCK_DGRAM) as own:
            own.sendto(b"", (self.address, self.port))
        self._thread.join()
        for worker in self._workers:
            worker.join()
        self._socket.close()

    def be_silent(self) -> None:
        self.answer = lambda _question: ()

    def _serve(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(65535)
            if not question:
                return
            self.asked += 1
            worker = threading.Thread(target=self._answer, args=(question, asker))
            self._workers.append(worker)
            worker.start()

    def _answer(self, question: bytes, asker: tuple[str, int]) -> None:
        for answer in self.answer(question):
            self._socket.sendto(answer, asker)


def relayed(port: int) -> Answer:
    """What the server at this port of 127.0.0.1 answers."""

    def answer(question: bytes) -> Iterator[bytes]:
        with socket.socket(type=socket.SOCK_DGRAM) as backend:
            backend.settimeout(RELAY_SECONDS)
            backend.connect(("127.0.0.1", port))
            try:
                backend.send(question)
                yield backend.recv(65535)
            except OSError:
                return

    return answer


@contextmanager
def datagrams(answer: Answer, *, address: str = "127.0.0.1", port: int = 0) -> Iterator[Datagrams]:
    """A server that answers so."""
    server = Datagrams(address, port, answer)
    server.port = server._socket.getsockname()[1]
    server.start()
    try:
        yield server
    finally:
        server.stop()
