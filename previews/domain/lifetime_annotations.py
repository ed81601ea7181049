"""What stands in Git of a preview's lifetime: annotations of its namespace, written and read again. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from previews.domain import labels
from previews.domain.lifetime import Anchor, Approval, Expiry, Facts, Said, Until, Wishes

_WISH_ANNOTATIONS = {
    "pin": labels.PINNED,
    "extension": labels.EXTENDED,
    "sleep": labels.SLEEP,
    "wake": labels.WAKE,
    "redeploy": labels.REDEPLOY,
    "removal": labels.REMOVAL,
    "reset": labels.RESET,
    "rotation": labels.ROTATION,
    "asked": labels.ASKED,
    "approval": labels.APPROVED,
}
"""What of the wishes stands in Git. Evictions and confirmations end with the preview; visits would be a commit each."""


def annotations_of(
    facts: Facts, wishes: Wishes, expiry: Expiry | None, head_sha: str
) -> dict[str, str]:
    """What the manifests say of a preview's lifetime, for people and for a manager that lost its store."""
    found = {
        labels.CREATED: _stamp(facts.created_at),
        labels.PUSHED: f"{_stamp(facts.pushed_at)} {head_sha}",
    }
    if expiry and expiry.anchor is not Anchor.LAST_ACTIVITY:
        found[labels.EXPIRES] = _stamp(expiry.at)
    if facts.asleep:
        found[labels.ASLEEP] = f"{_stamp(facts.asleep.at)} {facts.asleep.by}"
    for name, annotation in _WISH_ANNOTATIONS.items():
        wish = getattr(wishes, name)
        if isinstance(wish, Until):
            found[annotation] = f"{_stamp(wish.until)} {_stamp(wish.at)} {wish.by}"
        elif isinstance(wish, Approval):
            found[annotation] = f"{wish.head_sha} {_stamp(wish.at)} {wish.by}"
        elif isinstance(wish, Said):
            found[annotation] = f"{_stamp(wish.at)} {wish.by}"
    return found


def facts_from(annotations: Mapping[str, str], head_sha: str, head_since: datetime) -> Facts | None:
    """What `annotations_of` wrote; None if it is not all there. `head_since` counts for any other commit."""
    created = _moment(annotations.get(labels.CREATED, ""))
    pushed = _said(annotations, labels.PUSHED)
    if created is None or pushed is None:
        return None
    return Facts(
        created_at=created,
        pushed_at=pushed.at if pushed.by == head_sha else head_since,
        asleep=_said(annotations, labels.ASLEEP),
    )


def wishes_from(annotations: Mapping[str, str]) -> Wishes:
    """What `annotations_of` wrote; whatever does not read as such is left out."""
    return Wishes(
        pin=_until(annotations, labels.PINNED),
        extension=_until(annotations, labels.EXTENDED),
        sleep=_said(annotations, labels.SLEEP),
        wake=_said(annotations, labels.WAKE),
        redeploy=_said(annotations, labels.REDEPLOY),
        removal=_said(annotations, labels.REMOVAL),
        reset=_said(annotations, labels.RESET),
        rotation=_said(annotations, labels.ROTATION),
        asked=_said(annotations, labels.ASKED),
        approval=_approval(annotations, labels.APPROVED),
    )


def _said(annotations: Mapping[str, str], name: str) -> Said | None:
    stamp, _, by = annotations.get(name, "").partition(" ")
    at = _moment(stamp)
    return Said(at, by) if at else None


def _until(annotations: Mapping[str, str], name: str) -> Until | None:
    until, _, rest = annotations.get(name, "").partition(" ")
    said = _said({name: rest}, name)
    end = _moment(until)
    return Until(end, said.at, said.by) if said and end else None


def _approval(annotations: Mapping[str, str], name: str) -> Approval | None:
    head_sha, _, rest = annotations.get(name, "").partition(" ")
    said = _said({name: rest}, name)
    return Approval(head_sha, said.at, said.by) if said and head_sha else None


_YEARS = (2000, 2200)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    # What no preview has, and what calculating with it would fail on.
    return moment if moment.tzinfo and _YEARS[0] <= moment.year < _YEARS[1] else None
