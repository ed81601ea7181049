"""SealedSecrets against the real thing: what we seal kubeseal opens, and what kubeseal seals we take for sealed."""

import json
import secrets
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI
from previews.adapters.secrets.certificate import (
    PAUSE,
    SealingCertificate,
    from_controller,
    from_file,
)
from previews.adapters.secrets.sealed import SealedSecrets, read_sealed
from previews.adapters.secrets.sealing import read_certificate
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from previews.errors import StalledError, TransientError
from tests.cluster.builds import BUILDS
from tests.fakes.kubernetes_objects import KubernetesObjects
from tests.fakes.sealing_controller import NOW, certificate, private_pem
from tests.integration.scripted_http import ScriptedServer
from tests.kubeconfig import write_kubeconfig

SHOP_42 = PreviewKey("shop", 42)
NAMESPACE, NAME = "preview-shop-pr-42", "database"
PROXY = (
    "/api/v1/namespaces/kube-system/services/http:sealed-secrets-controller:http/proxy/v1/cert.pem"
)
SEALED = f"/apis/bitnami.com/v1alpha1/namespaces/{NAMESPACE}/sealedsecrets/{NAME}"
AGE_MAX = timedelta(hours=1)


def secret(**data: str) -> Secret:
    return Secret(
        key=SHOP_42,
        namespace=NAMESPACE,
        name=NAME,
        credential="c-1",
        labels=labels.ownership("acme", SHOP_42),
        data=data,
    )


@pytest.fixture(scope="session")
def kubeseal() -> Path:
    program = BUILDS["sealed-secrets"].folder / "kubeseal"
    if not program.exists():
        pytest.skip("there is no kubeseal: make cluster-up builds it")
    return program


