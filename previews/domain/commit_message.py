"""The GitOps repository's history is the audit trail: each commit names its previews, and why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from previews.domain.markdown import plain
from previews.domain.naming import short_sha
from previews.domain.preview import HeadSha, PreviewKey, Stage

_ACTIONS = {
    Stage.WHOLE: "deploy",
    Stage.NAMESPACE: "end the workload of",
    Stage.NOTHING: "remove",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One preview in a commit."""

    key: PreviewKey
    stage: Stage
    head_sha: HeadSha | None
    actor: str
    """Who the forge says opened the pull request. Data from a stranger."""


def commit_message(instance: str, changes: Sequence[Change]) -> str:
    """Subject, a line for each preview, and trailers. No changes: shard roots alone were written."""
    trailers = [f"Previews-Instance: {instance}"]
    for change in changes:
        actor = plain(change.actor)[:80] or "unknown"
        commit = f" head-sha={change.head_sha}" if change.head_sha else ""
        trailers.append(f"Preview: {change.key} stage={change.stage}{commit} actor={actor}")
    return "\n".join((_subject(changes), "", *trailers, ""))


def _subject(changes: Sequence[Change]) -> str:
    match changes:
        case []:
            return "Restore shard roots"
        case [only]:
            commit = f" at {short_sha(only.head_sha)}" if only.head_sha else ""
            return f"{_ACTIONS[only.stage].capitalize()} {only.key}{commit}"
        case _:
            counts = {stage: sum(change.stage is stage for change in changes) for stage in _ACTIONS}
            parts = [f"{_ACTIONS[stage]} {n}" for stage, n in counts.items() if n]
            return f"{', '.join(parts).capitalize()} previews"
