import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
ONE_IS_SKIPPED = """
import pytest

def test_passes(): pass

@pytest.mark.skip(reason="there is no cluster")
def test_needs_a_cluster(): pass
"""
ONE_FAILS_AS_EXPECTED = """
import pytest

@pytest.mark.xfail(reason="known")
def test_fails(): assert False
"""
A_FILE_IS_SKIPPED = """
import pytest
pytest.skip("not on this machine", allow_module_level=True)
"""


def run(folder: Path, *files: str, ci: str, processes: int = 0) -> subprocess.CompletedProcess[str]:
    """Pytest over these files, under the rules of tests/conftest.py."""
    for index, text in enumerate(files):
        (folder / f"test_file_{index}.py").write_text(text)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"-n{processes}", "-c", os.devnull, str(folder)],
        cwd=CHECKOUT,
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


def test_with_ci_a_skipped_test_fails_the_run_and_is_named_with_its_reason(tmp_path: Path) -> None:
    ended = run(tmp_path, ONE_IS_SKIPPED, ONE_FAILS_AS_EXPECTED, ci="true")
    assert ended.returncode == 1
    assert "test_file_0.py::test_needs_a_cluster: there is no cluster" in ended.stdout
    assert "test_file_1.py::test_fails:" not in ended.stdout


def test_with_ci_a_skipped_file_fails_the_run(tmp_path: Path) -> None:
    ended = run(tmp_path, ONE_FAILS_AS_EXPECTED, A_FILE_IS_SKIPPED, ci="true")
    assert ended.returncode == 1
    assert "test_file_1.py: not on this machine" in ended.stdout


def test_with_ci_what_another_process_skipped_fails_the_run_as_well(tmp_path: Path) -> None:
    ended = run(tmp_path, ONE_IS_SKIPPED, A_FILE_IS_SKIPPED, ci="true", processes=2)
    assert ended.returncode == 1
    assert "test_file_0.py::test_needs_a_cluster: there is no cluster" in ended.stdout
    assert "test_file_1.py: not on this machine" in ended.stdout


@pytest.mark.parametrize(
    ("ci", "files"), [("", (ONE_IS_SKIPPED,)), ("true", (ONE_FAILS_AS_EXPECTED,))]
)
def test_otherwise_the_run_passes(tmp_path: Path, ci: str, files: tuple[str, ...]) -> None:
    assert run(tmp_path, *files, ci=ci).returncode == 0
