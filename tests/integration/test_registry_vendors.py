"""How registries of different vendors ask who we are, and how a docker config.json answers each of them."""

import base64
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.registry import OCIRegistry
from previews.domain.preview import Image
from previews.errors import StalledError
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

DIGEST = "sha256:" + "0f" * 32
PASSWORD = "canary-password"
JSON_KEY = (
    '{\n  "type": "service_account",\n  "private_key": "-----BEGIN\\nä:\\"' + PASSWORD + '"\n}'
)


class Vendor:
    """A registry that asks in a vendor's way, and its token server beside it."""

    def __init__(self, challenge: str, *, user: str = "", password: str = "") -> None:
        """`TOKENS` in the challenge stands for the token server's address."""
        self.challenge = challenge
        self.user, self.password = user, password
        self.token_answer: Mapping[str, Any] = {"token": "t-1"}
        self.tokens_asked: list[Asked] = []

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def answer(self, asked: Asked, reply: Reply) -> None:
        offered = asked.headers.get("authorization")
        if asked.path == "/token":
            self.tokens_asked.append(asked)
            known = offered == self.basic if self.user else offered is None
            reply.json(200, self.token_answer) if known else reply.json(401, {"errors": []})
            return
        token = self.token_answer.get("token") or self.token_answer.get("access_token")
        good = f"Bearer {token}" if self.challenge.startswith("Bearer") else self.basic
        if offered == good:
            reply.send(200, Docker_Content_Digest=DIGEST)
        else:
            address = f"http://{asked.headers['host']}/token"
            reply.send(401, WWW_Authenticate=self.challenge.replace("TOKENS", address))


VENDORS = {
    "Docker Hub": Vendor('Bearer realm="TOKENS",service="registry.docker.io"'),
    "GitHub's, with a token": Vendor(
        'Bearer realm="TOKENS",service="ghcr.io",scope="repository:team/shop:pull"',
        user="octocat",
        password="ghp_canary",
    ),
    "GitLab's, with a deploy token": Vendor(
        'Bearer realm="TOKENS",service="container_registry",scope="repository:team/shop:pull"',
        user="gitlab+deploy-token-1",
        password="gldt-canary",
    ),
    "Amazon's": Vendor(
        'Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"',
        user="AWS",
        password="eyJ" + "x" * 2000 + "==",
    ),
    "Google's, with a service account's key": Vendor(
        'Bearer realm="TOKENS",service="europe-docker.pkg.dev",scope="repository:team/shop:pull"',
        user="_json_key",
        password=JSON_KEY,
    ),
    "Google's, with an access token": Vendor(
        'Bearer realm="TOKENS",service="gcr.io"',
        user="oauth2accesstoken",
        password="ya29." + "c" * 800 + "....",
    ),
    "Harbor's, with a robot": Vendor(
        'Bearer realm="TOKENS",service="harbor-registry",scope="repository:team/shop:pull"',
        user="robot$team+previews",
        password="canary",
    ),
    "Gitea's": Vendor('Bearer realm="TOKENS",service="container_registry",scope="*"'),
    "one with a password file": Vendor('Basic realm="Registry Realm"', user="u", password="p:w"),
}


def write_config(directory: Path, content: object) -> Path:
    file = directory / "config.json"
    file.write_text(json.dumps(content))
    return file


def find(server: ScriptedServer, config: Path | None = None) -> Image | None:
    with closing(OCIRegistry(docker_config=config)) as registry:
        return registry.find_image(f"127.0.0.1:{server.port}/team/shop", "t")


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("form", ["auth", "username"])
def test_a_credential_for_a_vendors_registry(tmp_path: Path, name: str, form: str) -> None:
    vendor = VENDORS[name]
    vendor.tokens_asked.clear()
    auth = {"auth": vendor.basic.removeprefix("Basic ")}
    plain = {"username": vendor.user, "password": vendor.password}
    with ScriptedServer(vendor.answer) as server:
        host = f"127.0.0.1:{server.port}"
        entries = {host: auth if form == "auth" else plain} if vendor.user else {}
        image = find(server, write_config(tmp_path, {"auths": entries}))
    assert image is not None
    assert image.digest == DIGEST
    for asked in vendor.tokens_asked:
        scope = "*" if 'scope="*"' in vendor.challenge else "repository:team/shop:pull"
        assert asked.query["scope"] == scope
        assert f'service="{asked.query["service"]}"' in vendor.challenge


