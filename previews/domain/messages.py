"""Every text that people read on a pull request. Pure: the same preview always says the same.

Text that comes from outside (a refusal of Kubernetes, the answer of a registry) is escaped here, so that it can neither
mention anybody nor become a link or HTML.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from previews.domain.duration import format_duration
from previews.domain.lifetime import Anchor, EndCause
from previews.domain.naming import short_sha
from previews.domain.preview import HeadSha, Phase
from previews.domain.reasons import remedy_of
from previews.domain.record import (
    STATUS_PREFIX,
    CommitStatus,
    Feedback,
    PreviewRecord,
    StatusState,
)

DESCRIPTION_LENGTH_MAX = 140
"""GitHub's limit for a commit status."""
_CELL_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class Subject:
    """A preview with what the configuration knows of it."""

    record: PreviewRecord
    url: str
    """Its public address, shown only while it is live."""


def feedback(instance: str, subjects: Sequence[Subject]) -> Feedback | None:
    """All that a pull request should say about its previews, or None while there is nothing to say.

    `subjects` are the previews of one pull request, at least one, ordered by project.
    """
    pull_requests = [s.record.pull_request for s in subjects if s.record.pull_request]
    if not pull_requests:
        return None
    marker = f"<!-- previews:{instance} -->"
    return Feedback(
        repository=pull_requests[0].repository,
        number=pull_requests[0].number,
        statuses=tuple(
            (subject.record.pull_request.head_sha, commit_status(subject))
            for subject in subjects
            if subject.record.pull_request
        ),
        comment_marker=marker,
        comment=comment(marker, subjects),
    )


_ANSWERING = {Phase.LIVE, Phase.ASLEEP, Phase.WAKING}
"""A visitor of its address gets it, at once or after a while."""
_SLEEPING = {Phase.ASLEEP, Phase.WAKING}
_OVER = {Phase.REMOVED, Phase.EXPIRED, Phase.BLOCKED}

_HEADLINES = {
    Phase.BLOCKED: "No preview",
    Phase.QUEUED: "Waiting for its turn",
    Phase.WAITING_FOR_IMAGE: "Waiting for the image",
    Phase.PROVISIONING: "Provisioning",
    Phase.DEPLOYING: "Deploying",
    Phase.LIVE: "Live",
    Phase.DEGRADED: "Not working",
    Phase.ASLEEP: "Asleep",
    Phase.WAKING: "Waking up",
    Phase.EXPIRED: "Preview taken down",
    Phase.REMOVING: "Removing",
    Phase.REMOVED: "Preview removed",
}


_FINAL = {Phase.LIVE, Phase.ASLEEP, Phase.WAKING, Phase.EXPIRED, Phase.REMOVED, Phase.BLOCKED}
"""Nothing is wrong with the pull request, and nothing has to be waited for: a visit wakes what sleeps."""


def commit_status(subject: Subject) -> CommitStatus:
    """The one line beside the commit. Every pending status ends in one that is not."""
    record = subject.record
    if _fails(record):
        state = StatusState.FAILURE
    else:
        state = StatusState.SUCCESS if record.phase in _FINAL else StatusState.PENDING
    headline = _HEADLINES[record.phase]
    if record.phase in _SLEEPING and not record.failed:
        # One line for both: each further one counts against what a forge takes for a commit.
        headline = "Asleep while nobody visits it: open it to wake it up"
    elif record.phase not in {Phase.LIVE, Phase.REMOVED} and record.message:
        headline = f"{headline}: {record.message}"
    return CommitStatus(
        context=f"{STATUS_PREFIX}{record.key.project}",
        state=state,
        description=_cut(plain(headline), DESCRIPTION_LENGTH_MAX),
        target_url=subject.url if record.phase in _ANSWERING else "",
    )


def _fails(record: PreviewRecord) -> bool:
    return record.failed or record.phase is Phase.DEGRADED


def superseded(status: CommitStatus, by: HeadSha) -> CommitStatus:
    """What an older commit is left with, whose preview was not live yet when the next one came."""
    return CommitStatus(
        context=status.context,
        state=StatusState.FAILURE,
        description=f"Superseded by {short_sha(by)} before it was live",
        target_url="",
    )


