"""Brings one preview to what its pull request says: observe, plan, apply, record.

Only a key comes in. The pull request is re-read whenever an event was about it, and once in each process, so that a
store restored from yesterday decides nothing.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from previews.domain.forge_ports import Forge
from previews.domain.lifetime import EndCause, Wishes
from previews.domain.naming import Names, names_of
from previews.domain.observation import (
    Deadlines,
    Fact,
    Observation,
    Plan,
)
from previews.domain.plan import plan, plan_removal
from previews.domain.ports import Clock, Cluster, Renderer, Store
from previews.domain.preview import (
    Condition,
    Phase,
    PreviewKey,
    PullRequest,
    Stage,
)
from previews.domain.project import Project
from previews.domain.record import HistoryEntry, PreviewRecord
from previews.domain.removal import Departure, departure, drained, is_there
from previews.errors import PreviewsError, StalledError
from previews.reconcile.chronicle import history_of, removal_of
from previews.reconcile.databases import Databases
from previews.reconcile.deployments import DeploymentKeeper
from previews.reconcile.desired import Desired
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.gates import Gates
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.images import ImageGate
from previews.reconcile.lifetimes import Lifetimes, Outlook
from previews.reconcile.migrations import Migrations
from previews.reconcile.nudges import Nudges
from previews.reconcile.observer import Observer
from previews.reconcile.parcels import Parcels
from previews.reconcile.policies import Policies
from previews.reconcile.pulse import Pulse
from previews.reconcile.repositories import Repositories
from previews.reconcile.storage import StorageWatch
from previews.reconcile.writer import GitOpsWriter

_PASSES_MAX = 5
"""Decide, write, probe, conclude: each pass sees what the one before did."""

_log = structlog.get_logger("previews.reconcile")


class Reconciler:
    """Reconciles keys, called by several threads, for one key by one of them at a time."""

    def __init__(
        self,
        *,
        projects: Mapping[str, Project],
        forge: Forge,
        images: ImageGate,
        renderer: Renderer,
        cluster: Cluster,
        pulse: Pulse,
        store: Store,
        clock: Clock,
        writer: GitOpsWriter,
        effects: Effects,
        deadlines: Deadlines,
        lifetimes: Lifetimes,
        policies: Policies,
        databases: Databases,
        parcels: Parcels,
        host_records: HostRecordKeeper,
        deployments: DeploymentKeeper,
        migrations: Migrations,
        storage: StorageWatch,
        gates: Gates,
        repositories: Repositories,
        look_again: Callable[[PreviewKey, float], None],
        tell: Callable[[PreviewRecord], None],
        evict: Callable[[PreviewKey, str], None],
    ) -> None:
        self._projects = projects
        self._forge = forge
        self._pulse = pulse
        self._store = store
        self._clock = clock
        self._effects = effects
        self._deadlines = deadlines
        self._lifetimes = lifetimes
        self._policies = policies
        self._databases = databases
        self._host_records = host_records
        self._deployments = deployments
        self._parcels = parcels
        self._migrations = migrations
        self._storage = storage
        self._gates = gates
        self._repositories = repositories
        self._images = images
        self._observer = Observer(cluster=cluster, writer=writer, clock=clock)
        self._desired = Desired(
            renderer=renderer,
            writer=writer,
            clock=clock,
            rollout=gates.rollout,
            save=self._save,
        )
        self._nudges = Nudges(cluster, effects, clock)
        self._look_again = look_again
        self._tell = tell
        self._evict = evict
        self._lock = threading.Lock()
        self._read: set[PreviewKey] = set()

    def confirm(self, keys: Iterable[PreviewKey]) -> None:
        """What is stored of these pull requests was found to be what the forge says now."""
        with self._lock:
            self._read.update(keys)

    def reconcile(self, key: PreviewKey) -> None:
        """Look at one preview, and do what there is to do."""
        stored = self._store.load(key) or PreviewRecord(key=key)
        project = self._projects.get(key.project)
        if project is None:
            self._reconcile_unconfigured(stored)
            return
        record, pull_request = self._read_pull_request(project, stored)
        record = self._lifetimes.adopt(record, pull_request)
        probed = False
        for _ in range(_PASSES_MAX):
            lifetime = self._policies.lifetime(project, pull_request)
            outlook = self._lifetimes.look(lifetime, record, pull_request)
            record, verdict = self._policies.judge(project, record, pull_request, outlook.wishes)
            leaving = departure(pull_request, verdict, outlook.end)
            seen = self._observe(project, record, pull_request, leaving, outlook)
            decision = plan(leaving, pull_request, seen, self._clock.now(), self._deadlines)
            before = record = self._conclude(record, leaving, seen, outlook, decision)
            if decision.stage is Stage.WHOLE and not is_there(seen):
                # What it is given to carry from its first commit on.
                lifetime = self._policies.lifetime(project, pull_request)
                outlook = self._lifetimes.look(lifetime, record, pull_request, is_coming=True)
            record = self._apply(project, record, pull_request, seen, outlook, decision)
            outside = self._work_outside(project, record, seen, decision)
            if decision.probe and not probed:
                record, probed = self._pulse.ask_again(record), True
            if record == before and not outside:
                break
        record = self._migrations.judge(project, self._settle(record, decision))
        record = replace(record, storage_warning=self._storage.warning(key))
        self._record(stored, record)
        if seen.place is not None and seen.place.to_evict is not None:
            self._evict(seen.place.to_evict, f"{key} needed its place")
        self._look_again_later(key, outlook, decision)

    def _look_again_later(self, key: PreviewKey, outlook: Outlook, decision: Plan) -> None:
        if decision.look_again_after_seconds is not None:
            self._look_again(key, decision.look_again_after_seconds)
        if outlook.look_again_after is not None:
            self._look_again(key, outlook.look_again_after.total_seconds())

    def _reconcile_unconfigured(self, stored: PreviewRecord) -> None:
        """A preview whose project was taken out of the configuration stays, until somebody says that it may go."""
        key = stored.key
        record = self._lifetimes.adopt(stored, None)
        end = self._lifetimes.end(record)
        asked = end if end and end.cause is EndCause.REMOVED else None
        self._gates.brake.goes_by_hand(key)
        if asked is None and record.is_gone:
            return
        if asked is None:
            message = f"project {key.project} is not configured; `previews drain {key.project}` removes its previews"
            record = replace(
                record,
                phase=Phase.BLOCKED,
                reason="ProjectNotConfigured",
                message=message,
                failed=True,
            )
            self._record(stored, record)
            return
        leaving = drained(asked.by)
        names = names_of(key, host_pattern="")
        for _ in range(_PASSES_MAX):
            seen = self._observer.traces(names, record, goes=True)
            seen = self._databases.observe(None, record, Wishes(), seen, goes=True)
            seen = self._host_records.observe(None, seen, goes=True)
            seen = self._deployments.observe(None, record, seen, leaves=True)
            decision = plan_removal(leaving, seen)
            before = record = self._note(record, leaving, seen, names, decision)
            if decision.stage is not None:
                record = self._desired.want_less(record, decision.stage)
            record = self._databases.work(None, record, Wishes(), seen, decision)
            outside = self._work_outside(None, record, seen, decision)
            self._nudges.carry_out(seen, decision)
            if record == before and not outside:
                break
        if record.is_gone and not stored.is_gone:
            said = self._deployments.end(record, self._store.each_record())
            record = replace(record, message="; ".join(filter(None, (record.message, said))))
        self._record(stored, record)
        if decision.look_again_after_seconds is not None:
            self._look_again(key, decision.look_again_after_seconds)

    def show_error(self, key: PreviewKey, error: PreviewsError) -> None:
        """Keep an error with the preview that it is about, where people look for it."""
        self._gates.admission.gives_up(key)
        self._gates.brake.cannot_go(key)
        self._databases.line.leave(key)
        stored = self._store.load(key)
        if stored is None:
            return
        record = replace(stored, reason=error.reason, message=error.message)
        if isinstance(error, StalledError):
            record = replace(record, failed=True)
        if record != stored:
            record = record.shown_since(stored, self._clock.now())
            self._save(record)
            if isinstance(error, StalledError):
                self._tell(record)

    def _read_pull_request(
        self, project: Project, stored: PreviewRecord
    ) -> tuple[PreviewRecord, PullRequest]:
        key, known = stored.key, stored.pull_request
        with self._lock:
            was_read = key in self._read
        if known is not None and was_read and not stored.fetch_mark:
            return stored, known
        repository = self._repositories.name_of(project.repository)
        fetched = self._forge.fetch_pull_request(repository, key.number)
        if fetched is None:
            self._gates.brake.goes_by_hand(key)
            raise StalledError(
                "PullRequestNotFound",
                f"the forge knows no pull request {repository}#{key.number}; "
                "nothing is removed for that",
            )
        if not stored.is_gone:
            self._repositories.follow(project.repository, fetched, [known])
        with self._lock:
            self._read.add(key)
        record = replace(stored, pull_request=fetched)
        if known is None or stored.head_since is None or known.head_sha != fetched.head_sha:
            record = replace(record, head_since=self._clock.now(), conditions=())
        return record, fetched

    def _observe(
        self,
        project: Project,
        record: PreviewRecord,
        pull_request: PullRequest,
        leaving: Departure | None,
        outlook: Outlook,
    ) -> Observation:
        names = project.names(record.key.number)
        begun = record.manifests is not None and record.manifests.stage is not Stage.WHOLE
        seen = self._observer.traces(names, record, goes=leaving is not None or begun)
        seen = self._images.add(project, record, pull_request, seen, goes=leaving is not None)
        seen = replace(
            seen,
            sleep=None if self._desired.is_held_back(record.key) else outlook.sleep,
            is_suspected=self._pulse.suspects(record.key, seen.probe),
        )
        seen = self._databases.observe(
            project, record, outlook.wishes, seen, goes=leaving is not None
        )
        seen = self._parcels.observe(project, record, seen, goes=leaving is not None)
        seen = self._host_records.observe(project, seen, goes=leaving is not None)
        seen = self._deployments.observe(project, record, seen, leaves=leaving is not None)
        seen = replace(seen, migration_log=self._observer.migration_log(project, seen))
        seen = replace(seen, cause=self._observer.cause_of(names, seen))
        return self._gates.ask(record, pull_request, leaving, outlook, seen)

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
        brought = self._databases.work(project, record, outlook.wishes, seen, decision)
        brought = self._parcels.work(project, brought, seen, decision)
        if brought != record:
            # Before Git names it.
            self._save(brought)
            record = brought
        self._nudges.carry_out(seen, decision)
        return record

    def _work_outside(
        self, project: Project | None, record: PreviewRecord, seen: Observation, decision: Plan
    ) -> bool:
        """What is neither in Git nor in the record. Says whether there is more to observe now."""
        renamed = self._host_records.work(project, seen, decision)
        return self._deployments.work(project, record, decision) or renamed

    def _conclude(
        self,
        record: PreviewRecord,
        leaving: Departure | None,
        seen: Observation,
        outlook: Outlook,
        decision: Plan,
    ) -> PreviewRecord:
        now = self._clock.now()
        names = self._projects[record.key.project].names(record.key.number)
        record = self._note(record, leaving, seen, names, decision)
        facts = record.facts
        if leaving is not None:
            if leaving.cause == EndCause.EXPIRED and facts is not None and not seen.is_held:
                facts = replace(facts, expired_at=outlook.end.at if outlook.end else now)
        elif decision.stage is Stage.WHOLE:
            facts = replace(outlook.facts, asleep=seen.sleep)
            if not is_there(seen):
                # A new life: what ended the last one, perhaps by a clock that was wrong, is over.
                facts = replace(facts, created_at=now, expired_at=None)
        queued = seen.place is not None
        return replace(
            record,
            facts=facts,
            expiry=outlook.expiry,
            queued_since=(record.queued_since or now) if queued else None,
        )

    def _note(
        self,
        record: PreviewRecord,
        leaving: Departure | None,
        seen: Observation,
        names: Names,
        decision: Plan,
    ) -> PreviewRecord:
        now = self._clock.now()
        return replace(
            record,
            phase=decision.phase,
            reason=decision.reason,
            message=decision.message,
            failed=decision.failed,
            conditions=tuple(_condition(fact, record.conditions, now) for fact in decision.facts),
            removal=removal_of(record.removal, leaving, seen, names, now),
        )

    def _settle(self, record: PreviewRecord, decision: Plan) -> PreviewRecord:
        """A rewritten preview keeps its place in the rollout until it is well, or gone."""
        if not record.is_rewritten:
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

    def _record(self, stored: PreviewRecord, record: PreviewRecord) -> None:
        self._pulse.note(record)
        if record != stored:
            record = record.shown_since(stored, self._clock.now())
            self._save(record, tuple(history_of(stored, record)))
            self._tell(record)
        if stored.fetch_mark:
            self._effects.perform(
                Effect.CLEAR_MARK,
                record.key,
                lambda: self._store.clear_mark(record.key, stored.fetch_mark),
            )

    def _save(self, record: PreviewRecord, history: Sequence[HistoryEntry] = ()) -> None:
        self._effects.perform(
            Effect.SAVE_RECORD, record.key, lambda: self._store.save(record, history)
        )


def _condition(fact: Fact, before: tuple[Condition, ...], now: datetime) -> Condition:
    """The condition of a fact; its time is that of the last change of its status."""
    since = next((c.since for c in before if (c.type, c.status) == (fact.type, fact.status)), now)
    return Condition(fact.type, fact.status, fact.reason, fact.message, since)
