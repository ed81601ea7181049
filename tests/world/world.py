"""Joins the parts: a forge with an organisation, a GitOps repository, rights in the cluster, and a manager."""

import json
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from previews.domain.preview import HeadSha
from tests.cluster import RunningCluster
from tests.world.checkout import Checkout
from tests.world.database import SERVER, TEMPLATE, Databases, databases_for
from tests.world.gitea import Gitea, User
from tests.world.image import ImageRepository, build_image
from tests.world.installation import GitOpsAddress, Installation
from tests.world.kubernetes import Kubernetes
from tests.world.manager import LOOPBACK, Manager, end_leftover
from tests.world.pull_request import Page, PullRequest
from tests.world.records import PreviewZone, zone_for
from tests.world.teardown import remove_instance
from tests.world.visitor import address_here

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "demo" / "shop"
MIGRATIONS = "migrations"
"""The folder in the sample's repository."""
TEMPLATE_FILES = (SAMPLE / MIGRATIONS / "0001_orders.sql", ROOT / "tests" / "demo" / "template.sql")
CHART = ROOT / "charts" / "preview-app"
LOGS = ROOT / "build" / "logs"
SPARE_TAG = "spare"
REMOVALS_ALLOWED = 1000

Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WorldOptions:
    """What differs from one World to the next. Worlds in one cluster need different names, projects and hosts."""

    name: str
    """Of the instance and of the organisation."""
    project: str
    hostname: str
    webhooks: bool = True
    resync: str = "60s"
    waiting: bool = False
    """Whether visitors of hosts that no preview claims get to the manager. Two such Worlds need different zones."""

    sleep_after: str | None = None
    """Without a request for this long a preview falls asleep."""

    databases: bool = False
    """Whether each preview has a database of its own, on a PostgreSQL server of this World."""

    records: bool = False
    """Whether each host has a record of its own, at a name server of this World. Not for a zone below localhost."""

    @property
    def zone(self) -> str:
        return self.hostname.partition(".")[2]


class WorldInUseError(Exception):
    """Two runs at once would end each other's manager and remove each other's things."""


