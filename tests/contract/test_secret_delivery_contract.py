"""What every way of delivering secrets does: run on the fake, both ways through Git, and Kubernetes' API itself."""

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI
from previews.adapters.secrets.certificate import SealingCertificate
from previews.adapters.secrets.direct import DirectSecrets
from previews.adapters.secrets.external import ExternalSecrets, SecretStore
from previews.adapters.secrets.sealed import SealedSecrets
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from previews.domain.resource_ports import SecretDelivery
from previews.errors import TransientError
from tests.fakes import sealing_controller
from tests.fakes.kubernetes_objects import KubernetesObjects
from tests.fakes.secrets import FakeSecrets
from tests.integration.scripted_http import ScriptedServer
from tests.kubeconfig import write_kubeconfig

SHOP_42, SHOP_43 = PreviewKey("shop", 42), PreviewKey("shop", 43)
CANARY = "canary-Pa55word-never-to-be-seen"
SECRET = Secret(
    key=SHOP_42,
    namespace="preview-shop-pr-42",
    name="database",
    credential="c-1",
    labels=labels.ownership("acme", SHOP_42),
    data={"PGPASSWORD": CANARY, "DATABASE_URL": f"postgresql://u:{CANARY}@db/{{{{ x }}}}"},
)
ROTATED = replace(SECRET, credential="c-2", data={"PGPASSWORD": "another-one", "DATABASE_URL": "b"})
PLACE = (SECRET.namespace, SECRET.name)
ENTRY = "import pathlib, sys; entry = pathlib.Path(sys.argv[1], sys.argv[2].replace('/', '_')); "
KEEP = f"{ENTRY} entry.write_bytes(sys.stdin.buffer.read())"
DROP = f"{ENTRY} entry.unlink(missing_ok=True)"


class World(Protocol):
    """A way of delivery, and what stands between it and the pods."""

    @property
    def delivery(self) -> SecretDelivery: ...
    def sync(self, manifest: str) -> None:
        """Argo CD brings what is in Git into the cluster, and a controller makes a Secret of it."""
        ...

    def data(self) -> Mapping[str, str] | None:
        """What pods of the namespace find."""
        ...

    def break_down(self) -> None:
        """What the delivery depends on does not answer."""
        ...


class FakeWorld:
    def __init__(self, *, in_git: bool) -> None:
        self.delivery = FakeSecrets(in_git=in_git)
        self.sync = self.delivery.sync

    def data(self) -> Mapping[str, str] | None:
        return self.delivery.data(*PLACE)

    def break_down(self) -> None:
        self.delivery.unavailable = True


class KubernetesWorld:
    """An API server with as much behind it as a test needs."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.cluster = KubernetesObjects()
        self.server = stack.enter_context(ScriptedServer(self.cluster))
        times = ClusterTimes(connect_seconds=2.0, read_seconds=5.0)
        self.api = KubernetesAPI(
            kubeconfig=write_kubeconfig(folder / "kubeconfig", self.server.url), times=times
        )
        self.folder = folder

    def bring(self, manifest: str, plural: str, condition: str, seen: str) -> None:
        """What Argo CD applies, and what the controller says of it when it is done."""
        document = yaml.safe_load(manifest)
        metadata = document["metadata"]
        path = f"/apis/{document['apiVersion']}/namespaces/{metadata['namespace']}/{plural}"
        found = self.cluster.put(f"{path}/{metadata['name']}", document)
        condition_of_it = {"type": condition, "status": "True"}
        observed = seen.format(found["metadata"]["generation"])
        field = "syncedResourceVersion" if "-" in seen else "observedGeneration"
        found["status"] = {"conditions": [condition_of_it], field: observed}

    def break_down(self) -> None:
        self.cluster.down = True


class SealedWorld(KubernetesWorld):
    def __init__(self, stack: ExitStack, folder: Path) -> None:
        super().__init__(stack, folder)
        self._data: Mapping[str, str] | None = None
        certificate = SealingCertificate(
            lambda: sealing_controller.certificate(0),
            age_max=timedelta(hours=1),
            now=lambda: sealing_controller.NOW,
        )
        self.delivery = SealedSecrets(api=self.api, certificate=certificate)

    def sync(self, manifest: str) -> None:
        self.bring(manifest, "sealedsecrets", "Synced", "{}")
        self._data = sealing_controller.unseal(manifest, 0)

    def data(self) -> Mapping[str, str] | None:
        return self._data


class ExternalWorld(KubernetesWorld):
    """The store is a folder with a file for each entry."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        super().__init__(stack, folder)
        self._data: Mapping[str, str] | None = None
        self._store = folder / "store"
        self._store.mkdir()
        self.delivery = ExternalSecrets(
            api=self.api,
            instance="acme",
            store=SecretStore(
                name="vault",
                put_command=(sys.executable, "-c", KEEP, str(self._store), "{key}"),
                delete_command=(sys.executable, "-c", DROP, str(self._store), "{key}"),
            ),
        )

    def sync(self, manifest: str) -> None:
        self.bring(manifest, "externalsecrets", "Ready", "{}-hash")
        fetched = {}
        for entry in yaml.safe_load(manifest)["spec"]["data"]:
            file = self._store / entry["remoteRef"]["key"].replace("/", "_")
            fetched[entry["secretKey"]] = json.loads(file.read_text())[
                entry["remoteRef"]["property"]
            ]
        self._data = fetched

    def data(self) -> Mapping[str, str] | None:
        return self._data


