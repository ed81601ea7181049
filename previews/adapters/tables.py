"""The store's tables, and how a row becomes a record and back. Only `store` uses them.

A change here needs a migration beside it; so does a changed meaning of a field that is kept as JSON. A JSON document
that does not fit this version's types is forgotten rather than fatal: everything in a preview's row is found again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import JSON, Dialect, Index, Text, TypeDecorator
from sqlmodel import Field, SQLModel

from previews.domain.preview import (
    Condition,
    Manifests,
    Phase,
    PreviewKey,
    ProbeResult,
    PullRequest,
    Stage,
)
from previews.domain.record import Delivery, PreviewRecord

T = TypeVar("T")

NULLABLE_JSON = JSON(none_as_null=True)


class AnyText(TypeDecorator[str]):
    """Text of strangers, exactly. SQLite takes no lone surrogates, so it is kept as JSON spells it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else str(json.loads(value))


class DeliveryRow(SQLModel, table=True):
    __tablename__ = "delivery"
    __table_args__ = (Index("delivery_received_at", "received_at"),)

    guid: str = Field(primary_key=True, sa_type=Text)
    received_at: datetime
    event: str = Field(sa_type=Text)
    verdict: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    body: bytes


class PreviewRow(SQLModel, table=True):
    __tablename__ = "preview"
    __table_args__ = (Index("preview_pull_request", "repository", "number"),)

    project: str = Field(primary_key=True, sa_type=Text)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    repository: str | None = Field(sa_type=AnyText)
    """The pull request's, when it was read."""
    fetch_mark: int
    pull_request: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    head_since: datetime | None
    manifests: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    probed_digest: str = Field(sa_type=Text)
    probe_result: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    phase: str = Field(sa_type=Text)
    reason: str = Field(sa_type=AnyText)
    message: str = Field(sa_type=AnyText)
    failed: bool
    conditions: list[dict[str, Any]] = Field(sa_type=JSON)
    updated_at: datetime
    """When the record last changed: for people who read the table."""


class PublishedRow(SQLModel, table=True):
    __tablename__ = "published"

    repository: str = Field(primary_key=True, sa_type=AnyText)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    target: str = Field(primary_key=True, sa_type=AnyText)
    digest: str = Field(sa_type=Text)


def to_json(value: object) -> str:
    """Same value, same text: an unchanged document is not written again."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def values_of_delivery(delivery: Delivery) -> dict[str, Any]:
    """The row of a delivery, by column."""
    return {
        "guid": delivery.guid,
        "received_at": delivery.received_at,
        "event": delivery.event,
        "verdict": delivery.verdict.value,
        "reason": delivery.reason,
        "body": delivery.body,
    }


def values_of_preview(record: PreviewRecord) -> dict[str, Any]:
    """The row of a preview, by column, but for the time of its writing."""
    pull_request = record.pull_request
    return {
        "project": record.key.project,
        "number": record.key.number,
        "repository": pull_request.repository if pull_request else None,
        "fetch_mark": record.fetch_mark,
        "pull_request": _document(pull_request) if pull_request else None,
        "head_since": record.head_since,
        "manifests": _document(record.manifests) if record.manifests else None,
        "probed_digest": record.probed_digest,
        "probe_result": _document(record.probe_result) if record.probe_result else None,
        "phase": record.phase.value,
        "reason": record.reason,
        "message": record.message,
        "failed": record.failed,
        "conditions": [_document(condition) for condition in record.conditions],
    }


def record_of(row: PreviewRow) -> PreviewRecord:
    """The record in a row."""
    conditions = [_fitting(_condition, document) for document in row.conditions]
    return PreviewRecord(
        key=PreviewKey(row.project, row.number),
        fetch_mark=row.fetch_mark,
        pull_request=_fitting(PullRequest, row.pull_request),
        head_since=row.head_since,
        manifests=_fitting(_manifests, row.manifests),
        probed_digest=row.probed_digest,
        probe_result=_fitting(ProbeResult, row.probe_result),
        phase=_fitting(Phase, {"value": row.phase}) or Phase.PROVISIONING,
        reason=row.reason,
        message=row.message,
        failed=row.failed,
        conditions=tuple(condition for condition in conditions if condition),
    )


def _document(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _fitting(build: Callable[..., T], document: dict[str, Any] | None) -> T | None:
    if document is None:
        return None
    try:
        return build(**document)
    except (TypeError, ValueError):
        return None


def _manifests(*, stage: str, **rest: Any) -> Manifests:  # noqa: ANN401 - what JSON holds
    return Manifests(stage=Stage(stage), **rest)


def _condition(*, since: str, **rest: Any) -> Condition:  # noqa: ANN401 - what JSON holds
    return Condition(since=datetime.fromisoformat(since), **rest)
