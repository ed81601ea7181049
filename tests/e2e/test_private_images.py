"""Images that nobody may pull without a login: a registry that wants one, containerd, and the secret that we sealed."""

import base64
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.cluster import RunningCluster
from tests.cluster.layout import Layout
from tests.docker_registry import DockerRegistry
from tests.world.image import ImageRepository
from tests.world.pull_request import Page, PullRequest
from tests.world.waiting import wait_until
from tests.world.world import World, WorldOptions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

USER, PASSWORD = "puller", "canary-pull-Pa55word"
CODED = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HASH = "$2b$04$abcdefghijklmnopqrstuuGmDMNRY9oHJNxsiPPiOwbBB4K/VXV5S"
"""Of the password, as htpasswd makes it."""

Object = dict[str, Any]


@pytest.fixture(scope="module")
def registry(
    cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DockerRegistry]:
    """One that tells strangers nothing, and that the node may speak to without TLS."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed (Debian package: docker-registry)")
    folder = tmp_path_factory.mktemp("registry")
    users = folder / "users"
    users.write_text(f"{USER}:{HASH}\n")
    running = DockerRegistry(folder, {"htpasswd": {"realm": "previews", "path": str(users)}})
    hosts = Layout(cluster.directory).configuration / "registries" / running.address
    try:
        hosts.mkdir()
        (hosts / "hosts.toml").write_text(f'server = "http://{running.address}"\n')
        yield running
    finally:
        shutil.rmtree(hosts, ignore_errors=True)
        running.stop()


def docker_config(registry: DockerRegistry) -> str:
    return json.dumps({"auths": {registry.address: {"auth": CODED}}})


@pytest.fixture(scope="module")
def world(cluster: RunningCluster, registry: DockerRegistry) -> Iterator[World]:
    """Whose images are private. The manager may ask for them, and nobody else has a credential yet."""
    options = WorldOptions(
        name="e2e-private",
        project="e2e-private-shop",
        hostname="{project}-pr-{number}.preview.localhost",
    )
    name = f"team-{secrets.token_hex(3)}/shop"
    with (
        World(cluster, options) as world,
        closing(ImageRepository(registry.address, name, (USER, PASSWORD))) as private,
    ):
        public = world.images
        world.images = private
        manager = world.manager.write_secret("registry.json", docker_config(registry))

        def change(known: Object) -> None:
            known["registry_credentials_file"] = str(manager)
            known["projects"][0]["image"] = {"repository": private.reference}

        world.reconfigure(change)
        world.manager.start()
        try:
            yield world
        finally:
            world.images = public


@pytest.fixture(scope="module")
def pull_request(world: World) -> PullRequest:
    return world.open_pull_request("private", Page("Private", "For those who may pull."))


def test_without_a_credential_the_registry_s_refusal_is_the_reason(
    pull_request: PullRequest,
) -> None:
    wait_until(
        "the API has the reason",
        lambda: pull_request.preview().get("reason") == "ImagePullFailed",
        explain=pull_request.explain,
    )
    said = pull_request.preview()["message"]
    assert "may not be pulled with the credential that there is" in said
    wait_until(
        "the registry's words stand there",
        lambda: "401 Unauthorized" in pull_request.preview()["message"],
        explain=pull_request.explain,
    )
    wait_until(
        "the status of the commit says failure",
        lambda: pull_request.status().get("status") == "failure",
        explain=pull_request.explain,
    )


def test_with_one_that_was_sealed_it_is_pulled_and_live(
    world: World, pull_request: PullRequest, registry: DockerRegistry
) -> None:
    pull_file = world.manager.write_secret("pull.json", docker_config(registry))
    world.manager.stop()
    world.reconfigure(
        lambda known: known["projects"][0]["image"].update(pull_secret={"file": str(pull_file)})
    )
    world.manager.start()

    pull_request.wait_until_live()

    wait_until("its page is shown", pull_request.shows_its_commit, explain=pull_request.explain)
    namespace = f"/api/v1/namespaces/{pull_request.names.namespace}"
    [sealed] = [
        each
        for each in world.kubernetes.list(f"{namespace}/secrets")
        if each["metadata"]["name"] == "image-pull"
    ]
    assert sealed["type"] == "kubernetes.io/dockerconfigjson"
    assert [each["kind"] for each in sealed["metadata"]["ownerReferences"]] == ["SealedSecret"]
    assert base64.b64decode(sealed["data"][".dockerconfigjson"]).decode() == docker_config(registry)
    for pod in world.kubernetes.list(f"{namespace}/pods"):
        spec = pod["spec"]
        if spec.get("imagePullSecrets") == [{"name": "image-pull"}]:
            assert "image-pull" not in json.dumps(
                [spec["containers"], spec.get("volumes"), spec.get("initContainers")]
            )
            break
    else:
        pytest.fail("no pod pulls with the secret")


def test_nobody_can_read_it(world: World, pull_request: PullRequest) -> None:
    said = {
        "Git": world.gitops.git("fetch", "--quiet", "origin", "main")
        + world.gitops.git("log", "-p", "FETCH_HEAD"),
        "API": str(pull_request.preview()),
        "comments": str(pull_request.comments()),
        "status": str(pull_request.status()),
        "log": world.manager.log.read_text(),
        "Application": str(pull_request.application()),
    }
    assert "image-pull" in said["Git"]
    assert [place for place, text in said.items() if PASSWORD in text or CODED in text] == []
    stored = [file for file in world.manager.data.rglob("*") if file.is_file()]
    assert stored
    kept = b"".join(file.read_bytes() for file in stored)
    assert PASSWORD.encode() not in kept
    assert CODED.encode() not in kept
    pull_request.close()
    pull_request.wait_until_removed()
