"""What people ask for in comments: how a command is written, and which of them make sense at the moment. Pure.

A command is the first line of a comment and nothing else on it. What is quoted, indented as code, or said in the
middle of a sentence asks for nothing. Every text here is a stranger's: it is bounded before it is looked at.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from previews.domain.database import Provider
from previews.domain.duration import format_duration, parse_duration
from previews.domain.lifetime import ttl_of
from previews.domain.preview import HeadSha, Phase, parse_head_sha
from previews.domain.project import Project
from previews.domain.record import PreviewRecord

WORD = "/preview"
LINE_LENGTH_MAX = 200
_INDENTATION_MAX = 3
"""With one more space, or a tab, Markdown shows a line as code."""
_SHOWN_MAX = 60
_LINE_END = re.compile(r"[\r\n]")


class Verb(StrEnum):
    """Everything that can be asked for."""

    PREVIEW = ""
    """The word alone: that there be a preview."""
    APPROVE = "approve"
    REDEPLOY = "redeploy"
    EXTEND = "extend"
    PIN = "pin"
    UNPIN = "unpin"
    SLEEP = "sleep"
    WAKE = "wake"
    RESET_DATABASE = "reset-database"
    LOGS = "logs"
    REMOVE = "remove"
    HELP = "help"

    @property
    def usage(self) -> str:
        """As it is written, with what follows it."""
        arguments = {Verb.APPROVE: " [commit]", Verb.EXTEND: " 24h", Verb.PIN: " [7d]"}
        argument = arguments.get(self, "")
        return f"{WORD} {self}{argument}".rstrip()


MEANINGS: Mapping[Verb, str] = {
    Verb.PREVIEW: "makes a preview, also where the project makes none by itself, or brings it back",
    Verb.APPROVE: "lets the present commit of a fork run, or the one of this whole id, and no later one",
    Verb.REDEPLOY: "has its pods made anew; brings it back as well",
    Verb.EXTEND: "adds to the time that it has left",
    Verb.PIN: "keeps it from expiring, for a time or for as long as may be",
    Verb.UNPIN: "takes a pin back",
    Verb.SLEEP: "has it sleep until somebody visits it",
    Verb.WAKE: "wakes it up, or brings it back",
    Verb.RESET_DATABASE: "has its database made anew from the template; what is in it is lost",
    Verb.LOGS: "answers with its conditions and the last lines of what failed",
    Verb.REMOVE: "takes it away until a push, or until somebody wants it back",
    Verb.HELP: "answers with the commands that make sense now",
}

_BY_WORD = {verb.value: verb for verb in Verb if verb is not Verb.PREVIEW}
_TAKE_LENGTH = {Verb.EXTEND, Verb.PIN}


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody asks for."""

    verb: Verb
    project: str = ""
    """Empty: of all projects at the pull request that it makes sense for."""
    length: timedelta | None = None
    commit: HeadSha | None = None
    """Of an approval: the one commit that is meant. None: the one that was there when it was said."""

    def __str__(self) -> str:
        length = format_duration(self.length) if self.length is not None else ""
        words = (WORD, self.verb.value, length, self.commit, self.project)
        return " ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Somebody addressed the manager, and it did not understand."""

    why: str
    """For people; it may hold words of the comment."""


def is_addressed(body: str) -> bool:
    """Whether a comment asks for something, understood or not."""
    return bool(_line(body))


def parse(body: str, projects: Iterable[str] = ()) -> Command | Unknown | None:
    """What a comment asks for; None if it is no command. `projects` are those that it may name."""
    line = _line(body)
    if not line:
        return None
    if len(line) > LINE_LENGTH_MAX:
        return Unknown("a command is a line of its own, and this line is too long for one")
    return _read(line.lower().split()[1:], {name.lower(): name for name in projects})


def _line(body: str) -> str:
    """The first line that is not blank, if it addresses the manager; else nothing."""
    text = body.lstrip()
    blank = body[: len(body) - len(text)]
    indentation = blank[max(blank.rfind("\n"), blank.rfind("\r")) + 1 :]
    if len(indentation) > _INDENTATION_MAX or "\t" in indentation:
        return ""
    first = text[: len(WORD) + 1].lower().split()
    end = _LINE_END.search(text)
    line = text[: end.start()] if end else text
    return line.rstrip() if first == [WORD] else ""


