"""The certificate check against real TLS servers, with certificates of every kind that is wrong."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from previews.adapters.tls_check import TLSCheck
from previews.domain.certificates import CHAIN, EXPIRY, HOST, SERVED, Inspection
from previews.domain.findings import Level

ZONE = "preview.localhost"
NOW = datetime.now(UTC).replace(microsecond=0)
WILDCARD = f"*.{ZONE}"


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def issue(
    subject: str,
    issuer: Issued | None,
    *,
    names: Sequence[str] = (),
    is_ca: bool = False,
    since: timedelta = timedelta(days=-30),
    until: timedelta = timedelta(days=60),
) -> Issued:
    """By `issuer`, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(issuer.certificate.subject if issuer else named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + since)
        .not_valid_after(NOW + until)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


ROOT = issue("Test Root", None, is_ca=True)
INTERMEDIATE = issue("Test CA 7", ROOT, is_ca=True)
EXPIRED_INTERMEDIATE = issue("Test CA 6", ROOT, is_ca=True, until=timedelta(days=-1))


@contextmanager
def serving(
    directory: Path, leaf: Issued, *above: Issued, asked: list[str] | None = None
) -> Iterator[int]:
    """A server that shows these, on the port that is given. Whom it was asked for comes into `asked`."""
    file = directory / "served.pem"
    secret = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + b"".join(each.pem for each in (leaf, *above)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if asked is not None:
        context.sni_callback = lambda _tls, name, _context: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        context.wrap_socket(connection, server_side=True).close()
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    file = tmp_path / "root.pem"
    file.write_bytes(ROOT.pem)
    return file


def look(port: int, ca_file: Path | None, *, seconds: float = 10) -> Inspection:
    check = TLSCheck(
        zone=ZONE,
        now=lambda: NOW,
        port=port,
        ca_file=ca_file,
        timeout_seconds=seconds,
    )
    return check.look()


def levels(found: Inspection) -> dict[str, Level]:
    return {each.check: each.level for each in found.findings}


def trouble(found: Inspection) -> tuple[str, str]:
    """The one thing that is not fine: what was looked at, and what is said of it."""
    (each,) = found.troubles
    assert each.remedy
    return each.check, each.message


def leaf(issuer: Issued | None = INTERMEDIATE, **changes: timedelta) -> Issued:
    return issue("previews", issuer, names=[WILDCARD], **changes)  # type: ignore[arg-type] # times


def test_a_good_certificate_has_no_fault_and_an_end(tmp_path: Path, ca_file: Path) -> None:
    good = leaf()
    with serving(tmp_path, good, INTERMEDIATE) as port:
        found = look(port, ca_file)
    assert levels(found) == dict.fromkeys((SERVED, HOST, CHAIN, EXPIRY), Level.FINE)
    assert found.expires_at == good.certificate.not_valid_after_utc


def test_a_certificate_for_another_name(tmp_path: Path, ca_file: Path) -> None:
    other = issue("other", INTERMEDIATE, names=["www.example", "*.localhost"])
    with serving(tmp_path, other, INTERMEDIATE) as port:
        check, said = trouble(look(port, ca_file))
    assert check == HOST
    assert "www.example, *.localhost" in said


def test_an_expired_one(tmp_path: Path, ca_file: Path) -> None:
    with serving(tmp_path, leaf(until=timedelta(hours=-1)), INTERMEDIATE) as port:
        check, said = trouble(look(port, ca_file))
    assert (check, "expired" in said) == (EXPIRY, True)


def test_one_that_will_soon_expire_is_a_warning(tmp_path: Path, ca_file: Path) -> None:
    with serving(tmp_path, leaf(until=timedelta(days=10)), INTERMEDIATE) as port:
        found = look(port, ca_file)
    assert levels(found)[EXPIRY] is Level.WARNING
    assert "10 days more" in trouble(found)[1]


def test_one_that_is_not_valid_yet(tmp_path: Path, ca_file: Path) -> None:
    with serving(tmp_path, leaf(since=timedelta(hours=2)), INTERMEDIATE) as port:
        check, said = trouble(look(port, ca_file))
    assert (check, "not valid before" in said) == (EXPIRY, True)


def test_one_that_signed_itself(tmp_path: Path, ca_file: Path) -> None:
    with serving(tmp_path, leaf(None)) as port:
        check, said = trouble(look(port, ca_file))
    assert (check, "signed itself" in said) == (CHAIN, True)


def test_one_that_signed_itself_and_is_trusted(tmp_path: Path) -> None:
    own = leaf(None)
    (tmp_path / "own.pem").write_bytes(own.pem)
    with serving(tmp_path, own) as port:
        assert look(port, tmp_path / "own.pem").troubles == ()


def test_a_missing_intermediate_is_named(tmp_path: Path, ca_file: Path) -> None:
    with serving(tmp_path, leaf()) as port:
        check, said = trouble(look(port, ca_file))
    assert check == CHAIN
    assert "'Test CA 7'" in said


def test_a_root_that_nobody_here_knows(tmp_path: Path) -> None:
    with serving(tmp_path, leaf(), INTERMEDIATE, ROOT) as port:
        check, said = trouble(look(port, None))
    assert check == CHAIN
    assert "'Test Root', which the system's roots do not know" in said


def test_an_intermediate_that_has_expired(tmp_path: Path, ca_file: Path) -> None:
    with serving(tmp_path, leaf(EXPIRED_INTERMEDIATE), EXPIRED_INTERMEDIATE) as port:
        check, said = trouble(look(port, ca_file))
    assert (check, "Test CA 6" in said) == (CHAIN, True)


def test_two_faults_at_once_are_both_said(tmp_path: Path, ca_file: Path) -> None:
    with serving(tmp_path, leaf(until=timedelta(hours=-1))) as port:
        found = look(port, ca_file)
    assert {each.check for each in found.troubles} == {CHAIN, EXPIRY}


def test_the_ingress_controllers_own_certificate(tmp_path: Path, ca_file: Path) -> None:
    own = issue("TRAEFIK DEFAULT CERT", None, names=["0f.1e.traefik.default"])
    with serving(tmp_path, own) as port:
        check, said = trouble(look(port, ca_file))
    assert (check, "ingress controller's own" in said) == (SERVED, True)


def test_the_server_is_asked_for_a_host_that_nobody_has(tmp_path: Path, ca_file: Path) -> None:
    asked: list[str] = []
    with serving(tmp_path, leaf(), INTERMEDIATE, asked=asked) as port:
        look(port, ca_file)
        look(port, ca_file)
    assert {name.partition(".")[2] for name in asked} == {ZONE}
    assert len(set(asked)) == 2


def answer_with(data: bytes | None) -> socket.socket:
    """A listener that says this to one caller, or nothing at all."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            if data is None:
                connection.recv(65536)
                connection.recv(65536)
            else:
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
        (b"", "cannot be reached"),
        (None, "timed out"),
    ],
    ids=["HTTP", "closed", "silent"],
)
def test_what_is_no_tls_is_a_finding(data: bytes | None, said: str) -> None:
    with answer_with(data) as listener:
        check, message = trouble(look(listener.getsockname()[1], None, seconds=0.5))
    assert (check, said in message) == (SERVED, True)


def test_nobody_there_is_a_finding() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "connection refused" in trouble(look(port, None))[1]


def test_a_name_that_does_not_resolve_is_a_finding() -> None:
    check = TLSCheck(zone="preview.invalid", now=lambda: NOW)
    assert "the name is not found" in trouble(check.look())[1]


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_file_of_roots_that_is_none_is_a_finding(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "roots.pem"
    if content is not None:
        file.write_bytes(content)
    with serving(tmp_path, leaf(), INTERMEDIATE) as port:
        check, said = trouble(look(port, file))
    assert check == SERVED
    assert str(file) in said
