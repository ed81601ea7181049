import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

from tests.cluster.layout import DIRECTORY_VARIABLE
from tests.integration.scripted_http import eventually
from tests.world.exclusive import DOOR, ROOM, taking_turns

CHECKOUT = Path(__file__).parents[2]
SAYS_WHO_RUNS_IT = """
import pytest
from pathlib import Path

@pytest.mark.parametrize("turn", range(3))
def test_runs(turn, worker_id):
    with Path({said!r}).open("a") as file:
        file.write(f"{name} {{worker_id}}\\n")
"""
USES_A_SHARED_WORLD = """
import pytest

@pytest.fixture
def running_world(): pass

def test_uses_it(running_world): pass
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Pytest over this folder, under the rules of tests/conftest.py, where no cluster runs."""
    rules = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *rules, "-c", os.devnull, *options, str(folder)],
        cwd=CHECKOUT,
        env=os.environ | {"CI": "", DIRECTORY_VARIABLE: str(folder / "no-cluster")},
        capture_output=True,
        text=True,
        check=False,
    )


def put(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_process_takes_whole_files_and_one_takes_those_in_the_shared_worlds(
    tmp_path: Path,
) -> None:
    said = tmp_path / "said"
    files = [f"tests/unit/test_{letter}.py" for letter in "abcd"]
    shared = ["tests/e2e/test_lifecycle.py", "tests/e2e/test_poisoned.py"]
    for name in files + shared:
        put(tmp_path, name, SAYS_WHO_RUNS_IT.format(said=str(said), name=name))

    ended = run(tmp_path, "-n2")

    assert ended.returncode == 0, ended.stdout
    workers: dict[str, set[str]] = {}
    for line in said.read_text().splitlines():
        name, worker = line.split()
        workers.setdefault(name, set()).add(worker)
    assert set(workers) == {*files, *shared}
    assert all(len(each) == 1 for each in workers.values())
    assert workers[shared[0]] == workers[shared[1]]
    assert len(set.union(*workers.values())) == 2


def test_a_file_that_uses_a_shared_world_unknown_to_all_fails_the_run(tmp_path: Path) -> None:
    put(tmp_path, "tests/e2e/test_new.py", USES_A_SHARED_WORLD)

    ended = run(tmp_path)

    assert ended.returncode == 4
    assert "test_uses_it uses {'running_world'}, and is not in IN_SHARED_WORLDS" in ended.stderr


def test_who_stops_parts_waits_for_all_others_and_nobody_comes_in_before(tmp_path: Path) -> None:
    seen: list[str] = []

    def take_a_turn(name: str, *, stops_parts: bool) -> None:
        with taking_turns(tmp_path, stops_parts=stops_parts):
            seen.append(name)

    def waiting() -> int:
        ours = {f":{(tmp_path / name).stat().st_ino} " for name in (DOOR, ROOM)}
        known = Path("/proc/locks").read_text().splitlines()
        return sum("->" in line and any(inode in line for inode in ours) for line in known)

    stopper = Thread(target=take_a_turn, args=("stops",), kwargs={"stops_parts": True})
    later = Thread(target=take_a_turn, args=("later",), kwargs={"stops_parts": False})
    with taking_turns(tmp_path, stops_parts=False):
        take_a_turn("beside", stops_parts=False)
        stopper.start()
        eventually(lambda: waiting() == 1)
        later.start()
        eventually(lambda: waiting() == 2 or "later" in seen)
        seen.append("done")
    stopper.join()
    later.join()

    assert seen == ["beside", "done", "stops", "later"]
