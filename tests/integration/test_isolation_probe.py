"""The trial of isolation against an API server that plays the cluster, and its script in a real shell."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from previews.adapters import isolation_probe
from previews.adapters.isolation_probe import IsolationProbe, Reached
from previews.errors import TransientError
from tests.integration.scripted_http import Asked, Reply, ScriptedServer
from tests.kubeconfig import write_kubeconfig

POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "preview", "namespace": "preview-shop-pr-1"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
KEPT_APART = "mate=yes\nneighbour=no\napi=no\nnode=no\n"
Raw = dict[str, Any]


class Cluster:
    """Remembers what is made and deleted; pods run at once, and the probe says `words`."""

    def __init__(self) -> None:
        self.namespaces: dict[str, Raw] = {}
        self.made: dict[str, Raw] = {}
        """Everything that was ever made in a namespace, by its path."""
        self.deleted: list[str] = []
        self.words = KEPT_APART
        self.waits_for = ""
        self.conflicts = 0

    def answer(self, asked: Asked, reply: Reply) -> None:
        parts = asked.path.strip("/").split("/")
        if asked.path == "/api/v1/namespaces":
            if asked.method == "POST":
                self._make_namespace(json.loads(asked.body))
                reply.json(201, {})
            else:
                listed = {
                    "metadata": {"resourceVersion": "1"},
                    "items": [*self.namespaces.values()],
                }
                reply.json(200, {"kind": "PartialObjectMetadataList", **listed})
        elif parts[:3] == ["api", "v1", "namespaces"] and len(parts) == 4:
            self._namespace(asked, parts[3], reply)
        elif asked.method == "POST":
            made = json.loads(asked.body)
            self.made[f"{asked.path}/{made['metadata']['name']}"] = made
            reply.json(201, {})
        else:
            reply.json(200, {"status": self._status_of_pod(parts[-1])})

    def _make_namespace(self, made: Raw) -> None:
        name = made["metadata"]["name"]
        now = datetime.now(UTC).isoformat()
        also = {"uid": f"u-{name}", "resourceVersion": "7", "creationTimestamp": now}
        self.namespaces[name] = {"metadata": {**made["metadata"], **also}}

    def _namespace(self, asked: Asked, name: str, reply: Reply) -> None:
        if name not in self.namespaces:
            status = {"kind": "Status", "reason": "NotFound", "details": {"name": name}}
            reply.json(404, status)
        elif asked.method == "DELETE" and self.conflicts:
            self.conflicts -= 1
            reply.json(409, {"kind": "Status", "reason": "Conflict", "message": "changed"})
        elif asked.method == "DELETE":
            assert json.loads(asked.body)["preconditions"]["uid"] == f"u-{name}"
            self.deleted.append(name)
            reply.json(200, self.namespaces.pop(name))
        else:
            reply.json(200, self.namespaces[name])

    def _status_of_pod(self, name: str) -> Raw:
        if self.waits_for:
            waiting = {"waiting": {"reason": self.waits_for}}
            return {"phase": "Pending", "containerStatuses": [{"state": waiting}]}
        if name != "probe":
            return {"phase": "Running", "podIP": "10.0.0.9"}
        ended = {"terminated": {"exitCode": 0, "message": self.words}}
        return {"phase": "Succeeded", "containerStatuses": [{"state": ended}]}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def probe(cluster: Cluster, tmp_path: Path) -> Iterator[IsolationProbe]:
    with ScriptedServer(cluster.answer) as server:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url)
        yield IsolationProbe(
            kubeconfig=kubeconfig, instance="acme", image="busybox:1.37", policies=[POLICY]
        )


def test_two_labelled_namespaces_with_our_policy_are_made_and_deleted(
    cluster: Cluster, probe: IsolationProbe
) -> None:
    assert probe.run() == Reached(mate=True, neighbour=False, api=False, node=False)
    assert cluster.namespaces == {}
    assert len(cluster.deleted) == 2
    policies = [made for path, made in cluster.made.items() if "networkpolicies" in path]
    assert {each["metadata"]["namespace"] for each in policies} == set(cluster.deleted)
    assert all(each["spec"] == POLICY["spec"] for each in policies)


def test_the_pods_keep_to_the_strictest_rules_and_the_probe_has_its_targets(
    cluster: Cluster, probe: IsolationProbe
) -> None:
    probe.run()
    pods = {path: made for path, made in cluster.made.items() if "/pods/" in path}
    assert len(pods) == 3
    for pod in pods.values():
        (container,) = pod["spec"]["containers"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["image"] == "busybox:1.37"
    (trying,) = (pod for path, pod in pods.items() if path.endswith("/probe"))
    given = {each["name"]: each.get("value") for each in trying["spec"]["containers"][0]["env"]}
    assert given == {
        "NODE": None,
        "MATE": "10.0.0.9",
        "NEIGHBOUR": "10.0.0.9",
        "PORT": "8080",
        "NODE_PORT": "10250",
    }


def test_what_is_reached_is_told(cluster: Cluster, probe: IsolationProbe) -> None:
    cluster.words = "mate=yes\nneighbour=yes\napi=no\nnode=yes\n"
    assert probe.run() == Reached(mate=True, neighbour=True, api=False, node=True)


@pytest.mark.parametrize("words", ["", "sh: nc: not found", "mate=yes\nneighbour=no\n"])
def test_half_an_answer_is_none(cluster: Cluster, probe: IsolationProbe, words: str) -> None:
    cluster.words = words
    with pytest.raises(TransientError, match="said no result"):
        probe.run()
    assert cluster.namespaces == {}


def test_an_image_that_cannot_be_pulled_is_said_at_once_and_nothing_stays(
    cluster: Cluster, probe: IsolationProbe
) -> None:
    cluster.waits_for = "ImagePullBackOff"
    with pytest.raises(TransientError, match="does not run: ImagePullBackOff"):
        probe.run()
    assert cluster.namespaces == {}


def test_a_namespace_that_changes_meanwhile_is_deleted_all_the_same(
    cluster: Cluster, probe: IsolationProbe
) -> None:
    cluster.conflicts = 3
    probe.run()
    assert cluster.namespaces == {}


def left_behind(name: str, *, age: timedelta, **more: object) -> Raw:
    marks = {"previews.dev/instance": "acme", "previews.dev/doctor": "true"}
    made_at = (datetime.now(UTC) - age).isoformat()
    uid = f"u-{name}"
    about = {"name": name, "uid": uid, "resourceVersion": "3", "labels": marks}
    return {"metadata": {**about, "creationTimestamp": made_at, **more}}


def test_what_a_killed_run_left_is_deleted_and_that_of_a_run_under_way_is_not(
    cluster: Cluster, probe: IsolationProbe
) -> None:
    cluster.namespaces = {
        "old": left_behind("old", age=timedelta(hours=1)),
        "young": left_behind("young", age=timedelta(seconds=20)),
        "going": left_behind("going", age=timedelta(hours=1), deletionTimestamp="2026-01-01"),
    }
    assert probe.left_behind() == ["old"]
    probe.clean()
    assert cluster.deleted == ["old"]


# What the probe's pod runs.


def run_script(directory: Path, *, reached: str, tool: str) -> dict[str, str]:
    """The script in a real shell, with a `nc` or `wget` that reaches these addresses and no other."""
    programs = directory / "bin"
    programs.mkdir()
    for name in ("grep", "sh"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
        (programs / name).symlink_to(found.stdout.strip())
    answers = {
        "nc": 'case " $REACHED " in *" $4:$5 "*) exit 0;; *) exit 1;; esac',
        "small nc": 'case "$1" in -z) echo "nc: invalid option -- z" >&2; exit 1;; esac; '
        'case " $REACHED " in *" $3:$4 "*) exit 0;; *) exit 1;; esac',
        "wget": 'h=${5#http://}; case " $REACHED " in *" ${h%/} "*) echo "server returned error: HTTP/1.0 400" >&2;; '
        '*) echo "wget: download timed out" >&2;; esac; exit 1',
        "sleep": "exit 0",
    }
    for name in (tool, "sleep"):
        program = programs / name.removeprefix("small ")
        program.write_text(f"#!/bin/sh\n{answers[name]}\n")
        program.chmod(0o755)
    log = directory / "termination-log"
    script = isolation_probe._TRY.replace("/dev/termination-log", str(log))
    environment = {
        "PATH": str(programs),
        "REACHED": reached,
        "MATE": "10.0.0.1",
        "NEIGHBOUR": "10.0.0.2",
        "PORT": "8080",
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "NODE": "192.0.2.1",
        "NODE_PORT": "10250",
    }
    subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, timeout=60)
    return dict(line.split("=") for line in log.read_text().splitlines())


@pytest.mark.parametrize("tool", ["nc", "small nc", "wget"])
def test_the_script_says_yes_for_what_it_reaches_and_no_for_the_rest(
    tmp_path: Path, tool: str
) -> None:
    said = run_script(tmp_path, reached="10.0.0.1:8080 192.0.2.1:10250", tool=tool)
    assert said == {"mate": "yes", "neighbour": "no", "api": "no", "node": "yes"}
