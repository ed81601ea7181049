"""How a record becomes a row of the store's tables, and back.

A JSON document that does not fit this version's types is forgotten rather than fatal: everything in a preview's row is
found again. A wish is not found again so surely, so each is read by itself, and all that it needs is its times.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Row

from previews.adapters.tables import HistoryRow, PreviewRow, WishesRow
from previews.domain.images import NamedImage
from previews.domain.lifetime import Anchor, Approval, Expiry, Facts, Said, Until, Wishes
from previews.domain.policy import PathsVerdict
from previews.domain.preview import (
    Condition,
    Grant,
    HeadSha,
    Image,
    Manifests,
    Mode,
    Parcel,
    Phase,
    PreviewKey,
    PullRequest,
    Stage,
    Trace,
)
from previews.domain.probing import ProbeVerdict
from previews.domain.record import Delivery, Gone, HistoryEntry, PreviewRecord, Removal, Verdict

T = TypeVar("T")


def to_json(value: object) -> str:
    """Same value, same text: an unchanged document is not written again."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value):
        return _document(value)
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


def delivery_of(row: Row[Any]) -> Delivery:
    """The delivery in a row."""
    return Delivery(
        guid=row.guid,
        received_at=row.received_at,
        event=row.event,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        body=row.body,
    )


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
        "grant": _document(record.grant) if record.grant else None,
        "traces": [_document(trace) for trace in record.traces],
        "parcels": [_document(parcel) for parcel in record.parcels],
        "edited_migrations": record.edited_migrations,
        "storage_warning": record.storage_warning,
        "rules_warning": record.rules_warning,
        "manifests": _document(record.manifests) if record.manifests else None,
        "probed_digest": record.probed_digest,
        "probe_result": _document(record.probe) if record.probe else None,
        "phase": record.phase.value,
        "reason": record.reason,
        "message": record.message,
        "failed": record.failed,
        "conditions": [_document(condition) for condition in record.conditions],
        "paths": _document(record.paths) if record.paths else None,
        "facts": _document(record.facts) if record.facts else None,
        "expiry": _document(record.expiry) if record.expiry else None,
        "queued_since": record.queued_since,
        "manifests_since": record.manifests_since,
        "is_rewritten": record.is_rewritten,
        "removal": _document(record.removal) if record.removal else None,
        "shown_at": record.shown_at,
    }


def values_of_wishes(key: PreviewKey, wishes: Wishes) -> dict[str, Any]:
    """The row of a preview's wishes, by column."""
    said = {name: None if wish is None else to_json(wish) for name, wish in _named(wishes)}
    return {"project": key.project, "number": key.number} | said


def values_of_history(key: PreviewKey, entry: HistoryEntry) -> dict[str, Any]:
    """The row of one line of a preview's history, by column."""
    return {"project": key.project, "number": key.number} | _document(entry)


def values_of_named_image(named: NamedImage) -> dict[str, Any]:
    """The row of a named image, by column."""
    return _document(named)


def named_image_of(row: Row[Any]) -> NamedImage:
    """The named image in a row."""
    return NamedImage(
        project=row.project,
        head_sha=HeadSha(row.head_sha),
        tag=row.tag,
        digest=row.digest,
        named_at=row.named_at,
    )


def record_of(row: PreviewRow | Row[Any]) -> PreviewRecord:
    """The record in a row."""
    conditions = [_fitting(_condition, document) for document in row.conditions]
    return PreviewRecord(
        key=PreviewKey(row.project, row.number),
        fetch_mark=row.fetch_mark,
        pull_request=_fitting(_pull_request, row.pull_request),
        head_since=row.head_since,
        paths=_fitting(PathsVerdict, row.paths),
        facts=_fitting(_facts, row.facts),
        expiry=_fitting(_expiry, row.expiry),
        queued_since=row.queued_since,
        grant=_fitting(_grant, row.grant),
        traces=tuple(filter(None, (_fitting(Trace, each) for each in row.traces))),
        parcels=tuple(filter(None, (_fitting(Parcel, each) for each in row.parcels))),
        edited_migrations=row.edited_migrations,
        storage_warning=row.storage_warning,
        rules_warning=row.rules_warning,
        manifests=_fitting(_manifests, row.manifests),
        manifests_since=row.manifests_since,
        is_rewritten=row.is_rewritten,
        removal=_fitting(_removal, row.removal),
        probed_digest=row.probed_digest,
        probe=_fitting(ProbeVerdict, row.probe_result),
        phase=_fitting(Phase, {"value": row.phase}) or Phase.PROVISIONING,
        reason=row.reason,
        message=row.message,
        failed=row.failed,
        conditions=tuple(condition for condition in conditions if condition),
        shown_at=row.shown_at,
    )


