"""Joins what decides whether a pull request gets a preview: the server's policy, its repository's rules, its files.

Nothing is asked twice: the rules of a branch are kept for all its previews, and what a commit changes is kept with the
preview, so that neither a restart nor a resync reads it again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from previews.domain.forge_ports import ChangedPaths, Forge
from previews.domain.lifetime import LifetimePolicy, Wishes
from previews.domain.policy import (
    PASSIVE_REASONS,
    WANTED,
    PathsVerdict,
    Policy,
    Verdict,
    decide,
    digest_of_paths,
    touches,
)
from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey, PullRequest, Stage
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.brake import CHANGED
from previews.reconcile.repository_rules import Place, Reading, RepositoryRules

RULES_FRESH = timedelta(minutes=5)
"""No preview comes by rules that were read longer ago."""
RULES_KEPT = timedelta(hours=1)
"""After this long they are read anew for those that are there; sooner when something was merged."""
PUSHES_TOGETHER_SECONDS = 5.0
"""What is pushed to one branch within so long is one reading."""
READ_AGAIN_AT_MOST = 10
"""Branches in one look, so that those that were read together do not come due together for ever."""
FAILURES_AT_MOST = 3
"""Of one look: then it is the forge, and not a repository."""
_PATHS_KEPT = 16
"""Pull requests whose changed files are kept for the other projects of their repository."""
_LOCKS = 16

_log = structlog.get_logger("previews.rules")


class Policies:
    """Safe from any thread."""

    def __init__(
        self,
        rules: RepositoryRules,
        *,
        projects: Mapping[str, Project],
        forge: Forge,
        clock: Clock,
        is_in_git: Callable[[PreviewKey], bool],
        suspect: Callable[[Iterable[PreviewKey], str], None],
        enqueue: Callable[[Iterable[PreviewKey]], None],
        records: Callable[[], Iterable[PreviewRecord]],
        look_later: Callable[[Place, float], None],
    ) -> None:
        """`suspect` tells the brake of previews that may have to go; `enqueue` has previews looked at.

        `records` are all that are stored; `look_later` has `look_at` called for a branch, in so many seconds.
        """
        self._rules = rules
        self._projects = projects
        self._forge = forge
        self._clock = clock
        self._is_in_git = is_in_git
        self._suspect = suspect
        self._enqueue = enqueue
        self._records = records
        self._look_later = look_later
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._changed: OrderedDict[tuple[str, int, str, str], ChangedPaths] = OrderedDict()
        self._said: dict[Place, object] = {}
        """What the rules said when their previews were last told."""
        self._tried: dict[Place, datetime] = {}

    def judge(
        self, project: Project, record: PreviewRecord, pull_request: PullRequest, wishes: Wishes
    ) -> tuple[PreviewRecord, Verdict]:
        """Whether an open pull request gets a preview. What was found out stands in the record that comes back.

        Raises what the forge raises: nothing is deployed, or removed, on a guess.
        """
        record, place = replace(record, rules_warning=""), _place_of(pull_request)
        if not pull_request.is_open:
            self._rules.may_have_changed(place)
            return record, WANTED
        verdict = decide((project.policy,), pull_request, touched=True, wishes=wishes)
        if verdict.reason in PASSIVE_REASONS:
            return record, verdict
        is_there = self._is_there(record)
        reading = self._rules.of(place, within=None if is_there else RULES_FRESH)
        policies = _policies(project, reading)
        if is_there:
            record = replace(record, rules_warning=reading.warning())
        verdict = _decide(policies, record, pull_request, wishes)
        is_open_yet = verdict.needs_paths or verdict.reason not in PASSIVE_REASONS
        if reading.problem and not is_there and is_open_yet:
            return record, Verdict(wanted=False, reason="RulesBroken", message=reading.problem)
        if not verdict.needs_paths:
            return record, verdict
        paths = PathsVerdict(
            head_sha=pull_request.head_sha,
            base_branch=pull_request.base_branch,
            asked=digest_of_paths(policies),
            touched=self._touches(policies, pull_request),
        )
        record = replace(record, paths=paths)
        return record, _decide(policies, record, pull_request, wishes)

    def lifetime(self, project: Project, pull_request: PullRequest) -> LifetimePolicy:
        """The project's, as far as its repository's rules that are known do not make it shorter."""
        reading = self._rules.known(_place_of(pull_request))
        if reading is None or reading.rules is None:
            return project.lifetime
        return reading.rules.lifetime(project.name, project.lifetime)

    def look(self, records: Iterable[PreviewRecord]) -> None:
        """Read the rules that are due. Whoever may have to go for them is announced before any of them is looked at."""
        places: dict[Place, list[PreviewRecord]] = {}
        for record in records:
            pull_request = record.pull_request
            if pull_request is not None and self._may_be_wanted(record, pull_request):
                places.setdefault(_place_of(pull_request), []).append(record)
        self._read_due(places)
        for place, its_records in places.items():
            self._tell(place, its_records)

    def pushed(self, place: Place) -> None:
        """Somebody pushed to a branch. One whose rules nobody has needed so far is none of ours. Asks nobody."""
        if self._rules.known(place) is not None:
            self._look_later(place, PUSHES_TOGETHER_SECONDS)

    def look_at(self, place: Place) -> None:
        """Read the rules of a branch that was pushed to, if a pull request into it goes by them now.

        Raises TransientError only if nothing is known of it yet.
        """
        # Whoever opens one next reads them anew.
        self._rules.may_have_changed(place, pushed=True)
        records = [
            record
            for record in self._records()
            if (pull_request := record.pull_request) is not None
            and _place_of(pull_request) == place
            and self._may_be_wanted(record, pull_request)
        ]
        if records:
            self._rules.of(place, within=timedelta(0))
            self._tell(place, records)

    def _read_due(self, places: Iterable[Place]) -> None:
        due = [place for place in places if self._rules.is_due(place)]
        new = [place for place in due if self._rules.known(place) is None]
        old = [place for place in due if self._rules.known(place) is not None]
        failures = 0
        for place in (
            sorted(new, key=self._last_tried)
            + sorted(old, key=self._last_tried)[:READ_AGAIN_AT_MOST]
        ):
            self._tried[place] = self._clock.now()
            try:
                self._rules.of(place, within=timedelta(0))
            except PreviewsError as error:
                _log.warning(
                    "rules",
                    repository=place[0],
                    branch=place[1],
                    reason=error.reason,
                    error=error.message,
                )
                failures += 1
                if failures == FAILURES_AT_MOST:
                    return

    def _last_tried(self, place: Place) -> tuple[float, Place]:
        tried = self._tried.get(place)
        return (tried.timestamp() if tried else 0.0, place)

    def _tell(self, place: Place, records: Sequence[PreviewRecord]) -> None:
        """Have previews looked at for what their rules say, unless they were told already."""
        with self._telling:
            reading = self._rules.known(place)
            if reading is None or self._said.get(place) == reading.says():
                return
            self._suspect(self._that_may_go(reading, records), CHANGED)
            self._enqueue(record.key for record in records)
            self._said[place] = reading.says()

    def _that_may_go(self, reading: Reading, records: Iterable[PreviewRecord]) -> list[PreviewKey]:
        may_go = []
        for record in records:
            policies = _policies(self._projects[record.key.project], reading)
            pull_request = record.pull_request
            if pull_request and not _decide(policies, record, pull_request, Wishes()).wanted:
                may_go.append(record.key)
        return may_go

    def _may_be_wanted(self, record: PreviewRecord, pull_request: PullRequest) -> bool:
        project = self._projects.get(record.key.project)
        if project is None or not pull_request.is_open:
            return False
        verdict = decide((project.policy,), pull_request, touched=True, wishes=Wishes())
        return verdict.reason not in PASSIVE_REASONS or not record.is_gone

    def _is_there(self, record: PreviewRecord) -> bool:
        if record.manifests is None:
            return self._is_in_git(record.key)
        return record.manifests.stage is Stage.WHOLE

    def _touches(self, policies: Sequence[Policy], pull_request: PullRequest) -> bool:
        changed = self._changed_paths(pull_request)
        return not changed.is_whole or touches(policies, changed.paths)

    def _changed_paths(self, pull_request: PullRequest) -> ChangedPaths:
        repository, number = pull_request.repository, pull_request.number
        key = (repository, number, pull_request.head_sha, pull_request.base_branch)
        # The other projects of the repository ask for the same at the same time.
        with self._locks[hash(key) % _LOCKS]:
            known = self._changed.get(key)
            if known is None:
                known = self._forge.list_changed_paths(repository, number)
                with self._lock:
                    self._changed[key] = known
                    while len(self._changed) > _PATHS_KEPT:
                        self._changed.popitem(last=False)
            return known


def _place_of(pull_request: PullRequest) -> Place:
    return pull_request.repository, pull_request.base_branch


def _policies(project: Project, reading: Reading) -> tuple[Policy, ...]:
    rules = reading.rules
    return (project.policy, *(rules.policies(project.name) if rules else ()))


def _decide(
    policies: Sequence[Policy], record: PreviewRecord, pull_request: PullRequest, wishes: Wishes
) -> Verdict:
    known = record.paths
    touched = known.touched if known and known.answers(policies, pull_request) else None
    return decide(policies, pull_request, touched=touched, wishes=wishes)