class DirectWorld(KubernetesWorld):
    def __init__(self, stack: ExitStack, folder: Path) -> None:
        super().__init__(stack, folder)
        self.delivery = DirectSecrets(api=self.api, instance="acme")

    def sync(self, manifest: str) -> None:
        assert manifest == ""

    def data(self) -> Mapping[str, str] | None:
        found = self.cluster.objects.get(f"/api/v1/namespaces/{PLACE[0]}/secrets/{PLACE[1]}")
        if found is None:
            return None
        return {entry: base64.b64decode(value).decode() for entry, value in found["data"].items()}


@pytest.fixture(params=["fake in Git", "fake", "sealed", "external", "direct"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        match request.param:
            case "fake in Git":
                yield FakeWorld(in_git=True)
            case "fake":
                yield FakeWorld(in_git=False)
            case "sealed":
                yield SealedWorld(stack, tmp_path)
            case "external":
                yield ExternalWorld(stack, tmp_path)
            case _:
                yield DirectWorld(stack, tmp_path)


def credential(world: World, manifest: str) -> str:
    return world.delivery.credential_of(SHOP_42, *PLACE, manifest)


def test_pods_find_what_was_delivered(world: World) -> None:
    manifest = world.delivery.deliver(SECRET)
    world.sync(manifest)
    assert world.data() == SECRET.data
    assert world.delivery.problem(*PLACE) == ""
    assert credential(world, manifest) == "c-1"


def test_it_is_told_that_a_secret_has_not_arrived(world: World) -> None:
    assert PLACE[0] in world.delivery.problem(*PLACE)
    assert credential(world, "") == ""


def test_a_new_credential_replaces_the_old_one(world: World) -> None:
    world.sync(world.delivery.deliver(SECRET))
    manifest = world.delivery.deliver(ROTATED)
    world.sync(manifest)
    assert world.data() == ROTATED.data
    assert world.delivery.problem(*PLACE) == ""
    assert credential(world, manifest) == "c-2"


def test_delivering_twice_does_no_harm(world: World) -> None:
    first, second = world.delivery.deliver(SECRET), world.delivery.deliver(SECRET)
    for manifest in (first, second):
        world.sync(manifest)
        assert credential(world, manifest) == "c-1"
        assert world.data() == SECRET.data


def test_nothing_in_git_can_be_read(world: World) -> None:
    manifest = world.delivery.deliver(SECRET)
    assert CANARY not in manifest
    assert base64.b64encode(CANARY.encode()).decode()[:16] not in manifest
    assert CANARY not in repr(SECRET)
    assert CANARY not in repr(world.delivery)


def test_a_secret_of_another_preview_is_not_this_ones(world: World) -> None:
    manifest = world.delivery.deliver(SECRET)
    world.sync(manifest)
    assert world.delivery.credential_of(SHOP_43, "preview-shop-pr-43", "database", manifest) == ""
    assert world.delivery.credential_of(SHOP_42, PLACE[0], "other", manifest) == ""


@pytest.mark.parametrize("manifest", ["", "\0", "a: [", "just text", "- 1", "kind: Secret"])
def test_what_is_no_manifest_carries_no_credential(world: World, manifest: str) -> None:
    assert credential(world, manifest) == ""


def test_withdrawing_may_happen_twice_and_before_anything_was_delivered(world: World) -> None:
    world.delivery.withdraw(SHOP_42, "database")
    world.delivery.deliver(SECRET)
    world.delivery.withdraw(SHOP_42, "database")
    world.delivery.withdraw(SHOP_42, "database")


def test_who_does_not_answer_is_not_taken_for_a_problem_of_the_secret(world: World) -> None:
    world.break_down()
    with pytest.raises(TransientError):
        world.delivery.problem(*PLACE)
