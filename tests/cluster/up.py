"""Brings the cluster up: a graph of steps, each run as soon as the steps that it needs are done.

Every step looks first at what is already there, so `up` repairs whatever an earlier one left half-done.
"""

import subprocess
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from tests.cluster.builds import Build, builds
from tests.cluster.calico import ensure_calico_objects
from tests.cluster.cluster_objects import ensure_cluster_objects
from tests.cluster.components import Component, components
from tests.cluster.configuration import link_programs, write_configuration
from tests.cluster.credentials import ensure_certificates, ensure_secrets
from tests.cluster.debian_packages import ensure_packages
from tests.cluster.gitea_admin import ensure_gitea_admin
from tests.cluster.go_builds import build, ensure_go, missing_builds
from tests.cluster.image import ensure_sandbox_archive
from tests.cluster.layout import (
    API_URL,
    ARGOCD_NAMESPACE,
    GITEA_ADMIN,
    GITEA_URL,
    INGRESS_CLASS,
    INGRESS_PORT,
    METRICS_URL,
    NODE_IP,
    REGISTRY,
    SANDBOX_IMAGE,
    Layout,
)
from tests.cluster.machine import Snapshot, ensure_cgroups, ensure_pod_network
from tests.cluster.processes import running_pid
from tests.cluster.progress import Progress, StepError
from tests.cluster.running import RunningCluster
from tests.cluster.sealed_secrets import ensure_sealed_secrets_objects
from tests.cluster.single import bring_up


@dataclass(frozen=True)
class Step:
    name: str
    run: Callable[[], object]
    needs: tuple[str, ...] = ()


def up(layout: Layout, progress: Progress, *, is_isolated: bool = False) -> None:
    """Start what is missing. The caller holds the lock. Raises StepError beside a cluster of the other kind."""
    refuse_other_kind(layout, is_isolated=is_isolated)
    if is_complete(layout):
        progress.say("the cluster runs: every component is ready")
        return
    to_build = bool(missing_builds(is_isolated=is_isolated))
    ensure_packages(progress, to_build=to_build, is_isolated=is_isolated)
    if not layout.snapshot_file.exists():
        before = Snapshot.take()
        layout.make_folders()
        before.write(layout)
    layout.make_folders()
    if is_isolated:
        layout.isolated_file.touch()
    secrets = ensure_secrets(layout)
    ensure_certificates(layout)
    write_configuration(layout, secrets)
    ensure_cgroups()
    run_steps(steps(layout, secrets, progress), progress)
    cluster = describe(layout, secrets)
    layout.cluster_file.write_text(cluster.as_json())
    layout.cluster_file.chmod(0o600)
    progress.say(f"the cluster is up: kubectl --kubeconfig {cluster.kubeconfig}")


def refuse_other_kind(layout: Layout, *, is_isolated: bool) -> None:
    """The pods of one kind are on another network than those of the other."""
    if not layout.secrets_file.exists() or layout.is_isolated == is_isolated:
        return
    there, wanted = ("isolated", "default") if layout.is_isolated else ("default", "isolated")
    raise StepError(
        f"the {there} cluster is there, and the {wanted} one was asked for: "
        "`python -m tests.cluster down` first"
    )


def is_complete(layout: Layout) -> bool:
    if not layout.cluster_file.exists():
        return False
    ready = components(layout, ensure_secrets(layout)).values()
    if any(running_pid(layout.pids / f"{component.name}.pid") is None for component in ready):
        return False
    with ThreadPoolExecutor(len(ready)) as pool:
        return all(pool.map(lambda component: component.is_ready(), ready))