def run(program: Path, *arguments: str, text: str) -> str:
    ended = subprocess.run(
        [str(program), *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def opened(kubeseal: Path, folder: Path, manifest: str, key: int = 0) -> dict[str, Any]:
    """The Secret that the controller would make of it."""
    file = folder / "key.pem"
    file.write_bytes(private_pem(key))
    made = run(kubeseal, "--recovery-unseal", "--recovery-private-key", str(file), text=manifest)
    found: dict[str, Any] = yaml.safe_load(made)
    return found


class Watch:
    """The time, as a test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Controller:
    """A controller that gives its certificate, unless it is down."""

    def __init__(self) -> None:
        self.pem = certificate(0)
        self.asked = 0
        self.problem: TransientError | None = None

    def __call__(self) -> bytes:
        self.asked += 1
        if self.problem is not None:
            raise self.problem
        return self.pem


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[KubernetesObjects, KubernetesAPI]]:
    objects = KubernetesObjects()
    with ScriptedServer(objects) as server:
        kubeconfig = write_kubeconfig(folder / "kubeconfig", server.url)
        yield objects, KubernetesAPI(kubeconfig=kubeconfig, times=ClusterTimes(read_seconds=5.0))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesAPI]:
    with cluster(tmp_path) as (_, made):
        yield made


def sealing(
    api: KubernetesAPI, read: Controller | None = None, now: Watch | None = None
) -> SealedSecrets:
    kept = SealingCertificate(read or Controller(), age_max=AGE_MAX, now=now or Watch())
    return SealedSecrets(api=api, certificate=kept)


# kubeseal


def test_kubeseal_opens_what_we_seal(kubeseal: Path, api: KubernetesAPI, tmp_path: Path) -> None:
    data = {
        "PGPASSWORD": secrets.token_urlsafe(32),
        "EMPTY": "",
        "UNICODE": "ü {{ .Values }} \u2028 \0",
        "LONG": "x" * 100_000,
    }
    found = opened(kubeseal, tmp_path, sealing(api).deliver(secret(**data)))
    assert {name: b64decode(value or "").decode() for name, value in found["data"].items()} == data
    assert found["type"] == "Opaque"
    metadata = found["metadata"]
    assert (metadata["namespace"], metadata["name"]) == (NAMESPACE, NAME)
    assert metadata["labels"] == labels.ownership("acme", SHOP_42)
    assert metadata["annotations"] == {labels.CREDENTIAL: "c-1"}


def test_it_opens_in_no_other_namespace_and_under_no_other_name(
    kubeseal: Path, api: KubernetesAPI, tmp_path: Path
) -> None:
    manifest = sealing(api).deliver(secret(PGPASSWORD="x" * 40))
    for said, other in ((NAMESPACE, "preview-shop-pr-43"), (f'"{NAME}"', '"other"')):
        with pytest.raises(AssertionError, match="no key could decrypt"):
            opened(kubeseal, tmp_path, manifest.replace(said, other))


def test_it_opens_with_no_other_key(kubeseal: Path, api: KubernetesAPI, tmp_path: Path) -> None:
    manifest = sealing(api).deliver(secret(PGPASSWORD="x" * 40))
    with pytest.raises(AssertionError, match="no key could decrypt"):
        opened(kubeseal, tmp_path, manifest, key=1)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_kubeseal_seals_is_sealed_to_us(kubeseal: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / "cert.pem"
    file.write_bytes(certificate(0))
    plain = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "stringData": {"PGPASSWORD": "x", "EMPTY": ""},
    }
    # kubeseal asks the machine's own clock whether a certificate has expired.
    made = run(kubeseal, "--cert", str(file), "--format", form, text=json.dumps(plain))
    assert read_sealed(made, namespace=NAMESPACE, name=NAME) is not None
    assert read_sealed(made, namespace=NAMESPACE, name="other") is None


@pytest.mark.parametrize("scope", ["namespace-wide", "cluster-wide"])
def test_what_opens_elsewhere_too_is_not(kubeseal: Path, tmp_path: Path, scope: str) -> None:
    file = tmp_path / "cert.pem"
    file.write_bytes(certificate(0))
    plain = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "stringData": {"PGPASSWORD": "x"},
    }
    made = run(kubeseal, "--cert", str(file), "--scope", scope, text=json.dumps(plain))
    assert read_sealed(made, namespace=NAMESPACE, name=NAME) is None


def test_the_manifest_is_valid_by_the_kind_s_own_schema(kubeseal: Path, api: KubernetesAPI) -> None:
    file = kubeseal.parent / "chart" / "crds" / "bitnami.com_sealedsecrets.yaml"
    schema = yaml.safe_load(file.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    document = yaml.safe_load(sealing(api).deliver(secret(PGPASSWORD="x")))
    jsonschema.validate(document, schema)
    document["spec"].pop("encryptedData")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


# what is sealed already


@pytest.mark.parametrize(
    "damage",
    [
        lambda spec: spec["encryptedData"].clear(),
        lambda spec: spec["encryptedData"].update(PGPASSWORD="plain text"),
        lambda spec: spec["encryptedData"].update(PGPASSWORD="cGxhaW4gdGV4dA=="),
        lambda spec: spec["encryptedData"].update(PGPASSWORD=7),
        lambda spec: spec.pop("encryptedData"),
    ],
)
def test_what_the_controller_could_not_open_is_delivered_anew(
    api: KubernetesAPI, damage: Callable[[dict[str, Any]], object]
) -> None:
    delivery = sealing(api)
    document = yaml.safe_load(delivery.deliver(secret(PGPASSWORD="x")))
    assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, yaml.safe_dump(document)) == "c-1"
    damage(document["spec"])
    assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, yaml.safe_dump(document)) == ""


# the certificate


def test_a_new_certificate_has_everything_sealed_anew(api: KubernetesAPI) -> None:
    controller, watch = Controller(), Watch()
    delivery = sealing(api, controller, watch)
    manifest = delivery.deliver(secret(PGPASSWORD="x"))
    controller.pem = certificate(1)
    assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, manifest) == "c-1"
    watch.now += AGE_MAX
    assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, manifest) == ""
    renewed = delivery.deliver(secret(PGPASSWORD="x"))
    assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, renewed) == "c-1"


def test_a_certificate_that_was_renewed_around_the_same_key_changes_nothing(
    api: KubernetesAPI,
) -> None:
    controller, watch = Controller(), Watch()
    delivery = sealing(api, controller, watch)
    manifest = delivery.deliver(secret(PGPASSWORD="x"))
    controller.pem = certificate(0, expires_at=NOW + timedelta(days=9999))
    watch.now += AGE_MAX
    assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, manifest) == "c-1"


def test_it_is_asked_for_once_in_a_while(api: KubernetesAPI) -> None:
    controller, watch = Controller(), Watch()
    delivery = sealing(api, controller, watch)
    for _ in range(5):
        delivery.deliver(secret(PGPASSWORD="x"))
    assert controller.asked == 1
    watch.now += AGE_MAX
    delivery.deliver(secret(PGPASSWORD="x"))
    assert controller.asked == 2


def test_without_it_nothing_is_sealed_and_nothing_sealed_is_lost(api: KubernetesAPI) -> None:
    controller, watch = Controller(), Watch()
    manifest = sealing(api).deliver(secret(PGPASSWORD="x"))
    controller.problem = TransientError("SealingCertificate", "the controller is down")
    delivery = sealing(api, controller, watch)
    assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, manifest) == "c-1"
    for _ in range(5):
        with pytest.raises(TransientError, match="is down"):
            delivery.deliver(secret(PGPASSWORD="x"))
    assert controller.asked == 1, "a controller that is down is not asked by every preview"
    controller.problem = None
    watch.now += PAUSE
    assert delivery.deliver(secret(PGPASSWORD="x"))


def test_a_failure_by_a_clock_that_was_ahead_keeps_nobody_waiting(api: KubernetesAPI) -> None:
    controller, watch = Controller(), Watch()
    delivery = sealing(api, controller, watch)
    controller.problem = TransientError("SealingCertificate", "the controller is down")
    with pytest.raises(TransientError, match="is down"):
        delivery.deliver(secret(PGPASSWORD="x"))
    controller.problem = None
    watch.now -= AGE_MAX
    assert delivery.deliver(secret(PGPASSWORD="x"))


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"", "no certificate"),
        (b"<html>login</html>", "no certificate"),
        (private_pem(0), "no certificate"),
        (certificate(0, expires_at=NOW), "has expired at 2026-11-22 17:00 UTC"),
    ],
)
def test_a_certificate_of_no_use_is_told(api: KubernetesAPI, pem: bytes, words: str) -> None:
    controller = Controller()
    controller.pem = pem
    with pytest.raises(StalledError, match=words):
        sealing(api, controller).deliver(secret(PGPASSWORD="x"))


def test_it_comes_from_the_controller_by_the_way_of_kubeseal(tmp_path: Path) -> None:
    with cluster(tmp_path) as (objects, api):
        where = {"namespace": "kube-system", "service": "sealed-secrets-controller", "port": "http"}
        read = from_controller(api, **where)
        objects.texts[PROXY] = certificate(0)
        assert read() == certificate_bytes(read())
        objects.down = True
        with pytest.raises(
            TransientError, match="kube-system/sealed-secrets-controller gives no certificate"
        ):
            read()


def certificate_bytes(pem: bytes) -> bytes:
    """The same, if it is a certificate."""
    read_certificate(pem, NOW)
    return pem


def test_it_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    with pytest.raises(TransientError, match="No such file"):
        from_file(file)()
    file.write_bytes(certificate(0))
    assert from_file(file)() == file.read_bytes()


# what the controller says


def test_the_controller_s_own_words_are_the_problem(tmp_path: Path) -> None:
    with cluster(tmp_path) as (objects, api):
        delivery = sealing(api)
        assert "not in the cluster yet" in delivery.problem(NAMESPACE, NAME)
        found = objects.put(SEALED, yaml.safe_load(delivery.deliver(secret(PGPASSWORD="x"))))
        assert "waits for the sealed-secrets controller" in delivery.problem(NAMESPACE, NAME)
        refused = {"type": "Synced", "status": "False", "message": "no key could\ndecrypt secret"}
        found["status"] = {"observedGeneration": 1, "conditions": [refused]}
        assert delivery.problem(NAMESPACE, NAME).endswith(": no key could decrypt secret")
        found["status"]["conditions"] = [{"type": "Synced", "status": "True"}]
        assert delivery.problem(NAMESPACE, NAME) == ""
        objects.put(SEALED, yaml.safe_load(delivery.deliver(secret(PGPASSWORD="y"))))
        assert "waits for the sealed-secrets controller" in delivery.problem(NAMESPACE, NAME)
