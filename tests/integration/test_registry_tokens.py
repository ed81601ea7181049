"""The CNCF's own registry with token authentication on: who we are is asked for by it, and judged by it."""

import base64
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from previews.adapters.registry import OCIRegistry
from previews.errors import StalledError
from tests.authority import Authority
from tests.docker_registry import DockerRegistry
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

SERVICE = "registry.example"
NAME = "team/shop"
TAG = "pr-42-abc1234"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_INDEX = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
)
Access = dict[str, object]
USER, PASSWORD = "previews", "canary-password"


class TokenServer:
    """Signs what the registry believes: a token for whoever may see a repository, and an empty one for others."""

    def __init__(self, authority: Authority) -> None:
        file = authority.issue("tokens.example").read_bytes()
        key = load_pem_private_key(file, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        chain = x509.load_pem_x509_certificates(file)
        self._chain = [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain]

    def answer(self, asked: Asked, reply: Reply) -> None:
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        known = asked.headers.get("authorization") == f"Basic {basic}"
        actions = asked.query.get("scope", "").rpartition(":")[2].split(",")
        allowed: Access = {"type": "repository", "name": NAME, "actions": actions}
        reply.json(200, {"token": self.token([allowed] if known else []), "expires_in": 300})

    def token(self, access: list[Access]) -> str:
        now = int(time.time())
        header = {"typ": "JWT", "alg": "ES256", "x5c": self._chain}
        claims = {
            "iss": "tokens.example",
            "aud": SERVICE,
            "sub": USER,
            "nbf": now - 10,
            "iat": now,
            "exp": now + 300,
            "jti": "1",
            "access": access,
        }
        signed = b".".join(_part(json.dumps(each).encode()) for each in (header, claims))
        one, other = utils.decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = one.to_bytes(32, "big") + other.to_bytes(32, "big")
        return b".".join((signed, _part(signature))).decode()


def _part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """With one image, which only those with a password may see."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed (Debian package: docker-registry)")
    folder = tmp_path / "authority"
    folder.mkdir()
    authority = Authority(folder)
    tokens = TokenServer(authority)
    with ScriptedServer(tokens.answer) as server:
        token = {
            "realm": f"http://127.0.0.1:{server.port}/token",
            "service": SERVICE,
            "issuer": "tokens.example",
            "rootcertbundle": str(authority.file),
        }
        running = DockerRegistry(tmp_path, {"token": token})
        try:
            _push(running, tokens)
            yield running
        finally:
            running.stop()


def _push(registry: DockerRegistry, tokens: TokenServer) -> None:
    access: list[Access] = [{"type": "repository", "name": NAME, "actions": ["pull", "push"]}]
    httpx2.put(
        f"http://{registry.address}/v2/{NAME}/manifests/{TAG}",
        content=EMPTY_INDEX,
        headers={
            "Content-Type": INDEX_TYPE,
            "Authorization": f"Bearer {tokens.token(access)}",
        },
    ).raise_for_status()


@contextmanager
def as_user(
    tmp_path: Path, registry: DockerRegistry, user: str, password: str
) -> Iterator[OCIRegistry]:
    file = tmp_path / "config.json"
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    file.write_text(json.dumps({"auths": {registry.address: {"auth": auth}}}))
    with closing(OCIRegistry(docker_config=file)) as adapter:
        yield adapter


def test_whoever_has_a_password_finds_the_image(tmp_path: Path, registry: DockerRegistry) -> None:
    with as_user(tmp_path, registry, USER, PASSWORD) as adapter:
        repository = f"{registry.address}/{NAME}"
        found = adapter.find_image(repository, TAG)
        assert found is not None
        assert found.reference == f"{repository}:{TAG}"
        assert adapter.find_image(repository, "pr-43-abc1234") is None


def test_whoever_has_a_wrong_one_is_told_so_and_the_image_is_not_called_missing(
    tmp_path: Path, registry: DockerRegistry
) -> None:
    with (
        as_user(tmp_path, registry, USER, "another") as adapter,
        pytest.raises(StalledError) as raised,
    ):
        adapter.find_image(f"{registry.address}/{NAME}", TAG)
    assert raised.value.reason == "RegistryDenied"
    assert "another" not in raised.value.message


def test_nobody_in_particular_is_refused(registry: DockerRegistry) -> None:
    with closing(OCIRegistry()) as adapter, pytest.raises(StalledError) as raised:
        adapter.find_image(f"{registry.address}/{NAME}", TAG)
    assert raised.value.reason == "RegistryDenied"
