"""The whole manager on fakes, without threads: the real loop, driven one step at a time on a clock of its own.

A test opens and closes pull requests as people do, calls `settle`, and looks at what is there in the end.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from previews.adapters.manifests import ManifestRenderer
from previews.domain.plan import Deadlines
from previews.domain.preview import Phase, PreviewKey
from previews.domain.project import Helm, Project
from previews.domain.record import CommitStatus, Delivery, PreviewRecord, Verdict
from previews.reconcile.effects import Effect, Witness
from previews.reconcile.loop import Loop, Options, World
from tests.fakes.argocd import FakeArgoCD
from tests.fakes.cluster import FakeCluster
from tests.fakes.forge import FakeForge
from tests.fakes.gitops import FakeGitOpsRepository
from tests.fakes.prober import FakeProber
from tests.fakes.registry import FakeRegistry
from tests.fakes.store import InMemoryStore

TEMPLATES = Path(__file__).parents[2] / "templates"
REPOSITORY = "acme/shop"
SETTLE_SECONDS = 60.0
STEPS_MAX = 20_000


class TownClock:
    """Wall clock and monotonic clock in one; only `settle` and a test move it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class CountingWitness:
    """Counts effects by name."""

    def __init__(self) -> None:
        self.counts: dict[Effect, int] = {}

    def before(self, effect: Effect, subject: str) -> None:
        """Nothing: what did not happen is not counted."""

    def after(self, effect: Effect, subject: str) -> None:  # noqa: ARG002 - the port has it
        self.counts[effect] = self.counts.get(effect, 0) + 1


def project(name: str, repository: str = REPOSITORY, *, image: bool = True) -> Project:
    return Project(
        name=name,
        repository=repository,
        image_repository=f"registry.example/{name}" if image else None,
        image_tag="pr-{number}-{short_sha}",
        host_pattern="{project}-pr-{number}.preview.example",
        helm=Helm(repository_url="https://git.example/charts.git", path="app", revision="main"),
        url_pattern="https://{host}/",
    )


