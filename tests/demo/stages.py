"""Prints a line for each stage as soon as it was really seen, with the seconds since its chapter began."""

import sys
import time
from collections.abc import Callable

from tests.world.waiting import wait_until


class Chapter:
    """One thing that a person does, and all that follows from it. Its clock starts when it is made."""

    def __init__(self, title: str) -> None:
        print(f"\n{title}", flush=True)
        self.title = title
        self.started_at = time.time()
        self._start = self._before = time.monotonic()
        self.seconds = 0.0

    def watch(self, who: str, ask: Callable[[], str], *, explain: Callable[[], str]) -> None:
        """Wait until `who` has something to say, and print it. Raises NotSeenError if it never does."""
        _show_waiting(who)
        try:
            said = wait_until(who, ask, explain=explain)
        finally:
            _clear_line()
        self.say(who, said)

    def say(self, who: str, said: str) -> None:
        """Something that is known already."""
        now = time.monotonic()
        self.seconds, step = now - self._start, now - self._before
        self._before = now
        print(f"  {self.seconds:6.2f} s  +{step:5.2f}  {who:<16}{said}", flush=True)


def _show_waiting(who: str) -> None:
    if sys.stdout.isatty():
        print(f"            ...    {who}", end="\r", flush=True)


def _clear_line() -> None:
    if sys.stdout.isatty():
        print("\x1b[2K", end="\r", flush=True)
