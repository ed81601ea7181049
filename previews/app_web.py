"""Builds the manager's web server: the door, the API, the metrics, and the pages of hosts that nobody claims."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from previews.adapters.forges.github import GitHubForge
from previews.app_news import hear
from previews.domain.lifetime import VISITOR
from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord
from previews.errors import TransientError
from previews.reconcile.certificate_watch import CertificateWatch
from previews.reconcile.inbox import Inbox
from previews.reconcile.loop import Loop
from previews.reconcile.template_refresh import TemplateRefresh
from previews.reconcile.world import World
from previews.settings import Settings
from previews.web.actions import Desk
from previews.web.api import api_router
from previews.web.front import create_web
from previews.web.images import image_routers
from previews.web.metrics import Metrics, Sources, metrics_router
from previews.web.standing import finder
from previews.web.templates import template_router
from previews.web.views import Address, Previews
from previews.web.waiting import WaitingDoor, hosts_of_previews
from previews.web.webhooks import WebhookDoor

BODY_TIMEOUT_SECONDS = 10.0


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
        return [PreviewKey(each.name, number) for each in loop.repositories.projects_at(repository)]

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
        hear=partial(hear, loop, settings.instance),
    )
    token = (lambda: _secret(token_file).decode()) if token_file else None
    images_file = settings.server.images_token_file
    images_token = (lambda: _secret(images_file).decode()) if images_file else None
    api = api_router(
        readiness=loop.readiness,
        notes=loop.notes,
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
                "previews": loop.queues.previews.due(),
                "pull_requests": loop.queues.pull_requests.due(),
                "conversations": loop.queues.conversations.due(),
                "rules": loop.queues.rules.due(),
            },
            brake=loop.brake_state,
            sweep=lambda: loop.collector.last,
            reclaimed=lambda: loop.collector.reclaimed,
            effects=loop.effects.counts,
            probes=loop.probes.results,
            resynced_at=lambda: loop.resync.completed_at,
            listings=loop.resync.listings,
            redeliveries=loop.redelivery.counts,
            allowances=(
                world.forge.connection.allowances if isinstance(world.forge, GitHubForge) else tuple
            ),
            certificate=lambda: certificates.last if certificates else None,
            clock=world.clock,
        )
    )


def _secret(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise TransientError("SecretUnreadable", f"{path}: {error.strerror}") from error