def comment(marker: str, subjects: Sequence[Subject]) -> str:
    """The sticky comment: a row for each project."""
    rows = "\n".join(_row(subject) for subject in subjects)
    machine = json.dumps(
        {
            "version": 1,
            "previews": [
                {
                    "project": s.record.key.project,
                    "phase": s.record.phase,
                    "url": s.url if s.record.phase in _ANSWERING else None,
                    "expires_at": s.record.expiry.at.isoformat() if s.record.expiry else None,
                    "head_sha": s.record.pull_request.head_sha if s.record.pull_request else None,
                }
                for s in subjects
            ],
        }
    )
    return (
        f"{marker}\n### Preview\n\n"
        "| Project | Status | Preview | Commit |\n| --- | --- | --- | --- |\n"
        f"{rows}\n{_notes(subjects)}\n<!-- previews-json: {machine} -->\n"
    )


def _row(subject: Subject) -> str:
    record = subject.record
    status = f"**{_HEADLINES[record.phase]}**"
    if record.message and record.phase is not Phase.LIVE:
        status += f"<br>{escape(_cut(plain(record.message), _CELL_LENGTH_MAX))}"
    if _fails(record) and (remedy := remedy_of(record.reason)):
        status += f"<br>→ {remedy}"
    link = f"[{subject.url}]({subject.url})" if record.phase in _ANSWERING else ""
    commit = f"`{short_sha(record.pull_request.head_sha)}`" if record.pull_request else ""
    return f"| {record.key.project} | {status} | {link} | {commit} |"


def _notes(subjects: Sequence[Subject]) -> str:
    """Below the table: how long each preview lives, and what its removal left."""
    said = (_expiry, _database, _receipt)
    notes = [note for subject in subjects for say in said if (note := say(subject))]
    return "".join(f"\n{note}\n" for note in notes)


_ANCHORS = {
    Anchor.CREATION: "it was made",
    Anchor.LAST_PUSH: "the last push",
    Anchor.LAST_ACTIVITY: "the last visit",
}


def _database(subject: Subject) -> str:
    record = subject.record
    said = "; ".join(filter(None, (record.edited_migrations, record.storage_warning)))
    if not said or record.phase in _OVER:
        return ""
    return f"⚠️ `{record.key.project}`: {escape(plain(said))}"


def _expiry(subject: Subject) -> str:
    record, expiry = subject.record, subject.record.expiry
    if expiry is None or record.phase in _OVER:
        return ""
    name = record.key.project
    ttl, anchor = format_duration(expiry.ttl), _ANCHORS[expiry.anchor]
    if expiry.pinned_by:
        why = f"pinned by {escape(plain(expiry.pinned_by))}"
    elif expiry.extended_by:
        why = f"extended by {escape(plain(expiry.extended_by))}"
    else:
        why = f"{ttl} after {anchor}"
    sign = "⚠️ **" if expiry.is_near else ""
    end = "**" if expiry.is_near else ""
    return f"{sign}{name} expires on {_moment(expiry.at)}{end} ({why})."


_CAUSES = {
    "PullRequestClosed": "the pull request was closed",
    "ForksAreOff": "previews of forks are off",
    EndCause.EXPIRED: "its time was over",
    EndCause.EVICTED: "it slept, and another needed its place",
    EndCause.REMOVED: "somebody asked for it",
    "Drained": "its project was taken out of the configuration",
    "DeletedByAnotherHand": "somebody deleted it in the cluster",
}


def _receipt(subject: Subject) -> str:
    record, removal = subject.record, subject.record.removal
    if removal is None or removal.finished_at is None or record.phase not in _OVER:
        return ""
    lines = [f"| {gone.kind} | `{gone.name}` | {gone.at:%H:%M:%S} |" for gone in removal.gone]
    name, checked = record.key.project, _moment(removal.finished_at)
    why = _CAUSES.get(removal.cause, escape(plain(removal.cause)))
    return "\n".join(
        (
            f"<details><summary>{name}: nothing is left (checked {checked})</summary>",
            "",
            f"Removed because {why}, from {_moment(removal.started_at)} on.",
            "",
            "| What | Name | Found gone (UTC) |",
            "| --- | --- | --- |",
            *lines,
            "",
            "</details>",
        )
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def plain(text: str) -> str:
    """One line, without control or direction-changing characters."""
    spaced = "".join(
        " " if character.isspace() or unicodedata.category(character)[0] == "C" else character
        for character in text
    )
    return " ".join(spaced.split())


_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no mention, link, image, table cell or HTML."""
    html = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    marked = _SPECIAL.sub(r"\\\1", html)
    # An empty comment after these keeps a forge from making a mention or a bare link of them.
    return marked.replace("@", "@<!-- -->").replace("://", ":<!-- -->//")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
