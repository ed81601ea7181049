"""Everything around a manager, in memory: the outside systems, and the people who open and close pull requests.

What is here outlives any process of the manager. Who builds on it says how the manager is started, hears webhooks and
is given time.
"""

import ctypes
import mmap
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from previews.adapters.manifests import ManifestRenderer
from previews.adapters.rules_yaml import read_yaml
from previews.domain.brake import BrakeLimits
from previews.domain.caps import Caps
from previews.domain.database import DatabasePolicy, SecretKind
from previews.domain.lifetime import LifetimePolicy
from previews.domain.observation import Deadlines
from previews.domain.policy import Policy
from previews.domain.ports import Store
from previews.domain.project import Helm, Project
from previews.domain.record import CommitStatus, Delivery, Verdict
from previews.reconcile.warm_pool import Pool
from previews.reconcile.world import Options, World
from previews.web.talk import RERUN_ACTION, RerunPayload, keep_rerun
from tests.fakes.argocd import FakeArgoCD
from tests.fakes.cluster import FakeCluster
from tests.fakes.databases import FakeDatabaseServer
from tests.fakes.forge import FakeForge
from tests.fakes.gitops import FakeGitOpsRepository
from tests.fakes.host_records import FakeHostRecords
from tests.fakes.prober import FakeProber
from tests.fakes.registry import FakeRegistry
from tests.fakes.secret_source import FakeSecretSource
from tests.fakes.secrets import FakeSecrets
from tests.fakes.traffic import FakeTraffic

TEMPLATES = Path(__file__).parents[2] / "templates"
INSTANCE = "acme"
REPOSITORY = "acme/shop"
SERVER = "main"
TEMPLATE = "shop_golden"
OWN_DATABASE = DatabasePolicy(server=SERVER, template=TEMPLATE)
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
_RENDERERS: list[tuple[Mapping[str, Project], ManifestRenderer]] = []


class TownClock:
    """Wall clock and monotonic clock in one; only a manager that settles and a test move it.

    Its seconds lie in memory that a forked process shares: a killed one has used up the time that it used up.
    """

    def __init__(self) -> None:
        self._seconds = ctypes.c_double.from_buffer(mmap.mmap(-1, mmap.PAGESIZE))
        self.wrong_by = timedelta()
        """How far the wall clock is ahead of the truth. The monotonic one is never wrong."""

    @property
    def seconds(self) -> float:
        return self._seconds.value

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._seconds.value = seconds

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds) + self.wrong_by

    def monotonic(self) -> float:
        return self.seconds


def project(
    name: str,
    repository: str = REPOSITORY,
    *,
    image: bool = True,
    lifetime: LifetimePolicy | None = None,
    caps: Caps | None = None,
    database: DatabasePolicy | None = None,
    policy: Policy | None = None,
) -> Project:
    return Project(
        name=name,
        repository=repository,
        image_repository=f"registry.example/{name}" if image else None,
        image_tag="pr-{number}-{short_sha}",
        host_pattern="{project}-pr-{number}.preview.example",
        helm=Helm(repository_url="https://git.example/charts.git", path="app", revision="main"),
        url_pattern="https://{host}/",
        policy=policy or Policy(),
        lifetime=lifetime or LifetimePolicy(),
        caps=caps or Caps(),
        database=database,
    )


