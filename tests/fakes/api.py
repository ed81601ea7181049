"""The API with the real actions over a store in memory, and nobody behind it who reconciles."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fastapi import FastAPI

from previews.domain.brake import BrakeState
from previews.domain.caps import Place
from previews.domain.inventory import Found, Sweep
from previews.domain.lifetime import LifetimePolicy
from previews.domain.naming import names_of
from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord
from previews.reconcile.actions import Actions
from previews.reconcile.effects import Effect, Effects
from previews.web import create_web
from previews.web.actions import Desk
from previews.web.api import api_router
from previews.web.views import Address, Previews
from tests.fakes.clock import ManualClock
from tests.fakes.store import InMemoryStore

TOKEN = "the token"
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


class FakeAPI:
    """Everything that the API speaks to."""

    def __init__(self, *, with_token: bool = True) -> None:
        self.store = InMemoryStore()
        self.clock = ManualClock()
        self.token = TOKEN
        self.state: dict[str, str | None] = {"git": None, "forge": None}
        self.places: dict[PreviewKey, Place] = {}
        self.policies = {"shop": LifetimePolicy()}
        self.queued: list[PreviewKey] = []
        self.brake = QUIET
        self.went_on = 0
        self.collector = FakeCollector(self.clock)
        self.actions = Actions(
            store=self.store,
            effects=Effects(self),
            clock=self.clock,
            policies=self.policies,
            enqueue=self.enqueue,
        )
        router = api_router(
            readiness=lambda: self.state,
            token=(lambda: self.token) if with_token else None,
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
        )
        self.web: FastAPI = create_web(door=_no_door, routers=[router])

    def before(self, effect: Effect, subject: str) -> None: ...

    def after(self, effect: Effect, subject: str) -> None: ...

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        self.queued += keys

    def go_on(self) -> None:
        self.went_on += 1


async def _no_door(*_: object) -> None:
    raise NotImplementedError


def describe(record: PreviewRecord) -> Address | None:
    if record.key.project == "forgotten":
        return None
    names = names_of(record.key, host_pattern="pr-{number}.preview.example")
    return Address(names=names, url=f"https://{names.host}/")
