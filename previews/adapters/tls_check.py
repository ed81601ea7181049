"""Asks the ingress for the certificate of the previews' hosts, as a browser that visits one would.

It never raises: what cannot be asked is a finding. All of it is held to one deadline, but for the resolver's own.
"""

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from cryptography import x509
from cryptography.x509.oid import NameOID

from previews.adapters.one_line import one_line
from previews.domain.certificates import SERVED, Certificate, Inspection, Served, Trust, inspect
from previews.domain.findings import Finding, Level

HTTPS_PORT = 443
LOOPBACK = "127.0.0.1"
NAME_LENGTH_MAX = 100
NAMES_MAX = 100
CHAIN_MAX = 16
_READ_BYTES = 16 * 1024
_ROOTS = "the system's roots"
_DER = 2
"""What it calls an encoding, where it does not say `ssl.ENCODING_DER` either."""
_TRUST = {
    18: Trust.SELF_SIGNED,  # the leaf itself
    19: Trust.UNKNOWN_ROOT,
    2: Trust.ISSUER_MISSING,
    20: Trust.ISSUER_MISSING,
    21: Trust.ISSUER_MISSING,
    9: Trust.OUT_OF_DATE,
    10: Trust.OUT_OF_DATE,
}
"""By OpenSSL's X509_V_ERR."""


class _RootsError(ValueError):
    """The configured roots cannot be used."""


class TLSCheck:
    """One look at the certificate of hosts under a zone. Safe from any thread."""

    def __init__(
        self,
        *,
        zone: str,
        now: Callable[[], datetime],
        port: int | None = None,
        address: str | None = None,
        ca_file: Path | None = None,
        timeout_seconds: float = 10.0,
    ) -> None:
        """`address` is where to ask, if the zone has no wildcard that would say it. `ca_file` holds roots that count
        beside the system's; it is read anew at each look.
        """
        self._zone = zone
        self._now = now
        self._port = port or HTTPS_PORT
        self._address = address
        self._ca_file = ca_file
        self._timeout_seconds = timeout_seconds

    def look(self) -> Inspection:
        """Ask for a host that no preview has. Does not raise."""
        host = f"doctor-{token_hex(6)}.{self._zone}"
        place = f"{host}:{self._port}"
        try:
            chain = self._chain(host)
            trust, complaint = self._trust(host)
            served = Served(
                place=place,
                chain=tuple(map(_certificate, chain[:CHAIN_MAX])),
                trust=trust,
                complaint=complaint,
                roots=_ROOTS + (f" and {self._ca_file}" if self._ca_file else ""),
            )
        except (OSError, ValueError) as error:
            return Inspection(findings=(self._failure(place, error),))
        return inspect(served, host=host, zone=self._zone, now=self._now())

    def _chain(self, host: str) -> Sequence[bytes]:
        """What is served, whatever it is worth."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return _served(self._shake_hands(context, host))

    def _trust(self, host: str) -> tuple[Trust, str]:
        """The library's verdict on the chain: its first fault, where dates are looked at after all others."""
        context = self._trusting()
        context.check_hostname = False
        try:
            self._shake_hands(context, host)
        except ssl.SSLCertVerificationError as error:
            complaint = one_line(error.verify_message, NAME_LENGTH_MAX)
            return _TRUST.get(error.verify_code, Trust.BROKEN), complaint
        return Trust.TRUSTED, ""

    def _trusting(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context()
            if self._ca_file:
                context.load_verify_locations(self._ca_file)
        except OSError as error:
            why = "it holds no certificates in PEM form"
            if not isinstance(error, ssl.SSLError):
                why = (error.strerror or "it cannot be read").lower()
            raise _RootsError(f"{self._ca_file}: {why}") from error
        return context

    def _shake_hands(self, context: ssl.SSLContext, host: str) -> ssl.SSLObject:
        """One connection up to the end of its handshake. Raises OSError, of which TimeoutError is one."""
        deadline = time.monotonic() + self._timeout_seconds
        is_loopback = host == "localhost" or host.endswith(".localhost")
        # RFC 6761: these names are loopback, and no resolver is to be asked for them.
        address = self._address or (LOOPBACK if is_loopback else host)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
        with socket.create_connection((address, self._port), self._timeout_seconds) as connection:
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    _send(connection, outgoing, deadline)
                    connection.settimeout(_left(deadline))
                    received = connection.recv(_READ_BYTES)
                    if not received:
                        raise ConnectionResetError("the connection was closed") from None
                    incoming.write(received)
                else:
                    # Ended in good order, so that the ingress logs no broken handshake every hour.
                    with suppress(ssl.SSLError):
                        tls.unwrap()
                    _send(connection, outgoing, deadline)
                    return tls

    def _failure(self, place: str, error: Exception) -> Finding:
        if isinstance(error, socket.gaierror):
            said = f"{place}: the name is not found"
            remedy = f"have *.{self._zone} point at the ingress: the findings about DNS say more"
        elif isinstance(error, _RootsError):
            said = str(error)
            remedy = "name a readable file of certificates in PEM form in domain.ca_file"
        elif isinstance(error, ssl.SSLError):
            said = (
                f"{place} does not speak TLS with us: {one_line(error.reason or str(error), 100)}"
            )
            remedy = "see whether domain.port is the ingress's HTTPS port, and which TLS versions it allows"
        elif isinstance(error, ValueError):
            said = f"{place} serves a certificate that cannot be read"
            remedy = "have the certificate issued anew"
        else:
            why = "timed out" if isinstance(error, TimeoutError) else _reason(error)
            said = f"{place} cannot be reached: {why}"
            remedy = (
                "see whether the ingress controller runs, and whether its address and port (domain.port) are "
                "open from here; where previews answer without TLS, say domain.scheme: http"
            )
        return Finding(check=SERVED, level=Level.PROBLEM, message=said, remedy=remedy)


def _send(connection: socket.socket, outgoing: ssl.MemoryBIO, deadline: float) -> None:
    if ours := outgoing.read():
        connection.settimeout(_left(deadline))
        connection.sendall(ours)


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _served(tls: ssl.SSLObject) -> Sequence[bytes]:
    """The chain in the server's order. Before Python 3.13 the standard library has it, and does not show it."""
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        found: Sequence[bytes] = public()
        return found
    inner = tls._sslobj  # type: ignore[attr-defined] # noqa: SLF001 - as said above
    return [each.public_bytes(_DER) for each in inner.get_unverified_chain()]


def _certificate(der: bytes) -> Certificate:
    """Raises ValueError for what is none."""
    found = x509.load_der_x509_certificate(der)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    except x509.DuplicateExtension as error:
        raise ValueError(str(error)) from error
    return Certificate(
        subject=_common_name(found.subject),
        issuer=_common_name(found.issuer),
        names=tuple(one_line(name, NAME_LENGTH_MAX) for name in names[:NAMES_MAX]),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
    )


def _common_name(name: x509.Name) -> str:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    shown = str(values[0].value) if values else name.rfc4514_string()
    return one_line(shown, NAME_LENGTH_MAX)


def _reason(error: Exception) -> str:
    return ((isinstance(error, OSError) and error.strerror) or str(error)).lower()
