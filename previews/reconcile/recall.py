"""What the gates knew in a former process, found again in the records before anything is decided."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from previews.domain.caps import Holder, Waiting
from previews.domain.lifetime import (
    MANAGER,
    EndCause,
    Wishes,
    end_of,
    expiry_of,
    is_pinned,
    last_use,
)
from previews.domain.policy import decide
from previews.domain.preview import Mode, Phase, PreviewKey, Stage
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.removal import departure
from previews.reconcile.gates import Gates


def recall(
    records: Iterable[PreviewRecord],
    wishes: Mapping[PreviewKey, Wishes],
    projects: Mapping[str, Project],
    gates: Gates,
    now: datetime,
) -> None:
    """Tell the gates what is there.

    The brake weighs everything that wants to go under the configuration of now, before the first of it is looked at.
    """
    for record in records:
        known = wishes.get(record.key, Wishes()).as_of(now)
        if record.removal and record.removal.by == MANAGER:
            gates.brake.began(record.key, record.removal.started_at)
        project = projects.get(record.key.project)
        if record.is_rewritten and project is not None and not record.is_gone:
            gates.rollout.is_under_way(record.key, fails=record.phase is Phase.DEGRADED)
        if record.queued_since is not None and project is not None:
            _recall_turn(record, record.queued_since, gates)
        if project is not None and record.manifests is not None and not record.is_gone:
            _recall_place(record, known, gates, now)
            if record.manifests.stage is Stage.WHOLE:
                _recall_stay(record, known, project, gates, now)


def _recall_place(record: PreviewRecord, wishes: Wishes, gates: Gates, now: datetime) -> None:
    facts = record.facts_as_of(now)
    asleep = record.manifests is not None and record.manifests.mode is Mode.ASLEEP
    gates.admission.holds(
        Holder(
            key=record.key,
            author=record.pull_request.author if record.pull_request else "",
            is_awake=not asleep,
            is_pinned=is_pinned(wishes, now),
            last_use=last_use(facts, wishes),
        )
    )
    end = end_of(facts, wishes, now)
    if end is not None and end.cause is EndCause.EVICTED:
        gates.admission.makes_room(record.key)


def _recall_turn(record: PreviewRecord, since: datetime, gates: Gates) -> None:
    gates.admission.waits(
        Waiting(
            key=record.key,
            author=record.pull_request.author if record.pull_request else "",
            since=since,
            is_there=record.phase is Phase.ASLEEP,
        )
    )


def _recall_stay(
    record: PreviewRecord, wishes: Wishes, project: Project, gates: Gates, now: datetime
) -> None:
    pull_request, facts = record.pull_request, record.facts_as_of(now)
    if pull_request is None:
        return
    end = end_of(facts, wishes, now)
    expiry = expiry_of(project.lifetime, pull_request.labels, facts, wishes, now)
    gates.brake.stays(record.key, expiry.at if expiry else None)
    policies, known = (project.policy,), record.paths
    touched = known.touched if known and known.answers(policies, pull_request) else None
    # What its repository's rules say is read before anything is looked at, and weighed then.
    verdict = decide(policies, pull_request, touched=touched, wishes=wishes)
    leaving = departure(pull_request, verdict, end)
    if leaving is not None and (end is None or end.cause is EndCause.EXPIRED):
        gates.brake.suspects([record.key], leaving.cause)
