"""The store's tables. Only the store and what it says use them.

A change here needs a migration beside it; so does a changed meaning of a field that is kept as JSON (`rows`).
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Dialect, Index, Text, TypeDecorator, text
from sqlmodel import Field, SQLModel

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
    facts: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    expiry: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    queued_since: datetime | None
    manifests_since: datetime | None
    is_rewritten: bool = Field(sa_column_kwargs={"server_default": text("0")})
    removal: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    grant: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    edited_migrations: str = Field(sa_type=AnyText, sa_column_kwargs={"server_default": '""'})
    storage_warning: str = Field(sa_type=AnyText, sa_column_kwargs={"server_default": '""'})
    parcels: list[dict[str, Any]] = Field(
        sa_type=JSON, sa_column_kwargs={"server_default": text("'[]'")}
    )
    paths: dict[str, Any] | None = Field(sa_type=NULLABLE_JSON)
    shown_at: datetime | None
    rules_warning: str = Field(sa_type=AnyText, sa_column_kwargs={"server_default": '""'})
    traces: list[dict[str, Any]] = Field(
        sa_type=JSON, sa_column_kwargs={"server_default": text("'[]'")}
    )


class WishesRow(SQLModel, table=True):
    """A column for each field of Wishes, in JSON."""

    __tablename__ = "wishes"

    project: str = Field(primary_key=True, sa_type=Text)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    pin: str | None = Field(sa_type=Text)
    extension: str | None = Field(sa_type=Text)
    sleep: str | None = Field(sa_type=Text)
    wake: str | None = Field(sa_type=Text)
    redeploy: str | None = Field(sa_type=Text)
    removal: str | None = Field(sa_type=Text)
    eviction: str | None = Field(sa_type=Text)
    confirmation: str | None = Field(sa_type=Text)
    active_at: str | None = Field(sa_type=Text)
    reset: str | None = Field(sa_type=Text)
    rotation: str | None = Field(sa_type=Text)
    asked: str | None = Field(sa_type=Text)
    approval: str | None = Field(sa_type=Text)


class HistoryRow(SQLModel, table=True):
    __tablename__ = "history"
    __table_args__ = (Index("history_preview", "project", "number"),)

    id: int = Field(primary_key=True)
    """Rises: the order in which entries were written."""
    project: str = Field(sa_type=Text)
    number: int
    at: datetime
    actor: str = Field(sa_type=AnyText)
    action: str = Field(sa_type=AnyText)
    detail: str = Field(sa_type=AnyText)


class PublishedRow(SQLModel, table=True):
    __tablename__ = "published"

    repository: str = Field(primary_key=True, sa_type=AnyText)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    target: str = Field(primary_key=True, sa_type=AnyText)
    digest: str = Field(sa_type=Text)


class ConversationRow(SQLModel, table=True):
    """How far the commands on a pull request were read."""

    __tablename__ = "conversation"

    repository: str = Field(primary_key=True, sa_type=AnyText)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    read_until: datetime


class NamedImageRow(SQLModel, table=True):
    """What CI called the image of a commit."""

    __tablename__ = "named_image"
    __table_args__ = (Index("named_image_named_at", "named_at"),)

    project: str = Field(primary_key=True, sa_type=Text)
    head_sha: str = Field(primary_key=True, sa_type=Text)
    tag: str = Field(sa_type=Text)
    digest: str = Field(sa_type=Text)
    named_at: datetime
