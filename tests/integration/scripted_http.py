"""A real HTTP server on loopback that answers as a test's script says, request by request."""

import json
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

PATIENCE_SECONDS = 20.0
"""How long a test waits for what must come. Not a limit on how fast it has to be."""


def eventually(check: Callable[[], object]) -> None:
    """Wait until `check` is true, for what nothing announces."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Reply:
    """How a script answers one request."""

    handler: BaseHTTPRequestHandler
    closing: threading.Event

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; header names are written with underscores."""
        self.handler.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        if self.handler.command != "HEAD":
            self.handler.wfile.write(body)

    def json(self, status: int, content: object, **headers: str) -> None:
        self.send(status, json.dumps(content).encode(), Content_Type="application/json", **headers)

    def begin(self) -> None:
        """An answer in chunks, as a watch has."""
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "application/json")
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()

    def chunk(self, data: bytes) -> None:
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def end(self) -> None:
        """The chunked answer is over, in good order."""
        self.handler.wfile.write(b"0\r\n\r\n")

    def raw(self, data: bytes) -> None:
        """Bytes that need not be HTTP at all."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()
        self.handler.close_connection = True

    def break_off(self) -> None:
        """Close the connection in the middle of whatever it was."""
        self.handler.close_connection = True

    def hang(self) -> None:
        """Keep the connection and say nothing until the test is over."""
        self.closing.wait()
        self.handler.close_connection = True


Script = Callable[[Asked, Reply], None]


@dataclass
class ScriptedServer:
    """Serves `script` until the `with` block ends. Every request is kept in `asked`, and put into `heard`."""

    script: Script
    port: int = 0
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    heard: "queue.Queue[Asked]" = field(default_factory=queue.Queue)
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(
                    method=self.command,
                    path=url.path,
                    query=dict(parse_qsl(url.query)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                )
                outer.asked.append(asked)
                outer.heard.put(asked)
                try:
                    outer.script(asked, Reply(self, outer.closing))
                except OSError:
                    # The client has gone: its own business, and often what the test is about.
                    self.close_connection = True

            do_HEAD = do_PATCH = do_POST = do_DELETE = do_CONNECT = do_GET  # noqa: N815 the names are the library's

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 as inherited
                """Tests say what they need themselves."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hung up is no error of the server's."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def next_request(self) -> Asked:
        """Wait for the next request that no one has taken yet."""
        return self.heard.get(timeout=PATIENCE_SECONDS)
