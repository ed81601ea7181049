"""What the manager answers to a command in a comment. Pure. Whatever is not its own words is escaped and bounded."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from previews.domain.commands import MEANINGS, Verb
from previews.domain.conversation import PostedComment
from previews.domain.markdown import cut, escape, fenced, moment, plain
from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord

LOG_LINES_MAX = 60
LOG_LENGTH_MAX = 6_000
"""Of one preview: all of a monorepo's projects fit into one comment."""
PREVIEWS_SHOWN_MAX = 8
LOGS_LENGTH_MAX = 60_000
"""Forges take some thousand characters more in a comment."""
_WORDS_LENGTH_MAX = 500


def reply_marker(instance: str, comment_id: int) -> str:
    """The first line of the reply to one comment, by which it is found again."""
    return f"<!-- previews:{instance}:reply:{comment_id} -->"


def answered_ids(instance: str, comments: Iterable[PostedComment]) -> frozenset[int]:
    """The comments that have a reply of ours among these."""
    marker = re.compile(rf"<!-- previews:{re.escape(instance)}:reply:([0-9]{{1,20}}) -->")
    found = (marker.match(each.body) for each in comments if each.is_ours)
    return frozenset(int(match[1]) for match in found if match)


def refusal(asked: str, refusals: Mapping[PreviewKey, str], *, are_all: bool) -> str:
    """Why a command was not carried out, or not for some of the previews that it was about."""
    head = f"`{asked}` cannot be done:" if are_all else f"`{asked}` is done, but not for all:"
    shown = list(refusals.items())[:PREVIEWS_SHOWN_MAX]
    lines = [f"- {key.project}: {_words(why)}" for key, why in shown]
    if len(refusals) > len(shown):
        lines.append(f"- and {len(refusals) - len(shown)} more")
    return "\n".join([head, "", *lines])


def help_text(valid: Mapping[str, Sequence[Verb]], *, why: str = "") -> str:
    """What can be asked for now, by project; and what was not understood."""
    lines = [f"That was not understood: {_words(why)}.", ""] if why else []
    sensible = {verb for verbs in valid.values() for verb in verbs}
    lines += ["A command is the first line of a comment, alone on it. Now there are:", ""]
    lines += [f"- `{verb.usage}` {MEANINGS[verb]}" for verb in Verb if verb in sensible]
    if len(valid) > 1:
        names = ", ".join(f"`{name}`" for name in list(valid)[:20])
        lines += ["", f"A project at the end narrows it: {names}. Without one it is about all."]
    return "\n".join(lines)


_LONG_FENCE = re.compile("`{20,}")
_CUT_FENCE = "`" * 19 + "…"
"""The fence around a log is longer than any in it: one of thousands would leave no room for others' logs."""


@dataclass(frozen=True, slots=True)
class Logs:
    """What there is to say of one preview's state."""

    record: PreviewRecord
    last_words: str
    """The last lines of what failed, without passwords; empty if nothing did."""


def logs_text(found: Sequence[Logs]) -> str:
    """How each preview stands, and what failed said last: of as many as fit into one comment."""
    parts: list[str] = []
    for each in found[:PREVIEWS_SHOWN_MAX]:
        parts.append(_logs(each))
        if sum(map(len, parts)) > LOGS_LENGTH_MAX:
            parts[-1] = "…"
            break
    return "\n\n".join(parts)


def _logs(found: Logs) -> str:
    record = found.record
    head = f"**{record.key.project}: {record.phase}**"
    parts = [f"{head} {_words(record.message)}" if record.message else head]
    if record.conditions:
        parts.append(
            "\n".join(
                f"- {'✅' if each.status else '⏳'} {each.type}"
                f"{'' if each.status else f' ({each.reason})'} since {moment(each.since)} UTC"
                for each in record.conditions
            )
        )
    lines = found.last_words.splitlines()[-LOG_LINES_MAX:]
    if lines:
        shown = _LONG_FENCE.sub(_CUT_FENCE, "\n".join(lines))
        parts.append(fenced(shown[-LOG_LENGTH_MAX:]))
    return "\n\n".join(parts)


def _words(text: str) -> str:
    return escape(cut(plain(text), _WORDS_LENGTH_MAX))
