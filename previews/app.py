"""The composition root: the only place that builds adapters from the settings and joins them with the loop."""

import gc
import signal
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.forges.gitea import GiteaForge
from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_app import AppCredentials
from previews.adapters.forges.github_credentials import Credentials as GitHubCredentials
from previews.adapters.forges.github_credentials import TokenFile
from previews.adapters.forges.github_permissions import wanted
from previews.adapters.git_command import Credentials
from previews.adapters.gitops import GitRepository
from previews.adapters.ingress_metrics import IngressMetrics
from previews.adapters.manifests import ManifestRenderer
from previews.adapters.probe import HTTPProber
from previews.adapters.registry import OCIRegistry
from previews.adapters.rules_yaml import read_yaml
from previews.adapters.secrets.files import SecretFiles
from previews.adapters.store import SingleManagerLock, SQLStore
from previews.app_certificate import build_certificate_watch
from previews.app_databases import build_deliveries, build_refresh, build_servers, pools
from previews.app_dns import build_host_records
from previews.app_news import take_up
from previews.app_web import build_web
from previews.domain.forge_ports import Forge
from previews.domain.observation import Deadlines
from previews.domain.orphans import Limits
from previews.domain.ports import Clock, Cluster, Store
from previews.domain.preview import PreviewKey
from previews.errors import ConfigurationError, StalledError
from previews.forge_settings import ForgeSettings
from previews.logs import configure_logging
from previews.reconcile.assembly import join_loop
from previews.reconcile.controller import Controller
from previews.reconcile.effects import LoggingWitness, Witness
from previews.reconcile.inbox import Inbox
from previews.reconcile.world import Options, World
from previews.settings import Settings

DELIVERY_RETENTION = timedelta(days=30)
"""A replay within this time is recognised; after it, it causes one more read and nothing else."""
GIT_TIMEOUT_SECONDS = 60.0
SHUTDOWN_SECONDS = 10
SWITCH_SECONDS = 0.001
"""How long a busy worker may keep the interpreter from the door: a fifth of Python's own, half its delay measured."""

_log = structlog.get_logger("previews")


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def serve(settings: Settings, witness: Witness | None = None) -> None:
    """Run the manager until SIGTERM or SIGINT. `witness` is told of every effect."""
    configure_logging()
    directory = settings.data_directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = SystemClock()
    with closing(SingleManagerLock(directory)) as lock:
        lock.acquire(threading.Event(), on_wait=_say_that_another_holds_it)
        store = build_store(settings, clock)
        world = build_world(settings, clock, build_cluster(settings), store)
        loop = join_loop(world, build_options(settings), witness or LoggingWitness())
        templates = build_refresh(settings, world.databases, clock)
        certificates = build_certificate_watch(settings, clock)
        controller = Controller(
            loop,
            world.cluster,
            refresh_templates=templates.run,
            watch_certificate=certificates.run if certificates else None,
        )
        inbox = Inbox(world.store, loop.effects, loop.enqueue, quiet=loop.quiet)
        web = build_web(settings, loop, world, inbox, templates, certificates=certificates)
        inbox.start()
        controller.start()
        take_up(loop, settings.instance, world.store)
        _log.info("started", instance=settings.instance, port=settings.server.port)
        try:
            _serve_web(settings, web)
        finally:
            inbox.stop()
            controller.stop()
            store.close()
            _log.info("stopped", instance=settings.instance)


def render(settings: Settings, text: str) -> str:
    """The manifests of one preview, as its pull request is now."""
    try:
        key = PreviewKey.parse(text)
    except ValueError as error:
        raise StalledError("ProjectNotConfigured", str(error)) from error
    project = settings.project_map().get(key.project)
    if project is None:
        raise StalledError("ProjectNotConfigured", f"there is no project {key.project!r}")
    pull_request = build_forge(settings).fetch_pull_request(project.repository, key.number)
    if pull_request is None:
        raise StalledError(
            "PullRequestNotFound",
            f"the forge knows no pull request {project.repository}#{key.number}",
        )
    manifests = build_renderer(settings).render_preview(pull_request, key)
    return "\n".join(f"# {name}\n{content}" for name, content in manifests.files.items())


def build_cluster(settings: Settings) -> KubernetesCluster:
    """The cluster that Argo CD deploys to."""
    return KubernetesCluster(
        kubeconfig=settings.kubernetes.kubeconfig,
        argocd_namespace=settings.argocd.namespace,
        instance=settings.instance,
    )


