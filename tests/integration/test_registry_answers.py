"""The registry adapter against registries that want a token, ask for a pause, redirect, or are none."""

import base64
import json
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.registry import OCIRegistry
from previews.adapters.registry_login import Repository, parse_repository
from previews.domain.preview import Image
from previews.errors import PreviewsError, StalledError, TransientError
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

DIGEST = "sha256:" + "0f" * 32
MANIFEST = "/v2/team/shop/manifests/pr-42-abc1234"
PASSWORD = "canary-password"


def found(_asked: Asked, reply: Reply) -> None:
    reply.send(200, Docker_Content_Digest=DIGEST)


def find(server: ScriptedServer, **options: Any) -> Image | None:  # noqa: ANN401 the adapter's own options
    with closing(OCIRegistry(**options)) as registry:
        return registry.find_image(f"127.0.0.1:{server.port}/team/shop", "pr-42-abc1234")


def refusal(script: Script, **options: Any) -> PreviewsError:  # noqa: ANN401 as above
    """What the adapter raises; it never holds a secret."""
    with ScriptedServer(script) as server, pytest.raises(PreviewsError) as raised:
        find(server, **options)
    assert PASSWORD not in f"{raised.value!r} {raised.value.message}"
    return raised.value


def docker_config(directory: Path, server: ScriptedServer, **entry: str) -> Path:
    file = directory / "config.json"
    file.write_text(json.dumps({"auths": {f"http://127.0.0.1:{server.port}/v2/": entry}}))
    return file


def test_the_image_of_a_tag(tmp_path: Path) -> None:
    with ScriptedServer(found) as server:
        image = find(server, docker_config=docker_config(tmp_path, server, username="u"))
        asked = server.next_request()
        assert image == Image(f"127.0.0.1:{server.port}/team/shop:pr-42-abc1234", DIGEST)
    assert (asked.method, asked.path) == ("HEAD", MANIFEST)
    assert "application/vnd.oci.image.index.v1+json" in asked.headers["accept"]
    # Nobody asked who we are.
    assert "authorization" not in asked.headers


def test_a_tag_that_is_not_there_is_a_proven_absence_unless_a_page_says_so() -> None:
    with ScriptedServer(
        lambda _, reply: reply.send(404, Content_Type="application/json")
    ) as server:
        assert find(server) is None
    error = refusal(lambda _, reply: reply.send(404, Content_Type="text/html; charset=utf-8"))
    assert (type(error), error.reason) == (TransientError, "RegistryAnswer")


@pytest.mark.parametrize(
    ("status", "headers", "kind", "reason"),
    [
        (200, {"Content_Type": "text/html"}, TransientError, "RegistryAnswer"),
        (200, {"Docker_Content_Digest": "<script>"}, TransientError, "RegistryAnswer"),
        (400, {}, TransientError, "RegistryAnswer"),
        (302, {}, TransientError, "RegistryAnswer"),
        (500, {}, TransientError, "RegistryUnreachable"),
        (503, {"Content_Type": "text/html"}, TransientError, "RegistryUnreachable"),
        (403, {}, StalledError, "RegistryDenied"),
        (401, {}, StalledError, "RegistryDenied"),
        (401, {"WWW_Authenticate": "Negotiate"}, StalledError, "RegistryDenied"),
        (401, {"WWW_Authenticate": 'Basic realm="it"'}, StalledError, "RegistryDenied"),
    ],
)
def test_other_answers_are_told_apart(
    status: int, headers: dict[str, str], kind: type, reason: str
) -> None:
    error = refusal(lambda _, reply: reply.send(status, b"", **headers))
    assert (type(error), error.reason) == (kind, reason)
    assert "127.0.0.1" in error.message


def test_a_pause_that_is_asked_for_is_passed_on() -> None:
    error = refusal(lambda _, reply: reply.send(429, Retry_After="17"))
    assert isinstance(error, TransientError)
    assert (error.reason, error.retry_after_seconds) == ("RegistryUnreachable", 17)


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{unused.getsockname()[1]}/shop"
        with closing(OCIRegistry()) as registry, pytest.raises(TransientError) as raised:
            registry.find_image(name, "t")
    assert raised.value.reason == "RegistryUnreachable"
    assert "refused" in raised.value.message


@pytest.mark.parametrize(
    "script",
    [
        lambda _, reply: reply.raw(b"SSH-2.0-OpenSSH\r\n"),
        lambda _, reply: reply.break_off(),
        lambda _, reply: reply.hang(),
    ],
)
def test_what_is_no_http_server_is_tried_again(script: Script) -> None:
    error = refusal(script, timeout_seconds=0.3)
    assert (type(error), error.reason) == (TransientError, "RegistryUnreachable")


