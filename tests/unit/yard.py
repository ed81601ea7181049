"""What a collector looks over: outside systems, and what was left in them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from previews.domain.inventory import (
    Found,
    Sweep,
    Verdict,
    keep_name,
)
from previews.domain.naming import root_name
from previews.domain.orphans import (
    Limits,
)
from previews.domain.preview import PreviewKey
from previews.reconcile.collector import Collector
from previews.reconcile.deployment_inventory import DeploymentInventory
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.repositories import Repositories
from previews.reconcile.server_watch import ServerWatch
from tests.fakes.branch import FakeBranch
from tests.fakes.clock import ManualClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.forge import FakeForge
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import project

REPOSITORY = "acme/shop"
A_WHILE = timedelta(minutes=11)
"""Longer than the grace."""


class Yard:
    """Outside systems, what was left in them, and a collector."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.forge = FakeForge()
        self.forge.add_repository(REPOSITORY)
        self.cluster = FakeCluster()
        self.store = InMemoryStore()
        self.branch = FakeBranch()
        self.projects = {"shop": project("shop", REPOSITORY)}
        self.before: Callable[[Effect, str], None] = lambda _effect, _subject: None
        self.effects: list[str] = []
        self.collector = self.start()

    def start(self, **limits: Any) -> Collector:  # noqa: ANN401 those of Limits
        """A new process."""
        self.collector = Collector(
            projects=self.projects,
            forge=self.forge,
            store=self.store,
            cluster=self.cluster,
            servers=ServerWatch({}, lambda _keys: None),
            host_records=HostRecordKeeper(None, Effects(self._Witness(self))),
            deployments=DeploymentInventory(
                None, Effects(self._Witness(self)), instance="acme", repositories=()
            ),
            branch=self.branch,
            writer=self.branch,
            effects=Effects(self._Witness(self)),
            clock=self.clock,
            limits=Limits(**limits),
            name_of=Repositories(self.projects, self.store, Effects(self._Witness(self))).name_of,
        )
        return self.collector

    class _Witness:
        def __init__(self, yard: "Yard") -> None:
            self._yard = yard

        def before(self, effect: Effect, subject: str) -> None:
            self._yard.before(effect, subject)

        def after(self, effect: Effect, subject: str) -> None:
            self._yard.effects.append(f"{effect.value} {subject}")

    def open(self) -> PreviewKey:
        """A pull request whose preview's objects are there, and nothing of it in Git."""
        key = PreviewKey("shop", self.forge.open_pull_request(REPOSITORY, "feature", "A change"))
        self.put(key)
        return key

    def leave(self) -> PreviewKey:
        """What a closed pull request left behind."""
        key = self.open()
        self.forge.close(REPOSITORY, key.number)
        return key

    def put(self, key: PreviewKey, **marks: Any) -> None:  # noqa: ANN401 those of the fake
        stem = f"{key.project}-pr-{key.number}"
        self.cluster.put_application(stem, key, **marks)
        self.cluster.put_app_project(f"0-{stem}", key, **marks)
        self.cluster.put_namespace(f"preview-{stem}", key, **marks)

    def put_shard(self, shard: str) -> None:
        """In the cluster and in Git."""
        root = root_name(self.cluster.instance, shard)
        self.cluster.put_root(root, shard)
        self.cluster.put_config_map(keep_name(self.cluster.instance, shard))
        self.branch.shards.add(shard)

    def crowd(self) -> None:
        """Enough of what is wanted, so that a few orphans are no mass."""
        for number in range(1000, 1020):
            key = PreviewKey("shop", number)
            self.put(key)
            self.branch.keys.add(key)

    def sweep(self, **how: Any) -> Sweep:  # noqa: ANN401 those of collect
        return self.collector.collect(**{"dry_run": False, **how})

    def sweep_twice(self) -> Sweep:
        """The second one may remove what the first one found."""
        self.sweep()
        self.clock.move(A_WHILE)
        return self.sweep()

    def sweep_until_quiet(self) -> list[str]:
        """What was removed, in order."""
        gone: list[str] = []
        for _ in range(20):
            gone += [name_of(each) for each in self.sweep().removed]
            self.clock.move(A_WHILE)
        return gone

    def verdicts(self) -> set[Verdict]:
        return {each.verdict for each in self.collector.inventory()}

    def everything(self) -> set[str]:
        return {
            *self.cluster.applications,
            *self.cluster.namespaces,
            *self.cluster.app_projects,
            *self.cluster.config_maps,
        }


def name_of(found: Found) -> str:
    return f"{found.owned.kind} {found.owned.name}"
