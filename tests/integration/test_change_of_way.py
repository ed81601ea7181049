"""A Secret that comes another way from now on: whoever brings it takes over what is there, and nobody deletes it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI
from previews.adapters.secrets.direct import DirectSecrets
from previews.adapters.secrets.external import ExternalSecrets, SecretStore
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from tests.fakes.kubernetes_objects import KubernetesObjects, Raw
from tests.integration.scripted_http import ScriptedServer
from tests.kubeconfig import write_kubeconfig

SHOP_42 = PreviewKey("shop", 42)
LIVE = "/api/v1/namespaces/preview-shop-pr-42/secrets/database"
SECRET = Secret(
    key=SHOP_42,
    namespace="preview-shop-pr-42",
    name="database",
    credential="c-1",
    labels=labels.ownership("acme", SHOP_42),
    data={"PGPASSWORD": "hunter2"},
)
TAKE_OVER = "sealedsecrets.bitnami.com/managed"
"""By this annotation the controller overwrites a Secret that it did not make."""
OWNER = {"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "controller": True}


class World:
    def __init__(self, objects: KubernetesObjects, server: ScriptedServer, folder: Path) -> None:
        self.objects = objects
        self.server = server
        self.api = KubernetesAPI(
            kubeconfig=write_kubeconfig(folder / "kubeconfig", server.url),
            times=ClusterTimes(read_seconds=5.0),
        )
        self.direct = DirectSecrets(api=self.api, instance="acme")

    @property
    def metadata(self) -> Raw:
        found: Raw = self.objects.objects[LIVE]["metadata"]
        return found

    def put_controlled(self) -> None:
        """As a controller makes it of what was in Git."""
        metadata = {
            "name": SECRET.name,
            "namespace": SECRET.namespace,
            "labels": dict(SECRET.labels),
            "annotations": {labels.CREDENTIAL: "c-0"},
            "ownerReferences": [OWNER],
        }
        self.objects.put(LIVE, {"metadata": metadata, "data": {}})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    objects = KubernetesObjects()
    with ScriptedServer(objects) as server:
        yield World(objects, server, tmp_path)


def test_the_sealed_secrets_controller_may_take_over_what_the_manager_wrote(world: World) -> None:
    for credential in ("c-1", "c-2"):
        world.direct.deliver(replace(SECRET, credential=credential))
        assert world.metadata["annotations"] == {labels.CREDENTIAL: credential, TAKE_OVER: "true"}


def test_it_may_take_over_what_came_from_a_store(world: World) -> None:
    store = SecretStore(name="vault", put_command=("true", "{key}"))
    external = ExternalSecrets(api=world.api, instance="acme", store=store)
    for secret in (SECRET, replace(SECRET, data={}, remote="team/shop")):
        template = yaml.safe_load(external.deliver(secret))["spec"]["target"]["template"]
        assert template["metadata"]["annotations"][TAKE_OVER] == "true"


def test_an_external_secret_that_does_not_say_so_yet_is_carried_forward(world: World) -> None:
    """As managers wrote it before: no password is made anew for that."""
    store = SecretStore(name="vault", put_command=("true", "{key}"))
    external = ExternalSecrets(api=world.api, instance="acme", store=store)
    document = yaml.safe_load(external.deliver(SECRET))
    del document["spec"]["target"]["template"]["metadata"]["annotations"][TAKE_OVER]
    place = (SECRET.namespace, SECRET.name)
    assert external.credential_of(SHOP_42, *place, json.dumps(document)) == "c-1"


def test_what_the_manager_takes_over_does_not_go_with_what_it_was_made_of(world: World) -> None:
    world.put_controlled()
    assert world.direct.credential_of(SHOP_42, SECRET.namespace, SECRET.name, "") == ""

    world.direct.deliver(SECRET)

    assert "ownerReferences" not in world.metadata
    assert world.direct.credential_of(SHOP_42, SECRET.namespace, SECRET.name, "") == "c-1"
