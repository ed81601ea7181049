"""Golden templates in /api/v1: how old and how large they are, who uses them, and the wish for a new build."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel

from previews.domain.database import Template
from previews.domain.ports import Clock
from previews.web.actions import Order
from previews.web.refusals import OF_ACTIONS
from previews.web.views import Text


class Standing(Protocol):
    """How it stands with one template."""

    @property
    def server(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def template(self) -> Template | None:
        """As its server describes it; None if there is none, or the server does not answer."""
        ...

    @property
    def is_building(self) -> bool: ...
    @property
    def problem(self) -> str: ...


class Templates(Protocol):
    """Shows templates, and has them built."""

    def shown(self) -> Sequence[Standing]: ...

    def ask(self, server: str, template: str, *, actor: str) -> None:
        """Refuses with ActionRefusedError what cannot be built here."""
        ...


class TemplateView(BaseModel):
    """One template. What only its server knows is null while there is none, or the server does not answer."""

    name: Text
    server: Text
    built_at: AwareDatetime | None
    age_seconds: int | None
    size_bytes: int | None
    users: int | None
    """Previews whose databases were cloned from this build."""
    warm: int | None
    """Clones that stand ready."""
    is_building: bool
    problem: Text | None

    @classmethod
    def of(cls, standing: Standing, now: datetime) -> Self:
        found = standing.template
        return cls(
            name=standing.name,
            server=standing.server,
            built_at=found.built_at if found else None,
            age_seconds=int((now - found.built_at).total_seconds()) if found else None,
            size_bytes=found.size_bytes if found else None,
            users=found.users if found else None,
            warm=found.warm if found else None,
            is_building=standing.is_building,
            problem=standing.problem or None,
        )


class TemplatePage(BaseModel):
    """All templates of all servers."""

    templates: list[TemplateView]


def template_router(templates: Templates, clock: Clock) -> APIRouter:
    """Routes to include in the guarded router of /api/v1."""
    router = APIRouter()

    @router.get("/templates")
    def list_templates() -> TemplatePage:
        """List the golden templates of every database server."""
        now = clock.now()
        return TemplatePage(templates=[TemplateView.of(each, now) for each in templates.shown()])

    @router.post(
        "/templates/{server}/{name}/refresh",
        status_code=202,
        responses=OF_ACTIONS,
        response_model=None,
    )
    def refresh(server: str, name: str, order: Order) -> None:
        """Have a template built anew. The list shows how that goes."""
        templates.ask(server, name, actor=order.actor)

    return router
