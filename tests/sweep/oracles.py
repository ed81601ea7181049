"""Judges a struck run by the undisturbed one: what there is in the end, how it came to be, and that it is at rest."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from previews.domain.comment import marker_of
from previews.domain.observation import DATABASE_FILE, SECRETS_FILE
from previews.domain.preview import Phase
from previews.domain.record import PreviewRecord
from previews.domain.secret_set import manifest_of, parts_of
from previews.reconcile.effects import Effect
from tests.fakes.surroundings import INSTANCE
from tests.sweep.struck_town import StruckTown

EXTRA_WRITES_MAX = 1
"""Commits, and statuses of one state on one commit, that a fault may cost."""
QUIET_RECONCILES = 20
OVER = "Preview removed"
DELAY_MAX = timedelta(minutes=20)
"""How much later things may happen for a fault: a collector that was killed has its ten minutes of grace anew."""
_CHECK_ID = re.compile(r"check_run_id=\d+")
_SAYS_OF_COMMITS = ("set_commit_status ", "ensure_check ")
_SEALED = re.compile(r'"sealed": \d+')
"""Never the same twice."""
_MOMENT = re.compile(
    r"(?<![\d:])(?:\d{4}-\d\d-\d\d[T ])?(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?![\d:])"
)


class Kind(StrEnum):
    """What is wrong with a run."""

    DIVERGED = "diverged"
    LEAKED = "leaked"
    """Something is there that should not be."""
    DUPLICATED = "duplicated"
    """Something was done more often than it may be."""


@dataclass(frozen=True, slots=True)
class Problem:
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """What one pull request shows."""

    statuses: dict[str, tuple[str, str, str]]
    """And check runs: state, description and address of the newest one on its head, by context."""
    comments: list[str]
    """Of which each preview's rows are a part: there may be one."""
    replies: list[str]
    """To commands."""
    reactions: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run that came to rest."""

    things: dict[str, str]
    """Files in Git with their texts, and objects in the cluster."""
    phases: dict[str, str]
    """Of the previews that are not over."""
    said: dict[str, Said]
    """By pull request."""
    created: Counter[str]
    deleted: Counter[str]
    writes: Counter[str]
    """To systems that count how often they are written to."""
    effects: list[tuple[Effect, str]]
    struck: bool
    bugs: list[str]
    speakers: Mapping[str, int]
    """How many previews have said something of a commit: two projects may share a pull request."""
    flaws: list[str]
    """What no run may end with."""
    restless: str
    """What was still written when nothing changed any more."""


def outcome_of(town: StruckTown) -> Outcome:
    """Look at a town that has come to rest, and whether it stays so."""
    cluster = town.cluster
    objects = {
        **dict.fromkeys((f"Application {name}" for name in cluster.applications), "there"),
        **dict.fromkeys((f"Namespace {name}" for name in cluster.namespaces), "there"),
        **dict.fromkeys((f"AppProject {name}" for name in cluster.app_projects), "there"),
    }
    records = town.records()
    effects = list(town.strikes.seen)
    names_for_ids = _names_for_ids(town, records)
    files = {path: _without_ids(text, names_for_ids) for path, text in town.gitops.files.items()}
    return Outcome(
        things={**files, **objects, **_of_databases(town), **_of_zone(town), **_of_forge(town)},
        flaws=[*_flaws(town, records), *_flaws_of_secrets(town, records)],
        phases={str(r.key): r.phase for r in records if r.phase is not Phase.REMOVED},
        said=dict(_said(town)),
        created=Counter(cluster.created),
        deleted=Counter(cluster.deleted),
        writes=_writes(town),
        speakers=_speakers(town),
        effects=effects,
        restless=_restless(town),
        struck=town.strikes.struck,
        bugs=town.strikes.bugs,
    )


def judge(expected: Outcome, found: Outcome, *, may_never_begin: bool) -> list[Problem]:
    """All that is wrong with a struck run."""
    problems = [Problem(Kind.DIVERGED, f"a bug was met: {bug}") for bug in found.bugs]
    problems += [Problem(Kind.DIVERGED, flaw) for flaw in found.flaws]
    if not found.struck:
        problems.append(Problem(Kind.DIVERGED, "the run never came to this effect"))
    if found.restless:
        problems.append(Problem(Kind.DIVERGED, f"it is not at rest: {found.restless}"))
    problems += _too_much(expected, found)
    problems += _over(found) if may_never_begin else _same(expected, found)
    return problems


def _too_much(expected: Outcome, found: Outcome) -> Iterator[Problem]:
    """What no run may have, nor do, that the undisturbed one had not, or did not."""
    for name in sorted(found.things.keys() - expected.things.keys()):
        yield Problem(Kind.LEAKED, f"{name} is left")
    for what, count in (found.writes - expected.writes).items():
        if count > EXTRA_WRITES_MAX * expected.speakers.get(what.rpartition(" ")[2], 1):
            yield Problem(Kind.DUPLICATED, f"{count} {what} more than undisturbed")
    for did, usually, counted in (
        ("created", expected.created, found.created),
        ("deleted", expected.deleted, found.deleted),
    ):
        for name, more in (counted - usually).items():
            yield Problem(Kind.DUPLICATED, f"{name} was {did} {more} times more than undisturbed")
    for where, said in found.said.items():
        if len(said.comments) > 1:
            yield Problem(Kind.DUPLICATED, f"{len(said.comments)} comments on {where}")


def _same(expected: Outcome, found: Outcome) -> Iterator[Problem]:
    """Everything is there, is said and was done as in the undisturbed run."""
    for name in sorted(expected.things.keys() - found.things.keys()):
        yield Problem(Kind.DIVERGED, f"{name} is missing")
    for name in sorted(expected.things.keys() & found.things.keys()):
        if not _alike(expected.things[name], found.things[name]):
            yield Problem(Kind.DIVERGED, f"{name} differs:\n{found.things[name]}")
    if expected.phases != found.phases:
        yield Problem(Kind.DIVERGED, f"phases: {found.phases}, not {expected.phases}")
    for where in expected.said.keys() | found.said.keys():
        usual, said = expected.said.get(where), found.said.get(where)
        if not _alike(str(usual), str(said)):
            yield Problem(Kind.DIVERGED, f"{where} says {said}, not {usual}")
    for did, usually, counted in (
        ("created", expected.created, found.created),
        ("deleted", expected.deleted, found.deleted),
    ):
        for name, less in (usually - counted).items():
            yield Problem(Kind.DIVERGED, f"{name} was {did} {less} times less than undisturbed")


def _alike(usual: str, found: str) -> bool:
    """Whether two texts say the same, but for moments that a fault put off."""
    moments = zip(_MOMENT.findall(usual), _MOMENT.findall(found), strict=False)
    return _MOMENT.sub("", usual) == _MOMENT.sub("", found) and all(
        _apart(one, other) <= DELAY_MAX for one, other in moments
    )


def _apart(one: str, other: str) -> timedelta:
    """Two moments, or two times of a day."""
    if ("-" in one) != ("-" in other):
        return timedelta.max
    day = "" if "-" in one else "2026-03-02 "
    return abs(datetime.fromisoformat(day + one) - datetime.fromisoformat(day + other))


def _over(found: Outcome) -> Iterator[Problem]:
    """Whatever was begun is over, and what was said says so."""
    if found.phases:
        yield Problem(Kind.LEAKED, f"phases: {found.phases}")
    for where, said in found.said.items():
        final = all(description == OVER for _, description, _ in said.statuses.values())
        if not final or not all(OVER in comment for comment in said.comments):
            yield Problem(Kind.DIVERGED, f"{where} is over, but says {said}")


def _said(town: StruckTown) -> Iterator[tuple[str, Said]]:
    for repository in sorted({project.repository for project in town.projects.values()}):
        for number in town.forge.numbers(repository):
            head_sha = town.forge.pull_request(repository, number).head_sha
            # The newest of each context stands last.
            statuses = {
                status.context: (status.state.value, status.description, status.target_url)
                for status in town.forge.statuses(repository, head_sha)
            }
            statuses |= {
                held.check.name: (held.check.state.value, held.check.title, held.check.details_url)
                for held in town.forge.check_runs(repository, head_sha)
            }
            said = town.forge.comments_of(repository, number)
            ours = [
                _CHECK_ID.sub("", each.body) for each in said if each.author == town.forge.own_login
            ]
            yield (
                f"{repository}#{number}",
                Said(
                    statuses=dict(sorted(statuses.items())),
                    comments=[body for body in ours if body.startswith(marker_of(INSTANCE))],
                    replies=[body for body in ours if not body.startswith(marker_of(INSTANCE))],
                    reactions=[f"{each.body}: {each.reactions}" for each in said if each.reactions],
                ),
            )


def _writes(town: StruckTown) -> Counter[str]:
    """Commits, and statuses by commit and state.

    A fault of Git is told wherever it is waited for. And here Argo CD needs no time: a preview seems to be live all
    through a deployment, unless a manager that was killed looks at it in between: pending once, and live once more.
    """
    said: Counter[str] = Counter()
    for call in town.forge.writes:
        if call.startswith(_SAYS_OF_COMMITS):
            _, repository, head_sha, _, state = call.split()
            said[f"{state} statuses on {repository} {head_sha}"] += 1
        elif not call.startswith("ensure_comment "):
            said[f"times {call.partition(' ')[0]}"] += 1
    changes = {f"times {operation}": count for operation, count in town.changes.items()}
    return said + Counter({"commits": town.gitops.pushes, **changes})


def _speakers(town: StruckTown) -> Counter[str]:
    calls = [call.split() for call in town.forge.writes if call.startswith(_SAYS_OF_COMMITS)]
    return Counter(head_sha for head_sha, _ in {(call[2], call[3]) for call in calls})


def _of_databases(town: StruckTown) -> dict[str, str]:
    """What there is on the server, and whose secrets were withdrawn."""
    server = town.databases
    things = {
        f"Database {name}": f"role {found.has_role}, database {found.has_database}, ready {found.is_ready}, "
        f"from {found.template}, migrated {found.migrated}"
        for name, found in server.databases.items()
    }
    roles = dict.fromkeys((f"Password of {name}" for name in server.passwords), "there")
    pool = {f"Warm clones of {build}": str(count) for build, count in Counter(server.pool).items()}
    withdrawn = dict.fromkeys(
        (f"Withdrawal of {key} {name}" for key, name in town.secrets.withdrawn), "done"
    )
    return things | roles | pool | withdrawn


def _of_forge(town: StruckTown) -> dict[str, str]:
    """Deployments and their environments, and check runs that are one too many."""
    things: dict[str, str] = {}
    for repository in sorted({project.repository for project in town.projects.values()}):
        deployments = town.forge.deployments_of(repository)
        for count, held in enumerate(deployments):
            there = sum(
                (other.task, other.head_sha) == (held.task, held.head_sha)
                for other in deployments[:count]
            )
            things[f"Deployment {held.task} {held.head_sha} {there or ''}"] = held.state
        things |= {f"Environment {name}": "there" for name in town.forge.environments(repository)}
    return things


def _of_zone(town: StruckTown) -> dict[str, str]:
    """Records and their marks."""
    zone = town.host_records
    marks = {f"Mark of {host}": f"{mark}" for host, mark in zone.marks.items()}
    return {f"Record {host}": value for host, value in zone.values.items()} | marks


def _flaws(town: StruckTown, records: Sequence[PreviewRecord]) -> Iterator[str]:
    """Whoever is there gets into its database with what lies in its namespace."""
    for record in records:
        project = town.projects.get(record.key.project)
        policy = project.database if project else None
        if project is None or policy is None or record.phase not in {Phase.LIVE, Phase.ASLEEP}:
            continue
        names = project.names(record.key.number)
        manifest = town.gitops.files.get(f"{names.folder}/{DATABASE_FILE}", "")
        town.secrets.sync(manifest)
        data = town.secrets.data(names.namespace, policy.secret_name) or {}
        password = data.get("PGPASSWORD", "")
        if not town.databases.can_log_in(town.databases.login(record.key, password)):
            yield f"{record.key} cannot log in"
        database = town.databases.databases.get(names.database)
        role = (database.incarnation, database.credential) if database else None
        told = record.manifests.grant if record.manifests else None
        if told is None or (told.incarnation, told.credential) != role:
            yield f"the chart of {record.key} is told of {told}, and the server has {role}"


def _flaws_of_secrets(town: StruckTown, records: Sequence[PreviewRecord]) -> Iterator[str]:
    """Whoever is there finds in its namespace what is in its project's files."""
    for record in records:
        project = town.projects.get(record.key.project)
        if project is None or record.phase not in {Phase.LIVE, Phase.ASLEEP}:
            continue
        names = project.names(record.key.number)
        for part in parts_of(town.gitops.files.get(f"{names.folder}/{SECRETS_FILE}", "")):
            town.secrets.sync(manifest_of(part))
        for wanted in project.secrets:
            content = town.secret_source.read(project.name, wanted)
            found = town.secrets.data(names.namespace, wanted.name) or {}
            if not content.data.items() <= found.items():
                yield f"{record.key} does not find what is in {wanted.name}"


