"""The HTTP side of the stand-in: holds requests and answers to GitHub's description, and misbehaves on demand."""

import contextlib
import json
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.github.description import Json, Operation, description

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as the log keeps it."""

    method: str
    path: str
    """As it was sent: what stands for a slash within a name is none."""
    query: Mapping[str, list[str]]
    body: Json
    headers: Mapping[str, str]

    @property
    def line(self) -> str:
        query = "&".join(
            f"{name}={value}" for name, values in self.query.items() for value in values
        )
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


INVALID = Answer(422, {"message": "Validation Failed", "documentation_url": ""})
"""To a request that is not what GitHub describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to misbehave. The true answer goes out where nothing else is said."""

    status: int | None = None
    body: bytes | None = None
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_short: bool = False
    """Announce the whole length, send half, hang up."""
    reset: bool = False
    """Hang up without a word, the request undone."""
    reset_after: bool = False
    """Do what was asked, then hang up without a word."""
    silent: bool = False
    """Never answer."""


HTML_PAGE = b"<!DOCTYPE html><html><body>We are having a problem</body></html>"
SERVER_ERROR = Fault(status=502, body=HTML_PAGE, content_type="text/html; charset=utf-8")
HTML_FOR_JSON = Fault(status=200, body=HTML_PAGE, content_type="text/html; charset=utf-8")
EMPTY_LIST = Fault(status=200, body=b"[]")
EMPTY_BODY = Fault(status=200, body=b"")
NOT_A_LIST = Fault(status=200, body=b'{"items": []}')
BROKEN_JSON = Fault(status=200, body=b'[{"number": 1, "sta')
CUT_SHORT = Fault(cut_short=True)
RESET = Fault(reset=True)
ANSWER_LOST = Fault(reset_after=True)
SILENT = Fault(silent=True)


def refusal(status: int, message: str, **headers: str) -> Fault:
    """A refusal in GitHub's form; header names with `_` for `-`."""
    body = json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest"})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, body=body.encode(), headers=named)


@dataclass(slots=True)
class ArmedFault:
    """A fault, on the requests that it applies to, and how often it still strikes."""

    fault: Fault
    on: re.Pattern[str]
    times: int | None


class Server(ThreadingHTTPServer):
    """Serves on a loopback port of its own until closed.

    `resolve` says which request is meant, or answers a redirect; `respond` is given it with the operation that GitHub's
    description knows it as.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        resolve: Callable[[Asked], Asked | Answer],
        respond: Callable[[Asked, Operation, Mapping[str, str]], Answer],
        finish: Callable[[Asked, Answer], Answer],
    ) -> None:
        """`finish` has the last word on an answer that was held to the description."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self._resolve = resolve
        self._respond = respond
        self._finish = finish
        self.ahead_seconds = 0.0
        """How far GitHub's clock is ahead of everybody's here."""
        self.requests: list[Asked] = []
        self.violations: list[str] = []
        self._answered: list[tuple[str, int]] = []
        self.closing = threading.Event()
        self._armed: list[ArmedFault] = []
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="stand-in")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for each in self._sockets:
                # A client that keeps its connection must see it end with the server.
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def fail(self, fault: Fault, *, on: str = "", times: int | None = None) -> None:
        """Misbehave from now on, `times` times, on requests whose line (`GET /path?query`) has `on` in it."""
        with self._lock:
            self._armed.append(ArmedFault(fault, re.compile(on), times))

    def counts(self, status: int | None) -> Counter[str]:
        """How many requests there were of each kind, of those that were answered with a status."""
        with self._lock:
            return Counter(kind for kind, said in self._answered if status in {None, said})

    def heal(self) -> None:
        """Behave again."""
        with self._lock:
            self._armed.clear()

    def fault_for(self, asked: Asked) -> Fault | None:
        with self._lock:
            self.requests.append(asked)
            for armed in self._armed:
                if armed.times != 0 and armed.on.search(asked.line):
                    armed.times = armed.times - 1 if armed.times else None
                    return armed.fault
        return None

    def true_answer(self, asked: Asked) -> Answer:
        """The answer, with all that GitHub's description says against the request or the answer written down."""
        resolved = self._resolve(asked)
        if isinstance(resolved, Answer):
            return resolved
        asked = resolved
        found = description().find(asked.method, asked.path)
        if found is None:
            self.violations.append(f"{asked.line}: no such endpoint is described")
            return Answer(404, {"message": "Not Found", "documentation_url": ""})
        operation, in_path = found
        wrong = list(
            description().violations_of_request(operation, in_path, asked.query, asked.body)
        )
        answer = INVALID if wrong else self._respond(asked, operation, in_path)
        finished = self._finish(asked, answer)
        if finished.status != HTTPStatus.NOT_MODIFIED:
            # Any GET may be answered so, which the description says of some only; the document was judged before.
            wrong += description().violations_of_answer(operation, answer.status, answer.body)
        self.violations += [f"{asked.line}: {each}" for each in wrong]
        answer = finished
        with self._lock:
            self._answered.append((f"{operation.method} {operation.template}", answer.status))
        return answer

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's signature
        """A fault of the stand-in itself is not to be mistaken for GitHub's; a client that hangs up is no fault."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.violations.append(f"the stand-in failed: {error!r}")

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        asked = self._read()
        fault = self.server.fault_for(asked)
        if fault is None:
            self._send(self.server.true_answer(asked))
            return
        if fault.silent:
            self.server.closing.wait()
        if fault.silent or fault.reset:
            self._reset()
            return
        if fault.status is not None:
            self._send(Answer(fault.status, fault.body, fault.headers), fault)
            return
        answer = self.server.true_answer(asked)
        if fault.reset_after:
            self._reset()
        else:
            headers = {**answer.headers, **fault.headers}
            self._send(replace(answer, headers=headers), fault)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

    def date_time_string(self, timestamp: float | None = None) -> str:
        moment = time.time() if timestamp is None else timestamp
        return super().date_time_string(moment + self.server.ahead_seconds)

    def log_message(self, *_: object) -> None:
        pass

    def _read(self) -> Asked:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return Asked(
            method=self.command,
            path=parts.path,
            query=parse_qs(parts.query, keep_blank_values=True),
            body=json.loads(body) if body else None,
            headers={name.lower(): value for name, value in self.headers.items()},
        )

    def _send(self, answer: Answer, fault: Fault | None = None) -> None:
        is_empty = answer.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        if is_empty:
            body = b""
        else:
            self.send_header("Content-Type", fault.content_type if fault else JSON)
            self.send_header("Content-Length", str(len(body)))
        self.send_header("X-GitHub-Request-Id", "0400:0001:STAND:IN")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        cut_short = fault is not None and fault.cut_short
        self.wfile.write(body[: len(body) // 2] if cut_short else body)
        self.close_connection |= cut_short

    def _reset(self) -> None:
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # Closed below the reader and the writer that still hold it, so that the reset goes out now.
        socket.close(self.connection.detach())
