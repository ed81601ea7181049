"""Every text that people read on a pull request. Pure: the same preview always says the same.

Text that comes from outside (a refusal of Kubernetes, the answer of a registry) is escaped here, so that it can neither
mention anybody nor become a link or HTML.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from previews.domain.naming import short_sha
from previews.domain.preview import Phase
from previews.domain.record import CommitStatus, Feedback, PreviewRecord, StatusState

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


_HEADLINES = {
    Phase.BLOCKED: "No preview",
    Phase.WAITING_FOR_IMAGE: "Waiting for the image",
    Phase.PROVISIONING: "Provisioning",
    Phase.DEPLOYING: "Deploying",
    Phase.LIVE: "Live",
    Phase.DEGRADED: "Not working",
    Phase.REMOVING: "Removing",
    Phase.REMOVED: "Preview removed",
}


def commit_status(subject: Subject) -> CommitStatus:
    """The one line beside the commit. Every pending status ends in one that is not."""
    record = subject.record
    match record.phase:
        case Phase.LIVE | Phase.REMOVED:
            state = StatusState.SUCCESS
        case Phase.DEGRADED:
            state = StatusState.FAILURE
        case Phase.BLOCKED:
            # By policy there is nothing wrong with the pull request.
            state = StatusState.FAILURE if record.failed else StatusState.SUCCESS
        case _:
            state = StatusState.FAILURE if record.failed else StatusState.PENDING
    headline = _HEADLINES[record.phase]
    if record.phase not in {Phase.LIVE, Phase.REMOVED} and record.message:
        headline = f"{headline}: {record.message}"
    return CommitStatus(
        context=f"preview/{record.key.project}",
        state=state,
        description=_cut(plain(headline), DESCRIPTION_LENGTH_MAX),
        target_url=subject.url if record.phase is Phase.LIVE else "",
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
                    "url": s.url if s.record.phase is Phase.LIVE else None,
                    "head_sha": s.record.pull_request.head_sha if s.record.pull_request else None,
                }
                for s in subjects
            ],
        }
    )
    return (
        f"{marker}\n### Preview\n\n"
        "| Project | Status | Preview | Commit |\n| --- | --- | --- | --- |\n"
        f"{rows}\n\n<!-- previews-json: {machine} -->\n"
    )


def _row(subject: Subject) -> str:
    record = subject.record
    status = f"**{_HEADLINES[record.phase]}**"
    if record.message and record.phase is not Phase.LIVE:
        status += f"<br>{escape(_cut(plain(record.message), _CELL_LENGTH_MAX))}"
    link = f"[{subject.url}]({subject.url})" if record.phase is Phase.LIVE else ""
    commit = f"`{short_sha(record.pull_request.head_sha)}`" if record.pull_request else ""
    return f"| {record.key.project} | {status} | {link} | {commit} |"


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
