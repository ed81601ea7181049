"""One HTTP request to an address that was chosen before, read no further and no longer than is good.

What answers may be hostile: one deadline binds every read, the bytes are counted, and of its words only those come back
that are asked for. The parser is httptools', since a client library costs several times what the request does.
"""

import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httptools

from previews.adapters.probe_addresses import Address

BODY_BYTES_MAX = 64 * 1024
ANSWER_BYTES_MAX = 256 * 1024
"""Everything that is read, however it is wrapped."""
_READ_BYTES = 16 * 1024


class Deadline:
    """An instant by which all has to be over."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """In seconds. Raises TimeoutError when there is nothing left."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class NotHTTPError(Exception):
    """What came is no whole HTTP answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GET."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    """None: without TLS."""
    target: str
    """Path and query, with nothing in them that a request line cannot have."""
    headers: Mapping[str, str]


@dataclass(slots=True)
class Answer:
    """What came back; filled in by the parser."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """By lower-case name; of several, the first."""
    body: bytearray = field(default_factory=bytearray)
    """Perhaps only its beginning."""


def ask(request: Request, addresses: Sequence[Address], deadline: Deadline) -> Answer:
    """Ask the first of the addresses that takes a connection.

    Raises TimeoutError, ssl.SSLError, other OSErrors, and NotHTTPError.
    """
    with _connect(addresses, request.port, deadline) as plain:
        if request.tls is None:
            return _exchange(plain, request, deadline)
        plain.settimeout(deadline.left())
        with request.tls.wrap_socket(plain, server_hostname=request.host) as connection:
            return _exchange(connection, request, deadline)


def _connect(addresses: Sequence[Address], port: int, deadline: Deadline) -> socket.socket:
    for index, address in enumerate(addresses):
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - the protocol's name
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            # One that is silent must leave time for the others.
            connection.settimeout(deadline.left() / (len(addresses) - index))
            connection.connect((str(address), port))
        except OSError:
            connection.close()
            if index == len(addresses) - 1:
                raise
        else:
            return connection
    raise ConnectionError("no address to connect to")


def _exchange(connection: socket.socket, request: Request, deadline: Deadline) -> Answer:
    connection.settimeout(deadline.left())
    connection.sendall(_bytes_of(request))
    reader = _Reader()
    taken = 0
    while not reader.is_enough and taken < ANSWER_BYTES_MAX:
        connection.settimeout(deadline.left())
        data = connection.recv(_READ_BYTES)
        if not data:
            reader.ended()
            break
        taken += len(data)
        reader.feed(data)
    if not reader.has_head:
        raise NotHTTPError
    return reader.answer


def _bytes_of(request: Request) -> bytes:
    default = 443 if request.tls else 80
    host = request.host if request.port == default else f"{request.host}:{request.port}"
    headers = {"Host": host, **request.headers, "Connection": "close"}
    lines = [f"GET {request.target} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


class _Reader:
    """Called back by the parser."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.has_head = False
        self.is_enough = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Raises NotHTTPError."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # What comes after a whole answer is nobody's business.
            if not self.is_enough:
                raise NotHTTPError from error

    def ended(self) -> None:
        """The other side has closed. Raises NotHTTPError if it had promised more."""
        promised = {"content-length", "transfer-encoding"} & self.answer.headers.keys()
        if not self.is_enough and (promised or not self.has_head):
            raise NotHTTPError

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:
            text = value.decode("latin-1").strip()
            self.answer.headers.setdefault(name.decode("latin-1").lower(), text)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.has_head:
            return
        if status < 200:  # noqa: PLR2004 - an answer before the answer
            self.answer.headers.clear()
            return
        self.answer.status = status
        self.has_head = True

    def on_body(self, data: bytes) -> None:
        if self.has_head and not self.is_enough:
            self.answer.body += data[: BODY_BYTES_MAX - len(self.answer.body)]
            self.is_enough = len(self.answer.body) >= BODY_BYTES_MAX

    def on_message_complete(self) -> None:
        self.is_enough = self.is_enough or self.has_head