def _read(words: list[str], projects: Mapping[str, str]) -> Command | Unknown:
    verb = Verb.PREVIEW
    if words and words[0] in _BY_WORD:
        verb, words = _BY_WORD[words[0]], words[1:]
    elif words and (words[0] not in projects or len(words) > 1):
        return Unknown(f"there is no command {WORD} {_shown(words[0])}")
    project, length, commit = "", None, None
    for word in words:
        asked = _length(word) if verb in _TAKE_LENGTH and length is None else None
        named = _commit(word) if verb is Verb.APPROVE and commit is None else None
        if asked is not None:
            length = asked
        elif named is not None:
            commit = named
        elif word in projects and not project:
            project = projects[word]
        else:
            return Unknown(_not_understood(verb, word, projects))
    if verb is Verb.EXTEND and length is None:
        return Unknown(f"it needs a length of time: {verb.usage}")
    return Command(verb, project, length, commit)


def _not_understood(verb: Verb, word: str, projects: Mapping[str, str]) -> str:
    what = "a length of time such as 30m, 12h or 3d, or " if verb in _TAKE_LENGTH else ""
    what = "a commit's whole id or " if verb is Verb.APPROVE else what
    names = ", ".join(sorted(projects.values())[:20])
    return f"{_shown(word)} is not {what}one of this repository's projects ({names})"


def _length(word: str) -> timedelta | None:
    try:
        return parse_duration(word)
    except (ValueError, OverflowError):
        return None


def _commit(word: str) -> HeadSha | None:
    """The whole id alone: whoever chooses the commits can make another one that begins in the same way."""
    try:
        return parse_head_sha(word)
    except ValueError:
        return None


def _shown(word: str) -> str:
    return word if len(word) <= _SHOWN_MAX else f"{word[: _SHOWN_MAX - 1]}…"


def offered(project: Project) -> frozenset[Verb]:
    """The commands that there is machinery for in a project."""
    lacking = set()
    if project.database is None or project.database.provider is not Provider.POSTGRES:
        lacking.add(Verb.RESET_DATABASE)
    if not project.helm.sleep_parameters:
        lacking.add(Verb.SLEEP)
    return frozenset(Verb) - lacking


_ASKING_HELPS = frozenset(
    {"Draft", "AuthorIsBot", "TitleNotWanted", "LabelMissing", "NotAskedFor", "NoPathChanged"}
)
"""Reasons why there is no preview that a person's `/preview` stands for."""
_APPROVING_HELPS = frozenset({"ForkNotApproved"})
_UP = frozenset({Phase.LIVE, Phase.DEGRADED})
_SLEEPING = frozenset({Phase.ASLEEP, Phase.WAKING})
_OVER = frozenset({Phase.EXPIRED, Phase.REMOVING, Phase.REMOVED})


def valid_now(project: Project, record: PreviewRecord) -> tuple[Verb, ...]:
    """The commands that make sense for a preview as it is, in the order in which people are told of them."""
    pull_request, phase, verbs = record.pull_request, record.phase, {Verb.HELP}
    if pull_request is None or not pull_request.is_open:
        return (Verb.HELP,)
    if phase is Phase.BLOCKED:
        verbs |= {Verb.PREVIEW} if record.reason in _ASKING_HELPS else set()
        if pull_request.from_fork and record.reason in _ASKING_HELPS | _APPROVING_HELPS:
            verbs.add(Verb.APPROVE)
    elif phase in _OVER:
        verbs.add(Verb.PREVIEW)
    else:
        verbs |= {Verb.REDEPLOY, Verb.LOGS, Verb.REMOVE, Verb.RESET_DATABASE}
        verbs |= {Verb.WAKE} if phase in _SLEEPING else set()
        verbs |= {Verb.SLEEP} if phase in _UP else set()
        if record.expiry is not None and record.expiry.pinned_by:
            verbs.add(Verb.UNPIN)
        elif ttl_of(project.lifetime, pull_request.labels) is not None:
            verbs |= {Verb.EXTEND, Verb.PIN}
    return tuple(verb for verb in Verb if verb in verbs & offered(project))
