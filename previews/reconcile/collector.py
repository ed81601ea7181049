"""Finds what the fast path left behind, and removes it: late, little by little, and only what is proven an orphan.

It looks from the outside: at what carries our label in the cluster and lies in our folder in Git, at what the store
remembers, and at what the forge says now of each pull request by itself. Whatever it cannot read makes it remove
nothing. Right before a removal it looks at that one preview again.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import structlog

from previews.domain.forge_ports import Forge
from previews.domain.inventory import (
    ForgeAnswer,
    Found,
    Identity,
    Kind,
    OwnedObject,
    Suspicion,
    Sweep,
    Verdict,
    View,
    in_git,
    judge,
    suspects,
)
from previews.domain.lifetime import MANAGER
from previews.domain.memory import Memory, memory_of
from previews.domain.orphans import (
    Choice,
    Limits,
    Sighting,
    choose,
    sighted,
)
from previews.domain.ports import Clock, Cluster, Store
from previews.domain.preview import PreviewKey, PullRequest
from previews.domain.project import Project
from previews.errors import PreviewsError, StalledError, TransientError
from previews.reconcile.deployment_inventory import DeploymentInventory
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.server_watch import ServerWatch

ASKED_MAX = 200
"""Pull requests that one sweep asks the forge about: forges count requests by the hour."""
INTERVAL_SECONDS = 300.0

_log = structlog.get_logger("previews.collector")


class Branch(Protocol):
    """What the collector asks of the GitOps branch. Each raises TransientError before the first fetch."""

    def keys_in_git(self) -> set[PreviewKey]: ...

    def shards_in_git(self) -> set[str]:
        """Every shard that has files at the tip."""
        ...

    def files_in_use(self, key: PreviewKey, commits: Iterable[str]) -> frozenset[str]: ...

    def root_of(self, key: PreviewKey) -> str: ...

    def problem(self) -> PreviewsError | None: ...


class Writer(Protocol):
    """What the collector has done in it."""

    def request_fetch(self) -> None: ...

    def drop_shards(self, shards: Iterable[str]) -> None:
        """Take the files of these shards out of Git, unless a preview has, or is to have, files in them."""
        ...


class Collector:
    """The periodic sweep, on a thread of its own; people may look and sweep at any time. Safe from any thread."""

    def __init__(
        self,
        *,
        projects: Mapping[str, Project],
        forge: Forge,
        store: Store,
        cluster: Cluster,
        servers: ServerWatch,
        host_records: HostRecordKeeper,
        deployments: DeploymentInventory,
        branch: Branch,
        writer: Writer,
        effects: Effects,
        clock: Clock,
        limits: Limits,
        name_of: Callable[[str], str],
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        """`name_of` says what a configured repository is called now."""
        self._projects = projects
        self._forge = forge
        self._store = store
        self._cluster = cluster
        self._servers = servers
        self._host_records = host_records
        self._deployments = deployments
        self._branch = branch
        self._writer = writer
        self._effects = effects
        self._clock = clock
        self._limits = limits
        self._name_of = name_of
        self._interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._sightings: dict[Identity, Sighting] = {}
        self._problem: str | None = None
        self.reclaimed: Counter[Kind] = Counter()
        """What of previews was removed since the start. Each is a fast path that failed."""
        self.last: Sweep | None = None

    def run(self, stop: threading.Event) -> None:
        """Sweep at each interval until `stop`; not at once, since whoever has just started knows the least."""
        while not stop.wait(self._interval_seconds):
            try:
                self.collect(dry_run=False)
            except Exception as error:  # noqa: BLE001 - a bug must be seen on /readyz, not end the sweeping in silence
                _log.exception("bug")
                self._problem = f"a bug in previews: {error!r}"

    def problem(self) -> str | None:
        """Why the last sweep could not read everything."""
        return self._problem

    def inventory(self) -> list[Found]:
        """Everything that there is of ours, and whose it is. Raises PreviewsError if that cannot be read now."""
        found, _ = self._look()
        with self._lock:
            return list(self._choose(found, confirmed=False).found)

    def collect(self, *, dry_run: bool, actor: str = MANAGER, confirmed: bool = False) -> Sweep:
        """Look at everything, and remove what has been an orphan for long enough. `confirmed`: even if it is a mass."""
        with self._lock:
            sweep = self._sweep(
                dry_run=dry_run, actor=actor, confirmed=confirmed and actor not in {"", MANAGER}
            )
            self.last = sweep
            self._problem = "; ".join(sweep.problems) or None
            _log.info(
                "sweep",
                actor=actor,
                dry_run=dry_run,
                found=len(sweep.found),
                orphans=len(sweep.orphans),
                planned=len(sweep.planned),
                removed=len(sweep.removed),
            )
            if sweep.held:
                _log.warning("sweep held", because=sweep.held)
            return sweep

    def _sweep(self, *, dry_run: bool, actor: str, confirmed: bool) -> Sweep:
        now = self._clock.now()
        # For the next sweep: an orphan is what two of them found, and Git was read in between.
        self._writer.request_fetch()
        try:
            found, problems = self._look()
        except PreviewsError as error:
            return Sweep(
                at=now,
                actor=actor,
                dry_run=dry_run,
                held=_unread(error),
                problems=(error.message,),
            )
        if problems:
            # What is remembered stays as it was: this look was none.
            choice = self._choose(found, confirmed=confirmed)
            return Sweep(
                at=now,
                actor=actor,
                dry_run=dry_run,
                found=choice.found,
                held=_unread(problems[0]),
                problems=tuple(each.message for each in problems),
            )
        self._sightings = sighted(found, self._sightings, now)
        choice = self._choose(found, confirmed=confirmed)
        removed, failures = ((), ()) if dry_run else self._remove_all(choice.planned, actor)
        return Sweep(
            at=now,
            actor=actor,
            dry_run=dry_run,
            found=choice.found,
            planned=choice.planned,
            removed=removed,
            held=choice.held,
            needs_confirmation=bool(choice.held),
            problems=(*failures, *self._deployments.problems()),
        )

    def _choose(self, found: list[Found], *, confirmed: bool) -> Choice:
        now = self._clock.now()
        return choose(found, self._sightings, self._limits, now, confirmed=confirmed)

    def _look(self) -> tuple[list[Found], list[TransientError]]:
        """Everything, judged, and what could not be read of it: then it is good for showing alone."""
        if problem := self._cluster.problem():
            # Which commits Argo CD works from is known from the watch.
            raise TransientError("ClusterUnreachable", problem)
        things = [
            *self._cluster.owned_objects(),
            *self._servers.owned_objects(),
            *self._host_records.owned_objects(),
            *self._deployments.owned_objects(),
        ]
        memories = self._memories()
        keys, shards = self._read_git()
        problems: list[TransientError] = []
        asked = suspects(things, projects=self._projects, keys_in_git=keys, memories=memories)[
            :ASKED_MAX
        ]
        view = View(
            now=self._clock.now(),
            projects=self._projects.keys(),
            keys_in_git=keys,
            shards_in_git=shards,
            memories=memories,
            suspicions={
                key: self._ask(key, memories.get(key, Memory()), problems) for key in asked
            },
            patience=self._limits.grace,
        )
        return judge([*things, *in_git(sorted(keys), sorted(shards))], view), problems

    def _read_git(self) -> tuple[set[PreviewKey], set[str]]:
        # The order counts: a preview that comes in between makes its shard one that is not empty.
        shards, keys = self._branch.shards_in_git(), self._branch.keys_in_git()
        if problem := self._branch.problem():
            raise problem
        return keys, shards

    def _memories(self) -> dict[PreviewKey, Memory]:
        return {record.key: memory_of(record) for record in self._store.each_record()}

    def _ask(self, key: PreviewKey, memory: Memory, problems: list[TransientError]) -> Suspicion:
        """Ask everybody about a preview that has objects and no files. What nobody could say goes to `problems`."""
        repository = self._name_of(self._projects[key.project].repository)
        name = f"{repository}#{key.number}"
        try:
            root = self._cluster.application(self._branch.root_of(key))
            in_use = bool(root and self._branch.files_in_use(key, root.revisions))
            pull_request = self._forge.fetch_pull_request(repository, key.number)
        except PreviewsError as error:
            if isinstance(error, TransientError):
                problems.append(error)
            return Suspicion(pull_request=name, answer=ForgeAnswer.NONE, problem=error.message)
        if pull_request is not None and _is_strangers(pull_request, memory):
            problem = f"{pull_request.repository} is another repository than the one that it is of"
            return Suspicion(pull_request=name, answer=ForgeAnswer.NONE, problem=problem)
        if pull_request is None:
            answer = ForgeAnswer.NOT_FOUND
        else:
            answer = ForgeAnswer.OPEN if pull_request.is_open else ForgeAnswer.CLOSED
        return Suspicion(pull_request=name, answer=answer, in_use=in_use)

    def _remove_all(
        self, planned: Iterable[Found], actor: str
    ) -> tuple[tuple[Found, ...], tuple[str, ...]]:
        removed, problems = [], []
        for found in planned:
            try:
                if self._is_still_orphan(found) and self._remove(found):
                    self._count(found, actor)
                    removed.append(found)
            except PreviewsError as error:
                problems.append(f"{found.owned.kind} {found.owned.name}: {error.message}")
                _log.warning("not reclaimed", reason=error.reason, message=error.message)
                if not isinstance(error, StalledError):
                    break
        return tuple(removed), tuple(problems)

    def _is_still_orphan(self, found: Found) -> bool:
        """Look again at this one alone: since the look at everything its pull request may have been reopened."""
        owned, problems = found.owned, list[TransientError]()
        keys, shards = self._read_git()
        memories: dict[PreviewKey, Memory] = {}
        memory = Memory()
        suspicions: dict[PreviewKey, Suspicion] = {}
        if owned.owner is not None:
            if record := self._store.load(owned.owner):
                memories[owned.owner] = memory = memory_of(record)
            if owned.owner not in keys:
                suspicions[owned.owner] = self._ask(owned.owner, memory, problems)
        view = View(
            now=self._clock.now(),
            projects=self._projects.keys(),
            keys_in_git=keys,
            shards_in_git=shards,
            memories=memories,
            suspicions=suspicions,
            patience=self._limits.grace,
        )
        if problems:
            raise problems[0]
        (again,) = judge([owned], view)
        return again.verdict is Verdict.ORPHAN and not self._has_application(owned)

    def _has_application(self, owned: OwnedObject) -> bool:
        """Whether an Application needs this still to go."""
        if owned.owner is None or owned.kind is Kind.APPLICATION:
            return False
        names = self._projects[owned.owner.project].names(owned.owner.number)
        return self._cluster.fetch_application(names.application) is not None

    def _remove(self, found: Found) -> bool:
        owned = found.owned
        if owned.kind is Kind.ROOT_FILE:
            self._writer.drop_shards([owned.shard])
            return True
        if owned.kind is Kind.DATABASE:
            return self._servers.drop_object(owned, self._effects)
        if owned.kind is Kind.DEPLOYMENT:
            return self._deployments.remove_object(owned)
        if owned.kind is Kind.RECORD:
            return self._host_records.remove_object(owned)
        return self._effects.perform(
            Effect.COLLECT,
            f"{owned.kind} {owned.name}",
            lambda: self._cluster.delete_object(owned),
        )

    def _count(self, found: Found, actor: str) -> None:
        owned = found.owned
        said = {
            "kind": owned.kind.value,
            "name": owned.name,
            "owner": str(owned.owner or owned.shard),
            "cause": found.cause,
            "since": found.since.isoformat() if found.since else "",
            "actor": actor,
        }
        if owned.owner is None:
            # Nothing else takes an empty shard away.
            _log.info("removed what is left of an empty shard", **said)
            return
        self.reclaimed[owned.kind] += 1
        _log.warning("reclaimed what the fast path left behind", **said)


def _is_strangers(pull_request: PullRequest, memory: Memory) -> bool:
    """Whether it is of another repository, which took the name of the one that the preview is of."""
    read, known = pull_request.repository_id, memory.repository_id
    return 0 not in {read, known} and read != known


def _unread(error: PreviewsError) -> str:
    return f"nothing is removed, since not everything could be read: {error.message}"
