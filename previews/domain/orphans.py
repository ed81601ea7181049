"""What of all orphans one sweep may take, and what has to wait. Pure.

Each must be found twice and have its grace behind it, nothing goes from under something else, and a mass of them goes
only when a person confirms it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from previews.domain.inventory import Found, Identity, Kind, Verdict
from previews.domain.preview import PreviewKey

ORPHANS_OF_ONE_PREVIEW = 6
"""Application, AppProject, Namespace, Database, Record, Deployments: what one preview leaves is no mass of orphans,
however few others there are."""
SWEEPS_OF_A_MASS = 5
"""Orphans that would take more sweeps than this are more than a fast path that failed now and then."""
SIGHTINGS_MIN = 2

_AFTER_APPLICATION = frozenset(
    {
        Kind.APP_PROJECT,
        Kind.NAMESPACE,
        Kind.CONFIG_MAP,
        Kind.DATABASE,
        Kind.RECORD,
        Kind.DEPLOYMENT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Since when, and how often in a row, a thing was found to be an orphan."""

    since: datetime
    times: int


def sighted(
    found: Iterable[Found], before: Mapping[Identity, Sighting], now: datetime
) -> dict[Identity, Sighting]:
    """What is remembered after a complete look. Whatever was not an orphan this time begins anew."""
    after = {}
    for each in found:
        if each.verdict is Verdict.ORPHAN:
            known = before.get(each.owned.identity)
            since = min(known.since, now) if known else now
            times = known.times + 1 if known else 1
            after[each.owned.identity] = Sighting(since=since, times=times)
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How careful a sweep is."""

    grace: timedelta = timedelta(minutes=10)
    """How long something has to be an orphan."""
    per_sweep: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What one sweep removes, and why not the rest."""

    found: tuple[Found, ...]
    planned: tuple[Found, ...]
    held: str = ""


def choose(
    found: Sequence[Found],
    sightings: Mapping[Identity, Sighting],
    limits: Limits,
    now: datetime,
    *,
    confirmed: bool,
) -> Choice:
    """Choose what to remove: what has been an orphan for long enough, and nothing from under something else."""
    held = "" if confirmed else _mass(found, limits)
    # An Application needs its AppProject and its namespace to go, and a root brings back its shard's objects.
    standing = {
        each.owned.owner or each.owned.shard
        for each in found
        if each.owned.kind is Kind.APPLICATION
    }
    judged, ripe = [], []
    for each in found:
        if each.verdict is not Verdict.ORPHAN:
            judged.append(each)
            continue
        sighting = sightings.get(each.owned.identity)
        waits = _waits(each, sighting, limits, now, standing)
        orphan = replace(each, since=sighting.since if sighting else None, waits=held or waits)
        judged.append(orphan)
        if not orphan.waits:
            ripe.append(orphan)
    planned = sorted(ripe, key=lambda each: _turn(each, sightings))[: limits.per_sweep]
    return Choice(found=tuple(judged), planned=tuple(planned), held=held)


def _waits(
    found: Found,
    sighting: Sighting | None,
    limits: Limits,
    now: datetime,
    standing: Collection[PreviewKey | str],
) -> str:
    if sighting is None or sighting.times < SIGHTINGS_MIN:
        return "it has to be found a second time"
    if now - sighting.since < limits.grace:
        return f"its grace ends at {sighting.since + limits.grace:%Y-%m-%d %H:%M} UTC"
    whose = found.owned.owner or found.owned.shard
    if found.owned.kind in _AFTER_APPLICATION and whose in standing:
        return "its Application is still there"
    return ""


def _mass(found: Sequence[Found], limits: Limits) -> str:
    orphans = len({_unit(each) for each in found if each.verdict is Verdict.ORPHAN})
    ours = len({_unit(each) for each in found if each.verdict is not Verdict.NOT_OURS})
    is_many = orphans > limits.per_sweep * SWEEPS_OF_A_MASS
    is_most = orphans > ORPHANS_OF_ONE_PREVIEW and orphans * 2 > ours
    if not (is_many or is_most):
        return ""
    return f"{orphans} of {ours} are orphans at once: nothing is removed until a person confirms it"


def _unit(found: Found) -> tuple[Kind, object]:
    """What counts as one. A preview has a deployment of each commit: they are none the more for that."""
    owned = found.owned
    return owned.kind, owned.owner if owned.kind is Kind.DEPLOYMENT else owned.identity


def _turn(found: Found, sightings: Mapping[Identity, Sighting]) -> tuple[bool, datetime, Identity]:
    """Applications first, then what has been waiting for longest."""
    owned = found.owned
    since = sightings[owned.identity].since
    return owned.kind is not Kind.APPLICATION, since, owned.identity
