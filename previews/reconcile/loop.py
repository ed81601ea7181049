"""The reconcile loop without its threads: everything joined, nothing running."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from previews.domain.brake import BrakeState
from previews.domain.caps import Holder
from previews.domain.database import Provider
from previews.domain.labels import ownership
from previews.domain.naming import names_of
from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.actions import Actions
from previews.reconcile.activity import ActivityWatch
from previews.reconcile.admission import Admission
from previews.reconcile.brake import Brake
from previews.reconcile.collector import Collector
from previews.reconcile.commands import Commands
from previews.reconcile.conversation import Conversation
from previews.reconcile.databases import Databases
from previews.reconcile.delivery import Delivery
from previews.reconcile.deployments import DeploymentKeeper
from previews.reconcile.effects import Effect, Effects, Witness
from previews.reconcile.gates import Gates
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.images import ImageGate
from previews.reconcile.lifetimes import Lifetimes
from previews.reconcile.migrations import Migrations
from previews.reconcile.parcels import Parcels
from previews.reconcile.patience import Patience
from previews.reconcile.policies import RULES_KEPT, Policies
from previews.reconcile.probes import Probes
from previews.reconcile.published import Doubt, PullRequestKey
from previews.reconcile.publisher import Publisher
from previews.reconcile.pulse import Pulse
from previews.reconcile.queue import WorkQueue
from previews.reconcile.recall import recall
from previews.reconcile.reconciler import Reconciler
from previews.reconcile.redelivery import Redelivery
from previews.reconcile.repositories import Repositories
from previews.reconcile.repository_rules import RepositoryRules
from previews.reconcile.resync import Resync
from previews.reconcile.rollout import Rollout
from previews.reconcile.server_watch import ServerWatch
from previews.reconcile.storage import StorageWatch
from previews.reconcile.subjects import Subjects
from previews.reconcile.warm_pool import WarmPool
from previews.reconcile.workers import Workers
from previews.reconcile.world import Options, World
from previews.reconcile.writer import GitOpsWriter


class Loop:
    """Queues, and who works them. The controller gives it threads."""

    def __init__(
        self,
        world: World,
        options: Options,
        witness: Witness,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self._world = world
        self._options = options
        self.keys: WorkQueue[PreviewKey] = WorkQueue(monotonic=monotonic, jitter=jitter)
        self.pull_requests: WorkQueue[PullRequestKey] = WorkQueue(
            monotonic=monotonic, jitter=jitter
        )
        self._patience = Patience(monotonic)
        self.conversations: WorkQueue[PullRequestKey] = WorkQueue(
            monotonic=monotonic, jitter=jitter
        )
        self.effects = effects = Effects(witness)
        self.quiet = threading.Event()
        """Set while no delivery waits to be stored: its sender waits for an answer, and so goes first."""
        self.quiet.set()
        self.repositories = Repositories(options.projects, world.store, effects)
        self.writer = GitOpsWriter(
            world.gitops,
            world.renderer,
            world.store,
            world.cluster,
            effects,
            instance=options.instance,
            on_written=self.enqueue,
            pushes_per_minute=options.pushes_per_minute,
            monotonic=monotonic,
        )
        self.actions = Actions(
            store=world.store,
            effects=effects,
            clock=world.clock,
            policies={name: project.lifetime for name, project in options.projects.items()},
            with_databases={
                name
                for name, project in options.projects.items()
                if project.database and project.database.provider is Provider.POSTGRES
            },
            enqueue=self.enqueue,
        )
        self.gates = Gates(
            admission=Admission(
                options.caps,
                {name: project.caps for name, project in options.projects.items()},
                evicts=options.evicts,
                enqueue=self.enqueue,
            ),
            brake=Brake(options.brake, world.clock),
            rollout=Rollout(options.rewrites_at_most, self.enqueue),
        )
        self.activity = (
            ActivityWatch(world.traffic, self._probes_sent, self.actions.visited)
            if world.traffic
            else None
        )
        self.probes = Probes(
            world.prober,
            options.projects,
            waiting_at_most=max(1, options.reconcile_threads // 2),
        )
        self.pulse = Pulse(
            options.projects,
            self.probes,
            self.enqueue,
            interval_seconds=options.probe_seconds,
            monotonic=monotonic,
        )
        self.images = ImageGate(
            projects=options.projects,
            registry=world.registry,
            forge=world.forge,
            store=world.store,
            effects=effects,
            clock=world.clock,
            deadline=options.deadlines.image,
            enqueue=self.enqueue,
        )
        self.servers = ServerWatch(world.databases, self.enqueue)
        databases = Databases(
            self.servers,
            Delivery(world.deliveries, partial(ownership, options.instance), effects),
            writer=self.writer,
            effects=effects,
            clock=world.clock,
            enqueue=self.enqueue,
        )
        self.parcels = Parcels(
            world.secret_source,
            world.deliveries,
            projects=options.projects,
            ownership=partial(ownership, options.instance),
            writer=self.writer,
            store=world.store,
            effects=effects,
            rollout=self.gates.rollout,
            enqueue=self.enqueue,
        )
        host_records = HostRecordKeeper(world.host_records, effects, monotonic=monotonic)
        deployments = DeploymentKeeper(
            world.forge.deployments,
            world.store,
            effects,
            instance=options.instance,
            repositories=[each.repository for each in options.projects.values()],
            monotonic=monotonic,
        )
        self.storage = StorageWatch(
            {name: each.database for name, each in options.projects.items() if each.database},
            self.servers,
            self.enqueue,
        )
        self.warm_pool = WarmPool(options.pools, self.servers, effects, world.clock)
        lifetimes = Lifetimes(
            store=world.store,
            writer=self.writer,
            renderer=world.renderer,
            clock=world.clock,
            adopt=self.actions.adopt,
            quiet_since=self._quiet_since,
        )
        policies = Policies(
            RepositoryRules(world.forge, world.read_yaml, world.clock, RULES_KEPT),
            projects=options.projects,
            forge=world.forge,
            clock=world.clock,
            is_in_git=lambda key: bool(self.writer.names_in_git(key)),
            suspect=self.gates.brake.suspects,
            enqueue=self.enqueue,
        )
        self.reconciler = Reconciler(
            projects=options.projects,
            forge=world.forge,
            images=self.images,
            renderer=world.renderer,
            cluster=world.cluster,
            pulse=self.pulse,
            store=world.store,
            clock=world.clock,
            writer=self.writer,
            effects=effects,
            deadlines=options.deadlines,
            lifetimes=lifetimes,
            policies=policies,
            databases=databases,
            parcels=self.parcels,
            host_records=host_records,
            deployments=deployments,
            migrations=Migrations(self.servers, world.forge, effects),
            storage=self.storage,
            gates=self.gates,
            repositories=self.repositories,
            look_again=lambda key, seconds: self.keys.add(key, after_seconds=seconds),
            tell=self._tell,
            evict=self.actions.evict,
        )
        self.publisher = Publisher(
            instance=options.instance,
            forge=world.forge,
            store=world.store,
            effects=effects,
            subject_of=Subjects(options.projects, options.applications_url).of,
            patience=self._patience,
            look_again=lambda key, seconds: self.pull_requests.add(key, after_seconds=seconds),
            further=(deployments,),
        )
        self.conversation = Conversation(
            instance=options.instance,
            repositories=self.repositories,
            queue=self.conversations,
            forge=world.forge,
            store=world.store,
            effects=effects,
            clock=world.clock,
            commands=Commands(
                forge=world.forge,
                store=world.store,
                cluster=world.cluster,
                clock=world.clock,
                actions=self.actions,
                mark=self._mark,
            ),
        )
        self.resync = Resync(
            projects=options.projects,
            forge=world.forge,
            store=world.store,
            cluster=world.cluster,
            writer=self.writer,
            effects=effects,
            clock=world.clock,
            interval_seconds=options.resync_seconds,
            enqueue=self.enqueue,
            confirm=self.reconciler.confirm,
            suspect=self.gates.brake.suspects,
            adopt=self._adopt,
            converse=self.conversation.converse,
            look_at_rules=policies.look,
            elsewhere=self.servers.keys,
            repositories=self.repositories,
        )
        self.redelivery = Redelivery(world.forge.redeliveries, world.store, effects, world.clock)
        self.collector = Collector(
            projects=options.projects,
            forge=world.forge,
            store=world.store,
            cluster=world.cluster,
            servers=self.servers,
            host_records=host_records,
            deployments=deployments.inventory,
            writer=self.writer,
            effects=effects,
            clock=world.clock,
            limits=options.collecting,
            interval_seconds=options.collect_seconds,
        )
        self.workers = Workers(
            "reconcile",
            self.keys,
            self.reconciler.reconcile,
            self.reconciler.show_error,
            options.reconcile_threads,
            quiet=self.quiet,
        )
        self.publishers = Workers(
            "publish",
            self.pull_requests,
            self.publisher.publish,
            _ignore,
            options.publish_threads,
            quiet=self.quiet,
        )

        self.listeners = Workers(
            "converse", self.conversations, self.conversation.read, _ignore, 1, quiet=self.quiet
        )

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        """Have previews looked at. Safe from any thread; a key is never queued twice."""
        for key in keys:
            self.keys.add(key)

    def remember(self) -> None:
        """Take up what a former process left: who holds a place, what is being removed, what was to be published."""
        records = self._world.store.list_records()
        recall(
            records,
            self._world.store.list_wishes(),
            self._options.projects,
            self.gates,
            self._world.clock.now(),
        )
        self.repositories.remember(records)
        for record in records:
            self.pulse.note(record)
            if record.pull_request:
                self.pull_requests.add((record.pull_request.repository, record.key.number))

    def _mark(self, keys: Sequence[PreviewKey]) -> None:
        """Have pull requests read of which nothing is known yet."""
        self.effects.perform(
            Effect.MARK_FOR_FETCH,
            f"{len(keys)} previews",
            lambda: self._world.store.mark_for_fetch(keys),
        )
        self.enqueue(keys)

    def look_at_traffic(self) -> None:
        """See who was used since the last look. Raises TransientError."""
        if self.activity is None:
            return
        keys = [record.key for record in self._world.store.list_records() if not record.is_gone]
        self.activity.look(self._world.clock.now(), {_namespace(key): key for key in keys})

    def brake_state(self) -> BrakeState:
        """What the brake holds, and how the rewriting of previews goes."""
        rollout = self.gates.rollout
        return replace(
            self.gates.brake.state(),
            rewrites_waiting=rollout.waiting(),
            rewrites_failing=rollout.failing(),
        )

    def _tell(self, record: PreviewRecord) -> None:
        """Have what its pull request says brought up to date."""
        if record.pull_request:
            pull_request = (record.pull_request.repository, record.key.number)
            wait = self._patience.changed(record)
            self.pull_requests.add(pull_request, after_seconds=wait)

    def look_at_again(self, pull_request: PullRequestKey, what: Doubt) -> None:
        """Another hand changed what we said there: it is said again. Safe from any thread."""
        self.publisher.doubt(pull_request, what)
        self.pull_requests.add(pull_request)

    def _adopt(self, keys: Iterable[PreviewKey]) -> None:
        """Previews that are there and that nothing is known of: they have their place, and may not all go at once."""
        found = list(keys)
        self.gates.brake.adopts(found)
        now = self._world.clock.now()
        for key in found:
            self.gates.admission.holds(
                Holder(key=key, author="", is_awake=True, is_pinned=True, last_use=now)
            )

    def _probes_sent(self) -> Mapping[str, int]:
        return {_namespace(key): sent for key, sent in self.probes.sent().items()}

    def _quiet_since(self, key: PreviewKey) -> datetime | None:
        return self.activity.quiet_since(_namespace(key)) if self.activity else None

    def readiness(self) -> Mapping[str, str | None]:
        """By outside system, what is wrong with it at present."""
        git = self.writer.problem()
        return {
            "forge": self.resync.problem(),
            "git": git.message if git else None,
            "cluster": self._world.cluster.problem(),
            **({"databases": self.servers.problem()} if self._world.databases else {}),
        }

    def notes(self) -> Mapping[str, str]:
        """What is wrong and keeps the manager from nothing."""
        return {"redeliveries": self.redelivery.note} if self.redelivery.note else {}


def _namespace(key: PreviewKey) -> str:
    return names_of(key, host_pattern="").namespace


def _ignore(_key: PullRequestKey, _error: PreviewsError) -> None:
    """Nowhere to show it: the forge is where it would be shown. The log has it."""
