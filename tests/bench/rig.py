"""One manager on the real cluster with the bench's eyes around it: at the webhook, at the branch, at Argo CD.

Like tests/world's World, but the forge's webhook passes through the bench, the GitOps repository may be a bare one on
disk, and pull requests are made by the hundred.
"""

import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from previews.domain.naming import Names, names_of, top_root_name
from previews.domain.preview import PreviewKey
from tests.bench.applications import Applications
from tests.bench.branch import Branch
from tests.bench.pages import Pages
from tests.bench.relay import Relay
from tests.cluster import RunningCluster
from tests.cluster.layout import Layout
from tests.git_remote import GitRemote
from tests.world.checkout import Checkout
from tests.world.gitea import Gitea, User
from tests.world.image import ImageRepository
from tests.world.installation import GitOpsAddress, Installation
from tests.world.kubernetes import Kubernetes
from tests.world.manager import Manager, end_leftover
from tests.world.teardown import remove_instance
from tests.world.waiting import NotSeenError

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "build" / "logs"
SAMPLE = ROOT / "tests" / "demo" / "shop"
POD_CHART = ROOT / "charts" / "preview-app"
PAGE_CHART = Path(__file__).parent / "page-chart"
PROJECT = "shop"
FOLDER = "previews"
PATIENCE_SECONDS = 900.0
"""Bounds a wait for something that never happens. Measures nothing."""

Object = dict[str, Any]
REMOVALS_ALLOWED = 100_000


@dataclass(frozen=True, kw_only=True)
class RigOptions:
    """What differs from one part of the bench to another."""

    name: str
    with_pods: bool = False
    """The sample application; otherwise one ConfigMap whose page the bench serves."""
    gitops_at_forge: bool = False
    with_roots: bool = True
    """Whether Argo CD is told of the GitOps repository."""
    resync: str = "60s"
    """The default of the manager."""
    zone: str | None = None
    """Of the previews' hosts, which somebody else has to give their names. None: one below localhost."""