def _names_for_ids(town: StruckTown, records: Sequence[PreviewRecord]) -> dict[str, str]:
    """What is random in a run. An id that is no longer true keeps its digits, and so is another one in each run."""
    found = {
        value: f"<the {what} of {database.key}>"
        for database in town.databases.databases.values()
        for what, value in (
            ("incarnation", database.incarnation),
            ("credential", database.credential),
        )
        if value
    }
    return found | {
        record.manifests.digest: f"<the digest of {record.key}>"
        for record in records
        if record.manifests and record.manifests.grant
    }


def _without_ids(text: str, names_for_ids: Mapping[str, str]) -> str:
    for value, name in names_for_ids.items():
        text = text.replace(value, name)
    return _SEALED.sub("", text)


def _restless(town: StruckTown) -> str:
    """Reconcile everything again and again: nothing may come of it.

    But for what was said last: it changes the pull request itself, and that it was no command is noted once.
    """
    town.resync()
    town.settle()
    effects, stored, writes = len(town.strikes.seen), _dump(town.store_file), _writes(town)
    for _ in range(QUIET_RECONCILES):
        town.resync()
        town.reconcile_all()
        town.settle(1)
    done = [f"{effect} of {subject}" for effect, subject in town.strikes.seen[effects:]]
    if done:
        return ", ".join(done[:10])
    if _writes(town) != writes:
        return f"{_writes(town) - writes}"
    return "" if _dump(town.store_file) == stored else "the store's file"


def _dump(store_file: Path) -> list[str]:
    """Every row, as SQL."""
    with closing(sqlite3.connect(f"file:{store_file}?mode=ro", uri=True)) as connection:
        return list(connection.iterdump())