def test_azures_token_is_short_lived_and_fetched_anew(tmp_path: Path) -> None:
    azure = Vendor(
        'Bearer realm="TOKENS",service="acme.azurecr.io",scope="repository:team/shop:pull"',
        user="previews-token",
        password=PASSWORD,
    )
    azure.token_answer = {"access_token": "t-1", "expires_in": 3600}
    with ScriptedServer(azure.answer) as server:
        entry = {"username": azure.user, "password": azure.password}
        config = write_config(tmp_path, {"auths": {f"127.0.0.1:{server.port}": entry}})
        with closing(OCIRegistry(docker_config=config)) as registry:
            name = f"127.0.0.1:{server.port}/team/shop"
            assert registry.find_image(name, "a")
            assert registry.find_image(name, "b")
            assert len(azure.tokens_asked) == 1
            # The one that it has is of no use any more.
            azure.token_answer = {"access_token": "t-2", "expires_in": 3600}
            assert registry.find_image(name, "c")
    assert len(azure.tokens_asked) == 2


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (["HOST"], "HOST"),
        (["https://HOST/v1/"], "https://HOST/v1/"),
        (["HOST", "HOST/team"], "HOST/team"),
        (["HOST/team/shop", "HOST", "HOST/team"], "HOST/team/shop"),
        (["HOST/team/sho", "HOST"], "HOST"),
        (["HOST/team/shop/deeper", "other.example/team/shop", "HOST/v2/"], "HOST/v2/"),
    ],
)
def test_the_entry_that_says_most_about_a_repository_counts(
    tmp_path: Path, keys: list[str], chosen: str
) -> None:
    vendor = Vendor('Basic realm="it"', user=chosen, password=PASSWORD)
    with ScriptedServer(vendor.answer) as server:
        host = f"127.0.0.1:{server.port}"
        entries = {
            key.replace("HOST", host): {"username": key, "password": PASSWORD} for key in keys
        }
        assert find(server, write_config(tmp_path, {"auths": entries}))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"auths": {"HOST": {"auth": "MDowOg==", "identitytoken": PASSWORD}}}, "identitytoken"),
        ({"auths": {"HOST": {"registrytoken": PASSWORD}}}, "registrytoken"),
        ({"auths": {"HOST": {}}, "credsStore": "desktop"}, "desktop"),
        ({"credHelpers": {"HOST": "ecr-login"}}, "ecr-login"),
    ],
)
def test_a_credential_of_another_kind_is_named_as_such(
    tmp_path: Path, content: object, named: str
) -> None:
    vendor = Vendor('Basic realm="it"', user="u", password=PASSWORD)
    with ScriptedServer(vendor.answer) as server:
        text = json.dumps(content).replace("HOST", f"127.0.0.1:{server.port}")
        config = write_config(tmp_path, json.loads(text))
        with pytest.raises(StalledError) as raised:
            find(server, config)
    assert raised.value.reason == "RegistryCredentials"
    assert named in raised.value.message
    assert str(config) in raised.value.message
    assert PASSWORD not in raised.value.message


def test_a_public_registry_needs_nothing_of_a_file_that_names_a_store(tmp_path: Path) -> None:
    vendor = Vendor('Bearer realm="TOKENS",service="it"')
    with ScriptedServer(vendor.answer) as server:
        assert find(server, write_config(tmp_path, {"auths": {}, "credsStore": "desktop"}))
