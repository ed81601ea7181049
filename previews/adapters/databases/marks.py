"""What we write into the comments of databases and roles, so that they say whose they are.

A comment that is not exactly one of these is no mark: whatever bears it is somebody else's.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from previews.domain.database import DatabaseLimits
from previews.domain.naming import database_name
from previews.domain.preview import PreviewKey

POOL_PREFIX = "previews_pool_"

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A golden template as it was built at one time."""

    template: str
    built_at: datetime

    def __str__(self) -> str:
        return f"{self.template}@{self.built_at.isoformat()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseMark:
    """On a preview's database, from the moment that it is ready."""

    key: PreviewKey
    incarnation: str
    created_at: datetime
    build: Build
    migrated: str = ""
    limits: DatabaseLimits | None = None
    """None in the marks that managers wrote before they noted them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleMark:
    """On a preview's login role, from its beginning."""

    key: PreviewKey
    credential: str = ""
    credential_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMark:
    """On a golden template."""

    build: Build


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMark:
    """On the role that owns everything within a template and its clones."""

    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMark:
    """On a clone that waits for a preview."""

    build: Build
    created_at: datetime


Mark = DatabaseMark | RoleMark | TemplateMark | GroupMark | PoolMark

M = TypeVar("M", DatabaseMark, RoleMark, TemplateMark, GroupMark, PoolMark)


def instance_role(instance: str) -> str:
    """The role that owns every database of an instance, and logs in nowhere."""
    return f"previews_{instance.replace('-', '_')}"


def group_role(template: str) -> str:
    """The role that owns everything within a template and its clones; each preview's role is a member of it."""
    return f"{template}_owner"


def key_of_name(name: str) -> PreviewKey | None:
    """The preview whose database and role are called so; None if no preview's are."""
    stem, separator, number = name.removeprefix("preview_").rpartition("_pr_")
    if not separator or not stem or not (number.isascii() and number.isdigit()):
        return None
    key = PreviewKey(stem.replace("_", "-"), int(number))
    return key if database_name(key) == name else None


def write_mark(mark: Mark, instance: str) -> str:
    """The comment that carries it."""
    return json.dumps({"previews": _VERSION, "instance": instance} | _fields(mark))


def read_mark(comment: str | None, kind: type[M], instance: str) -> M | None:
    """The mark of this kind that a comment carries; None if it carries none, another kind or another instance's."""
    try:
        said = json.loads(comment or "")
        match said:
            case {"previews": 1, "instance": str(whose)} if whose == instance:
                mark = _mark(said)
                return mark if isinstance(mark, kind) else None
            case _:
                return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _fields(mark: Mark) -> dict[str, Any]:
    match mark:
        case DatabaseMark():
            return {
                "preview": str(mark.key),
                "incarnation": mark.incarnation,
                "created_at": mark.created_at.isoformat(),
                "template": mark.build.template,
                "built_at": mark.build.built_at.isoformat(),
                "ready": True,
                "migrated": mark.migrated,
                "limits": limits_in(mark.limits) if mark.limits else None,
            }
        case RoleMark():
            at = mark.credential_at.isoformat() if mark.credential_at else ""
            return {"preview": str(mark.key), "credential": mark.credential, "credential_at": at}
        case TemplateMark():
            return {
                "template": mark.build.template,
                "built_at": mark.build.built_at.isoformat(),
            }
        case GroupMark():
            return {"group": mark.template}
        case PoolMark():
            return {
                "pool": mark.build.template,
                "built_at": mark.build.built_at.isoformat(),
                "created_at": mark.created_at.isoformat(),
            }


def _mark(said: dict[str, Any]) -> Mark | None:
    match said:
        case {"preview": str(key), "ready": True}:
            return DatabaseMark(
                key=PreviewKey.parse(key),
                incarnation=_text(said["incarnation"]),
                created_at=_time(said["created_at"]),
                build=_build(said["template"], said),
                migrated=_text(said["migrated"]),
                limits=_limits(said.get("limits")),
            )
        case {"preview": str(key), "credential": str(credential)}:
            at = _text(said["credential_at"])
            return RoleMark(
                key=PreviewKey.parse(key),
                credential=credential,
                credential_at=_time(at) if at else None,
            )
        case {"pool": template}:
            return PoolMark(build=_build(template, said), created_at=_time(said["created_at"]))
        case {"group": str(template)}:
            return GroupMark(template=template)
        case {"template": template}:
            return TemplateMark(build=_build(template, said))
        case _:
            return None


def _build(template: object, said: dict[str, Any]) -> Build:
    return Build(template=_text(template), built_at=_time(said["built_at"]))


def limits_in(limits: DatabaseLimits) -> dict[str, int]:
    """Each by its name, times in milliseconds."""
    unit = timedelta(milliseconds=1)
    return {
        "connections": limits.connections,
        "statement_timeout": limits.statement_timeout // unit,
        "idle_timeout": limits.idle_timeout // unit,
    }


def _limits(said: object) -> DatabaseLimits | None:
    match said:
        case {
            "connections": int(connections),
            "statement_timeout": int(statement),
            "idle_timeout": int(idle),
        }:
            return DatabaseLimits(
                connections=connections,
                statement_timeout=timedelta(milliseconds=statement),
                idle_timeout=timedelta(milliseconds=idle),
            )
        case _:
            return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time