def steps(layout: Layout, secrets: dict[str, str], progress: Progress) -> Iterable[Step]:
    """All of it, each after what it needs."""
    known = components(layout, secrets)

    def told(name: str, action: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            action()
            progress.say(f"{name} ready")

        return run

    yield from build_steps(layout, progress)
    network = partial(ensure_pod_network, is_isolated=layout.is_isolated)
    yield Step("pod network", told("pod network", network))
    for component in known.values():
        needs = component.needs + ((f"build {component.build}",) if component.build else ())
        yield Step(component.name, starter(layout, component, progress), needs)
        if component.name == "containerd":
            yield Step(
                "sandbox image",
                told("sandbox image", lambda: import_sandbox_image(layout)),
                ("containerd",),
            )
        if component.name == "kube-apiserver":
            yield Step(
                "cluster objects",
                told("cluster objects", lambda: ensure_cluster_objects(layout, secrets)),
                ("kube-apiserver", "build argocd"),
            )
            yield Step(
                "sealed-secrets objects",
                told("sealed-secrets objects", lambda: ensure_sealed_secrets_objects(layout)),
                ("cluster objects", "build sealed-secrets", "build helm"),
            )
            if layout.is_isolated:
                yield Step(
                    "calico objects",
                    told("calico objects", lambda: ensure_calico_objects(layout, secrets["admin"])),
                    ("kube-apiserver", "build calico"),
                )
    password = secrets["gitea-password"]
    yield Step(
        "gitea administrator",
        told(
            "gitea administrator",
            lambda: ensure_gitea_admin(layout, known["gitea"], password),
        ),
        ("gitea",),
    )


def build_steps(layout: Layout, progress: Progress) -> Iterable[Step]:
    """One build at a time: each of them uses every core."""
    one_at_a_time = threading.Lock()
    go: list[str] = []

    def builder(wanted: Build) -> Callable[[], None]:
        def run() -> None:
            if not wanted.is_built:
                with one_at_a_time:
                    go[:] = go or [ensure_go(progress)]
                    build(go[0], wanted, progress)
            link_programs(layout, wanted)

        return run

    previous: tuple[str, ...] = ()
    for name, wanted in builds(is_isolated=layout.is_isolated).items():
        yield Step(f"build {name}", builder(wanted), previous)
        previous = (f"build {name}",)


def starter(layout: Layout, component: Component, progress: Progress) -> Callable[[], None]:
    def run() -> None:
        if bring_up(layout, component):
            progress.say(f"{component.name} ready")

    return run


def run_steps(listed: Iterable[Step], progress: Progress) -> None:
    """Run each step when its needs are done; raise what the first failed step raised."""
    ordered = list(listed)
    futures: dict[str, Future[None]] = {}
    failures: list[Exception] = []

    def run(step: Step, needed: list[Future[None]]) -> None:
        wait(needed)
        if failures:
            return
        try:
            step.run()
        except Exception as error:  # noqa: BLE001 raised again when the other steps have ended
            failures.append(error)
            progress.say(f"{step.name} failed")

    # A thread for each step, most of them waiting: a step never waits for a place in the pool.
    with ThreadPoolExecutor(len(ordered)) as pool:
        for step in ordered:
            needed = [futures[name] for name in step.needs]
            futures[step.name] = pool.submit(run, step, needed)
    if failures:
        raise failures[0]


def import_sandbox_image(layout: Layout) -> None:
    client = ["ctr", "--address", str(layout.containerd_socket), "-n", "k8s.io", "images"]
    listed = subprocess.run(
        [*client, "ls", "-q", f"name=={SANDBOX_IMAGE}"], capture_output=True, text=True, check=True
    )
    if listed.stdout.strip():
        return
    archive = ensure_sandbox_archive()
    ended = subprocess.run(
        [*client, "import", str(archive)], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise StepError(f"ctr could not import the sandbox image: {ended.stderr.strip()}")


def describe(layout: Layout, secrets: dict[str, str]) -> RunningCluster:
    return RunningCluster(
        directory=layout.root,
        kubeconfig=layout.kubeconfig("admin"),
        api_server=API_URL,
        ca_file=layout.pki / "ca.crt",
        admin_token=secrets["admin"],
        argocd_namespace=ARGOCD_NAMESPACE,
        gitea_url=GITEA_URL,
        gitea_admin_user=GITEA_ADMIN,
        gitea_admin_password=secrets["gitea-password"],
        gitea_admin_token=layout.gitea_token_file.read_text(),
        registry=REGISTRY,
        ingress_port=INGRESS_PORT,
        ingress_metrics_url=METRICS_URL,
        ingress_class=INGRESS_CLASS,
        node_ip=NODE_IP,
        bin_dir=layout.bin,
        is_isolated=layout.is_isolated,
    )