class TokenRegistry:
    """A registry whose token server sits beside it, and which counts what it is asked."""

    def __init__(self, **token: object) -> None:
        self.token = token or {"token": "t-1"}
        self.good = "Bearer t-1"
        self.realm: Callable[[Asked], str] = lambda asked: f"http://{asked.headers['host']}/token"
        self.tokens_asked: list[Asked] = []

    def answer(self, asked: Asked, reply: Reply) -> None:
        if asked.path == "/token":
            self.tokens_asked.append(asked)
            reply.json(200, self.token)
        elif asked.headers.get("authorization") == self.good:
            found(asked, reply)
        else:
            challenge = f'Bearer realm="{self.realm(asked)}",service="it, \\"all\\" of it"'
            reply.send(401, WWW_Authenticate=challenge)


def test_an_anonymous_token_is_fetched_once_and_used_again() -> None:
    them = TokenRegistry()
    with ScriptedServer(them.answer) as server, closing(OCIRegistry()) as registry:
        name = f"127.0.0.1:{server.port}/team/shop"
        for tag in ("a", "b", "c"):
            assert registry.find_image(name, tag)
    (asked,) = them.tokens_asked
    assert asked.query == {"scope": "repository:team/shop:pull", "service": 'it, "all" of it'}
    assert "authorization" not in asked.headers


def test_a_token_that_no_longer_counts_is_replaced() -> None:
    them = TokenRegistry(access_token="t-1", expires_in=3600)
    with ScriptedServer(them.answer) as server, closing(OCIRegistry()) as registry:
        name = f"127.0.0.1:{server.port}/team/shop"
        assert registry.find_image(name, "a")
        them.token, them.good = {"token": "t-2"}, "Bearer t-2"
        assert registry.find_image(name, "a")
        # A token that is good for no time at all is used once.
        them.token, them.good = {"token": "t-3", "expires_in": 1e-9}, "Bearer t-3"
        assert registry.find_image(name, "a")
        assert registry.find_image(name, "a")
    assert len(them.tokens_asked) == 4


def test_the_password_goes_to_the_token_server_and_the_token_to_the_registry(
    tmp_path: Path,
) -> None:
    them = TokenRegistry()
    with ScriptedServer(them.answer) as server:
        auth = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        assert find(server, docker_config=docker_config(tmp_path, server, auth=auth))
        sent = [(asked.path, asked.headers.get("authorization")) for asked in server.asked]
    assert sent == [(MANIFEST, None), ("/token", f"Basic {auth}"), (MANIFEST, "Bearer t-1")]


def test_a_registry_that_wants_the_password_itself_gets_it_and_a_new_one_needs_no_restart(
    tmp_path: Path,
) -> None:
    password = "old"

    def basic(asked: Asked, reply: Reply) -> None:
        expected = base64.b64encode(f"user:{password}".encode()).decode()
        if asked.headers.get("authorization") == f"Basic {expected}":
            return found(asked, reply)
        return reply.send(401, WWW_Authenticate='Basic realm="it"')

    with ScriptedServer(basic) as server:
        file = docker_config(tmp_path, server, username="user", password="old")
        name = f"127.0.0.1:{server.port}/team/shop"
        with closing(OCIRegistry(docker_config=file)) as registry:
            assert registry.find_image(name, "a")
            assert registry.find_image(name, "b")
            assert len(server.asked) == 3
            password = "new"
            docker_config(tmp_path, server, username="user", password="new")
            assert registry.find_image(name, "a")


def test_whoever_is_refused_with_a_token_is_told_which_file_to_look_into(tmp_path: Path) -> None:
    them = TokenRegistry()
    them.good = "none"
    with ScriptedServer(them.answer) as server:
        file = docker_config(tmp_path, server, username="user", password=PASSWORD)
    error = refusal(them.answer, docker_config=file)
    assert (type(error), error.reason) == (StalledError, "RegistryDenied")
    assert str(file) in error.message


def test_no_token_is_fetched_without_https() -> None:
    for realm in ("http://auth.example/token", "ftp://auth.example", "", "https://[", "//x/y"):
        them = TokenRegistry()
        them.realm = lambda _asked, realm=realm: realm  # type: ignore[misc] # bound at once
        error = refusal(them.answer)
        assert (type(error), error.reason) == (StalledError, "RegistryDenied")
        assert "without https" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"token": ""},
        {"token": "a\r\nX-Evil: 1"},
        {"token": None},
        [],
        {"token": "t-1", "expires_in": "x"},
    ],
)
def test_a_token_server_that_gives_none(answer: object) -> None:
    them = TokenRegistry()
    them.token = answer  # type: ignore[assignment] # that is what is tried
    error = refusal(them.answer)
    assert (type(error), error.reason) == (TransientError, "RegistryAnswer")