class Rig:
    """Used in a `with`. At its end nothing of it is left but the manager's log."""

    def __init__(self, cluster: RunningCluster, options: RigOptions) -> None:
        name = options.name
        self.cluster = cluster
        self.options = options
        self.directory = Path(tempfile.gettempdir(), f"previews-{name}")
        self.kubernetes = Kubernetes(cluster)
        self.gitea = Gitea(cluster)
        self.images = ImageRepository(cluster.registry, f"{name}/shop")
        self.installation = Installation(cluster, name)
        self.repository = f"{name}/shop"
        self.zone = options.zone or f"{name}.localhost"
        self.secret = secrets.token_hex(20)
        self.manager: Manager
        self.shop: Checkout
        self.branch: Branch
        self.relay: Relay
        self.applications = Applications(cluster, name)
        self.pages = None if options.with_pods else Pages(cluster, self.kubernetes, self.zone)

    def __enter__(self) -> Self:
        try:
            self._clear()
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for name in ("relay", "branch"):
            if hasattr(self, name):
                getattr(self, name).stop()
        self.applications.stop()
        if hasattr(self, "manager"):
            self.manager.end()
            self._keep_log()
        self._clear()
        if self.pages:
            self.pages.stop()
        for client in (self.gitea, self.kubernetes, self.images):
            client.close()

    def names(self, number: int) -> Names:
        return names_of(PreviewKey(PROJECT, number), host_pattern=self._hostname)

    def connect_webhook(self) -> None:
        """From now on the forge tells the manager of every pull request."""
        self.gitea.create_webhook(self.repository, self.relay.url, self.secret)

    @property
    def _hostname(self) -> str:
        return f"pr-{{number}}.{self.zone}"

    def _keep_log(self) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        if self.manager.log.exists():
            shutil.copyfile(self.manager.log, LOGS / f"{self.options.name}-manager.log")

    def _clear(self) -> None:
        end_leftover(self.directory)
        self._remove_instance()
        self.installation.remove(self.kubernetes)
        self.gitea.delete_organisation(self.options.name)
        self.gitea.delete_user(self._user_name)
        self.images.remove_all()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _remove_instance(self) -> None:
        """Hundreds of namespaces take longer to go than a test waits for one."""
        for _ in range(9):
            try:
                remove_instance(self.kubernetes, self.options.name)
            except NotSeenError:
                continue
            return
        remove_instance(self.kubernetes, self.options.name)

    @property
    def _user_name(self) -> str:
        return f"{self.options.name}-bot"

    def _set_up(self) -> None:
        name = self.options.name
        self.manager = Manager(self.directory)
        bot = self.gitea.create_user(self._user_name)
        self.gitea.create_organisation(name)
        self.shop = self._repository_at_forge("shop", SAMPLE if self.options.with_pods else None)
        # Gitea tells nobody else what people may do, and commands are judged by that.
        self.gitea.add_collaborator(self.repository, bot, "admin")
        charts = GitRemote(self.directory / "charts")
        charts.commit(_files(POD_CHART if self.options.with_pods else PAGE_CHART))
        gitops = self._gitops_at_forge(bot) if self.options.gitops_at_forge else self._gitops()
        self.branch = Branch(self._gitops_on_disk())
        address = GitOpsAddress(
            gitops["url"], "main", FOLDER, gitops.get("username", ""), gitops.pop("password", "")
        )
        kubeconfig = self.installation.install(address, self.manager)
        if not self.options.with_roots:
            self.kubernetes.delete(self.kubernetes.application_path(top_root_name(name)))
        self.manager.configure(self._configuration(bot, gitops, kubeconfig, charts.url))
        self.relay = Relay(self.manager.port)
        for eye in (self.branch, self.applications, self.relay, self.pages):
            if eye:
                eye.start()

    def _repository_at_forge(self, name: str, source: Path | None) -> Checkout:
        url = self.gitea.create_repository(self.options.name, name, private=True)
        checkout = Checkout(
            self.directory / name,
            url,
            user=self.cluster.gitea_admin_user,
            token=self.cluster.gitea_admin_token,
        )
        if source:
            shutil.copytree(source, checkout.directory, dirs_exist_ok=True)
        checkout.commit({"README.md": f"# {name}\n"}, "Begin")
        checkout.push("main")
        return checkout

    def _gitops_at_forge(self, bot: User) -> Object:
        checkout = self._repository_at_forge("gitops", None)
        self.gitea.add_collaborator(f"{self.options.name}/gitops", bot, "write")
        token = self.gitea.create_token(bot, "gitops", "write:repository")
        return {
            "url": checkout.git("remote", "get-url", "origin"),
            "username": bot.name,
            "password": token,
            "password_file": str(self.manager.write_secret("gitops-token", token)),
        }

    def _gitops(self) -> Object:
        remote = GitRemote(self.directory / "gitops")
        remote.commit({"README.md": "# gitops\n"})
        return {"url": remote.url}

    def _gitops_on_disk(self) -> Path:
        if self.options.gitops_at_forge:
            data = Layout(self.cluster.directory).data
            return data / "gitea" / "repositories" / self.options.name / "gitops.git"
        return self.directory / "gitops" / "gitops.git"

    def _configuration(self, bot: User, gitops: Object, kubeconfig: Path, charts: str) -> Object:
        manager = self.manager
        scopes = ("read:user", "write:repository", "write:issue")
        token = self.gitea.create_token(bot, "forge", *scopes)
        return {
            # Hundreds are closed at once, and nobody sits there to confirm it.
            "brake": {"removals": REMOVALS_ALLOWED},
            "instance": self.options.name,
            "data_directory": str(manager.data),
            "forge": {
                "kind": "gitea",
                "api_url": self.cluster.gitea_url,
                "token_file": str(manager.write_secret("forge-token", token)),
                "webhook_secret_files": [
                    str(manager.write_secret("webhook-secret", self.secret)),
                ],
            },
            "gitops": {**gitops, "path": FOLDER},
            "argocd": {"namespace": self.cluster.argocd_namespace},
            "kubernetes": {"kubeconfig": str(kubeconfig)},
            "domain": {"zone": self.zone, "scheme": "http", "port": self.cluster.ingress_port},
            "server": {"port": manager.port, "api_token_file": str(manager.api_token_file)},
            "resync": self.options.resync,
            "projects": [{**self._project(charts), "hostname": self._hostname}],
        }

    def _project(self, charts: str) -> Object:
        chart: Object = {"repository_url": charts, "path": "chart"}
        if not self.options.with_pods:
            chart["parameters"] = {"page": "{head_sha}", "host": "{host}"}
            return {"name": PROJECT, "repository": self.repository, "deploy": {"helm": chart}}
        chart["values"] = {"ingress": {"className": self.cluster.ingress_class}}
        return {
            "name": PROJECT,
            "repository": self.repository,
            "image": {"repository": self.images.reference, "tag": "sha-{short_sha}"},
            "deploy": {"helm": chart},
        }


def _files(chart: Path) -> Mapping[str, str]:
    files = (file for file in sorted(chart.rglob("*")) if file.is_file())
    return {f"chart/{file.relative_to(chart)}": file.read_text() for file in files}
