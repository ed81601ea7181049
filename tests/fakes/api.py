"""The API with the real actions over a store in memory, and nobody behind it who reconciles."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fastapi import APIRouter, FastAPI

from previews.domain.allowance import Allowance
from previews.domain.brake import BrakeState
from previews.domain.caps import Place
from previews.domain.certificates import Inspection
from previews.domain.inventory import Found, Kind, Sweep
from previews.domain.lifetime import LifetimePolicy
from previews.domain.naming import names_of
from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord
from previews.errors import ActionRefusedError
from previews.reconcile.actions import Actions
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.images import ImageGate
from previews.reconcile.repositories import Repositories
from previews.reconcile.template_refresh import Shown
from previews.web.actions import Desk
from previews.web.api import api_router
from previews.web.front import create_web
from previews.web.images import image_routers
from previews.web.metrics import Metrics, Sources, metrics_router
from previews.web.templates import template_router
from previews.web.views import Address, Previews
from tests.fakes.clock import ManualClock
from tests.fakes.forge import FakeForge
from tests.fakes.registry import FakeRegistry
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import project

TOKEN = "the token"
IMAGES_TOKEN = "the token of CI"
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}
QUIET = BrakeState(holds=False, held=(), begun=0, allowed=10, window_seconds=600)


class FakeCollector:
    """Finds what a test says, and has removed it when it was asked to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.found: list[Found] = []
        self.held = ""

    def inventory(self) -> Sequence[Found]:
        return self.found

    def collect(self, *, dry_run: bool, actor: str, confirmed: bool) -> Sweep:
        sweep = Sweep(at=self._clock.now(), actor=actor, dry_run=dry_run, found=tuple(self.found))
        if self.held and not confirmed:
            return replace(sweep, held=self.held, needs_confirmation=True)
        removed = () if dry_run else sweep.orphans
        self.found = [found for found in self.found if found not in removed]
        return replace(sweep, planned=sweep.orphans, removed=removed)


class NoTemplates:
    """Of a configuration without any."""

    def shown(self) -> list[Shown]:
        return []

    def ask(self, server: str, template: str, *, actor: str) -> None:
        raise ActionRefusedError("UnknownTemplate", f"{server}, {template}, {actor}")


class FakeAPI:
    """Everything that the API speaks to."""

    def __init__(self, *, with_token: bool = True) -> None:
        self.store = InMemoryStore()
        self.clock = ManualClock()
        self.token = TOKEN
        self.state: dict[str, str | None] = {"git": None, "forge": None}
        self.places: dict[PreviewKey, Place] = {}
        self.policies = {"shop": LifetimePolicy()}
        self.with_databases: set[str] = set()
        self.queued: list[PreviewKey] = []
        self.brake = QUIET
        self.went_on = 0
        self.collector = FakeCollector(self.clock)
        self.effects = Effects(self)
        self.probes: dict[str, int] = {}
        self.actions = Actions(
            store=self.store,
            effects=self.effects,
            clock=self.clock,
            policies=self.policies,
            enqueue=self.enqueue,
            with_databases=self.with_databases,
        )
        self.registry = FakeRegistry()
        self.images_token = IMAGES_TOKEN
        self.images = self._image_gate()
        self.sweep: Sweep | None = None
        self.resynced_at: datetime | None = None
        self.listings: dict[str, int] = {"read": 0}
        self.redeliveries: dict[str, int] = {"redelivered": 0}
        self.allowances = [Allowance("the token", 5000, 4999, 500, 0.0)]
        self.certificate: Inspection | None = None
        self.metrics = Metrics(self._sources())
        routers = self._routers(with_token=with_token)
        self.web: FastAPI = create_web(door=_no_door, routers=routers)

    def before(self, effect: Effect, subject: str) -> None: ...

    def after(self, effect: Effect, subject: str) -> None: ...

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        self.queued += keys

    def go_on(self) -> None:
        self.went_on += 1

    def _routers(self, *, with_token: bool) -> list[APIRouter]:
        token = (lambda: self.token) if with_token else None
        images_token = (lambda: self.images_token) if with_token else None
        routers = [self._router(token)]
        if token:
            routers.append(metrics_router(self.metrics, token))
        return [*routers, *image_routers(self.images, token=token, images_token=images_token)]

    def _router(self, token: Callable[[], str] | None) -> APIRouter:
        return api_router(
            readiness=lambda: self.state,
            token=token,
            previews=Previews(
                store=self.store, clock=self.clock, describe=describe, place=self.places.get
            ),
            desk=Desk(
                actions=self.actions,
                brake=lambda: self.brake,
                collector=self.collector,
                go_on=self.go_on,
                drain=lambda project, actor: self.actions.drain(project, actor=actor),
            ),
            more=[template_router(NoTemplates(), self.clock)],
        )

    def _image_gate(self) -> ImageGate:
        return ImageGate(
            projects={"shop": project("shop"), "docs": project("docs", image=False)},
            registry=self.registry,
            forge=FakeForge(),
            repositories=Repositories({}, self.store, self.effects),
            store=self.store,
            effects=self.effects,
            clock=self.clock,
            deadline=timedelta(minutes=30),
            enqueue=self.enqueue,
        )

    def _sources(self) -> Sources:
        return Sources(
            projects=frozenset(self.policies),
            records=self.store.list_records,
            queues=lambda: {"previews": len(self.queued)},
            brake=lambda: self.brake,
            sweep=lambda: self.sweep,
            reclaimed=lambda: {Kind.NAMESPACE: 2},
            effects=self.effects.counts,
            probes=lambda: self.probes,
            resynced_at=lambda: self.resynced_at,
            listings=lambda: self.listings,
            redeliveries=lambda: self.redeliveries,
            allowances=lambda: self.allowances,
            certificate=lambda: self.certificate,
            clock=self.clock,
        )


async def _no_door(*_: object) -> None:
    raise NotImplementedError


def describe(record: PreviewRecord) -> Address | None:
    if record.key.project == "forgotten":
        return None
    names = names_of(record.key, host_pattern="pr-{number}.preview.example")
    return Address(names=names, url=f"https://{names.host}/")
