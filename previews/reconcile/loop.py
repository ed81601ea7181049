"""The reconcile loop without its threads: everything joined, nothing running."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from previews.domain.plan import Deadlines
from previews.domain.ports import (
    Clock,
    Cluster,
    Forge,
    GitOpsRepository,
    Prober,
    Registry,
    Renderer,
    Store,
)
from previews.domain.preview import PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.effects import Effects, Witness
from previews.reconcile.publisher import Publisher, PullRequestKey
from previews.reconcile.queue import WorkQueue
from previews.reconcile.reconciler import Reconciler
from previews.reconcile.resync import Resync
from previews.reconcile.workers import Workers
from previews.reconcile.writer import GitOpsWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every outside system, behind its port."""

    forge: Forge
    gitops: GitOpsRepository
    cluster: Cluster
    registry: Registry
    prober: Prober
    renderer: Renderer
    store: Store
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the configuration says about the loop."""

    instance: str
    projects: Mapping[str, Project]
    deadlines: Deadlines
    resync_seconds: float
    pushes_per_minute: float | None
    reconcile_threads: int = 8
    publish_threads: int = 2


class Loop:
    """Queues, and who works them. The controller gives it threads."""

    def __init__(
        self,
        world: World,
        options: Options,
        witness: Witness,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._options = options
        self.keys: WorkQueue[PreviewKey] = WorkQueue(monotonic=monotonic)
        self.pull_requests: WorkQueue[PullRequestKey] = WorkQueue(monotonic=monotonic)
        self.effects = effects = Effects(witness)
        self.quiet = threading.Event()
        """Set while no delivery waits to be stored: its sender waits for an answer, and so goes first."""
        self.quiet.set()
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
        self.reconciler = Reconciler(
            projects=options.projects,
            forge=world.forge,
            registry=world.registry,
            renderer=world.renderer,
            cluster=world.cluster,
            prober=world.prober,
            store=world.store,
            clock=world.clock,
            writer=self.writer,
            effects=effects,
            deadlines=options.deadlines,
            look_again=lambda key, seconds: self.keys.add(key, after_seconds=seconds),
            tell=lambda repository, number: self.pull_requests.add((repository, number)),
        )
        publisher = Publisher(
            instance=options.instance,
            forge=world.forge,
            store=world.store,
            effects=effects,
            url_of=self._url_of,
        )
        self.resync = Resync(
            projects=options.projects,
            forge=world.forge,
            store=world.store,
            cluster=world.cluster,
            writer=self.writer,
            effects=effects,
            interval_seconds=options.resync_seconds,
            enqueue=self.enqueue,
            confirm=self.reconciler.confirm,
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
            publisher.publish,
            _ignore,
            options.publish_threads,
            quiet=self.quiet,
        )

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        """Have previews looked at. Safe from any thread; a key is never queued twice."""
        for key in keys:
            self.keys.add(key)

    def publish_everything(self) -> None:
        """Compare every pull request with what was published: a crash may have come between."""
        for record in self._world.store.list_records():
            if record.pull_request:
                self.pull_requests.add((record.pull_request.repository, record.key.number))

    def readiness(self) -> Mapping[str, str | None]:
        """By outside system, what is wrong with it at present."""
        git = self.writer.problem()
        return {
            "forge": self.resync.problem(),
            "git": git.message if git else None,
            "cluster": self._world.cluster.problem(),
        }

    def _url_of(self, record: PreviewRecord) -> str:
        project = self._options.projects.get(record.key.project)
        return project.url(record.key.number) if project else ""


def _ignore(_key: PullRequestKey, _error: PreviewsError) -> None:
    """Nowhere to show it: the forge is where it would be shown. The log has it."""
