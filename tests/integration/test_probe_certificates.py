"""The prober against servers with every kind of certificate."""

import shutil
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from previews.adapters.probe import HTTPProber
from previews.domain.preview import ProbeResult
from previews.domain.probing import ProbePolicy
from tests.authority import HOUR, Authority
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

ZONE = "preview.localhost"
HOST = f"pr-42.{ZONE}"
POLICY = ProbePolicy(timeout=timedelta(seconds=10))
WELL = ProbeResult(answered=True, detail="200 OK")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def prober(authority: Authority) -> HTTPProber:
    return HTTPProber(zone=ZONE, ca_file=authority.file)


def serving(certificate: Path, *, newest: ssl.TLSVersion | None = None) -> ScriptedServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if newest is not None:
        context.maximum_version = newest
    return ScriptedServer(lambda _asked, reply: reply.send(200), tls=context)


def probe(prober: HTTPProber, certificate: Path, host: str = HOST) -> ProbeResult:
    with serving(certificate) as server:
        return prober.probe(f"https://{host}:{server.port}/", POLICY)


def refused(fault: str) -> ProbeResult:
    return ProbeResult(answered=False, detail=f"certificate: {fault}", reason="CertificateInvalid")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_one_that_an_authority_vouches_for_is_accepted(
    authority: Authority, prober: HTTPProber, newest: ssl.TLSVersion
) -> None:
    with serving(authority.issue(f"*.{ZONE}"), newest=newest) as server:
        assert prober.probe(f"https://{HOST}:{server.port}/", POLICY) == WELL


def test_the_authorities_of_the_system_count_as_well(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert probe(HTTPProber(zone=ZONE), authority.issue(f"*.{ZONE}")) == WELL


@pytest.mark.parametrize("names", [("other.example",), (ZONE,), (f"*.other.{ZONE}",)])
def test_one_for_another_name_is_not(
    authority: Authority, prober: HTTPProber, names: tuple[str, ...]
) -> None:
    assert probe(prober, authority.issue(*names)) == refused("for another name")


def test_a_wildcard_is_good_for_one_label(authority: Authority, prober: HTTPProber) -> None:
    certificate = authority.issue(f"*.{ZONE}")
    assert probe(prober, certificate, f"a.b.{ZONE}") == refused("for another name")


def test_one_that_has_expired_or_is_not_valid_yet_is_not(
    authority: Authority, prober: HTTPProber
) -> None:
    expired = authority.issue(f"*.{ZONE}", begins=-2 * HOUR, ends=-HOUR)
    assert probe(prober, expired) == refused("expired")
    early = authority.issue(f"*.{ZONE}", begins=HOUR, ends=2 * HOUR)
    assert probe(prober, early) == refused("not valid yet")


def test_one_that_nobody_known_vouches_for_is_not(authority: Authority, prober: HTTPProber) -> None:
    assert probe(prober, authority.self_signed(f"*.{ZONE}")) == refused("self-signed")
    stranger = HTTPProber(zone=ZONE)
    assert probe(stranger, authority.issue(f"*.{ZONE}")) == refused("of an unknown issuer")


def test_a_renewed_authority_counts_at_once_and_a_broken_file_changes_nothing(
    tmp_path: Path,
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    ca_file = tmp_path / "ca.pem"
    shutil.copy(old.file, ca_file)
    prober = HTTPProber(zone=ZONE, ca_file=ca_file)
    assert probe(prober, old.issue(f"*.{ZONE}")) == WELL

    ca_file.write_text("half written")
    assert probe(prober, old.issue(f"*.{ZONE}")) == WELL
    ca_file.unlink()
    assert probe(prober, old.issue(f"*.{ZONE}")) == WELL

    shutil.copy(new.file, ca_file)
    assert probe(prober, new.issue(f"*.{ZONE}")) == WELL
    assert probe(prober, old.issue(f"*.{ZONE}")).reason == "CertificateInvalid"


def test_a_redirect_from_http_to_https_is_followed_and_checked(
    authority: Authority, prober: HTTPProber
) -> None:
    def upgraded(certificate: Path) -> ProbeResult:
        with serving(certificate) as secure:

            def script(asked: Asked, reply: Reply) -> None:
                reply.send(308, Location=f"https://{HOST}:{secure.port}{asked.path}")

            with ScriptedServer(script) as plain:
                return prober.probe(f"http://{HOST}:{plain.port}/", POLICY)

    assert upgraded(authority.issue(f"*.{ZONE}")) == WELL
    assert upgraded(authority.issue("other.example")) == refused("for another name")


def test_plain_http_on_a_tls_port_and_the_reverse(authority: Authority, prober: HTTPProber) -> None:
    with ScriptedServer(lambda _asked, reply: reply.send(200)) as server:
        result = prober.probe(f"https://{HOST}:{server.port}/", POLICY)
    assert result == ProbeResult(answered=False, detail="no TLS connection")
    with serving(authority.issue(f"*.{ZONE}")) as server:
        assert not prober.probe(f"http://{HOST}:{server.port}/", POLICY).answered


def test_an_old_protocol_is_no_tls(authority: Authority, prober: HTTPProber) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue(f"*.{ZONE}"))
    context.set_ciphers("AES128-SHA")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with ScriptedServer(lambda _asked, reply: reply.send(200), tls=context) as server:
        result = prober.probe(f"https://{HOST}:{server.port}/", POLICY)
    assert result.detail == "no TLS connection"
