"""The one comment on a pull request: a row for each project, what follows below, and the same for machines. Pure.

docs/feedback.md describes the part for machines, which stays as it is within one version.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from previews.domain.comment_notes import notes
from previews.domain.feedback import CommentMode
from previews.domain.markdown import cut, escape, moment, plain
from previews.domain.naming import short_sha
from previews.domain.preview import Phase
from previews.domain.subject import HEADLINES, Subject

COMMENT_LENGTH_MAX = 65_536
"""GitHub's limit, in characters."""
MACHINE_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is said of each preview."""

    message_length: int
    has_receipts: bool
    has_notes: bool = True


_WHOLE = _Detail(message_length=300, has_receipts=True)
_LESS_AND_LESS = (
    _WHOLE,
    _Detail(message_length=300, has_receipts=False),
    _Detail(message_length=80, has_receipts=False),
    _Detail(message_length=0, has_receipts=False, has_notes=False),
)


def marker_of(instance: str) -> str:
    """The first line of our comment, by which it is found again."""
    return f"<!-- previews:{instance} -->"


def shown_in_comment(subjects: Sequence[Subject], *, is_there: bool) -> Sequence[Subject]:
    """Whose rows the comment has, those without a preview last; none while there is nothing to say in one.

    `is_there`: a comment was written before. It is kept true from then on, whatever became of the configuration.
    """
    ordered = sorted(subjects, key=lambda each: each.is_passive)
    rows = [each for each in ordered if each.comment_mode is not CommentMode.OFF]
    if is_there:
        return rows or ordered
    return rows if any(_begins_a_comment(each) for each in rows) else ()


def _begins_a_comment(subject: Subject) -> bool:
    if subject.comment_mode is CommentMode.ON_FAILURE and not subject.fails:
        return False
    return not subject.is_passive and not subject.never_was


def comment(marker: str, subjects: Sequence[Subject]) -> str:
    """All of it, with less and less detail until a forge takes it. What machines read is never cut in two."""
    text = ""
    for detail in _LESS_AND_LESS:
        text = _text(marker, subjects, len(subjects), detail)
        if len(text) <= COMMENT_LENGTH_MAX:
            return text
    # Hundreds of projects at one pull request: as many of them as there is room for.
    shown = len(subjects)
    while len(text) > COMMENT_LENGTH_MAX and shown:
        shown = shown * 3 // 4
        text = _text(marker, subjects, shown, _LESS_AND_LESS[-1])
    return text


def _text(marker: str, subjects: Sequence[Subject], shown: int, detail: _Detail) -> str:
    rows = [_row(subject, detail) for subject in subjects[:shown]]
    blocks = [
        "\n".join(
            (
                "| Project | Status | Preview | Logs | Updated (UTC) |",
                "| --- | --- | --- | --- | --- |",
                *rows,
            )
        )
    ]
    if shown < len(subjects):
        blocks.append(f"{len(subjects) - shown} more projects are not shown here.")
    if detail.has_notes:
        blocks += [
            note
            for subject in subjects[:shown]
            for note in notes(subject, with_receipt=detail.has_receipts)
        ]
    if commands := dict.fromkeys(each for subject in subjects for each in subject.commands):
        offered = " · ".join(f"`{command}`" for command in commands)
        blocks.append(f"Say in a comment of its own: {offered}")
    said = "\n\n".join(blocks)
    return f"{marker}\n### Preview\n\n{said}\n\n{_machine_part(subjects, shown)}\n"


def _row(subject: Subject, detail: _Detail) -> str:
    record = subject.record
    status = f"**{HEADLINES[record.phase]}**"
    if record.pull_request:
        status += f" at `{short_sha(record.pull_request.head_sha)}`"
    if record.message and record.phase is not Phase.LIVE and detail.message_length:
        status += f"<br>{escape(cut(plain(record.message), detail.message_length))}"
    if subject.remedy and detail.message_length:
        status += f"<br>→ {subject.remedy}"
    link = f"[{subject.address}]({subject.address})" if subject.address else ""
    logs = f"[Logs]({subject.logs_url})" if subject.logs_url else ""
    updated = moment(record.shown_at) if record.shown_at else ""
    return f"| {record.key.project} | {status} | {link} | {logs} | {updated} |"


def _machine_part(subjects: Sequence[Subject], shown: int) -> str:
    document: dict[str, Any] = {
        "version": MACHINE_VERSION,
        "previews": [_for_machines(subject) for subject in subjects[:shown]],
    }
    if shown < len(subjects):
        document["not_shown"] = len(subjects) - shown
    # Nothing in it can end the comment that it stands in.
    text = json.dumps(document).replace("<", r"\u003c").replace(">", r"\u003e")
    return f"<!-- previews-json: {text} -->"


def _for_machines(subject: Subject) -> dict[str, str | None]:
    record = subject.record
    return {
        "project": record.key.project,
        "phase": record.phase,
        "reason": record.reason or None,
        "url": subject.address or None,
        "expires_at": record.expiry.at.isoformat() if record.expiry else None,
        "head_sha": record.pull_request.head_sha if record.pull_request else None,
        "updated_at": record.shown_at.isoformat() if record.shown_at else None,
    }