def build_store(settings: Settings, clock: Clock) -> SQLStore:
    """What is remembered, in one file of the data directory."""
    return SQLStore(
        settings.data_directory / "previews.sqlite3",
        clock=clock,
        delivery_retention=DELIVERY_RETENTION,
    )


def build_world(settings: Settings, clock: Clock, cluster: Cluster, store: Store) -> World:
    """Every outside system, as configured."""
    return World(
        forge=build_forge(settings),
        gitops=build_gitops(settings, settings.data_directory / "gitops"),
        cluster=cluster,
        registry=OCIRegistry(
            docker_config=settings.registry_credentials_file,
            insecure_registries=settings.insecure_registries,
        ),
        prober=HTTPProber(
            zone=settings.domain.zone,
            private_addresses=settings.domain.private_addresses,
            ca_file=settings.domain.ca_file,
        ),
        renderer=build_renderer(settings),
        store=store,
        clock=clock,
        traffic=(
            IngressMetrics(urls=settings.ingress.metrics_urls)
            if settings.ingress.metrics_urls
            else None
        ),
        databases=build_servers(settings),
        deliveries=build_deliveries(settings, clock),
        host_records=build_host_records(settings),
        read_yaml=read_yaml,
        secret_source=SecretFiles(settings.data_directory / "secret-ids.key"),
    )


def build_gitops(settings: Settings, directory: Path) -> GitRepository:
    """The GitOps repository, with its clone in a directory that nobody else works in."""
    gitops = settings.gitops
    return GitRepository(
        directory,
        url=gitops.url,
        branch=gitops.branch,
        path=gitops.path,
        credentials=(
            Credentials(gitops.username, gitops.password_file) if gitops.password_file else None
        ),
        author_name=f"previews {settings.instance}",
        author_email=f"{settings.instance}@previews.invalid",
        timeout_seconds=GIT_TIMEOUT_SECONDS,
    )


def build_forge(settings: Settings) -> Forge:
    """The forge that the configuration names."""
    forge = settings.forge
    if forge.kind == "github":
        return GitHubForge(api_url=forge.api_url, credentials=build_credentials(forge))
    return GiteaForge(api_url=forge.api_url, token_file=_token_file(forge))


def build_credentials(forge: ForgeSettings) -> GitHubCredentials:
    """What GitHub is asked with: an App, or a token."""
    if forge.app is None:
        return TokenFile(_token_file(forge))
    return AppCredentials(
        app_id=forge.app.id,
        private_key_file=forge.app.private_key_file,
        permissions=wanted(environments=True),
    )


def _token_file(forge: ForgeSettings) -> Path:
    if forge.token_file is None:
        raise ConfigurationError("forge.token_file: must be given")
    return forge.token_file


def build_renderer(settings: Settings) -> ManifestRenderer:
    """The manifests, with a site's own templates before those of the package."""
    return ManifestRenderer(
        templates_directory(),
        settings.templates_directory,
        instance=settings.instance,
        projects=settings.project_map(),
        gitops_url=settings.gitops.url,
        gitops_branch=settings.gitops.branch,
        gitops_path=settings.gitops.path,
        argocd_namespace=settings.argocd.namespace,
    )


def templates_directory() -> Path:
    """Where the package's templates are: inside it when it was installed, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "_templates"
    return installed if installed.is_dir() else package.parent / "templates"


def build_options(settings: Settings) -> Options:
    """What the configuration says about the loop."""
    return Options(
        instance=settings.instance,
        projects=settings.project_map(),
        deadlines=Deadlines(image=settings.image_deadline, deploy=settings.deploy_deadline),
        resync_seconds=settings.resync.total_seconds(),
        probe_seconds=settings.probe_interval.total_seconds(),
        pushes_per_minute=settings.pushes_per_minute(),
        caps=settings.limits.caps(),
        evicts=settings.limits.evict_asleep,
        brake=settings.brake.limits(),
        rewrites_at_most=settings.rewrites_at_most,
        collecting=Limits(grace=settings.collect.grace, per_sweep=settings.collect.per_sweep),
        collect_seconds=settings.collect.interval.total_seconds(),
        pools=pools(settings),
        applications_url=settings.argocd.applications_url(),
    )


def _serve_web(settings: Settings, web: FastAPI) -> None:
    config = uvicorn.Config(
        web,
        host=settings.server.host,
        port=settings.server.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)

    def end(*_: object) -> None:
        server.should_exit = True

    # Uvicorn raises a signal again after its own shutdown: what is being worked must still be finished then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    # What was imported stays for ever: looking through it at each collection would only delay the door.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
    server.run()


def _say_that_another_holds_it() -> None:
    _log.warning("another manager holds this data directory: waiting for it to end")
