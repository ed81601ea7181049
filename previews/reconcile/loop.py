"""The reconcile loop without its threads: what it consists of, nothing running. `assembly` joins it.

The controller gives it threads; tests and the tour work its queues themselves.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from previews.domain.brake import BrakeState
from previews.domain.preview import PreviewKey
from previews.reconcile.actions import Actions
from previews.reconcile.activity import ActivityWatch
from previews.reconcile.branch import GitBranch
from previews.reconcile.collector import Collector
from previews.reconcile.conversation import Conversation
from previews.reconcile.effects import Effects
from previews.reconcile.gates import Gates
from previews.reconcile.images import ImageGate
from previews.reconcile.parcels import Parcels
from previews.reconcile.policies import Policies
from previews.reconcile.probes import Probes
from previews.reconcile.published import Doubt, PullRequestKey
from previews.reconcile.publisher import Publisher
from previews.reconcile.pulse import Pulse
from previews.reconcile.queues import Queues
from previews.reconcile.recall import recall
from previews.reconcile.redelivery import Redelivery
from previews.reconcile.repositories import Repositories
from previews.reconcile.repository_rules import Place
from previews.reconcile.resync import Resync
from previews.reconcile.server_watch import ServerWatch
from previews.reconcile.storage import StorageWatch
from previews.reconcile.warm_pool import WarmPool
from previews.reconcile.workers import Workers
from previews.reconcile.world import Options, World
from previews.reconcile.writer import GitOpsWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Queues, who works them, and who looks at the world by itself."""

    world: World
    options: Options
    effects: Effects
    repositories: Repositories
    quiet: threading.Event
    """Set while no delivery waits to be stored: its sender waits for an answer, and so goes first."""

    queues: Queues
    workers: Workers[PreviewKey]
    publishers: Workers[PullRequestKey]
    listeners: Workers[PullRequestKey]
    rule_readers: Workers[Place]

    branch: GitBranch
    writer: GitOpsWriter
    actions: Actions
    gates: Gates
    images: ImageGate
    policies: Policies
    publisher: Publisher
    conversation: Conversation

    probes: Probes
    pulse: Pulse
    activity: ActivityWatch | None
    """None: requests are not counted."""
    servers: ServerWatch
    storage: StorageWatch
    warm_pool: WarmPool
    parcels: Parcels
    resync: Resync
    redelivery: Redelivery
    collector: Collector

    def remember(self) -> None:
        """Take up what a former process left: who holds a place, what is being removed, what was to be published."""
        records = self.world.store.list_records()
        wishes, now = self.world.store.list_wishes(), self.world.clock.now()
        recall(records, wishes, self.options.projects, self.gates, now)
        self.repositories.remember(records)
        for record in records:
            self.pulse.note(record)
            self.queues.tell(record)

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        """Have previews looked at. Safe from any thread; a key is never queued twice."""
        self.queues.enqueue(keys)

    def look_at_again(self, pull_request: PullRequestKey, what: Doubt) -> None:
        """Another hand changed what we said there: it is said again. Safe from any thread."""
        self.publisher.doubt(pull_request, what)
        self.queues.pull_requests.add(pull_request)

    def look_at_traffic(self) -> None:
        """See who was used since the last look. Raises TransientError."""
        if self.activity is not None:
            records = self.world.store.list_records()
            there = [record.key for record in records if not record.is_gone]
            self.activity.look(self.world.clock.now(), there)

    def brake_state(self) -> BrakeState:
        """What the brake holds, and how the rewriting of previews goes."""
        rollout = self.gates.rollout
        return replace(
            self.gates.brake.state(),
            rewrites_waiting=rollout.waiting(),
            rewrites_failing=rollout.failing(),
        )

    def readiness(self) -> Mapping[str, str | None]:
        """By outside system, what is wrong with it at present."""
        git = self.branch.problem()
        return {
            "forge": self.resync.problem(),
            "git": git.message if git else None,
            "cluster": self.world.cluster.problem(),
            **({"databases": self.servers.problem()} if self.world.databases else {}),
        }

    def notes(self) -> Mapping[str, str]:
        """What is wrong and keeps the manager from nothing."""
        return {"redeliveries": self.redelivery.note} if self.redelivery.note else {}
