"""The check run: how one preview stands, its phases one by one, and the last words of what failed. Pure."""

import re
from collections.abc import Mapping

from previews.domain.feedback import TEXT_LENGTH_MAX, TITLE_LENGTH_MAX, Check, CheckState
from previews.domain.markdown import cut, escape, fenced, moment, plain
from previews.domain.preview import Condition, HeadSha, Phase
from previews.domain.record import PreviewRecord
from previews.domain.status_line import status_context, superseded_line
from previews.domain.subject import Subject

_MESSAGE_LENGTH_MAX = 1000
_STATES: Mapping[Phase, CheckState] = {
    Phase.BLOCKED: CheckState.NEUTRAL,
    Phase.QUEUED: CheckState.QUEUED,
    Phase.WAITING_FOR_IMAGE: CheckState.QUEUED,
    Phase.PROVISIONING: CheckState.IN_PROGRESS,
    Phase.DEPLOYING: CheckState.IN_PROGRESS,
    Phase.LIVE: CheckState.SUCCESS,
    Phase.DEGRADED: CheckState.FAILURE,
    Phase.ASLEEP: CheckState.SUCCESS,
    Phase.WAKING: CheckState.SUCCESS,
    Phase.EXPIRED: CheckState.NEUTRAL,
    Phase.REMOVING: CheckState.IN_PROGRESS,
    Phase.REMOVED: CheckState.NEUTRAL,
}
_STEPS: Mapping[str, str] = {
    "ImageFound": "The registry has the image",
    "DatabaseReady": "The database is ready",
    "SecretsReady": "The secrets are on their way",
    "Pushed": "The manifests are in Git",
    "Applied": "Argo CD has taken them up",
    "Synced": "Argo CD has deployed them",
    "Healthy": "The workload is healthy",
    "Named": "The host has its record",
    "Answering": "The URL answers",
    "ApplicationGone": "The workload is gone",
    "NamespaceGone": "The namespace is gone",
    "RemovalAllowed": "The brake lets it go",
}
_BETWEEN_LOG_LINES = " / "
"""How a message joins the last lines of a log."""


def check_of(instance: str, subject: Subject, head_sha: HeadSha) -> Check:
    """How one preview stands at one commit."""
    record = subject.record
    return Check(
        name=status_context(record.key.project),
        external_id=external_id(instance, record),
        head_sha=head_sha,
        state=CheckState.FAILURE if subject.fails else _STATES[record.phase],
        title=cut(plain(subject.headline), TITLE_LENGTH_MAX),
        summary=cut(_summary(subject), TEXT_LENGTH_MAX),
        text=_text(subject),
        details_url=subject.address,
    )


def superseded_check(instance: str, record: PreviewRecord, of: HeadSha, by: HeadSha) -> Check:
    """What an older commit is left with, whose preview was not live yet when the next one came."""
    return Check(
        name=status_context(record.key.project),
        external_id=external_id(instance, record),
        head_sha=of,
        state=CheckState.NEUTRAL,
        title=superseded_line(by),
        summary="A newer commit is previewed instead.",
        text="",
        details_url="",
    )


def external_id(instance: str, record: PreviewRecord) -> str:
    """Whose it is."""
    return f"previews:{instance}:{record.key}"


def _summary(subject: Subject) -> str:
    lines = [f"**{escape(cut(plain(subject.headline), _MESSAGE_LENGTH_MAX))}**"]
    if subject.remedy:
        lines.append(f"→ {subject.remedy}")
    if subject.address:
        lines.append(f"[{subject.address}]({subject.address})")
    steps = "\n".join(_step(condition) for condition in subject.record.conditions)
    return "\n\n".join([*lines, steps] if steps else lines)


def _step(condition: Condition) -> str:
    mark = "✅" if condition.status else "⏳"
    words = _STEPS.get(condition.type) or re.sub(r"(?<!^)(?=[A-Z])", " ", condition.type)
    not_yet = "" if condition.status else f": not yet, `{condition.reason}`"
    return f"- {mark} {words}{not_yet} (since {moment(condition.since)} UTC)"


def _text(subject: Subject) -> str:
    """What the pods, Argo CD or the registry said last."""
    message = subject.record.message
    if not subject.fails or not message:
        return ""
    lines = message.replace(_BETWEEN_LOG_LINES, "\n")
    return fenced(cut(lines, TEXT_LENGTH_MAX // 2))