class Town:
    """Outside systems that outlive the manager, and the manager."""

    def __init__(self, projects: Sequence[Project] = (), *, witness: Witness | None = None) -> None:
        self.projects = {each.name: each for each in projects or (project("shop"),)}
        self.clock = TownClock()
        self.forge = FakeForge()
        self.gitops = FakeGitOpsRepository()
        self.cluster = FakeCluster(instance="acme")
        self.argocd = FakeArgoCD(self.cluster)
        self.registry = FakeRegistry()
        self.prober = FakeProber()
        self.store = InMemoryStore()
        self.witness = witness or CountingWitness()
        self._guids = 0
        self.cluster.on_refresh = self._argocd_looks
        for each in self.projects.values():
            self.forge.add_repository(each.repository)
        self.start()

    def start(self) -> None:
        """A new process: everything that the manager had in memory is gone."""
        self.loop = Loop(
            World(
                forge=self.forge,
                gitops=self.gitops,
                cluster=self.cluster,
                registry=self.registry,
                prober=self.prober,
                renderer=ManifestRenderer(
                    TEMPLATES,
                    None,
                    instance="acme",
                    projects=self.projects,
                    gitops_url="https://git.example/gitops.git",
                    gitops_branch="main",
                    gitops_path="previews",
                    argocd_namespace="argocd",
                ),
                store=self.store,
                clock=self.clock,
            ),
            Options(
                instance="acme",
                projects=self.projects,
                deadlines=Deadlines(image=timedelta(minutes=30), deploy=timedelta(minutes=10)),
                resync_seconds=60,
                pushes_per_minute=None,
            ),
            self.witness,
            monotonic=self.clock.monotonic,
        )
        # What the watch reports.
        self.cluster.listeners[:] = [self.loop.keys.add]
        self.loop.publish_everything()
        self.loop.writer.write_due()
        self.loop.resync.resync(everything=True)

    def resync(self) -> None:
        """What happens every minute."""
        self.loop.resync.resync(everything=False)

    def deliver(self, number: int, project_name: str = "shop", *, guid: str | None = None) -> None:
        """A webhook about a pull request, as the door stores it."""
        self._guids += 1
        key = PreviewKey(project_name, number)
        delivery = Delivery(
            guid or f"guid-{self._guids}", self.clock.now(), "pull_request", Verdict.ACCEPTED, ""
        )
        new = self.loop.effects.perform(
            Effect.ACCEPT, key, lambda: self.store.accept([(delivery, [key])])
        )
        if new[0]:
            self.loop.enqueue([key])

    def push_image(self, number: int, project_name: str = "shop") -> None:
        """CI has built the head of a pull request."""
        wanted = self.projects[project_name]
        head_sha = self.forge.pull_request(wanted.repository, number).head_sha
        assert wanted.image_repository is not None
        self.registry.push(wanted.image_repository, wanted.tag(number, head_sha))

    def open(
        self,
        project_name: str = "shop",
        *,
        image: bool = True,
        branch: str = "feature",
        title: str = "A change",
    ) -> int:
        """A pull request is opened, its image is built, and the webhook comes."""
        repository = self.projects[project_name].repository
        number = self.forge.open_pull_request(repository, branch, title)
        if image:
            self.push_image(number, project_name)
        self.deliver(number, project_name)
        return number

    def push(self, number: int, *, image: bool = True) -> None:
        """A commit is pushed to a pull request."""
        self.forge.push(REPOSITORY, number)
        if image:
            self.push_image(number)
        self.deliver(number)

    def close(self, number: int) -> None:
        """A pull request is closed, and the webhook comes."""
        self.forge.close(REPOSITORY, number)
        self.deliver(number)

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Let the manager and Argo CD work until nothing is due within `seconds`."""
        end = self.clock.seconds + seconds
        for _ in range(STEPS_MAX):
            if not self._step():
                waits = [
                    self.loop.writer.seconds_to_next(),
                    self.loop.keys.seconds_to_next(),
                    self.loop.pull_requests.seconds_to_next(),
                ]
                wait = min((each for each in waits if each is not None), default=None)
                if wait is None or self.clock.seconds + wait > end:
                    self.clock.seconds = end
                    return
                self.clock.seconds += max(wait, 0.001)
        raise AssertionError("the town never comes to rest")

    def record(self, number: int, project_name: str = "shop") -> PreviewRecord:
        found = self.store.load(PreviewKey(project_name, number))
        assert found is not None
        return found

    def phase(self, number: int, project_name: str = "shop") -> Phase:
        return self.record(number, project_name).phase

    def status(self, number: int, project_name: str = "shop") -> CommitStatus | None:
        """The newest commit status on the head of a pull request."""
        repository = self.projects[project_name].repository
        head_sha = self.forge.pull_request(repository, number).head_sha
        context = f"preview/{project_name}"
        found = [s for s in self.forge.statuses(repository, head_sha) if s.context == context]
        return found[-1] if found else None

    def left_of(self, number: int, project_name: str = "shop") -> set[str]:
        """Everything in Git and in the cluster that belongs to a preview."""
        names = self.projects[project_name].names(number)
        cluster = self.cluster
        left = {path for path in self.gitops.files if path.startswith(f"{names.folder}/")}
        if names.application in cluster.applications:
            left.add("Application")
        if names.namespace in cluster.namespaces:
            left.add("Namespace")
        if names.app_project in cluster.app_projects:
            left.add("AppProject")
        return left

    def _step(self) -> bool:
        progressed = self.loop.writer.write_due()
        if (key := self.loop.keys.take_due()) is not None:
            self.loop.workers.work_one(key)
            progressed = True
        if (pull_request := self.loop.pull_requests.take_due()) is not None:
            self.loop.publishers.work_one(pull_request)
            progressed = True
        return progressed

    def _argocd_looks(self, name: str) -> None:
        tip = self.gitops.tip
        if tip is not None:
            self.argocd.looks(tip.files, tip.id, name)
