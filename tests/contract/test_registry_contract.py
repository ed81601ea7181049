"""What every image registry does: run on the fake and on docker's own registry."""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import httpx2
import pytest

from previews.adapters.registry import OCIRegistry
from previews.domain.ports import Registry
from previews.errors import StalledError, TransientError
from tests.docker_registry import DockerRegistry
from tests.fakes.registry import FakeRegistry

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class World(Protocol):
    """A registry with one repository, and the CI that pushes to it."""

    @property
    def registry(self) -> Registry: ...
    @property
    def repository(self) -> str: ...
    def push(self, tag: str, content: str) -> str:
        """Push an image; returns the digest of its manifest."""
        ...

    def push_for(self, tag: str, platform: str) -> None:
        """Push an image that was built for a platform."""
        ...

    def cut_off(self) -> None: ...


class FakeWorld:
    repository = "registry.example/team/shop"

    def __init__(self) -> None:
        self.registry = FakeRegistry()

    def push(self, tag: str, content: str) -> str:
        return self.registry.push(self.repository, tag, content).digest

    def push_for(self, tag: str, platform: str) -> None:
        self.registry.push(self.repository, tag, platform=platform)

    def cut_off(self) -> None:
        self.registry.is_unreachable = True


class DockerWorld:
    def __init__(self, server: DockerRegistry) -> None:
        self._server = server
        name = f"team/shop-{secrets.token_hex(3)}"
        self.repository = f"{server.address}/{name}"
        self.registry = OCIRegistry()
        self._url = f"http://{server.address}/v2/{name}"

    def push(self, tag: str, content: str) -> str:
        return self._push(tag, {"config": {"Labels": {"content": content}}})

    def push_for(self, tag: str, platform: str) -> None:
        system, _, architecture = platform.partition("/")
        self._push(tag, {"os": system, "architecture": architecture})

    def _push(self, tag: str, said: object) -> str:
        configuration = json.dumps(said).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": self._upload(configuration),
                    "size": len(configuration),
                },
                "layers": [],
            }
        ).encode()
        url = f"{self._url}/manifests/{tag}"
        httpx2.put(
            url, content=manifest, headers={"Content-Type": MANIFEST_TYPE}
        ).raise_for_status()
        return digest_of(manifest)

    def cut_off(self) -> None:
        self._server.stop()

    def _upload(self, blob: bytes) -> str:
        digest = digest_of(blob)
        began = httpx2.post(f"{self._url}/blobs/uploads/").raise_for_status()
        place = httpx2.URL(began.headers["Location"]).copy_merge_params({"digest": digest})
        httpx2.put(place, content=blob).raise_for_status()
        return digest


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture(params=["fake", "docker-registry"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed (Debian package: docker-registry)")
    server = DockerRegistry(tmp_path)
    try:
        real = DockerWorld(server)
        with closing(real.registry):
            yield real
    finally:
        server.stop()


def test_an_image_is_found_by_its_tag_once_it_was_pushed(world: World) -> None:
    assert world.registry.find_image(world.repository, "pr-42-abc1234") is None
    digest = world.push("pr-42-abc1234", "one")
    found = world.registry.find_image(world.repository, "pr-42-abc1234")
    assert found is not None
    assert found.reference == f"{world.repository}:pr-42-abc1234"
    assert found.digest == digest
    assert world.registry.find_image(world.repository, "pr-42-abc1235") is None
    assert world.registry.find_image(f"{world.repository}-of-nobody", "pr-42-abc1234") is None


def test_a_tag_that_was_moved_is_another_image(world: World) -> None:
    first = world.push("pr-42-abc1234", "one")
    second = world.push("pr-42-abc1234", "two")
    assert first != second
    found = world.registry.find_image(world.repository, "pr-42-abc1234")
    assert found is not None
    assert found.digest == second


def test_an_image_is_found_by_its_digest_alone(world: World) -> None:
    digest = world.push("pr-42-abc1234", "one")
    found = world.registry.find_image(world.repository, digest)
    assert found is not None
    assert found.reference == f"{world.repository}@{digest}"
    assert found.digest == digest
    assert world.registry.find_image(world.repository, digest_of(b"nobody's")) is None


def test_an_image_for_another_platform_is_refused(world: World) -> None:
    world.push_for("pr-42-abc1234", "linux/arm64")
    with pytest.raises(StalledError) as raised:
        world.registry.find_image(world.repository, "pr-42-abc1234", "linux/amd64")
    assert raised.value.reason == "WrongPlatform"
    assert "linux/arm64" in raised.value.message
    assert world.registry.find_image(world.repository, "pr-42-abc1234", "linux/arm64")
    assert world.registry.find_image(world.repository, "pr-42-abc1234")


def test_a_registry_that_is_down_is_no_absence(world: World) -> None:
    world.push("pr-42-abc1234", "one")
    world.cut_off()
    for tag in ("pr-42-abc1234", "never-pushed"):
        with pytest.raises(TransientError) as raised:
            world.registry.find_image(world.repository, tag)
        assert raised.value.reason == "RegistryUnreachable"
