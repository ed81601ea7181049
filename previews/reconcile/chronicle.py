"""What a preview's record keeps for later: the receipt of its removal, and its history. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from previews.domain.deployments import environment_of
from previews.domain.lifetime import MANAGER
from previews.domain.naming import Names, short_sha
from previews.domain.observation import Observation
from previews.domain.preview import Mode, Phase
from previews.domain.record import Gone, HistoryEntry, PreviewRecord, Removal
from previews.domain.removal import Departure, is_being_removed, is_gone


def removal_of(
    known: Removal | None, leaving: Departure | None, seen: Observation, names: Names, now: datetime
) -> Removal | None:
    """The removal as far as it has come. Each thing is noted when a look at it first finds nothing."""
    under_way = known is not None and known.finished_at is None
    if not under_way:
        begins = leaving is not None and not seen.is_held and not is_gone(seen)
        if not begins and (leaving is not None or not is_being_removed(seen)):
            return known
        cause, by = (leaving.cause, leaving.by) if leaving else ("DeletedByAnotherHand", MANAGER)
        known = Removal(cause=cause, by=by, started_at=now)
    if known is None:
        return None
    there = {(each.kind, each.name) for each in known.gone}
    things = [
        ("Application", names.application, seen.application is not None),
        ("Namespace", names.namespace, seen.namespace is not None),
        ("AppProject", names.app_project, not is_gone(seen) and _may_have_project(seen)),
        ("Files in Git", names.folder, bool(seen.files_in_git | seen.files_in_use)),
        *_of_secret(seen),
        *_of_database(seen, names),
        *_of_record(seen, names),
        *_of_deployments(seen),
    ]
    found = [Gone(kind, name, now) for kind, name, is_left in things if not is_left]
    gone = [*known.gone, *(each for each in found if (each.kind, each.name) not in there)]
    # What went at one moment stands in the order in which it goes, also after a manager that died in between.
    order = {kind: place for place, (kind, _, _) in enumerate(things)}
    gone.sort(key=lambda each: (each.at, order.get(each.kind, len(order))))
    finished = now if is_gone(seen) else None
    return replace(known, gone=tuple(gone), finished_at=finished)


def _of_database(seen: Observation, names: Names) -> list[tuple[str, str, bool]]:
    """Nothing for a preview that never had one."""
    if seen.database_left is None and not seen.is_server_unknown:
        return []
    is_left = bool(seen.database_left or seen.is_server_unknown)
    return [("Database and role", names.database, is_left)]


def _of_secret(seen: Observation) -> list[tuple[str, str, bool]]:
    """Nothing for a preview of whose database no secret ever lay in a store."""
    if seen.secret_left is None:
        return []
    return [("Secret in its store", str(seen.key), seen.secret_left)]


def _of_record(seen: Observation, names: Names) -> list[tuple[str, str, bool]]:
    """Nothing for a preview whose host never had a record of its own."""
    if seen.has_record is None:
        return []
    return [("DNS record", names.host or str(seen.key), seen.has_record)]


def _of_deployments(seen: Observation) -> list[tuple[str, str, bool]]:
    """Nothing for a preview that the forge never showed among its deployments."""
    if seen.deployments_left is None:
        return []
    return [("Deployments", environment_of(seen.key.project), seen.deployments_left)]


def _may_have_project(seen: Observation) -> bool:
    """It is asked for only when the rest is gone."""
    return seen.app_project_exists or seen.application is not None or seen.namespace is not None


def history_of(before: PreviewRecord, after: PreviewRecord) -> Iterator[HistoryEntry]:
    """What happened between two records of one preview that somebody may ask for later."""
    yield from _of_removal(before.removal, after.removal)
    was_asleep = before.manifests is not None and before.manifests.mode is Mode.ASLEEP
    sleeps = after.manifests is not None and after.manifests.mode is Mode.ASLEEP
    asleep = after.facts.asleep if after.facts else None
    if sleeps and not was_asleep and asleep:
        yield HistoryEntry(asleep.at, MANAGER, "WentToSleep", asleep.by)
    is_news = (before.phase, _head_of(before)) != (after.phase, _head_of(after))
    if is_news and after.phase is Phase.LIVE and after.conditions:
        at = max(condition.since for condition in after.conditions)
        yield HistoryEntry(at, MANAGER, "WentLive", _head_of(after))


def _of_removal(before: Removal | None, after: Removal | None) -> Iterator[HistoryEntry]:
    if after is None or after == before:
        return
    if before is None or before.started_at != after.started_at:
        yield HistoryEntry(after.started_at, after.by, "RemovalBegan", after.cause)
    if after.finished_at and (before is None or before.finished_at != after.finished_at):
        yield HistoryEntry(after.finished_at, MANAGER, "NothingLeft", after.cause)


def _head_of(record: PreviewRecord) -> str:
    return short_sha(record.pull_request.head_sha) if record.pull_request else ""
