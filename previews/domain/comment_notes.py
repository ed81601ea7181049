"""What the comment says below its table: how long a preview lives, and what its removal left. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from previews.domain.lifetime import Anchor, EndCause, Expiry
from previews.domain.markdown import cut, escape, moment, plain
from previews.domain.record import Removal
from previews.domain.subject import OVER, Subject

_NAME_LENGTH_MAX = 100
_WORDS_LENGTH_MAX = 1000

_ANCHORS = {
    Anchor.CREATION: "its creation",
    Anchor.LAST_PUSH: "the last push",
    Anchor.LAST_ACTIVITY: "the last visit",
}
_CAUSES = {
    "PullRequestClosed": "the pull request was closed",
    "ForksAreOff": "previews of forks are off",
    "ForkNotApproved": "nobody has let its new commit run",
    "PreviewsAreOff": "its repository wants no previews",
    "AuthorNotWanted": "pull requests of its author get no previews",
    "BranchNotWanted": "pull requests between its branches get no previews",
    "LabelForbids": "a label forbids it",
    "Draft": "the pull request became a draft",
    "AuthorIsBot": "pull requests of bots get no previews",
    "TitleNotWanted": "pull requests with its title get no previews",
    "LabelMissing": "the label that brings it is not there any more",
    "NotAskedFor": "previews come only when somebody asks for one",
    "NoPathChanged": "the pull request changes no file of the project any more",
    EndCause.EXPIRED: "its time was over",
    EndCause.EVICTED: "it slept, and another needed its place",
    EndCause.REMOVED: "somebody asked for it",
    "Drained": "its project was taken out of the configuration",
    "DeletedByAnotherHand": "somebody deleted it in the cluster",
}


def notes(subject: Subject, *, with_receipt: bool) -> Iterator[str]:
    """`with_receipt`: whether every single thing that went is listed."""
    record = subject.record
    name, is_over = record.key.project, record.phase in OVER
    if record.expiry is not None and not is_over:
        yield _expiry(name, record.expiry, record.shown_at)
    said = (record.edited_migrations, record.storage_warning, record.rules_warning)
    warnings = "; ".join(filter(None, said))
    if warnings and not is_over:
        yield f"⚠️ `{name}`: {escape(cut(plain(warnings), _WORDS_LENGTH_MAX))}"
    if record.removal is not None and record.removal.finished_at is not None and is_over:
        yield _receipt(name, record.removal, record.removal.finished_at, is_whole=with_receipt)


def _expiry(name: str, expiry: Expiry, as_of: datetime | None) -> str:
    said = f"{name} expires on {moment(expiry.at)} UTC"
    if expiry.is_near:
        said = f"⚠️ **{said}**"
    if expiry.pinned_by:
        why = f"pinned by {_person(expiry.pinned_by)}"
    elif expiry.extended_by:
        why = f"extended by {_person(expiry.extended_by)}"
    else:
        why = f"counted from {_ANCHORS[expiry.anchor]}"
    # A countdown would be an edit each minute: this one says what it was right at.
    left = "" if as_of is None else f" (in {in_words(expiry.at - as_of)}, as of {moment(as_of)})"
    return f"{said}{left}, {why}."


def in_words(length: timedelta) -> str:
    """To the hour, and to the minute only below one: `2 d 3 h`."""
    minutes = max(0, round(length.total_seconds() / 60))
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes} min"
    hours = round(minutes / 60)
    days, hours = divmod(hours, 24)
    return " ".join(part for part in (f"{days} d" * bool(days), f"{hours} h" * bool(hours)) if part)


def _person(name: str) -> str:
    return escape(cut(plain(name), _NAME_LENGTH_MAX))


def _receipt(name: str, removal: Removal, finished_at: datetime, *, is_whole: bool) -> str:
    why = _CAUSES.get(removal.cause) or escape(cut(plain(removal.cause), _NAME_LENGTH_MAX))
    lines = [f"| {gone.kind} | `{gone.name}` | {gone.at:%H:%M:%S} |" for gone in removal.gone]
    table = ("| What | Name | Found gone (UTC) |", "| --- | --- | --- |", *lines, "")
    return "\n".join(
        (
            f"<details><summary>{name}: nothing is left (checked {moment(finished_at)} UTC)</summary>",
            "",
            f"Removed because {why}, from {moment(removal.started_at)} UTC on.",
            "",
            *(table if is_whole else ()),
            "</details>",
        )
    )
