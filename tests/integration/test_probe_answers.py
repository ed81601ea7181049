"""The prober against servers that answer well, badly, slowly, endlessly and not at all."""

import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from previews.adapters.probe import BODY_BYTES_MAX, HTTPProber
from previews.domain.preview import ProbeResult
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

ZONE = "preview.localhost"
HOST = f"pr-42.{ZONE}"


@pytest.fixture
def prober() -> HTTPProber:
    return HTTPProber(zone=ZONE, timeout_seconds=10.0)


@pytest.fixture
def hasty_prober() -> HTTPProber:
    """For what is to time out."""
    return HTTPProber(zone=ZONE, timeout_seconds=0.3)


def probe(prober: HTTPProber, script: Script) -> ProbeResult:
    with ScriptedServer(script) as server:
        return prober.probe(f"http://{HOST}:{server.port}/health?deep=1")


def answering(status: int, **headers: str) -> Script:
    return lambda _asked, reply: reply.send(status, b"hello", **headers)


def sending(*parts: bytes, then: Callable[[Reply], None] = Reply.break_off) -> Script:
    def script(_asked: Asked, reply: Reply) -> None:
        for part in parts:
            reply.raw(part)
        then(reply)

    return script


def test_a_name_under_localhost_is_asked_on_loopback_under_its_own_name(prober: HTTPProber) -> None:
    with ScriptedServer(answering(200)) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/health?deep=1")
        assert result == ProbeResult(answered=True, detail="200 OK")
        asked = server.next_request()
    assert asked.method == "GET"
    assert asked.path == "/health"
    assert asked.query == {"deep": "1"}
    assert asked.headers["host"] == f"{HOST}:{server.port}"
    assert asked.headers["user-agent"].startswith("previews-probe/")
    assert asked.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("status", "answered", "detail"),
    [
        (204, True, "204 No Content"),
        (299, True, "299"),
        (304, True, "304 Not Modified"),
        (401, False, "401 Unauthorized"),
        (404, False, "404 Not Found"),
        (502, False, "502 Bad Gateway"),
        (503, False, "503 Service Unavailable"),
        (799, False, "799"),
    ],
)
def test_the_status_decides(
    prober: HTTPProber, status: int, *, answered: bool, detail: str
) -> None:
    assert probe(prober, answering(status)) == ProbeResult(answered=answered, detail=detail)


@pytest.mark.parametrize(
    ("location", "answered"),
    [
        ("/login", True),
        ("", True),
        (f"https://{HOST}/login", True),
        (f"//login.{ZONE}", True),
        (f"https://{ZONE}.", True),
        ("https://login.example/", False),
        (f"https://{HOST}@evil.example/", False),
        (f"https://evil{ZONE}/", False),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("javascript:alert(1)", False),
        ("https://[", False),
    ],
)
def test_a_redirect_is_an_answer_only_if_it_stays_in_the_zone_and_is_not_followed(
    prober: HTTPProber, location: str, *, answered: bool
) -> None:
    with ScriptedServer(answering(302, Location=location)) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/")
        assert len(server.asked) == 1
    detail = "302 Found" if answered else "302 Found to another site"
    assert result == ProbeResult(answered=answered, detail=detail)


def test_nothing_listens(prober: HTTPProber) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        result = prober.probe(f"http://{HOST}:{port}/")
    assert result == ProbeResult(answered=False, detail="connection refused")


def test_a_name_that_is_not_there(prober: HTTPProber) -> None:
    result = prober.probe("http://pr-42.preview.invalid/")
    assert result == ProbeResult(answered=False, detail="host name not found")


def drip(data: bytes, forever: bytes) -> Script:
    """Send `data`, and then a byte now and then, so that no single read ever times out."""

    def script(_asked: Asked, reply: Reply) -> None:
        reply.raw(data)
        while not reply.closing.wait(0.02):
            reply.raw(forever)

    return script


