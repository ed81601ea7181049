"""What the registry adapter makes of manifests: their digests, and the platforms that they are for."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import pytest

from previews.adapters.registry import DOCUMENT_BYTES_MAX, OCIRegistry
from previews.domain.preview import Image
from previews.errors import PreviewsError, StalledError, TransientError
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
SINGLE = "application/vnd.oci.image.manifest.v1+json"
NOT_READABLE = [b"", b"{", b"[]", b"null", b'{"manifests": 3}', b"[" * 100_000]


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def index_for(*platforms: Mapping[str, Any] | None) -> bytes:
    """An index with one image for each platform."""
    return encoded({"manifests": [{"digest": digest_of(b""), "platform": p} for p in platforms]})


class Shelf:
    """A registry with one manifest under every tag, and blobs."""

    def __init__(self, manifest: bytes, kind: str = INDEX, *blobs: bytes) -> None:
        self.manifest, self.kind = manifest, kind
        self.blobs = {digest_of(blob): blob for blob in blobs}
        self.digest: str | None = digest_of(manifest)
        """Said of the manifest; None: nothing is said."""
        self.blobs_are: Callable[[Asked, Reply], None] | None = None

    def answer(self, asked: Asked, reply: Reply) -> None:
        _, _, kind, name = asked.path.rsplit("/", 3)
        if kind == "blobs":
            if self.blobs_are is not None:
                self.blobs_are(asked, reply)
            else:
                reply.send(200, self.blobs[name], Content_Type="application/octet-stream")
            return
        said = {"Docker_Content_Digest": self.digest} if self.digest else {}
        reply.send(200, self.manifest, Content_Type=self.kind, **said)


def find(script: Script, tag: str = "t", platform: str = "") -> tuple[Image | None, list[Asked]]:
    with ScriptedServer(script) as server, closing(OCIRegistry()) as registry:
        image = registry.find_image(f"127.0.0.1:{server.port}/team/shop", tag, platform)
        return image, server.asked


def refusal(script: Script, tag: str = "t", platform: str = "") -> PreviewsError:
    with pytest.raises(PreviewsError) as raised:
        find(script, tag, platform)
    return raised.value


LINUX = {"os": "linux", "architecture": "amd64"}
ARM = {"os": "linux", "architecture": "arm64"}
ATTESTATION = {"os": "unknown", "architecture": "unknown"}


@pytest.mark.parametrize("kind", [INDEX, DOCKER_LIST])
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64", "linux/arm64/v8"])
def test_an_index_with_our_platform(kind: str, platform: str) -> None:
    shelf = Shelf(index_for(ATTESTATION, LINUX, ARM), kind)
    image, asked = find(shelf.answer, platform=platform)
    assert image is not None
    assert image.digest == shelf.digest
    # What was found a moment ago may have moved.
    assert [each.path.rpartition("/")[2] for each in asked] == ["t", shelf.digest]


@pytest.mark.parametrize(
    "platform", ["linux/amd64", "linux/arm", "windows/arm64", "linux/arm64/v9"]
)
def test_an_index_without_our_platform_says_which_there_are(platform: str) -> None:
    shelf = Shelf(index_for(ATTESTATION, ARM, {"os": "linux", "architecture": "s390x"}, None))
    error = refusal(shelf.answer, platform=platform)
    assert (type(error), error.reason) == (StalledError, "WrongPlatform")
    assert "is for linux/arm64, linux/s390x, not for" in error.message
    assert platform in error.message


def test_platforms_of_a_stranger_stay_one_short_line() -> None:
    odd = [{"os": f"o{n}\n\x1b[31m" + "x" * 5000, "architecture": "a"} for n in range(50)]
    error = refusal(Shelf(index_for(*odd)).answer, platform="linux/amd64")
    assert error.reason == "WrongPlatform"
    assert "and 44 more" in error.message
    assert len(error.message) < 700
    assert error.message.isprintable()


@pytest.mark.parametrize(("said", "fits"), [(LINUX, True), (ARM, False), ({"os": "linux"}, False)])
def test_a_single_image_says_its_platform_in_its_configuration(
    said: Mapping[str, str],
    *,
    fits: bool,
) -> None:
    configuration = encoded(said)
    manifest = encoded({"config": {"digest": digest_of(configuration)}})
    shelf = Shelf(manifest, SINGLE, configuration)
    if fits:
        image, _ = find(shelf.answer, platform="linux/amd64")
        assert image is not None
        assert image.digest == shelf.digest
    else:
        assert refusal(shelf.answer, platform="linux/amd64").reason == "WrongPlatform"


def test_a_configuration_may_lie_elsewhere() -> None:
    configuration = encoded(LINUX)
    shelf = Shelf(encoded({"config": {"digest": digest_of(configuration)}}), SINGLE)
    with ScriptedServer(lambda _, reply: reply.send(200, configuration)) as elsewhere:
        shelf.blobs_are = lambda _, reply: reply.send(307, Location=f"{elsewhere.url}/signed")
        assert find(shelf.answer, platform="linux/amd64")[0]


@pytest.mark.parametrize(
    ("blobs_are", "reason"),
    [
        (lambda _, reply: reply.send(200, b"{}"), "RegistryAnswer"),
        (lambda _, reply: reply.send(404), "RegistryAnswer"),
        (lambda _, reply: reply.send(503), "RegistryUnreachable"),
        (lambda _, reply: reply.send(200, b"x" * (DOCUMENT_BYTES_MAX + 1)), "RegistryAnswer"),
    ],
)
def test_a_configuration_that_is_not_to_be_had(blobs_are: Script, reason: str) -> None:
    shelf = Shelf(encoded({"config": {"digest": digest_of(b"it")}}), SINGLE)
    shelf.blobs_are = blobs_are
    error = refusal(shelf.answer, platform="linux/amd64")
    assert (type(error), error.reason) == (TransientError, reason)


@pytest.mark.parametrize("kind", [INDEX, SINGLE])
@pytest.mark.parametrize("body", [*NOT_READABLE, b'{"config": {"digest": "../../x"}}'])
def test_a_manifest_that_cannot_be_read_is_tried_again(kind: str, body: bytes) -> None:
    error = refusal(Shelf(body, kind).answer, platform="linux/amd64")
    assert (type(error), error.reason) == (TransientError, "RegistryAnswer")


def test_a_manifest_of_another_kind_is_no_image() -> None:
    shelf = Shelf(encoded({}), "application/vnd.docker.distribution.manifest.v1+json")
    assert refusal(shelf.answer, platform="linux/amd64").reason == "RegistryAnswer"


def test_an_index_without_an_end_is_not_read() -> None:
    shelf = Shelf(b"x" * (DOCUMENT_BYTES_MAX + 1))
    shelf.digest = digest_of(b"y")
    assert refusal(shelf.answer, platform="linux/amd64").message.endswith("says too much")


def test_the_digest_of_a_registry_that_says_none_is_that_of_the_manifest() -> None:
    shelf = Shelf(index_for(LINUX))
    shelf.digest = None
    image, asked = find(shelf.answer)
    assert image is not None
    assert image.digest == digest_of(shelf.manifest)
    assert [each.method for each in asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("said", ["x", "sha256:0f", "md5:" + "0" * 32, "sha256:" + "G" * 64])
def test_a_digest_that_is_none_is_not_taken(said: str) -> None:
    shelf = Shelf(index_for(LINUX))
    shelf.digest = said
    assert refusal(shelf.answer).reason == "RegistryAnswer"


def test_a_manifest_that_is_not_what_its_digest_says_is_not_taken() -> None:
    shelf = Shelf(index_for(LINUX))
    shelf.digest = digest_of(b"another")
    assert refusal(shelf.answer, platform="linux/amd64").reason == "RegistryAnswer"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("says_it", [True, False])
def test_an_image_is_found_by_its_digest(algorithm: str, *, says_it: bool) -> None:
    shelf = Shelf(index_for(LINUX))
    wanted = digest_of(shelf.manifest, algorithm)
    shelf.digest = wanted if says_it else None
    image, asked = find(shelf.answer, wanted, "linux/amd64")
    assert image is not None
    assert image.digest == wanted
    assert image.reference.endswith(f"/team/shop@{wanted}")
    assert asked[0].path == f"/v2/team/shop/manifests/{wanted}"


@pytest.mark.parametrize("says_it", [True, False])
def test_another_image_than_the_digest_that_was_asked_for_is_not_taken(*, says_it: bool) -> None:
    shelf = Shelf(index_for(LINUX))
    shelf.digest = digest_of(shelf.manifest) if says_it else None
    assert refusal(shelf.answer, digest_of(b"another")).reason == "RegistryAnswer"


def test_a_tag_that_is_gone_between_two_requests_is_an_absence() -> None:
    shelf = Shelf(index_for(LINUX))

    def then_gone(asked: Asked, reply: Reply) -> None:
        shelf.answer(asked, reply) if asked.method == "HEAD" else reply.send(404)

    assert find(then_gone, platform="linux/amd64")[0] is None
