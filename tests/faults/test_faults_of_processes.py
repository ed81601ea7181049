"""Faults that only real processes and real git have: killed, out of disk, and all writing to one branch at once."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from previews.domain.preview import HeadSha, Manifests, PreviewKey, Stage
from previews.reconcile.branch import GitBranch
from previews.reconcile.effects import Effects
from previews.reconcile.writer import GitOpsWriter
from tests.fakes.town import CountingWitness, Town, project
from tests.git_remote import GitRemote, git, repository_of

ROOT = Path(__file__).parents[2]
WRITERS, PREVIEWS_EACH, HOSTILE_COMMITS = 4, 6, 12
PATIENCE_SECONDS = 90.0


def output_of(program: str, *arguments: str) -> list[str]:
    """What a Python process says until its end, which must be a good one."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=100,
    )
    return ended.stdout.splitlines()


# 16: no room on the disk.

_A_CLONE_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from previews.errors import TransientError
from tests.git_remote import repository_of

repository = repository_of(Path(sys.argv[1]), sys.argv[2])
base = repository.fetch()
lines = "".join(f"{number:x}: {number * number}\\n" for number in range(40_000))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
try:
    repository.push(base, {"shop/large.yaml": lines}, "large")
except TransientError as error:
    print(error.reason)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
base = repository.fetch()
repository.push(base, {"shop/large.yaml": lines}, "large")
print("written")
"""


@pytest.mark.fault(16)
def test_a_clone_without_room_says_so_and_goes_on_by_itself_when_there_is_some(
    tmp_path: Path,
) -> None:
    remote = GitRemote(tmp_path / "server")
    remote.commit({"README": "not ours"}, "first commit")

    said = output_of(_A_CLONE_ON_A_FULL_DISK, str(tmp_path / "ours"), remote.url)

    assert said[-1] == "written"
    assert len(said) == 2, said
    assert remote.messages() == ["first commit", "large"]


# 18: killed in the middle of a migration.

_KILLED_AT_EVERY_STATEMENT = """
import os, shutil, signal, sqlite3, sys
from datetime import timedelta
from pathlib import Path
from sqlalchemy import Engine, event
from previews.adapters.store import SQLStore
from tests.fakes.clock import ManualClock
from tests.integration.test_store_on_disk import _AS_VERSION_ONE_WROTE_IT, store_of_version_one

folder = Path(sys.argv[1])
old = store_of_version_one(folder / "old.db")
row = _AS_VERSION_ONE_WROTE_IT
with old:
    old.execute(f"INSERT INTO preview ({', '.join(row)}) VALUES ({', '.join(':' + n for n in row)})", row)
old.close()

def open_store(path):
    return SQLStore(path, clock=ManualClock(), delivery_retention=timedelta(days=1))

def migrate(path, die_after):
    executed = 0
    def strike(*_):
        nonlocal executed
        executed += 1
        if executed == die_after:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(Engine, "after_cursor_execute", strike)
    open_store(path).close()

def forked(act, *arguments):
    pid = os.fork()
    if not pid:
        act(*arguments)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def report(path):
    store = open_store(path)
    print([(str(each.key), each.phase.value, each.message) for each in store.list_records()], flush=True)

for die_after in range(1, 1000):
    path = folder / f"{die_after}.db"
    shutil.copyfile(folder / "old.db", path)
    code = forked(migrate, path, die_after)
    print(code, flush=True)
    assert forked(report, path) == 0
    if code == 0:
        break
"""


@pytest.mark.fault(18)
def test_a_migration_killed_at_any_statement_is_done_by_the_next_start(tmp_path: Path) -> None:
    said = output_of(_KILLED_AT_EVERY_STATEMENT, str(tmp_path))

    codes, reports = said[0::2], said[1::2]
    assert set(reports) == {"[('shop#42', 'Live', 'so')]"}
    assert codes.count(str(-signal.SIGKILL)) >= 10
    assert codes[-1] == "0"


# 20: several writers and a person on one branch.


def manifests(key: PreviewKey) -> Manifests:
    texts = {name: f"# {key} {name}\n" for name in ("application.yaml", "namespace.yaml")}
    return Manifests(Stage.WHOLE, "digest", HeadSha("a" * 40), texts)


class Writer:
    """One manager's GitOps writer, on a clone of its own."""

    def __init__(self, directory: Path, remote: GitRemote, name: str, town: Town) -> None:
        self.keys = [PreviewKey(name, number) for number in range(1, PREVIEWS_EACH + 1)]
        self._done = threading.Event()
        world = town.world(town.store)
        repository = repository_of(directory, remote.url)
        self._branch = GitBranch(repository, instance=name)
        self._writer = GitOpsWriter(
            repository,
            self._branch,
            world.renderer,
            world.store,
            world.cluster,
            effects=Effects(CountingWitness()),
            instance=name,
            on_written=self._written,
            pushes_per_minute=None,
        )
        self._thread = threading.Thread(target=self._writer.run)

    def start(self) -> None:
        """One after the other, so that each is a push of its own."""
        self._waiting = list(self.keys)
        self._writer.submit(self._waiting[0], manifests(self._waiting[0]), "ann")
        self._thread.start()

    def finish(self) -> None:
        assert self._done.wait(PATIENCE_SECONDS), f"not written: {self._waiting}"
        self._writer.stop()
        self._thread.join(PATIENCE_SECONDS)

    def _written(self, keys: Iterable[PreviewKey]) -> None:
        # Called for failures too.
        done = [key for key in keys if self._branch.is_written(key, manifests(key))]
        if self._waiting and self._waiting[0] in done:
            del self._waiting[0]
            if self._waiting:
                self._writer.submit(self._waiting[0], manifests(self._waiting[0]), "ann")
            else:
                self._done.set()


@pytest.mark.fault(20)
def test_four_writers_and_a_person_on_one_branch_lose_nothing_and_force_nothing(
    tmp_path: Path,
) -> None:
    remote = GitRemote(tmp_path / "server")
    remote.commit({"README": "not ours"}, "first commit")
    git(remote.bare, "config", "receive.denyNonFastForwards", "true")
    git(remote.bare, "config", "core.logAllRefUpdates", "always")
    names = [f"w{number}" for number in range(WRITERS)]
    town = Town([project(name) for name in names])
    writers = [Writer(tmp_path / name, remote, name, town) for name in names]
    for writer in writers:
        writer.start()
    theirs = [commit_against_all(remote, number) for number in range(HOSTILE_COMMITS)]
    for writer in writers:
        writer.finish()

    for key in (key for writer in writers for key in writer.keys):
        for name, text in manifests(key).files.items():
            assert remote.text_of(f"previews/{key.project}/0/pr-{key.number}/{name}") == text
    for number in range(HOSTILE_COMMITS):
        assert remote.text_of(f"by-hand/{number}.md") == f"{number}\n"
    history = set(git(remote.bare, "rev-list", "main").split())
    assert set(theirs) <= history
    tips = git(remote.bare, "reflog", "show", "--format=%H", "main").split()
    assert set(tips) <= history, "somebody's commit was pushed and is not in the history"


def commit_against_all(remote: GitRemote, number: int) -> str:
    """A person commits, and is as often as not too late and tries again."""
    while True:
        try:
            return remote.commit({f"by-hand/{number}.md": f"{number}\n"}, f"by hand {number}")
        except AssertionError as refused:
            if "rejected" not in str(refused) and "cannot lock ref" not in str(refused):
                raise
