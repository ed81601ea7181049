"""One line for each step, with the seconds since the start, and the errors that end the program.

Several components start at the same time, so a line is printed whole or not at all.
"""

import threading
import time
from pathlib import Path

TAIL_LINES = 30


class Progress:
    """Prints `[ 12.3s] text`, from any thread."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        with self._lock:
            print(f"[{time.monotonic() - self._started:6.1f}s] {text}", flush=True)


class CannotRunError(Exception):
    """This machine lacks something; the message is one line that says what. Exit code 3."""


class StepError(Exception):
    """A step failed; its log, if it has one, says why. Exit code 1."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.log = log

    def report(self) -> str:
        """The message, and the end of the log, last."""
        return "\n".join([self.message, *tail(self.log)])


def tail(log: Path | None, lines: int = TAIL_LINES) -> list[str]:
    if log is None or not log.exists():
        return []
    return log.read_text(errors="replace").splitlines()[-lines:]
