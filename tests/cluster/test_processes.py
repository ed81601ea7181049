import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.processes import MARK, PidFile, mark, marked, running_pid, start, stop


def test_a_recycled_pid_is_not_taken_for_the_server(tmp_path: Path) -> None:
    own = PidFile.of(os.getpid())
    assert own is not None
    own.write(tmp_path / "server.pid")
    assert running_pid(tmp_path / "server.pid") == os.getpid()

    other = {**own.__dict__, "start_time": own.start_time + 1}
    (tmp_path / "server.pid").write_text(json.dumps(other))
    assert running_pid(tmp_path / "server.pid") is None
    stop(tmp_path / "server.pid")  # would end this test, were the pid enough


@pytest.mark.parametrize(
    "content", ["", "17", "{}", '{"pid": "x", "start_time": 1, "boot_id": ""}']
)
def test_a_damaged_pid_file_names_no_process(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.pid").write_text(content)
    assert running_pid(tmp_path / "server.pid") is None


def test_a_server_is_found_by_its_mark_and_stopped_with_its_children(tmp_path: Path) -> None:
    child = "print('running', flush=True); import time; time.sleep(60)"
    server = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    pid_file, log = tmp_path / "server.pid", tmp_path / "server.log"
    environment = {MARK: mark(tmp_path, "server")}
    start([sys.executable, "-c", server], environment=environment, log=log, pid_file=pid_file)
    while "running" not in log.read_text():
        time.sleep(0.01)
    found = marked(tmp_path, "server")
    assert running_pid(pid_file) in found
    assert len(found) == 2
    assert marked(tmp_path, "serve") == []

    stop(pid_file)

    assert marked(tmp_path) == []
    assert not pid_file.exists()


def test_a_program_ends_without_a_word_about_the_servers_that_it_leaves(tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    code = f"""if True:
        from pathlib import Path
        from tests.cluster.processes import start
        folder = Path({str(tmp_path)!r})
        argv = [{sys.executable!r}, "-c", "import time; time.sleep(60)"]
        start(argv, environment={{}}, log=folder / "server.log", pid_file=folder / "server.pid")
    """
    try:
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
        )
        assert ended.stderr == ""
        assert running_pid(pid_file)
    finally:
        stop(pid_file)


def test_a_zombie_is_not_running() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        stat = Path(f"/proc/{child.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            pass
        assert PidFile.of(child.pid) is None
    finally:
        child.wait()
