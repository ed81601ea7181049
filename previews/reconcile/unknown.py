"""Looks after previews whose pull request the forge does not know: each stays until somebody says it may go."""

from dataclasses import replace

from previews.domain.lifetime import EndCause
from previews.domain.ports import Clock
from previews.domain.preview import Phase
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.removal import Departure, is_there
from previews.errors import StalledError
from previews.reconcile.gates import Gates
from previews.reconcile.lifetimes import Lifetimes
from previews.reconcile.recorder import Recorder
from previews.reconcile.removal_by_hand import RemovalByHand
from previews.reconcile.repositories import Repositories


class Unknown:
    """Called by several threads, for one preview by one of them at a time."""

    def __init__(
        self,
        *,
        repositories: Repositories,
        lifetimes: Lifetimes,
        gates: Gates,
        recorder: Recorder,
        removal: RemovalByHand,
        clock: Clock,
    ) -> None:
        self._repositories = repositories
        self._lifetimes = lifetimes
        self._gates = gates
        self._recorder = recorder
        self._removal = removal
        self._clock = clock

    def reconcile(self, project: Project, stored: PreviewRecord) -> None:
        """Remove it if that is what somebody asked for last. Raises StalledError if nobody did."""
        key, is_kept = stored.key, stored != PreviewRecord(key=stored.key)
        # Its mark stays, so that the forge is asked at each look: it may come to know it again.
        stored = replace(stored, fetch_mark=0)
        record = self._dated(stored)
        if is_kept and record != stored:
            self._recorder.save(record)
        self._gates.brake.goes_by_hand(key)
        end = self._lifetimes.end(record)
        if end is None or end.cause is not EndCause.REMOVED:
            repository = self._repositories.name_of(project.repository)
            raise StalledError(
                "PullRequestNotFound",
                f"the forge knows no pull request {repository}#{key.number}; "
                "nothing is removed for that",
            )
        leaving = Departure(end.cause, f"removed by {end.by}", end.by, Phase.REMOVED)
        self._gates.rollout.settled(key)
        if not is_there(self._removal.carry_out(project, stored, _ended(record), leaving)):
            self._gates.admission.leaves(key)

    def _dated(self, stored: PreviewRecord) -> PreviewRecord:
        """With the moment since which a wish for its removal counts: what came later would have brought it back."""
        if stored.pull_request is None:
            # All that can be known of it is what is asked for from now on.
            return replace(stored, head_since=stored.head_since or self._clock.now())
        # Git may know of a push that a store of yesterday does not: then that counts as if it came now.
        undated = replace(stored, head_since=None)
        found = self._lifetimes.adopt(undated, stored.pull_request)
        since = found.head_since or stored.head_since or self._clock.now()
        return replace(found, head_since=since)


def _ended(record: PreviewRecord) -> PreviewRecord:
    """As that of a closed pull request: nobody brings it back by asking, and a listing that has it open is news."""
    known = record.pull_request
    closed = replace(known, is_open=False) if known else None
    return replace(record, pull_request=closed, expiry=None, queued_since=None, is_rewritten=False)
