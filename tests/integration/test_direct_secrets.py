"""Secrets that the manager writes itself: only its own, never read, and never repeated by whoever refuses them."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI
from previews.adapters.secrets.direct import DirectSecrets
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError
from tests.fakes.kubernetes_objects import METADATA, KubernetesObjects, status
from tests.integration.scripted_http import ScriptedServer
from tests.kubeconfig import write_kubeconfig

SHOP_42 = PreviewKey("shop", 42)
NAMESPACE, NAME = "preview-shop-pr-42", "database"
LIVE = f"/api/v1/namespaces/{NAMESPACE}/secrets/{NAME}"
CANARY = "canary-Pa55word-never-to-be-seen"
SECRET = Secret(
    key=SHOP_42,
    namespace=NAMESPACE,
    name=NAME,
    credential="c-1",
    labels=labels.ownership("acme", SHOP_42),
    data={"PGPASSWORD": CANARY},
)


class World:
    def __init__(self, objects: KubernetesObjects, server: ScriptedServer, folder: Path) -> None:
        self.objects = objects
        self.server = server
        api = KubernetesAPI(
            kubeconfig=write_kubeconfig(folder / "kubeconfig", server.url),
            times=ClusterTimes(read_seconds=5.0),
        )
        self.delivery = DirectSecrets(api=api, instance="acme")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    objects = KubernetesObjects()
    with ScriptedServer(objects) as server:
        yield World(objects, server, tmp_path)


def test_a_secret_is_never_read(world: World) -> None:
    """The right to read one would be the right to read all: it is not among the manager's."""
    world.delivery.deliver(SECRET)
    world.delivery.deliver(replace(SECRET, credential="c-2"))
    assert world.delivery.credential_of(SHOP_42, NAMESPACE, NAME, "") == "c-2"
    assert world.delivery.problem(NAMESPACE, NAME) == ""
    assert {asked.method for asked in world.server.asked} == {"POST", "PATCH"}
    looks = [asked for asked in world.server.asked if asked.query.get("dryRun") == "All"]
    assert len(looks) == 4
    for asked in looks:
        assert json.loads(asked.body) == {}
        assert METADATA in asked.headers["accept"]


@pytest.mark.parametrize(
    "theirs",
    [
        {},
        labels.ownership("other", SHOP_42),
        labels.ownership("acme", PreviewKey("shop", 43)),
        labels.ownership("acme", PreviewKey("cart", 42)),
    ],
)
def test_a_secret_of_that_name_that_is_not_ours_is_left_alone(
    world: World, theirs: dict[str, str]
) -> None:
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": theirs}
    found = world.objects.put(
        LIVE, {"metadata": {**metadata, "annotations": {labels.CREDENTIAL: "c-9"}}, "data": {}}
    )
    before = json.dumps(found)
    with pytest.raises(StalledError, match="not the manager's") as refused:
        world.delivery.deliver(SECRET)
    assert refused.value.reason == "SecretNotOurs"
    assert json.dumps(world.objects.objects[LIVE]) == before
    assert world.delivery.credential_of(SHOP_42, NAMESPACE, NAME, "") == ""


def test_a_namespace_that_is_not_there_yet_is_waited_for(world: World) -> None:
    world.objects.namespaces = set()
    with pytest.raises(TransientError, match=f'namespaces "{NAMESPACE}" not found'):
        world.delivery.deliver(SECRET)


def test_a_namespace_that_is_going_is_waited_for_as_well(world: World) -> None:
    going = status(403, "Forbidden", "unable to create: it is being terminated", NAME)
    going["details"]["causes"] = [{"reason": "NamespaceTerminating"}]
    world.objects.refusal = going
    with pytest.raises(TransientError, match="is being terminated"):
        world.delivery.deliver(SECRET)


@pytest.mark.parametrize("code", [400, 403, 409, 422, 500])
def test_whoever_refuses_it_does_not_get_it_repeated(
    world: World, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    coded = base64.b64encode(CANARY.encode()).decode()
    world.objects.refusal = status(code, "Denied", f"the webhook denied {CANARY} and {coded}")
    with pytest.raises(PreviewsError) as refused:
        world.delivery.deliver(SECRET)
    assert "the webhook denied" in str(refused.value)
    for piece in (CANARY[:8], CANARY[-8:], coded[:8], coded[-8:-2]):
        assert piece not in f"{refused.value!r}{caplog.text}"


def test_whoever_was_faster_is_not_overwritten(world: World) -> None:
    """Somebody made one of that name between the look and the write."""
    world.objects.refusal = status(409, "AlreadyExists", "already exists", NAME)
    with pytest.raises(TransientError, match="already exists"):
        world.delivery.deliver(SECRET)