def wishes_of(row: WishesRow | Row[Any]) -> tuple[Wishes, list[str]]:
    """The wishes in a row, and the names of those that cannot be read."""
    read: dict[str, Any] = {}
    unreadable: list[str] = []
    for name, build in _WISHES.items():
        said = getattr(row, name)
        try:
            read[name] = None if said is None else build(json.loads(said))
        except (TypeError, ValueError, KeyError, OverflowError):
            unreadable.append(name)
    return Wishes(**read), unreadable


def entry_of(row: HistoryRow) -> HistoryEntry:
    """The line in a row."""
    return HistoryEntry(at=row.at, actor=row.actor, action=row.action, detail=row.detail)


def _document(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    return dict(_named(value))


def _named(value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - any dataclass
    return [(field.name, getattr(value, field.name)) for field in fields(value)]


def _fitting(build: Callable[..., T], document: dict[str, Any] | None) -> T | None:
    if document is None:
        return None
    try:
        return build(**document)
    except (TypeError, ValueError, KeyError, OverflowError):
        return None


def _pull_request(
    *,
    labels: list[str] | None = None,
    updated_at: str | None = None,
    **rest: Any,  # noqa: ANN401 - what JSON holds
) -> PullRequest:
    moment = _moment(updated_at) if updated_at else None
    return PullRequest(labels=tuple(labels or ()), updated_at=moment, **rest)


def _manifests(
    *,
    stage: str,
    mode: str = Mode.AWAKE,
    grant: dict[str, Any] | None = None,
    image: dict[str, Any] | None = None,
    parcels: list[dict[str, Any]] | None = None,
    **rest: Any,  # noqa: ANN401 - what JSON holds
) -> Manifests:
    return Manifests(
        stage=Stage(stage),
        mode=Mode(mode),
        grant=_grant(**grant) if grant else None,
        image=Image(**image) if image else None,
        parcels=tuple(Parcel(**parcel) for parcel in parcels or ()),
        **rest,
    )


def _grant(*, since: str, **rest: Any) -> Grant:  # noqa: ANN401 - what JSON holds
    return Grant(since=_moment(since), **rest)


def _condition(*, since: str, **rest: Any) -> Condition:  # noqa: ANN401 - what JSON holds
    return Condition(since=_moment(since), **rest)


def _facts(
    *,
    created_at: str,
    pushed_at: str,
    expired_at: str | None = None,
    asleep: dict[str, Any] | None = None,
) -> Facts:
    return Facts(
        created_at=_moment(created_at),
        pushed_at=_moment(pushed_at),
        expired_at=_moment(expired_at) if expired_at else None,
        asleep=_said(asleep) if asleep else None,
    )


def _expiry(*, at: str, anchor: str, anchored_at: str, ttl: float, **rest: Any) -> Expiry:  # noqa: ANN401 - what JSON holds
    return Expiry(
        at=_moment(at),
        anchor=Anchor(anchor),
        anchored_at=_moment(anchored_at),
        ttl=timedelta(seconds=ttl),
        **rest,
    )


def _removal(
    *,
    started_at: str,
    gone: list[dict[str, str]],
    finished_at: str | None = None,
    **rest: Any,  # noqa: ANN401 - what JSON holds
) -> Removal:
    return Removal(
        started_at=_moment(started_at),
        gone=tuple(Gone(each["kind"], each["name"], _moment(each["at"])) for each in gone),
        finished_at=_moment(finished_at) if finished_at else None,
        **rest,
    )


def _said(document: dict[str, Any]) -> Said:
    return Said(_moment(document["at"]), str(document.get("by", "")))


def _until(document: dict[str, Any]) -> Until:
    until, at = _moment(document["until"]), _moment(document["at"])
    return Until(until, at, str(document.get("by", "")))


def _approval(document: dict[str, Any]) -> Approval:
    return Approval(str(document["head_sha"]), _moment(document["at"]), str(document.get("by", "")))


def _moment(said: str) -> datetime:
    moment = datetime.fromisoformat(said)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


_WISHES: dict[str, Callable[[Any], object]] = {
    "pin": _until,
    "extension": _until,
    **dict.fromkeys(
        (
            "sleep",
            "wake",
            "redeploy",
            "removal",
            "reset",
            "rotation",
            "eviction",
            "confirmation",
            "asked",
        ),
        _said,
    ),
    "approval": _approval,
    "active_at": _moment,
}
