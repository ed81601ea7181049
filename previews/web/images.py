"""What CI and registries say about images: POST /api/v1/images and POST /webhooks/registry.

Where an image is, only the configuration says. CI may say what it is called there; a registry's word only has previews
looked at that wait for one.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, Protocol, Self

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator

from previews.domain.images import check_digest, check_tag
from previews.domain.preview import HeadSha, PreviewKey, parse_head_sha
from previews.web.api import guarded_router
from previews.web.refusals import OF_ACTIONS
from previews.web.views import Keys, Refusal

PROJECT_LENGTH_MAX = 100
EVENTS_READ_MAX = 500
NOTIFICATION_BYTES_MAX = 512 * 1024
UNKNOWN_PROJECT: dict[int | str, dict[str, Any]] = {
    404: {"model": Refusal, "description": "No such project"}
}


class Gate(Protocol):
    """Knows which previews wait for an image. Refuses with ActionRefusedError what cannot be."""

    def name(
        self, project: str, head_sha: HeadSha, *, tag: str, digest: str
    ) -> Sequence[PreviewKey]: ...

    def pushed(self, paths: Iterable[str]) -> Sequence[PreviewKey]: ...


class ImageName(BaseModel):
    """What CI calls the image of a commit: its tag, its digest, or both."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, StringConstraints(min_length=1, max_length=PROJECT_LENGTH_MAX)]
    head_sha: Annotated[str, AfterValidator(parse_head_sha)]
    tag: Annotated[str, AfterValidator(check_tag)] | None = None
    digest: Annotated[str, AfterValidator(check_digest)] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.tag is None and self.digest is None:
            raise ValueError("needs a tag, a digest, or both")
        return self


class Notification(BaseModel):
    """What became of a registry's message."""

    verdict: str
    """`accepted`, or `ignored` when there is no push in it."""


def image_routers(
    gate: Gate, *, token: Callable[[], str] | None, images_token: Callable[[], str] | None
) -> list[APIRouter]:
    """What CI may ask for with either token, and what registries may say with the second; nothing without a token."""
    tokens = [each for each in (token, images_token) if each]
    routers = [_naming(gate, tokens)] if tokens else []
    return [*routers, _hearing(gate, images_token)] if images_token else routers


def _naming(gate: Gate, tokens: Sequence[Callable[[], str]]) -> APIRouter:
    router = guarded_router(*tokens, prefix="/api/v1")

    @router.post("/images", status_code=202, responses=UNKNOWN_PROJECT | OF_ACTIONS)
    def name_image(order: ImageName) -> Keys:
        """Say what the image of a commit is called, instead of the project's pattern. Says which previews look for it.

        None does yet if the forge has not told of the commit: the name is kept for those that come.
        """
        head_sha = HeadSha(order.head_sha)
        found = gate.name(order.project, head_sha, tag=order.tag or "", digest=order.digest or "")
        return Keys.of(found)

    return router


def _hearing(gate: Gate, token: Callable[[], str]) -> APIRouter:
    router = guarded_router(token, body_limit_bytes=NOTIFICATION_BYTES_MAX, in_query=True)

    @router.post("/webhooks/registry", status_code=202)
    async def hear_of_push(request: Request) -> Notification:
        """Look at the previews that wait for an image of the repositories that were pushed to.

        Understood are CNCF Distribution, Harbor and Docker Hub. Whatever else comes is answered 202 as well, since a
        registry sends again what was refused.
        """
        paths = set(pushed_paths(await request.body()))
        if paths:
            gate.pushed(paths)
        return Notification(verdict="accepted" if paths else "ignored")

    return router


def pushed_paths(body: bytes) -> Iterator[str]:
    """The names of the image repositories that something was pushed to, as their registry tells them."""
    for kind in (_distribution, _harbor, _docker_hub):
        try:
            found = list(kind(json.loads(body)))
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            continue
        yield from (path for path in found if isinstance(path, str) and path)


def _distribution(said: Any) -> Iterator[object]:  # noqa: ANN401 - whatever JSON says
    for event in said["events"][:EVENTS_READ_MAX]:
        if event["action"] == "push":
            yield event["target"]["repository"]


def _harbor(said: Any) -> Iterator[object]:  # noqa: ANN401 - whatever JSON says
    if said["type"] == "PUSH_ARTIFACT":
        yield said["event_data"]["repository"]["repo_full_name"]


def _docker_hub(said: Any) -> Iterator[object]:  # noqa: ANN401 - whatever JSON says
    if "push_data" in said:
        yield said["repository"]["repo_name"]
