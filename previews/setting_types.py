"""The kinds of values that a setting may have, and what is said about one that does not fit."""

import re
from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from previews.domain import hosts
from previews.domain.duration import format_duration, parse_bounded_duration


class Section(BaseModel):
    """A part of the configuration. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def _read_duration(value: object) -> timedelta:
    """A number without a unit, as YAML gives it, is no duration either."""
    return parse_bounded_duration(value if isinstance(value, str) else "")


def checked_by(check: Callable[[str], None]) -> AfterValidator:
    def validate(value: str) -> str:
        check(value)
        return value

    return AfterValidator(validate)


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"the file {path} does not exist")
    return path


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ValueError(f"{value!r} must be an http or https URL without credentials")
    return value.rstrip("/")


def _git_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https", "file"} or parts.username:
        raise ValueError(f"{value!r} must be an http, https or file URL without credentials")
    return value


def dns_name(value: str) -> str:
    if not all(hosts.is_dns_label(label) for label in value.split(".")):
        raise ValueError(f"{value!r} is not a DNS name in lower case")
    return value


def dns_label(value: str) -> str:
    if not hosts.is_dns_label(value):
        raise ValueError(f"{value!r} must be lower-case letters, digits and '-'")
    return value


def repository_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", value):
        raise ValueError(f"{value!r} must be owner/name")
    return value


def image_repository(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+", value):
        raise ValueError(f"{value!r} must be registry/name, without a tag")
    return value


def folder(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", value):
        raise ValueError(f"{value!r} must be a relative path of plain names")
    return value


def time_of_day(value: object) -> time:
    # YAML reads 22:30 without quotes as a number of minutes.
    if isinstance(value, int) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return time.fromisoformat(value)
    raise ValueError('must be a time of day such as "22:30"')


def time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{value!r} is no time zone such as Europe/Berlin") from error
    return value


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Limit = Annotated[int, Field(ge=1)]


def _bounded(least: timedelta) -> AfterValidator:
    def validate(value: timedelta) -> timedelta:
        if not least <= value <= _LONGEST:
            raise ValueError(
                f"must be at least {format_duration(least)} and at most {format_duration(_LONGEST)}"
            )
        return value

    return AfterValidator(validate)


_LONGEST = timedelta(days=3650)
"""Beyond it, calculating with dates fails."""
Span = Annotated[timedelta, BeforeValidator(_read_duration), _bounded(timedelta(seconds=1))]
"""A duration that must last."""
Delay = Annotated[timedelta, BeforeValidator(_read_duration), _bounded(timedelta(0))]
Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
GitUrl = Annotated[str, AfterValidator(_git_url)]
