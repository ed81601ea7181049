"""What people do to previews through /api/v1: each with the name of whoever does it, which comes into the history."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Protocol

from fastapi import APIRouter, Path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from previews.domain.brake import BrakeState
from previews.domain.duration import parse_duration
from previews.domain.hosts import NUMBER_DIGITS_MAX
from previews.domain.inventory import Found, Sweep
from previews.domain.lifetime import MANAGER, VISITOR
from previews.domain.preview import PreviewKey
from previews.web.refusals import OF_ACTIONS, OF_ONE_PREVIEW
from previews.web.sweep_views import BrakeView, Inventory, SweepView, ThingView
from previews.web.views import (
    Keys,
    Previews,
    PreviewView,
)

ACTOR_LENGTH_MAX = 80

Number = Annotated[int, Path(ge=1, lt=10**NUMBER_DIGITS_MAX)]


class Actions(Protocol):
    """What may be asked of a preview. Refuses with ActionRefusedError what cannot be."""

    def ask(self, key: PreviewKey, *, actor: str) -> None: ...

    def approve(self, key: PreviewKey, head_sha: str, *, actor: str) -> None: ...

    def extend(self, key: PreviewKey, by: timedelta, *, actor: str) -> None: ...

    def pin(self, key: PreviewKey, length: timedelta | None, *, actor: str) -> None: ...

    def unpin(self, key: PreviewKey, *, actor: str) -> None: ...

    def sleep(self, key: PreviewKey, *, actor: str) -> None: ...

    def wake(self, key: PreviewKey, *, actor: str) -> None: ...

    def redeploy(self, key: PreviewKey, *, actor: str) -> None: ...

    def reset_database(self, key: PreviewKey, *, actor: str) -> None: ...

    def rotate_password(self, key: PreviewKey, *, actor: str) -> None: ...

    def remove(self, key: PreviewKey, *, actor: str) -> None: ...

    def remove_all(self, *, actor: str) -> Sequence[PreviewKey]: ...

    def confirm(self, keys: Iterable[PreviewKey], *, actor: str) -> None: ...


class Ask(Protocol):
    """An action that needs nothing but a preview and a person."""

    def __call__(self, key: PreviewKey, *, actor: str) -> None: ...


class Collector(Protocol):
    """Looks for what was left behind."""

    def inventory(self) -> Sequence[Found]: ...

    def collect(self, *, dry_run: bool, actor: str, confirmed: bool) -> Sweep: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everybody who does what is asked for here."""

    actions: Actions
    brake: Callable[[], BrakeState]
    collector: Collector
    drain: Callable[[str, str], Sequence[PreviewKey]]
    """Take away the previews of a project that is no longer configured. Project, actor; says which."""
    go_on: Callable[[], None]
    """Have a rollout that stands go on, although previews that it reached are not well."""


def _actor(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must be one line of printable characters")
    if name.casefold() in {MANAGER, VISITOR}:
        raise ValueError(f"{name!r} is not a person's name")
    return name


def _length(value: object) -> timedelta:
    return parse_duration(value if isinstance(value, str) else "")


Actor = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=ACTOR_LENGTH_MAX),
    AfterValidator(_actor),
]
Length = Annotated[
    timedelta,
    BeforeValidator(_length),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9}[smhd]$", "examples": ["24h"]}),
]


class Order(BaseModel):
    """Who asks."""

    model_config = ConfigDict(extra="forbid")

    actor: Actor


class Extension(Order):
    """Who asks, and for how long."""

    length: Length = Field(alias="for")


class Approval(Order):
    """Who approves, and which commit: another one has perhaps come meanwhile."""

    head_sha: Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$")]


class Pin(Order):
    """Who asks, and for how long; without that, for as long as may be."""

    length: Length | None = Field(None, alias="for")


class Confirmation(Order):
    """Who confirms, and which removals; without that, all that the brake holds now."""

    previews: list[str] | None = None


class Collection(Order):
    """Who asks, and whether anything is removed."""

    dry_run: bool
    confirmed: bool = False
    """Remove even if there is so much to remove that it may be a mistake."""


