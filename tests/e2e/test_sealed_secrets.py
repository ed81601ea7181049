"""Secrets on a real cluster, with the rights and the policy that charts/previews gives to the manager."""

import base64
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pytest

from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI
from previews.adapters.secrets.certificate import SealingCertificate, from_controller
from previews.adapters.secrets.direct import DirectSecrets
from previews.adapters.secrets.sealed import API_VERSION, KIND, SealedSecrets
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from previews.errors import StalledError, TransientError
from tests.cluster import RunningCluster
from tests.cluster.layout import SEALED_SECRETS, SEALED_SECRETS_NAMESPACE, Layout
from tests.cluster.processes import running_pid
from tests.manager_rights import write_own_kubeconfig
from tests.rendered import PREVIEWS, find_helm, render
from tests.world.waiting import wait_until

SHOP_42 = PreviewKey("shop", 42)
RIGHTS = {
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
TOKEN_SECONDS = 3600
PASSWORD = "canary-Pa55word-{{ never }}"


class Site:
    """The chart's rights for an instance of its own, with every kind of secret, and one preview's namespace."""

    def __init__(self, cluster: RunningCluster, directory: Path) -> None:
        suffix = secrets.token_hex(3)
        self.cluster = cluster
        self.instance = f"e2e-secret-{suffix}"
        self.home = f"previews-{self.instance}"
        self.namespace = f"preview-shop-pr-42-{suffix}"
        self.kubeconfig = directory / "kubeconfig"
        self._made: list[dict[str, Any]] = []
        kinds = ("sealedSecrets", "externalSecrets", "kubernetes")
        values = {
            "instance": self.instance,
            "gitops": {"url": "https://git.example/gitops.git"},
            "manager": {"enabled": False},
            "argocd": {"namespace": cluster.argocd_namespace},
            "secrets": {kind: {"enabled": True} for kind in kinds},
        }
        # Among its options the last `--namespace` counts.
        rendered = render(find_helm(), PREVIEWS, values, "--namespace", self.home)
        self.put(_namespace(self.home, {}))
        self.put(*(found for found in rendered if found["kind"] in RIGHTS))
        fence = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.put(_namespace(self.namespace, labels.ownership(self.instance, SHOP_42) | fence))
        token = cluster.service_account_token(self.home, self.home, TOKEN_SECONDS)
        write_own_kubeconfig(self.kubeconfig, cluster, token)
        self.api = KubernetesAPI(kubeconfig=self.kubeconfig, times=ClusterTimes())

    def put(self, *objects: dict[str, Any]) -> None:
        self._made += objects
        self.cluster.kubectl("apply", "-f", "-", input=_listed(objects))

    def secret(self, credential: str, **data: str) -> Secret:
        return Secret(
            key=SHOP_42,
            namespace=self.namespace,
            name="database",
            credential=credential,
            labels=labels.ownership(self.instance, SHOP_42),
            data=data,
        )

    def data(self) -> Mapping[str, str]:
        """As pods find it; nothing while there is no such Secret."""
        found = self.cluster.kubectl(
            "get", "secret", "database", "-n", self.namespace, "-o=json", "--ignore-not-found"
        )
        data = json.loads(found)["data"] if found else {}
        return {name: base64.b64decode(value).decode() for name, value in data.items()}

    def uid(self, kind: str = "secret") -> str:
        where = ("database", "-n", self.namespace)
        return self.cluster.kubectl("get", kind, *where, "-o=jsonpath={.metadata.uid}")

    def has(self, kind: str, name: str) -> bool:
        where = (kind, name, "-n", self.namespace)
        return bool(self.cluster.kubectl("get", *where, "-o=name", "--ignore-not-found"))

    def depend_on_sealed(self) -> tuple[str, str]:
        """Something that goes with the SealedSecret."""
        owner = {"apiVersion": API_VERSION, "kind": KIND, "name": "database"}
        metadata = {
            "name": "dependent",
            "namespace": self.namespace,
            "ownerReferences": [{**owner, "uid": self.uid("sealedsecret")}],
        }
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        self.cluster.kubectl("apply", "-f", "-", input=json.dumps(made))
        return "configmap", "dependent"

    def sealed(self, age_max: timedelta = timedelta(hours=1)) -> SealedSecrets:
        read = from_controller(
            self.api, namespace=SEALED_SECRETS_NAMESPACE, service=SEALED_SECRETS, port="http"
        )
        kept = SealingCertificate(read, age_max=age_max, now=partial(datetime.now, UTC))
        return SealedSecrets(api=self.api, certificate=kept)

    def direct(self) -> DirectSecrets:
        return DirectSecrets(api=self.api, instance=self.instance)

    def clear(self) -> None:
        self.cluster.kubectl(
            "delete", "--ignore-not-found", "--wait=false", "-f", "-", input=_listed(self._made)
        )


def _listed(objects: Any) -> str:  # noqa: ANN401
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def _namespace(name: str, marks: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": dict(marks)},
    }


@pytest.fixture(scope="module")
def site(cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(cluster, tmp_path_factory.mktemp("site"))
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture(autouse=True)
def _no_secret_yet(site: Site) -> None:
    kinds = ("sealedsecrets,secrets", "--all", "-n", site.namespace)
    site.cluster.kubectl("delete", *kinds)
    wait_until("no secret is left", lambda: not site.data())


# sealed-secrets


def test_the_controller_opens_what_we_seal_and_what_replaces_it(site: Site) -> None:
    delivery = site.sealed()
    where = (site.namespace, "database")
    assert "not in the cluster yet" in delivery.problem(*where)
    for credential, password in (("c-1", PASSWORD), ("c-2", "another")):
        manifest = delivery.deliver(site.secret(credential, PGPASSWORD=password, EMPTY=""))
        site.cluster.kubectl("apply", "-f", "-", input=manifest)
        wait_until("the secret is there", lambda: delivery.problem(*where) == "")
        assert site.data() == {"PGPASSWORD": password, "EMPTY": ""}
        assert delivery.credential_of(SHOP_42, *where, manifest) == credential


def test_the_controller_s_words_are_told_when_it_cannot_open_one(site: Site) -> None:
    delivery = site.sealed()
    manifest = delivery.deliver(site.secret("c-1", PGPASSWORD=PASSWORD))
    renamed = manifest.replace('"database"', '"renamed"')
    site.cluster.kubectl("apply", "-f", "-", input=renamed)
    wait_until(
        "the controller says why not",
        lambda: "no key could decrypt" in delivery.problem(site.namespace, "renamed"),
    )


def test_kubeseal_finds_what_we_seal_valid(site: Site) -> None:
    manifest = site.sealed().deliver(site.secret("c-1", PGPASSWORD=PASSWORD))
    ended = subprocess.run(
        [
            str(site.cluster.bin_dir / "kubeseal"),
            *("--validate", "--kubeconfig", str(site.cluster.kubeconfig)),
        ],
        input=manifest,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_new_key_has_everything_sealed_anew_and_the_old_still_opens(site: Site) -> None:
    delivery = site.sealed(age_max=timedelta(0))
    where = (site.namespace, "database")
    manifest = delivery.deliver(site.secret("c-1", PGPASSWORD=PASSWORD))
    assert delivery.credential_of(SHOP_42, *where, manifest) == "c-1"
    pid = running_pid(Layout(site.cluster.directory).pids / "sealed-secrets-controller.pid")
    assert pid is not None
    # It makes another key, as it does every thirty days.
    os.kill(pid, signal.SIGUSR1)
    wait_until(
        "the certificate is another one",
        lambda: delivery.credential_of(SHOP_42, *where, manifest) == "",
    )
    site.cluster.kubectl("apply", "-f", "-", input=manifest)
    wait_until("the old key opens it", lambda: site.data() == {"PGPASSWORD": PASSWORD})
    again = delivery.deliver(site.secret("c-1", PGPASSWORD=PASSWORD))
    assert delivery.credential_of(SHOP_42, *where, again) == "c-1"


# Secrets that the manager writes itself


def test_the_manager_writes_its_secret_and_replaces_it(site: Site) -> None:
    delivery = site.direct()
    where = (site.namespace, "database")
    assert delivery.problem(*where)
    assert delivery.credential_of(SHOP_42, *where, "") == ""
    for credential, password in (("c-1", PASSWORD), ("c-2", "another")):
        assert delivery.deliver(site.secret(credential, PGPASSWORD=password)) == ""
        assert delivery.problem(*where) == ""
        assert delivery.credential_of(SHOP_42, *where, "") == credential
        assert site.data() == {"PGPASSWORD": password}


def test_what_the_manager_wrote_is_taken_over_when_it_comes_sealed_from_now_on(site: Site) -> None:
    site.direct().deliver(site.secret("c-1", PGPASSWORD=PASSWORD))
    before, delivery = site.uid(), site.sealed()
    manifest = delivery.deliver(site.secret("c-2", PGPASSWORD="another"))
    assert site.data() == {"PGPASSWORD": PASSWORD}

    site.cluster.kubectl("apply", "-f", "-", input=manifest)

    where = (site.namespace, "database")
    wait_until("the secret is there", lambda: delivery.problem(*where) == "")
    assert (site.data(), site.uid()) == ({"PGPASSWORD": "another"}, before)


def test_what_comes_from_the_manager_from_now_on_outlives_what_was_sealed(site: Site) -> None:
    manifest = site.sealed().deliver(site.secret("c-1", PGPASSWORD=PASSWORD))
    site.cluster.kubectl("apply", "-f", "-", input=manifest)
    wait_until("the secret is there", site.data)
    before, delivery = site.uid(), site.direct()
    where = (SHOP_42, site.namespace, "database", "")
    assert delivery.credential_of(*where) == ""

    delivery.deliver(site.secret("c-2", PGPASSWORD="another"))
    witness = site.depend_on_sealed()
    site.cluster.kubectl("delete", "sealedsecret", "database", "-n", site.namespace)

    wait_until("Kubernetes has deleted what depends on it", lambda: not site.has(*witness))
    assert delivery.credential_of(*where) == "c-2"
    assert (site.data(), site.uid()) == ({"PGPASSWORD": "another"}, before)


def test_it_may_read_no_secret_not_even_its_own(site: Site) -> None:
    site.direct().deliver(site.secret("c-1", PGPASSWORD=PASSWORD))
    for what in (["secret", "database"], ["secrets"]):
        with pytest.raises(CalledProcessError) as refused:
            # Of two, the last one counts.
            site.cluster.kubectl(
                "get", *what, "-n", site.namespace, f"--kubeconfig={site.kubeconfig}"
            )
        assert "Forbidden" in refused.value.stderr


def test_it_may_write_none_that_is_not_its_own(site: Site) -> None:
    own = site.secret("c-1", PGPASSWORD=PASSWORD)
    for other in (
        replace(own, namespace=site.cluster.argocd_namespace),
        replace(own, labels={**own.labels, labels.INSTANCE: "somebody-else"}),
    ):
        with pytest.raises(StalledError, match=r"-secrets. denied request"):
            site.direct().deliver(other)
    site.cluster.kubectl(
        "create", "secret", "generic", "database", "--from-literal=a=b", "-n", site.namespace
    )
    with pytest.raises(StalledError, match=r"-secrets. denied request"):
        site.direct().deliver(own)
    assert site.data() == {"a": "b"}


def test_a_namespace_that_is_not_there_yet_is_waited_for(site: Site) -> None:
    there = replace(site.secret("c-1", PGPASSWORD=PASSWORD), namespace=f"{site.namespace}-later")
    assert site.direct().credential_of(SHOP_42, there.namespace, "database", "") == ""
    with pytest.raises(TransientError, match="not found"):
        site.direct().deliver(there)
