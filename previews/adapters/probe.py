"""Asks a preview's public URL once, as a visitor would.

What answers was written by a pull request's author, so everything about the answer is bounded: the time of the whole
request, not of each read; the bytes; and the words that are kept of it, which are never the server's own.
"""

import socket
import ssl
import time
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from urllib.parse import urlsplit

import httpcore2

from previews.adapters.one_line import one_line
from previews.domain.preview import ProbeResult

BODY_BYTES_MAX = 64 * 1024
DETAIL_LENGTH_MAX = 100
LOOPBACK = "127.0.0.1"


class HTTPProber:
    """`domain.ports.Prober` over HTTP. Safe from any thread; every probe is a connection of its own.

    It is built on the layer below httpx2, the only one at which a deadline can bind every single read.
    """

    def __init__(self, *, zone: str, timeout_seconds: float = 5.0) -> None:
        """`zone` is the domain that the previews' hosts lie under: a redirect out of it is no answer of a preview."""
        self._zone = zone.lower().rstrip(".")
        self._timeout_seconds = timeout_seconds
        self._tls = ssl.create_default_context()
        self._headers: dict[bytes | str, bytes | str] = {
            "User-Agent": f"previews-probe/{version('previews')}",
            "Connection": "close",
        }

    def probe(self, url: str) -> ProbeResult:
        """Ask once. Does not raise: no answer is a result."""
        try:
            status, location = self._ask(url)
        except (httpcore2.TimeoutException, TimeoutError):
            detail = f"timed out after {self._timeout_seconds:g} s"
            return ProbeResult(answered=False, detail=detail)
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            httpcore2.UnsupportedProtocol,
        ) as error:
            return ProbeResult(answered=False, detail=_detail_of(error))
        detail = _status_line(status)
        if not HTTPStatus.OK <= status < HTTPStatus.BAD_REQUEST:
            return ProbeResult(answered=False, detail=detail)
        if status >= HTTPStatus.MULTIPLE_CHOICES and not self._stays_in_zone(location):
            return ProbeResult(answered=False, detail=f"{detail} to another site")
        return ProbeResult(answered=True, detail=detail)

    def _ask(self, url: str) -> tuple[int, str]:
        deadline = time.monotonic() + self._timeout_seconds
        with (
            httpcore2.ConnectionPool(
                ssl_context=self._tls, network_backend=_BoundedBackend(deadline)
            ) as pool,
            pool.stream("GET", url, headers=self._headers) as response,
        ):
            length = 0
            for part in response.iter_stream():
                length += len(part)
                if length >= BODY_BYTES_MAX:
                    break
            headers = {name.lower(): value for name, value in response.headers}
            return response.status, headers.get(b"location", b"").decode("latin-1")

    def _stays_in_zone(self, location: str) -> bool:
        try:
            # Browsers take a backslash for a slash.
            parts = urlsplit(location.replace("\\", "/"))
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return False
        if not parts.scheme and not parts.netloc:
            return True
        inside = host == self._zone or host.endswith(f".{self._zone}")
        return inside and parts.scheme in {"", "http", "https"}


class _BoundedBackend(httpcore2.NetworkBackend):
    """Connects, and holds everything that happens on the connection to one deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 the deadline stands for it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        # RFC 6761: these names are loopback, and no resolver is to be asked for them.
        if host == "localhost" or host.endswith(".localhost"):
            host = LOOPBACK
        stream = self._backend.connect_tcp(
            host, port, _left(self._deadline), local_address, socket_options
        )
        return _BoundedStream(stream, self._deadline)


class _BoundedStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 as above
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 as above
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 as above
    ) -> httpcore2.NetworkStream:
        left = _left(self._deadline)
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _BoundedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore2.ReadTimeout
    return seconds


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _detail_of(error: Exception) -> str:
    """The cause in a few words, of which none are the server's."""
    match error.__cause__ or error.__context__:
        case ssl.SSLCertVerificationError() as cause:
            return one_line(f"certificate: {cause.verify_message}", DETAIL_LENGTH_MAX)
        case ssl.SSLError():
            return "no TLS connection"
        case socket.gaierror():
            return "host name not found"
        case OSError() as cause if cause.strerror:
            return cause.strerror.lower()
    if isinstance(error, httpcore2.ProtocolError):
        return "no valid HTTP answer"
    return "connection broken"
