"""`python -m tests.bench.collecting KUBECONFIG DIRECTORY`: sweeps over what measure_collect made, and says the cost.

The real cluster adapter with its watch, and a real store that remembers every preview. The forge and Git's part are in
memory: what the manager holds of Git is in memory as well.
"""

import json
import logging
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psutil
import structlog

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.store import SQLStore
from previews.domain.inventory import (
    Sweep,
)
from previews.domain.naming import shard_of
from previews.domain.orphans import (
    Limits,
)
from previews.domain.preview import HeadSha, Manifests, Phase, PreviewKey, PullRequest, Stage
from previews.domain.record import PreviewRecord
from previews.reconcile.collector import Collector
from previews.reconcile.deployment_inventory import DeploymentInventory
from previews.reconcile.effects import Effects, LoggingWitness
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.server_watch import ServerWatch
from tests.bench.collect import INSTANCE, ORPHANS, PREVIEWS, PROJECT
from tests.bench.meter import MIB
from tests.fakes.branch import FakeBranch
from tests.fakes.clock import ManualClock
from tests.fakes.forge import FakeForge
from tests.fakes.surroundings import project

REPOSITORY = "acme/shop"
FILES = {"application.yaml": "x" * 1800, "namespace.yaml": "x" * 3600}
"""As long as those of a preview."""
GRACE = timedelta(minutes=10)


def main() -> None:
    kubeconfig, directory = (Path(each) for each in sys.argv[1:])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    keys = [PreviewKey(PROJECT, number) for number in range(1, PREVIEWS + 1)]
    clock = ManualClock()
    store = SQLStore(directory / "previews.sqlite3", clock=clock, delivery_retention=timedelta(1))
    for key in keys:
        store.save(_record(key))
    cluster = KubernetesCluster(kubeconfig=kubeconfig, argocd_namespace="argocd", instance=INSTANCE)
    stop, listed = threading.Event(), threading.Event()
    watching = threading.Thread(target=cluster.watch, args=(lambda _: listed.set(), stop))
    watching.start()
    try:
        listed.wait()
        before = psutil.Process().memory_info().rss
        collector = _collector(cluster, store, clock, keys)
        sweeps = [_timed(collector)]
        clock.move(GRACE * 2)
        sweeps += [_timed(collector), _timed(collector)]
    finally:
        stop.set()
        watching.join()
    print(
        json.dumps(
            {
                "sweeps_seconds": [seconds for seconds, _ in sweeps],
                "peak_mib": _peak_kib() * 1024 / MIB,
                "before_mib": before / MIB,
                "found": len(sweeps[0][1].found),
                "removed": sum(len(sweep.removed) for _, sweep in sweeps),
            }
        )
    )


def _collector(
    cluster: KubernetesCluster, store: SQLStore, clock: ManualClock, keys: list[PreviewKey]
) -> Collector:
    forge = FakeForge()
    forge.add_repository(REPOSITORY)
    for _ in range(ORPHANS):
        forge.close(REPOSITORY, forge.open_pull_request(REPOSITORY))
    branch = FakeBranch(instance=INSTANCE)
    branch.keys = set(keys[ORPHANS:])
    branch.shards = {shard_of(key) for key in keys}
    return Collector(
        projects={PROJECT: project(PROJECT, REPOSITORY)},
        forge=forge,
        store=store,
        cluster=cluster,
        servers=ServerWatch({}, lambda _keys: None),
        host_records=HostRecordKeeper(None, Effects(LoggingWitness())),
        deployments=DeploymentInventory(
            None, Effects(LoggingWitness()), instance=INSTANCE, repositories=()
        ),
        branch=branch,
        writer=branch,
        effects=Effects(LoggingWitness()),
        clock=clock,
        limits=Limits(grace=GRACE, per_sweep=ORPHANS),
        name_of=str,
    )


def _record(key: PreviewKey) -> PreviewRecord:
    head_sha = HeadSha(f"{key.number:040x}")
    is_open = key.number > ORPHANS
    return PreviewRecord(
        key=key,
        pull_request=PullRequest(
            repository=REPOSITORY,
            number=key.number,
            is_open=is_open,
            head_sha=head_sha,
            head_branch="feature",
            base_branch="main",
            title="A change",
            author="octo-dev",
            url=f"https://git.example/{REPOSITORY}/pulls/{key.number}",
            from_fork=False,
        ),
        manifests=Manifests(
            stage=Stage.WHOLE if is_open else Stage.NOTHING,
            digest="d" * 32,
            head_sha=head_sha,
            files=FILES if is_open else {},
        ),
        phase=Phase.LIVE,
    )


def _timed(collector: Collector) -> tuple[float, Sweep]:
    began = time.monotonic()
    sweep = collector.collect(dry_run=False)
    seconds = time.monotonic() - began
    if sweep.problems:
        raise RuntimeError(sweep.problems[0])
    return seconds, sweep


def _peak_kib() -> int:
    """Of this very program: what getrusage says begins with what its parent had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("the kernel does not say how much memory was used")


if __name__ == "__main__":
    main()
