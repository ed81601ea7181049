"""Text for a terminal. What strangers wrote must not reach it as commands, so nothing is printed but through here."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from previews.domain.duration import format_duration
from previews.web.sweep_views import BrakeView, SweepView, ThingView
from previews.web.views import (
    ExpiryView,
    History,
    ImageView,
    PreviewView,
    RemovalView,
)

NOTHING = "-"
CELL_WIDTH_MAX = 60
DIGITS_SHOWN = 12
"""Of an image's digest."""


def plain(text: str) -> str:
    """With a mark in place of whatever moves the cursor, colours, breaks the line or turns it around."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns; a long cell is cut, but for those of the last column."""
    cells = [[*map(_cut, row[:-1]), plain(row[-1])] for row in (heading, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else NOTHING


def previews(views: Iterable[PreviewView]) -> str:
    """A line for each preview."""
    heading = ("PREVIEW", "PHASE", "REASON", "EXPIRES", "AUTHOR", "URL")
    return table(
        heading,
        [
            (
                _key(view),
                view.phase,
                view.reason,
                _expiry(view),
                view.author or NOTHING,
                view.url or NOTHING,
            )
            for view in views
        ],
    )


def preview(view: PreviewView, history: History) -> str:
    """Everything about one preview."""
    parts = [f"{plain(_key(view))}  {view.phase}\n{_about(view)}"]
    if view.conditions:
        rows = [
            (each.type, str(each.status), each.reason, moment(each.since), each.message)
            for each in view.conditions
        ]
        parts.append(table(("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"), rows))
    if removal := view.removal or view.receipt:
        parts.append(receipt(removal))
    if history.history:
        lines = [(moment(e.at), e.actor, e.action, e.detail) for e in history.history]
        parts.append(table(("WHEN", "WHO", "WHAT", "DETAIL"), lines))
    return "\n\n".join(parts)


def receipt(removal: RemovalView) -> str:
    """What was removed, when, and whether it is proven that nothing is left."""
    over = removal.finished_at
    end = f"nothing was left at {moment(over)}" if over else "not finished"
    head = f"removal ({removal.cause}, by {plain(removal.by)}) since {moment(removal.started_at)}: "
    if not removal.gone:
        return head + end
    rows = [(each.kind, moment(each.at), each.name) for each in removal.gone]
    return f"{head}{end}\n{table(('GONE', 'SEEN AT', 'NAME'), rows)}"


def brake(view: BrakeView) -> str:
    """Whether the brake holds, and what."""
    window = format_duration(timedelta(seconds=view.window_seconds))
    lines = [
        f"{view.begun} of at most {view.allowed} removals that nobody asked for began within {window}"
    ]
    if view.rewrites_waiting or view.rewrites_failing:
        lines.append(
            f"{view.rewrites_waiting} previews wait for a changed template or configuration; "
            f"of those that have it, {view.rewrites_failing} are not well"
        )
    if not view.holds:
        return "\n".join(["the brake holds nothing", *lines])
    rows = [(each.preview, each.cause) for each in view.held]
    held = table(("HELD", "WHY IT WOULD GO"), rows)
    return "\n".join([f"the brake holds {len(view.held)} removals", *lines, held])


def sweep(view: SweepView) -> str:
    """What was left behind, and what was done about it."""
    if not view.orphans:
        is_whole = not view.held and not view.problems
        return "nothing was left behind" if is_whole else "not everything could be looked at"
    done = "would be removed" if view.dry_run else "removed"
    gone = _names(view.planned if view.dry_run else view.removed)
    rows = [
        (
            each.kind,
            each.name,
            each.preview or each.shard or NOTHING,
            moment(each.created_at),
            done if (each.kind, each.name) in gone else (each.waits or "not removed"),
            each.cause,
        )
        for each in view.orphans
    ]
    return table(("KIND", "NAME", "OF", "CREATED", "WHAT HAPPENS", "WHY"), rows)


def _names(things: Iterable[ThingView]) -> set[tuple[str, str]]:
    return {(thing.kind, thing.name) for thing in things}


def _about(view: PreviewView) -> str:
    pull_request = [view.pull_request_url, view.title, f"by {view.author}" if view.author else None]
    facts = {
        "reason": f"{view.reason}: {view.message}" if view.message else view.reason,
        "what to do": view.remedy,
        "pull request": "  ".join(filter(None, pull_request)),
        "head_sha": view.head_sha,
        "url": view.url,
        "Application": view.application,
        "Namespace": view.namespace,
        "created": moment(view.created_at),
        "expires": _expiry_at_length(view.expiry),
        "pinned": f"until {moment(view.pin.until)} by {view.pin.by}" if view.pin else None,
        "asleep": f"since {moment(view.asleep.since)}: {view.asleep.by}" if view.asleep else None,
        "image": _image(view.image),
        "database": (f"{view.database.name} on {view.database.server}" if view.database else None),
        "warnings": "; ".join(view.database.warnings) if view.database else None,
        "queue": f"number {view.queue.number}; full: {view.queue.full}" if view.queue else None,
    }
    return table(("", ""), [(f"  {name}", text) for name, text in facts.items() if text]).lstrip(
        "\n"
    )


def _image(image: ImageView | None) -> str | None:
    """With enough of its digest to tell it from others."""
    if image is None:
        return None
    algorithm, _, digits = (image.digest or "").partition(":")
    name, _, _ = image.reference.partition("@")
    return f"{name} ({algorithm}:{digits[:DIGITS_SHOWN]})" if digits else name


def _key(view: PreviewView) -> str:
    return f"{view.project}#{view.number}"


def _expiry(view: PreviewView) -> str:
    if view.expiry is None:
        return NOTHING
    return moment(view.expiry.at) + (" (soon)" if view.expiry.is_near else "")


def _expiry_at_length(expiry: ExpiryView | None) -> str:
    if expiry is None:
        return NOTHING
    ttl = format_duration(timedelta(seconds=expiry.ttl_seconds))
    anchor = expiry.anchor.replace("_", " ")
    extended = f", extended by {expiry.extended_by}" if expiry.extended_by else ""
    return f"{moment(expiry.at)} ({ttl} from {anchor}, {moment(expiry.anchored_at)}{extended})"


def _cut(text: str) -> str:
    shown = plain(text)
    return shown if len(shown) <= CELL_WIDTH_MAX else f"{shown[: CELL_WIDTH_MAX - 1]}…"


def _width(text: str) -> int:
    """On a terminal, where some letters take two places and others none."""
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )
