"""What the manager says of itself, where nobody can write it down."""

import subprocess
import sys
from pathlib import Path

CODE = """
import structlog
from previews.logs import configure_logging

configure_logging()
structlog.get_logger().warning("said")
print("goes on")
"""


def test_a_line_goes_to_standard_error_as_json() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ended.stdout == "goes on\n"
    assert ended.stderr.startswith('{"event": "said"')


def test_a_line_that_nobody_can_write_down_ends_nothing() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = subprocess.run(
            [sys.executable, "-c", CODE],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )
    assert ended.stdout == "goes on\n"
