"""What a forge's events about CI and packages say: which pull requests, commit or image repository they are about.

Nothing more is read of them, and nothing is believed: the previews that wait for an image are looked at, that is all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from previews.domain.hosts import NUMBER_DIGITS_MAX
from previews.domain.preview import HeadSha, parse_head_sha
from previews.domain.record import STATUS_PREFIX

RUN_EVENTS = ("workflow_run", "workflow_job", "check_run", "check_suite")
PACKAGE_EVENTS = ("package", "registry_package")
BUILD_EVENTS = frozenset({*RUN_EVENTS, *PACKAGE_EVENTS, "status"})
NUMBERS_MAX = 100

_Number = Annotated[int, Field(strict=True, gt=0, lt=10**NUMBER_DIGITS_MAX)]


class _Named(BaseModel):
    full_name: str


class _Numbered(BaseModel):
    number: _Number


class _Run(BaseModel):
    name: str | None = None
    """Of a check run."""
    head_sha: str = ""
    pull_requests: list[_Numbered] | None = None


class _Package(BaseModel):
    namespace: str
    name: str


class BuildPayload(BaseModel):
    """All that is read of such an event."""

    repository: _Named | None = None
    workflow_run: _Run | None = None
    workflow_job: _Run | None = None
    check_run: _Run | None = None
    check_suite: _Run | None = None
    package: _Package | None = None
    registry_package: _Package | None = None
    sha: str = ""
    """Of a commit status."""
    context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNews:
    """CI did something, or somebody pushed an image."""

    repository: str = ""
    """Of the pull requests, as the forge spells it."""
    numbers: Sequence[int] = ()
    head_sha: HeadSha | None = None
    """Counts when no pull request is named."""
    image_path: str = ""
    """Of an image repository at its registry: then nothing else is said."""


def is_of_a_manager(event: str, payload: BuildPayload) -> bool:
    """Whether it only echoes what a manager itself said."""
    check = payload.check_run if event == "check_run" else None
    name = (check.name or "") if check else payload.context
    return event in {"status", "check_run"} and name.startswith(STATUS_PREFIX)


def read_news(event: str, payload: BuildPayload) -> BuildNews | None:
    """None if it names nothing that could be looked at."""
    if event in PACKAGE_EVENTS:
        package: _Package | None = getattr(payload, event)
        if package is None or not package.namespace or not package.name:
            return None
        return BuildNews(image_path=f"{package.namespace}/{package.name}".lower())
    run: _Run | None = getattr(payload, event) if event in RUN_EVENTS else None
    numbers = [each.number for each in (run.pull_requests if run else None) or ()]
    try:
        head_sha = parse_head_sha(run.head_sha if run else payload.sha)
    except ValueError:
        head_sha = None
    if payload.repository is None or not (numbers or head_sha):
        return None
    return BuildNews(
        repository=payload.repository.full_name,
        numbers=tuple(numbers[:NUMBERS_MAX]),
        head_sha=head_sha,
    )
