"""Asks a preview's public URL once, as a visitor would.

What answers was written by a pull request's author, so everything about the answer is bounded: the time of the whole
request, not of each read; the bytes; where it may lead; and the words that are kept of it, which are never its own.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from previews.adapters.one_line import one_line
from previews.adapters.probe_addresses import (
    Addresses,
    AddressRefusedError,
    AddressRules,
    HostNotFoundError,
)
from previews.adapters.probe_request import Answer, Deadline, NotHTTPError, Request, ask
from previews.adapters.probe_trust import Trust
from previews.domain.preview import ProbeResult
from previews.domain.probing import PAGE_HEADER, ProbePolicy

REDIRECTS_MAX = 5
LOCATION_LENGTH_MAX = 4096
DETAIL_LENGTH_MAX = 100

_REDIRECTS = {301, 302, 303, 307, 308}
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_HEAD_SHA = re.compile(r"[0-9A-Fa-f]{7,64}")
_CERTIFICATE_FAULTS = {
    9: "not valid yet",
    10: "expired",
    18: "self-signed",
    19: "self-signed",
    20: "of an unknown issuer",
    21: "of an unknown issuer",
    62: "for another name",
}
"""By OpenSSL's number; it has words of its own for the others."""


class _NoAnswerError(Exception):
    """There is none that counts: why, in our own words."""

    def __init__(self, detail: str, *, reason: str = "URLDoesNotAnswer") -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Place:
    """What one request is about. Two are the same place exactly if they are equal."""

    scheme: str
    host: str
    port: int
    target: str


class HTTPProber:
    """`domain.ports.Prober` over HTTP. Safe from any thread; every request is a connection of its own."""

    def __init__(
        self, *, zone: str, private_addresses: bool = False, ca_file: Path | None = None
    ) -> None:
        """`zone` is the domain that the previews' hosts lie under: a redirect out of it is no answer of a preview.

        `private_addresses` says whether the ingress may have one, `ca_file` who vouches for its certificate beside
        those whom the system trusts.
        """
        self._zone = zone.lower().rstrip(".")
        is_here = self._zone == "localhost" or self._zone.endswith(".localhost")
        self._addresses = Addresses(AddressRules(private=private_addresses, loopback=is_here))
        self._trust = Trust(ca_file)
        self._headers = {
            "User-Agent": f"previews-probe/{version('previews')}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }

    def probe(
        self, url: str, policy: ProbePolicy, *, on_request: Callable[[str], None] = lambda _: None
    ) -> ProbeResult:
        """Ask once. Does not raise: no answer is a result."""
        try:
            return self._judge(self._follow(_place(url), policy, on_request), policy)
        except _NoAnswerError as error:
            detail = one_line(error.detail, DETAIL_LENGTH_MAX)
            return ProbeResult(answered=False, detail=detail, reason=error.reason)

    def _follow(
        self, place: _Place, policy: ProbePolicy, on_request: Callable[[str], None]
    ) -> Answer:
        """The answer at the end of the redirects."""
        deadline = Deadline(policy.timeout.total_seconds())
        # What a project says to its own host is not for the neighbours.
        first, headers = place.host, {**self._headers, **policy.headers}
        been = {place}
        while True:
            on_request(place.host)
            try:
                answer = self._ask(
                    place, headers if place.host == first else self._headers, deadline
                )
            except TimeoutError as error:
                seconds = policy.timeout.total_seconds()
                raise _NoAnswerError(f"timed out after {seconds:g} s") from error
            onward = self._onward(place, answer)
            if onward is None:
                return answer
            if onward in been:
                raise _NoAnswerError("redirects in a loop")
            if len(been) > REDIRECTS_MAX:
                raise _NoAnswerError(f"redirects more than {REDIRECTS_MAX} times")
            been.add(onward)
            place = onward

    def _ask(self, place: _Place, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        tls = self._trust.context() if place.scheme == "https" else None
        try:
            addresses = self._addresses.find(place.host, place.port, deadline.left())
            request = Request(
                host=place.host, port=place.port, tls=tls, target=place.target, headers=headers
            )
            return ask(request, addresses, deadline)
        except HostNotFoundError as error:
            raise _NoAnswerError(str(error), reason="HostNotFound") from error
        except AddressRefusedError as error:
            raise _NoAnswerError(str(error), reason="AddressNotAllowed") from error
        except TimeoutError:
            raise
        except ssl.SSLCertVerificationError as error:
            fault = _CERTIFICATE_FAULTS.get(error.verify_code, error.verify_message)
            raise _NoAnswerError(f"certificate: {fault}", reason="CertificateInvalid") from error
        except ssl.SSLError as error:
            raise _NoAnswerError("no TLS connection") from error
        except OSError as error:
            raise _NoAnswerError((error.strerror or "connection broken").lower()) from error
        except NotHTTPError as error:
            raise _NoAnswerError("no valid HTTP answer") from error

    def _onward(self, place: _Place, answer: Answer) -> _Place | None:
        """Where an answer sends its visitor; None if it is the answer itself."""
        location = answer.headers.get("location", "")
        if answer.status not in _REDIRECTS or not location:
            return None
        away = f"{_status_line(answer.status)} to another site"
        try:
            onward = _place_of_redirect(place, location)
        except ValueError as error:
            raise _NoAnswerError(away, reason="RedirectsAway") from error
        if onward.host != self._zone and not onward.host.endswith(f".{self._zone}"):
            raise _NoAnswerError(away, reason="RedirectsAway")
        return onward

    def _judge(self, answer: Answer, policy: ProbePolicy) -> ProbeResult:
        if PAGE_HEADER.lower() in answer.headers:
            raise _NoAnswerError("the manager answers, not the application")
        detail = _status_line(answer.status)
        if not any(first <= answer.status <= last for first, last in policy.statuses):
            raise _NoAnswerError(detail)
        if policy.text.encode() not in answer.body:
            raise _NoAnswerError(f"{detail}, without the text that it should have")
        said = answer.headers.get(policy.head_sha_header.lower(), "")
        head_sha = said.lower() if _HEAD_SHA.fullmatch(said) else ""
        return ProbeResult(answered=True, detail=detail, head_sha=head_sha)


def _place(url: str) -> _Place:
    """Raises ValueError for what is no address of a web page."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        raise ValueError("no address of a web page")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    # What it was decoded from, byte for byte; nothing in it ends the request line.
    sent = quote(target.encode("latin-1", "replace"), safe="/%:@!$&'()*+,;=~?")
    return _Place(parts.scheme, host, port, sent)


def _place_of_redirect(place: _Place, location: str) -> _Place:
    """Raises ValueError."""
    if len(location) > LOCATION_LENGTH_MAX:
        raise ValueError("too long")
    here = f"{place.scheme}://{place.host}:{place.port}{place.target}"
    # Browsers take a backslash for a slash.
    return _place(urljoin(here, location.replace("\\", "/")))


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