@pytest.mark.parametrize(
    "script",
    [
        lambda _asked, reply: reply.hang(),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"z"),
        drip(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"z"),
    ],
    ids=["silent", "endless header", "always about to answer", "endless body"],
)
def test_the_whole_answer_has_to_come_in_time(hasty_prober: HTTPProber, script: Script) -> None:
    assert probe(hasty_prober, script) == ProbeResult(
        answered=False, detail="timed out after 0.3 s"
    )


def test_a_server_that_takes_no_connection_times_out_as_well(hasty_prober: HTTPProber) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        # The queue of connections that nobody accepts is full with these.
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)  # noqa: FBT003 the library takes it by position
            each.connect_ex(("127.0.0.1", port))
        result = hasty_prober.probe(f"https://{HOST}:{port}/")
        for each in waiting:
            each.close()
    assert result == ProbeResult(answered=False, detail="timed out after 0.3 s")


def test_a_server_that_never_greets_back_times_out_as_well(hasty_prober: HTTPProber) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = hasty_prober.probe(f"https://{HOST}:{silent.getsockname()[1]}/")
    assert result == ProbeResult(answered=False, detail="timed out after 0.3 s")


def test_an_endless_body_is_read_no_further_than_needed(prober: HTTPProber) -> None:
    sent = []

    def endless(_asked: Asked, reply: Reply) -> None:
        reply.begin()
        while True:
            # Ends with an OSError, when the prober hangs up.
            reply.chunk(b"z" * 16384)
            sent.append(16384)

    with ScriptedServer(endless) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/")
    assert result == ProbeResult(answered=True, detail="200 OK")
    # What the two sockets hold between them comes on top.
    assert sum(sent) < BODY_BYTES_MAX + 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "no valid HTTP answer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"], "no valid HTTP answer"),
        ([b"HTTP/1.1 200 OK\r\nA: " + b"z" * 300_000], "no valid HTTP answer"),
        ([], "no valid HTTP answer"),
        (
            [b"HTTP/1.1 500 \x1b[31m<script>\r\nContent-Length: 0\r\n\r\n"],
            "500 Internal Server Error",
        ),
    ],
    ids=["another protocol", "half a body", "a giant header", "nothing", "words of its own"],
)
def test_what_is_no_answer_is_told_in_our_own_words(
    prober: HTTPProber, parts: list[bytes], detail: str
) -> None:
    assert probe(prober, sending(*parts)) == ProbeResult(answered=False, detail=detail)


def test_a_connection_that_is_reset(prober: HTTPProber) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reset() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            # Linger for no time: the kernel answers with RST.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        result = prober.probe(f"http://{HOST}:{server.getsockname()[1]}/")
        thread.join()
    assert result == ProbeResult(answered=False, detail="connection reset by peer")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for *.preview.localhost that nobody but itself vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ZONE)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"*.{ZONE}")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return file


def tls_server(certificate: Path) -> ScriptedServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return ScriptedServer(answering(200), tls=context)


def test_a_certificate_that_is_trusted_for_the_name_is_accepted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    prober = HTTPProber(zone=ZONE)
    with tls_server(certificate) as server:
        assert prober.probe(f"https://{HOST}:{server.port}/").detail == "200 OK"
        result = prober.probe(f"https://a.b.{ZONE}:{server.port}/")
    assert not result.answered
    assert result.detail.startswith("certificate: Hostname mismatch")


def test_a_certificate_that_nobody_vouches_for_is_not(
    prober: HTTPProber, certificate: Path
) -> None:
    with tls_server(certificate) as server:
        result = prober.probe(f"https://{HOST}:{server.port}/")
    assert result == ProbeResult(answered=False, detail="certificate: self-signed certificate")


def test_plain_http_on_a_tls_port_and_the_reverse(prober: HTTPProber, certificate: Path) -> None:
    with ScriptedServer(answering(200)) as server:
        assert prober.probe(f"https://{HOST}:{server.port}/").detail == "no TLS connection"
    with tls_server(certificate) as server:
        assert not prober.probe(f"http://{HOST}:{server.port}/").answered