def add_actions(router: APIRouter, previews: Previews, desk: Desk) -> None:
    """Add every route. They answer 202: what was asked for is kept, and follows soon."""
    _add_wishes(router, previews, desk.actions)
    _add_what_is_about_many(router, desk)


def _add_wishes(router: APIRouter, previews: Previews, actions: Actions) -> None:
    one, refusals = "/previews/{project}/{number}", OF_ONE_PREVIEW | OF_ACTIONS

    @router.post(f"{one}/extend", status_code=202, responses=refusals)
    def extend(project: str, number: Number, order: Extension) -> PreviewView:
        """Have a preview expire later than it would."""
        key = PreviewKey(project, number)
        actions.extend(key, order.length, actor=order.actor)
        return previews.show(key)

    @router.post(f"{one}/pin", status_code=202, responses=refusals)
    def pin(project: str, number: Number, order: Pin) -> PreviewView:
        """Keep a preview from expiring and from making room for others."""
        key = PreviewKey(project, number)
        actions.pin(key, order.length, actor=order.actor)
        return previews.show(key)

    @router.post(f"{one}/approve", status_code=202, responses=refusals)
    def approve(project: str, number: Number, order: Approval) -> PreviewView:
        """Let one commit of a fork run, and no other."""
        key = PreviewKey(project, number)
        actions.approve(key, order.head_sha, actor=order.actor)
        return previews.show(key)

    def add(name: str, act: Ask, description: str) -> None:
        @router.post(
            f"{one}/{name}",
            status_code=202,
            responses=refusals,
            name=name,
            description=description,
        )
        def ask(project: str, number: Number, order: Order) -> PreviewView:
            key = PreviewKey(project, number)
            act(key, actor=order.actor)
            return previews.show(key)

    add("ask", actions.ask, "Have a preview where the project makes none by itself, or back.")
    add("unpin", actions.unpin, "Take a pin back.")
    add("sleep", actions.sleep, "Put a preview to sleep until somebody uses it.")
    add("wake", actions.wake, "Wake a preview up, or bring it back if it had ended.")
    add("redeploy", actions.redeploy, "Have a preview's pods made anew, or bring it back.")
    add(
        "reset-database",
        actions.reset_database,
        "Have a preview's database made anew from its template; what is in it is lost.",
    )
    add("rotate-password", actions.rotate_password, "Give a preview's database a new password.")
    add("remove", actions.remove, "Take a preview away until a push, or until it is wanted back.")


def _add_what_is_about_many(router: APIRouter, desk: Desk) -> None:
    @router.post("/previews/remove-all", status_code=202)
    def remove_all(order: Order) -> Keys:
        """Take every preview away. Says which; those of projects that are not configured are left."""
        return Keys.of(desk.actions.remove_all(actor=order.actor))

    @router.post("/projects/{project}/drain", status_code=202, responses=OF_ACTIONS)
    def drain(project: str, order: Order) -> Keys:
        """Take away the previews of a project that was taken out of the configuration. Says which."""
        return Keys.of(desk.drain(project, order.actor))

    @router.get("/brake")
    def show_brake() -> BrakeView:
        """Show whether removals that nobody asked for are held, and which."""
        return BrakeView.of(desk.brake())

    @router.post("/brake/confirm", status_code=202)
    def confirm(order: Confirmation) -> Keys:
        """Let removals go on that the brake holds, and a rollout that stands. Says which removals."""
        held = [key for key, _ in desk.brake().held]
        if order.previews is not None:
            held = [key for key in held if str(key) in order.previews]
        desk.actions.confirm(held, actor=order.actor)
        desk.go_on()
        return Keys.of(held)

    @router.get("/inventory")
    def show_inventory() -> Inventory:
        """Show everything of this manager's that is in the cluster and in Git, and whose it is."""
        return Inventory(things=[ThingView.of(found) for found in desk.collector.inventory()])

    @router.post("/collect")
    def collect(order: Collection) -> SweepView:
        """Remove what was left behind, or say what would be removed."""
        return SweepView.of(
            desk.collector.collect(
                dry_run=order.dry_run, actor=order.actor, confirmed=order.confirmed
            )
        )