class Surroundings(ABC):
    """Outside systems that outlive the manager, and what people do in them."""

    def __init__(self, projects: Sequence[Project] = (), *, is_app: bool = False) -> None:
        """`is_app`: whether the forge knows the manager as a GitHub App."""
        self.projects = {each.name: each for each in projects or (project("shop"),)}
        """As configured; a changed one counts from the manager's next start on."""
        self.clock = TownClock()
        self.forge = FakeForge(is_app=is_app, now=self.clock.now)
        self.gitops = FakeGitOpsRepository()
        self.cluster = FakeCluster(instance=INSTANCE)
        self.argocd = FakeArgoCD(self.cluster)
        self.registry = FakeRegistry()
        self.prober = FakeProber()
        self.databases = FakeDatabaseServer()
        self.databases.put_template(TEMPLATE, BEGIN)
        self.secrets = FakeSecrets()
        self.secret_source = FakeSecretSource()
        self.host_records = FakeHostRecords()
        self.pools: tuple[Pool, ...] = ()
        self.names_hosts = False
        """Whether each host has a record of its own."""
        self.traffic: FakeTraffic | None = None
        """As configured, like what follows."""
        self.caps = Caps()
        self.evicts = False
        self.brake = BrakeLimits()
        self.rewrites_at_most = 5
        self.applications_url = ""
        self._guids = 0
        self.cluster.on_refresh = self._argocd_looks
        for each in self.projects.values():
            self.forge.add_repository(each.repository)

    @abstractmethod
    def deliver(self, number: int, project_name: str = "shop", *, guid: str | None = None) -> None:
        """A webhook about a pull request comes."""

    def world(self, store: Store) -> World:
        """Every outside system, as a manager is given it."""
        return World(
            forge=self.forge,
            gitops=self.gitops,
            cluster=self.cluster,
            registry=self.registry,
            prober=self.prober,
            renderer=self.renderer(),
            store=store,
            clock=self.clock,
            traffic=self.traffic,
            databases={SERVER: self.databases},
            deliveries=dict.fromkeys(SecretKind, self.secrets),
            secret_source=self.secret_source,
            read_yaml=read_yaml,
            host_records=self.host_records if self.names_hosts else None,
        )

    def renderer(self) -> ManifestRenderer:
        """Made once for each configuration: it is pure, and its templates take longer to read than most tests."""
        for configured, known in _RENDERERS:
            if configured == self.projects:
                return known
        # A test may change them afterwards.
        projects = dict(self.projects)
        made = ManifestRenderer(
            TEMPLATES,
            None,
            instance=INSTANCE,
            projects=projects,
            gitops_url="https://git.example/gitops.git",
            gitops_branch="main",
            gitops_path="previews",
            argocd_namespace="argocd",
        )
        _RENDERERS.append((projects, made))
        return made

    def options(self) -> Options:
        """What the configuration says."""
        return Options(
            instance=INSTANCE,
            projects=self.projects,
            deadlines=Deadlines(image=timedelta(minutes=30), deploy=timedelta(minutes=10)),
            resync_seconds=60,
            pushes_per_minute=None,
            caps=self.caps,
            evicts=self.evicts,
            brake=self.brake,
            rewrites_at_most=self.rewrites_at_most,
            applications_url=self.applications_url,
            pools=self.pools,
        )

    def delivery(self, guid: str | None = None) -> Delivery:
        """The next webhook, as the door finds it."""
        self._guids += 1
        return Delivery(
            guid or f"guid-{self._guids}", self.clock.now(), "pull_request", Verdict.ACCEPTED, ""
        )

    def pressed(self, number: int, project_name: str = "shop", *, by: str) -> Delivery:
        """The button beside a preview's check, as the door stores that somebody pressed it."""
        said = RerunPayload.model_validate(
            {
                "action": RERUN_ACTION,
                "repository": {"full_name": self.projects[project_name].repository},
                "check_run": {"external_id": f"previews:{INSTANCE}:{project_name}#{number}"},
                "sender": {"login": by},
            }
        )
        return replace(self.delivery(), event="check_run", body=keep_rerun(said))

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
        author: str = "octo-dev",
    ) -> int:
        """A pull request is opened, its image is built, and the webhook comes."""
        repository = self.projects[project_name].repository
        number = self.forge.open_pull_request(repository, branch, title, author)
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

    def reopen(self, number: int) -> None:
        """A pull request is opened again, and the webhook comes."""
        self.forge.reopen(REPOSITORY, number)
        self.deliver(number)

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

    def _argocd_looks(self, name: str) -> None:
        tip = self.gitops.tip
        if tip is not None:
            self.argocd.looks(tip.files, tip.id, name)
