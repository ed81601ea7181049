"""The composition root: the only place that builds adapters from the settings and joins them with the loop."""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.forges.gitea import GiteaForge
from previews.adapters.forges.github import GitHubForge
from previews.adapters.git_command import Credentials
from previews.adapters.gitops import GitRepository
from previews.adapters.ingress_metrics import IngressMetrics
from previews.adapters.manifests import ManifestRenderer
from previews.adapters.probe import HTTPProber
from previews.adapters.registry import OCIRegistry
from previews.adapters.secrets.files import SecretFiles
from previews.adapters.store import SingleManagerLock, SQLStore
from previews.app_certificate import build_certificate_watch
from previews.app_databases import build_deliveries, build_refresh, build_servers, pools
from previews.app_dns import build_host_records
from previews.domain.inventory import Limits
from previews.domain.lifetime import VISITOR
from previews.domain.observation import Deadlines
from previews.domain.ports import Clock, Cluster, Forge, Store
from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord
from previews.errors import StalledError, TransientError
from previews.reconcile.certificate_watch import CertificateWatch
from previews.reconcile.controller import Controller
from previews.reconcile.effects import LoggingWitness, Witness
from previews.reconcile.images import ImageGate
from previews.reconcile.inbox import Inbox
from previews.reconcile.loop import Loop, Options, World
from previews.reconcile.template_refresh import TemplateRefresh
from previews.settings import Settings
from previews.web import create_web
from previews.web.actions import Desk
from previews.web.api import api_router
from previews.web.builds import BuildNews
from previews.web.images import image_routers
from previews.web.metrics import Metrics, Sources, metrics_router
from previews.web.standing import finder
from previews.web.templates import template_router
from previews.web.views import Address, Previews
from previews.web.waiting import WaitingDoor, hosts_of_previews
from previews.web.webhooks import WebhookDoor

DELIVERY_RETENTION = timedelta(days=30)
"""A replay within this time is recognised; after it, it causes one more read and nothing else."""
BODY_TIMEOUT_SECONDS = 10.0
GIT_TIMEOUT_SECONDS = 60.0
SHUTDOWN_SECONDS = 10
CONNECTIONS_MAX = 2000
"""Beyond it the server answers 503 at once, and the forge or a resync makes up for it."""
SWITCH_SECONDS = 0.001
"""How long a busy worker may keep the interpreter from the door: a fifth of Python's own, half its delay measured."""

_log = structlog.get_logger("previews")


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def serve(settings: Settings, witness: Witness | None = None) -> None:
    """Run the manager until SIGTERM or SIGINT. `witness` is told of every effect."""
    _configure_logging()
    directory = settings.data_directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = SystemClock()
    with closing(SingleManagerLock(directory)) as lock:
        lock.acquire(threading.Event(), on_wait=_say_that_another_holds_it)
        store = build_store(settings, clock)
        world = build_world(settings, clock, build_cluster(settings), store)
        loop = Loop(world, build_options(settings), witness or LoggingWitness())
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
        return GitHubForge(api_url=forge.api_url, token_file=forge.token_file)
    return GiteaForge(api_url=forge.api_url, token_file=forge.token_file)


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


def build_web(
    settings: Settings,
    loop: Loop,
    world: World,
    inbox: Inbox,
    templates: TemplateRefresh,
    *,
    certificates: CertificateWatch | None = None,
) -> FastAPI:
    """The door and the read API."""
    projects = settings.project_map()

    def keys_of(repository: str, number: int) -> Sequence[PreviewKey]:
        wanted = repository.casefold()
        return [
            PreviewKey(project.name, number)
            for project in projects.values()
            if project.repository.casefold() == wanted
        ]

    def address_of(record: PreviewRecord) -> Address | None:
        project = projects.get(record.key.project)
        if project is None:
            return None
        number = record.key.number
        return Address(names=project.names(number), url=project.url(number))

    token_file = settings.server.api_token_file
    metrics = _build_metrics(frozenset(projects), loop, world, inbox, certificates)
    door = WebhookDoor(
        secrets=lambda: [_secret(path) for path in settings.forge.webhook_secret_files],
        body_limit_bytes=settings.server.webhook_body_limit_bytes,
        body_timeout_seconds=BODY_TIMEOUT_SECONDS,
        keys_of=keys_of,
        submit=inbox.submit,
        clock=world.clock,
        answered=metrics.answered,
        hear=partial(_hear, loop.images),
    )
    token = (lambda: _secret(token_file).decode()) if token_file else None
    images_file = settings.server.images_token_file
    images_token = (lambda: _secret(images_file).decode()) if images_file else None
    api = api_router(
        readiness=loop.readiness,
        token=token,
        previews=Previews(
            store=world.store,
            clock=world.clock,
            describe=address_of,
            place=loop.gates.admission.place,
        ),
        desk=Desk(
            actions=loop.actions,
            brake=loop.brake_state,
            collector=loop.collector,
            go_on=loop.gates.rollout.go_on,
            drain=lambda name, actor: loop.actions.drain(name, actor=actor),
        ),
        more=[template_router(templates, world.clock)] if settings.databases else [],
    )

    def wake(key: PreviewKey) -> None:
        loop.actions.wake(key, actor=VISITOR)

    return create_web(
        door=door,
        routers=[
            api,
            *([metrics_router(metrics, token)] if token else []),
            *image_routers(loop.images, token=token, images_token=images_token),
        ],
        waiting=WaitingDoor(finder(projects.values(), world.store.load), wake),
        is_preview=hosts_of_previews(settings.domain.zone, settings.server.public_host),
    )


def _hear(images: ImageGate, news: BuildNews) -> None:
    """What a forge says of CI: whoever waits for an image is looked at."""
    if news.image_path:
        images.pushed([news.image_path])
    else:
        images.built(news.repository, news.numbers, news.head_sha)


def _build_metrics(
    projects: frozenset[str],
    loop: Loop,
    world: World,
    inbox: Inbox,
    certificates: CertificateWatch | None,
) -> Metrics:
    return Metrics(
        Sources(
            projects=projects,
            records=world.store.each_record,
            queues=lambda: {
                "deliveries": len(inbox),
                "previews": loop.keys.due(),
                "pull_requests": loop.pull_requests.due(),
            },
            brake=loop.brake_state,
            sweep=lambda: loop.collector.last,
            reclaimed=lambda: loop.collector.reclaimed,
            effects=loop.effects.counts,
            probes=loop.probes.results,
            resynced_at=lambda: loop.resync.completed_at,
            certificate=lambda: certificates.last if certificates else None,
            clock=world.clock,
        )
    )


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
        limit_concurrency=CONNECTIONS_MAX,
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


def _secret(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise TransientError("SecretUnreadable", f"{path}: {error.strerror}") from error


def _say_that_another_holds_it() -> None:
    _log.warning("another manager holds this data directory: waiting for it to end")


def _configure_logging() -> None:
    """One JSON object a line on standard error; control characters cannot break a line."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