def test_a_token_server_that_talks_without_end() -> None:
    them = TokenRegistry(token="t" * 1_000_000)
    assert refusal(them.answer).message.endswith("says too much")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"auths": 3}', '{"auths": {"HOST": {"auth": "%"}}}']
)
def test_a_docker_config_that_is_none(tmp_path: Path, content: str) -> None:
    them = TokenRegistry()
    with ScriptedServer(them.answer) as server:
        file = tmp_path / "config.json"
        file.write_text(content.replace("HOST", f"127.0.0.1:{server.port}"))
        if content == "{}":
            assert find(server, docker_config=file)
            return
        with pytest.raises(StalledError) as raised:
            find(server, docker_config=file)
    assert raised.value.reason == "RegistryCredentials"
    assert str(file) in raised.value.message


def redirecting(location: Callable[[Asked], str], then: Script) -> Script:
    def script(asked: Asked, reply: Reply) -> None:
        if asked.path == MANIFEST:
            reply.send(307, Location=location(asked))
        else:
            then(asked, reply)

    return script


def test_a_redirect_is_followed_and_takes_the_credential_to_no_other_host(tmp_path: Path) -> None:
    with ScriptedServer(found) as elsewhere:

        def challenge_then_redirect(asked: Asked, reply: Reply) -> None:
            if "authorization" not in asked.headers:
                reply.send(401, WWW_Authenticate="Basic")
            elif asked.path == MANIFEST:
                reply.send(307, Location="/moved")
            else:
                reply.send(302, Location=f"{elsewhere.url}/blob?signed=1")

        with ScriptedServer(challenge_then_redirect) as server:
            file = docker_config(tmp_path, server, username="user", password=PASSWORD)
            assert find(server, docker_config=file)
            assert "authorization" in server.asked[-1].headers
            assert server.asked[-1].path == "/moved"
        (there,) = elsewhere.asked
        assert there.method == "HEAD"
        assert "authorization" not in there.headers


@pytest.mark.parametrize(
    "location", ["http://elsewhere.example/x", "file:///etc/passwd", "https://["]
)
def test_a_redirect_away_from_https_is_not_followed(location: str) -> None:
    error = refusal(redirecting(lambda _: location, found))
    assert (type(error), error.reason) == (TransientError, "RegistryAnswer")


def test_redirects_have_an_end() -> None:
    with ScriptedServer(redirecting(lambda _: MANIFEST, found)) as server:
        with pytest.raises(TransientError, match="more than 3 times"):
            find(server)
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("text", "registry", "name"),
    [
        ("registry.example/team/shop", "registry.example", "team/shop"),
        ("127.0.0.1:5001/shop", "127.0.0.1:5001", "shop"),
        ("localhost/shop", "localhost", "shop"),
        ("[::1]:5000/shop", "[::1]:5000", "shop"),
        ("nginx", "registry-1.docker.io", "library/nginx"),
        ("team/shop", "registry-1.docker.io", "team/shop"),
        ("docker.io/nginx", "registry-1.docker.io", "library/nginx"),
        ("index.docker.io/team/shop", "registry-1.docker.io", "team/shop"),
    ],
)
def test_a_repository_is_read_as_container_engines_read_it(
    text: str, registry: str, name: str
) -> None:
    assert parse_repository(text) == Repository(registry, name)


@pytest.mark.parametrize(
    ("registry", "insecure", "scheme"),
    [
        ("127.8.9.10:1", (), "http"),
        ("[::1]:1", (), "http"),
        ("localhost:1", (), "http"),
        ("registry.localhost:1", (), "http"),
        ("registry.invalid:1", (), "https"),
        ("registry.invalid:1", ("registry.invalid:1",), "http"),
        ("registry.invalid:2", ("registry.invalid:1",), "https"),
        ("localhost.invalid:1", (), "https"),
    ],
)
def test_only_loopback_and_listed_registries_are_asked_over_plain_http(
    monkeypatch: pytest.MonkeyPatch, registry: str, insecure: tuple[str, ...], scheme: str
) -> None:
    # A proxy sees which of the two it is: https comes as CONNECT.
    with ScriptedServer(lambda _, reply: reply.send(502)) as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with (
            closing(OCIRegistry(insecure_registries=insecure)) as adapter,
            pytest.raises(TransientError),
        ):
            adapter.find_image(f"{registry}/shop", "t")
        (asked,) = proxy.asked
    assert asked.headers["host"] == registry
    assert asked.method == ("CONNECT" if scheme == "https" else "HEAD")