class World:
    """Used in a `with`: at its end nothing of it is left, and what an earlier run left is removed at its beginning."""

    def __init__(self, cluster: RunningCluster, options: WorldOptions) -> None:
        self._claim = _claim(options.name)
        self.cluster = cluster
        self.options = options
        self.directory = Path(tempfile.gettempdir(), f"previews-world-{options.name}")
        self.kubernetes = Kubernetes(cluster)
        self.gitea = Gitea(cluster)
        self.images = ImageRepository(cluster.registry, f"{options.name}/shop")
        self.installation = Installation(
            cluster, options.name, options.zone if options.waiting else None
        )
        self.shop_repository = f"{options.name}/shop"
        self.gitops_repository = f"{options.name}/gitops"
        self.charts_repository = f"{options.name}/charts"
        self.gitops_folder = "previews"
        self.databases: Databases | None = None
        self.records: PreviewZone | None = None
        self._servers = ExitStack()
        self.bot: User
        self.manager: Manager
        self.shop: Checkout
        self.gitops: Checkout
        self.argocds_gitops: GitOpsAddress

    def __enter__(self) -> Self:
        self.set_up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def set_up(self) -> None:
        """Everything but the manager's process; nothing of it stays if that fails."""
        try:
            self._clear()
            self._build()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave nothing behind but the manager's log."""
        try:
            self._end_manager()
            self._clear()
        finally:
            self._let_go()

    def abandon(self) -> None:
        """End the manager, and its own servers, and leave the rest for people to look at.

        The next World of this name removes it.
        """
        self._end_manager()
        self._let_go()

    def _end_manager(self) -> None:
        if not hasattr(self, "manager"):
            return
        self.manager.end()
        if self.manager.log.exists():
            LOGS.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.manager.log, LOGS / f"{self.options.name}-manager.log")

    def _let_go(self) -> None:
        self._servers.close()
        for held in (self.gitea, self.kubernetes, self.images, self._claim):
            held.close()

    def repositories(self) -> list[str]:
        return [self.shop_repository, self.gitops_repository, self.charts_repository]

    def open_pull_request(
        self,
        branch: str,
        page: Page,
        *,
        title: str = "",
        image: bool = True,
        files: Mapping[str, str] | None = None,
    ) -> PullRequest:
        """A branch, a commit, a pull request; and its CI's image unless `image` is False."""
        head_sha = self.push_branch(branch, page, files)
        pull_request = self.propose(branch, head_sha, title=title or page.title, text=page.text)
        if image:
            pull_request.build_image()
        return pull_request

    def push_branch(
        self, branch: str, page: Page, files: Mapping[str, str] | None = None
    ) -> HeadSha:
        """A branch with one commit on top of main: the page, and these files."""
        self.shop.switch_to_new(branch)
        head_sha = self.shop.commit({**page.files(), **(files or {})}, f"Say {page.title}")
        self.shop.push(branch)
        return head_sha

    def propose(self, branch: str, head_sha: HeadSha, *, title: str, text: str) -> PullRequest:
        """Open a pull request for a branch that was pushed: one call of the forge's API."""
        opened = self.gitea.open_pull_request(self.shop_repository, branch, title, text)
        return PullRequest(self, opened, head_sha)

    def open_simple_pull_request(self, branch: str, *, title: str = "") -> PullRequest:
        """One whose page does not matter: its image is one that was built before."""
        page = Page(title=branch, text="This page shows the spare image.")
        pull_request = self.open_pull_request(branch, page, title=title, image=False)
        pull_request.borrow_image()
        return pull_request

    def reconfigure(self, change: Callable[[Object], object]) -> None:
        """Change what the manager is told. It takes effect at the next start."""
        known = json.loads((self.manager.directory / "previews.yaml").read_text())
        change(known)
        self.manager.configure(known)

    def address_of(self, host: str) -> str | None:
        """Where people find it; None if there is no such name."""
        if self.records is None:
            return address_here(host)
        return next(iter(self.records.zone.addresses(host)), None)

    def spare_tag(self) -> str:
        """An image for pull requests that need any at all, built once."""
        if not self.images.has(SPARE_TAG):
            self.images.push(build_image(SAMPLE, "spare"), SPARE_TAG)
        return SPARE_TAG

    def gitops_commits(self) -> list[str]:
        """The commits of the GitOps repository, the newest first."""
        return [commit["sha"] for commit in self.gitea.commits(self.gitops_repository)]

    def _clear(self) -> None:
        end_leftover(self.directory)
        remove_instance(self.kubernetes, self.options.name)
        self.installation.remove(self.kubernetes)
        self.gitea.delete_organisation(self.options.name)
        for name in self._user_names().values():
            self.gitea.delete_user(name)
        self.images.remove_all()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _user_names(self) -> Mapping[str, str]:
        return {who: f"{self.options.name}-{who}" for who in ("bot", "argocd")}

    def _build(self) -> None:
        # Kubernetes lets no endpoint have a loopback address.
        host = self.cluster.node_ip if self.options.waiting else LOOPBACK
        self.manager = Manager(self.directory, host)
        users = {who: self.gitea.create_user(name) for who, name in self._user_names().items()}
        self.bot = users["bot"]
        self.gitea.create_organisation(self.options.name)
        self.shop = self._repository("shop", SAMPLE, private=True)
        self.gitops = self._repository("gitops", None, private=True)
        self._repository("charts", CHART, private=False, folder="preview-app")
        # Gitea tells nobody else what people may do, and commands are judged by that.
        self.gitea.add_collaborator(self.shop_repository, self.bot, "admin")
        self.gitea.add_collaborator(self.gitops_repository, self.bot, "write")
        self.gitea.add_collaborator(self.gitops_repository, users["argocd"], "read")
        self.argocds_gitops = self._argocds_gitops(users["argocd"])
        if self.options.databases:
            serving = databases_for(self.cluster, self.options.name, TEMPLATE_FILES)
            self.databases = self._servers.enter_context(serving)
        kubeconfig = self.installation.install(self.argocds_gitops, self.manager)
        self.manager.configure(self._configuration(kubeconfig))
        if self.options.records:
            self.records = self._servers.enter_context(self._zone())
            self.records.configure(self.manager)

    def _zone(self) -> AbstractContextManager[PreviewZone]:
        options = self.options
        host_pattern = options.hostname.replace("{project}", options.project)
        return zone_for(host_pattern, instance=options.name, project=options.project)

    def _repository(
        self, name: str, source: Path | None, *, private: bool, folder: str = "."
    ) -> Checkout:
        """A repository with a first commit of what `source` holds."""
        url = self.gitea.create_repository(self.options.name, name, private=private)
        checkout = Checkout(
            self.directory / name,
            url,
            user=self.cluster.gitea_admin_user,
            token=self.cluster.gitea_admin_token,
        )
        if source is not None:
            shutil.copytree(source, checkout.directory / folder, dirs_exist_ok=True)
        checkout.commit({"README.md": f"# {name}\n"}, "Begin")
        checkout.push("main")
        return checkout

    def _argocds_gitops(self, user: User) -> GitOpsAddress:
        return GitOpsAddress(
            url=self._git_url(self.gitops_repository),
            branch="main",
            path=self.gitops_folder,
            username=user.name,
            password=self.gitea.create_token(user, "argocd", "read:repository"),
        )

    def _git_url(self, repository: str) -> str:
        return f"{self.cluster.gitea_url}/{repository}.git"

    def _configuration(self, kubeconfig: Path) -> Object:
        manager = self.manager
        forge_token = self.gitea.create_token(
            self.bot, "forge", "read:user", "write:repository", "write:issue"
        )
        gitops_token = self.gitea.create_token(self.bot, "gitops", "write:repository")
        return {
            "instance": self.options.name,
            "data_directory": str(manager.data),
            "forge": {
                "kind": "gitea",
                "api_url": self.cluster.gitea_url,
                "token_file": str(manager.write_secret("forge-token", forge_token)),
                "webhook_secret_files": self._webhook_secret_files(),
            },
            "gitops": {
                "url": self._git_url(self.gitops_repository),
                "path": self.gitops_folder,
                "username": self.bot.name,
                "password_file": str(manager.write_secret("gitops-token", gitops_token)),
            },
            "argocd": {"namespace": self.cluster.argocd_namespace},
            "kubernetes": {"kubeconfig": str(kubeconfig)},
            "domain": {
                "zone": self.options.zone,
                "scheme": "http",
                "port": self.cluster.ingress_port,
            },
            "server": {
                "host": manager.host,
                "port": manager.port,
                "api_token_file": str(manager.api_token_file),
            },
            "ingress": {"metrics_urls": [self.cluster.ingress_metrics_url]},
            "resync": self.options.resync,
            # One world closes more within a few minutes than a team does in a day.
            "brake": {"removals": REMOVALS_ALLOWED},
            "databases": self.databases.configuration() if self.databases else [],
            "projects": [self._project()],
        }

    def _webhook_secret_files(self) -> list[str]:
        if not self.options.webhooks:
            return []
        secret = secrets.token_hex(20)
        self.gitea.create_webhook(self.shop_repository, f"{self.manager.url}/webhooks", secret)
        return [str(self.manager.write_secret("webhook-secret", secret))]

    def _project(self) -> Object:
        own_database = {"server": SERVER, "template": TEMPLATE, "migrations": MIGRATIONS}
        migrate = {"migrate": {"command": ["/shop", "migrate"]}}
        return {
            "name": self.options.project,
            "repository": self.shop_repository,
            "image": {"repository": self.images.reference},
            "deploy": {
                "helm": {
                    "repository_url": self._git_url(self.charts_repository),
                    "path": "preview-app",
                    "values": {
                        "ingress": {"className": self.cluster.ingress_class},
                        "probe": {"path": "/healthz"},
                        **(migrate if self.databases else {}),
                    },
                }
            },
            "hostname": self.options.hostname,
            "database": own_database if self.databases else None,
            "egress": self.databases.egress() if self.databases else [],
            "lifetime": {"sleep_after": self.options.sleep_after},
        }


def _claim(name: str) -> socket.socket:
    """Whoever holds it uses the World of this name. The kernel takes it back when a process ends, however it ends."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0previews-world-{name}")
    except OSError as error:
        claim.close()
        raise WorldInUseError(
            f"another run uses {name!r} on this machine: let it end first"
        ) from error
    return claim
