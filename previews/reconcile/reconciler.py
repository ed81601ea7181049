"""Brings one preview to what its pull request says: observe, plan, apply, record. Only a key comes in."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from previews.domain.observation import Deadlines, Observation, Plan
from previews.domain.plan import plan
from previews.domain.ports import Clock
from previews.domain.preview import Phase, PreviewKey, PullRequest, Stage
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.removal import Departure, departure, is_there
from previews.errors import PreviewsError
from previews.reconcile.belongings import Belongings
from previews.reconcile.conclusions import note, note_lifetime
from previews.reconcile.desired import Desired
from previews.reconcile.gates import Gates
from previews.reconcile.images import ImageGate
from previews.reconcile.lifetimes import Lifetimes, Outlook
from previews.reconcile.migrations import Migrations
from previews.reconcile.nudges import Nudges
from previews.reconcile.observer import Observer
from previews.reconcile.policies import Policies
from previews.reconcile.pull_request_reader import PullRequestReader
from previews.reconcile.pulse import Pulse
from previews.reconcile.recorder import Recorder
from previews.reconcile.storage import StorageWatch
from previews.reconcile.unconfigured import Unconfigured
from previews.reconcile.unknown import Unknown

_PASSES_MAX = 5
"""Decide, write, probe, conclude: each pass sees what the one before did."""


class Reconciler:
    """Reconciles keys, called by several threads, for one key by one of them at a time."""

    def __init__(
        self,
        *,
        projects: Mapping[str, Project],
        deadlines: Deadlines,
        clock: Clock,
        reader: PullRequestReader,
        observer: Observer,
        images: ImageGate,
        belongings: Belongings,
        pulse: Pulse,
        migrations: Migrations,
        storage: StorageWatch,
        lifetimes: Lifetimes,
        policies: Policies,
        gates: Gates,
        desired: Desired,
        nudges: Nudges,
        recorder: Recorder,
        unconfigured: Unconfigured,
        unknown: Unknown,
        look_again: Callable[[PreviewKey, float], None],
        evict: Callable[[PreviewKey, str], None],
    ) -> None:
        self._projects = projects
        self._deadlines = deadlines
        self._clock = clock
        self._reader = reader
        self._observer = observer
        self._images = images
        self._belongings = belongings
        self._pulse = pulse
        self._migrations = migrations
        self._storage = storage
        self._lifetimes = lifetimes
        self._policies = policies
        self._gates = gates
        self._desired = desired
        self._nudges = nudges
        self._recorder = recorder
        self._unconfigured = unconfigured
        self._unknown = unknown
        self._look_again = look_again
        self._evict = evict

    def reconcile(self, key: PreviewKey) -> None:
        """Look at one preview, and do what there is to do."""
        with self._gates.rollout.looked_at(key):
            self._reconcile(key)

    def _reconcile(self, key: PreviewKey) -> None:
        stored = self._recorder.load(key)
        project = self._projects.get(key.project)
        if project is None:
            self._unconfigured.reconcile(stored)
            return
        found = self._reader.read(project, stored)
        if found is None:
            self._unknown.reconcile(project, stored)
            return
        record, pull_request = found
        record = self._lifetimes.adopt(record, pull_request)
        probed = False
        for _ in range(_PASSES_MAX):
            lifetime = self._policies.lifetime(project, pull_request)
            outlook = self._lifetimes.look(lifetime, record, pull_request)
            record, verdict = self._policies.judge(project, record, pull_request, outlook.wishes)
            leaving = departure(pull_request, verdict, outlook.end)
            seen = self._observe(project, record, pull_request, leaving, outlook)
            decision = plan(leaving, pull_request, seen, self._clock.now(), self._deadlines)
            before = record = self._conclude(project, record, leaving, seen, outlook, decision)
            if decision.stage is Stage.WHOLE and not is_there(seen):
                # What it is given to carry from its first commit on.
                lifetime = self._policies.lifetime(project, pull_request)
                outlook = self._lifetimes.look(lifetime, record, pull_request, is_coming=True)
            record = self._apply(project, record, pull_request, seen, outlook, decision)
            outside = self._belongings.work_outside(project, record, seen, decision)
            if decision.probe and not probed:
                record, probed = self._pulse.ask_again(record), True
            if record == before and not outside:
                break
        record = self._migrations.judge(project, self._settle(record, decision))
        record = replace(record, storage_warning=self._storage.warning(key))
        self._recorder.record(stored, record)
        self._reader.confirm([key])
        self._lifetimes.confirm(key)
        if seen.place is not None and seen.place.to_evict is not None:
            self._evict(seen.place.to_evict, f"{key} needed its place")
        self._look_again_later(key, outlook, decision)

    def show_error(self, key: PreviewKey, error: PreviewsError) -> None:
        """Keep an error with the preview that it is about. It holds up no other one meanwhile."""
        self._gates.admission.gives_up(key)
        self._gates.brake.cannot_go(key)
        self._gates.rollout.cannot_be_looked_at(key)
        self._belongings.databases.line.leave(key)
        self._recorder.show_error(key, error)

    def _observe(
        self,
        project: Project,
        record: PreviewRecord,
        pull_request: PullRequest,
        leaving: Departure | None,
        outlook: Outlook,
    ) -> Observation:
        goes = leaving is not None
        names = project.names(record.key.number)
        begun = record.manifests is not None and record.manifests.stage is not Stage.WHOLE
        seen = self._observer.traces(names, record, goes=goes or begun)
        seen = self._images.add(project, record, pull_request, seen, goes=goes)
        seen = replace(
            seen,
            sleep=None if self._desired.is_held_back(record.key) else outlook.sleep,
            is_suspected=self._pulse.suspects(record.key, seen.probe),
        )
        seen = self._belongings.observe(project, record, outlook.wishes, seen, goes=goes)
        seen = replace(seen, migration_log=self._observer.migration_log(project, seen))
        seen = replace(seen, cause=self._observer.cause_of(names, seen))
        return self._gates.ask(record, pull_request, leaving, outlook, seen)

    def _conclude(  # noqa: PLR0917 - everything that one pass is about
        self,
        project: Project,
        record: PreviewRecord,
        leaving: Departure | None,
        seen: Observation,
        outlook: Outlook,
        decision: Plan,
    ) -> PreviewRecord:
        now, names = self._clock.now(), project.names(record.key.number)
        record = note(record, leaving, seen, names, decision, now)
        return note_lifetime(record, leaving, seen, outlook, decision, now)

    def _apply(  # noqa: PLR0917 - everything that one pass is about
        self,
        project: Project,
        record: PreviewRecord,
        pull_request: PullRequest,
        seen: Observation,
        outlook: Outlook,
        decision: Plan,
    ) -> PreviewRecord:
        """Carry a decision out. The record that comes back differs if there is more to observe now."""
        if decision.stage is Stage.WHOLE:
            record = self._desired.want(record, pull_request, seen, outlook, decision.mode)
        elif decision.stage is not None:
            record = self._desired.want_less(record, decision.stage)
        else:
            self._desired.keep(record, seen)
        brought = self._belongings.work(project, record, outlook.wishes, seen, decision)
        if brought != record:
            # Before Git names it.
            self._recorder.save(brought)
            record = brought
        self._nudges.carry_out(seen, decision)
        return record

    def _settle(self, record: PreviewRecord, decision: Plan) -> PreviewRecord:
        """A rewritten preview keeps its place in the rollout until it is well, or gone."""
        if not record.is_rewritten:
            self._gates.rollout.gives_back(record.key)
            return record
        under_way = {Phase.PROVISIONING, Phase.DEPLOYING, Phase.WAKING, Phase.DEGRADED}
        falling_asleep = record.phase is Phase.ASLEEP and decision.reason not in {
            "Asleep",
            "Queued",
        }
        if record.phase in under_way or falling_asleep:
            self._gates.rollout.is_under_way(record.key, fails=record.phase is Phase.DEGRADED)
            return record
        self._gates.rollout.settled(record.key)
        return replace(record, is_rewritten=False)

    def _look_again_later(self, key: PreviewKey, outlook: Outlook, decision: Plan) -> None:
        if decision.look_again_after_seconds is not None:
            self._look_again(key, decision.look_again_after_seconds)
        if outlook.look_again_after is not None:
            self._look_again(key, outlook.look_again_after.total_seconds())
