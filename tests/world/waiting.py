"""Waits until the real thing itself says that something is so."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
"""Ten times what anything here takes. It bounds a wait; it measures nothing."""


class NotSeenError(AssertionError):
    """What was waited for did not come true in time."""


def wait_until(
    what: str,
    ask: Callable[[], T | None],
    *,
    seconds: float = PATIENCE_SECONDS,
    explain: Callable[[], str] | None = None,
) -> T:
    """Ask until the answer is truthy, and return it. `explain` says how things stand when it never is."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            stands = f"\n{explain()}" if explain else f"; the last answer was {answer!r}"
            raise NotSeenError(f"after {seconds:g} s this is not so: {what}{stands}")
        time.sleep(POLL_SECONDS)
    return answer
