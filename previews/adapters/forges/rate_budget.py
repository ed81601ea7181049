"""GitHub's documented limits on one account, kept by us, so that no request is sent that would be refused.

Pure: the clock is passed in, and nothing here sleeps. Whoever may not ask now is told how long to wait.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from previews.domain.allowance import Allowance

HOUR_SECONDS = 3600.0
MINUTE_SECONDS = 60.0
CREATIONS_PER_MINUTE = 80
CREATIONS_PER_HOUR = 500
"""What GitHub lets an account write. Both are counted over the time just passed, however GitHub counts them."""
RESERVE = 0.1
"""The share of an hour's requests that feedback leaves to what decides about previews."""
PAUSE_SECONDS_MAX = 3600.0
DIGITS_MAX = 12
"""Of the numbers in these headers: a moment in seconds has ten."""
RESOURCES = frozenset({"", "core"})
"""What the limits that count here are called; searches have their own."""


@dataclass(frozen=True, slots=True)
class Window:
    """What an answer said of the hour that it was counted in."""

    limit: int
    remaining: int
    reset: int
    """When the next hour begins, by the forge's clock: it is what tells one hour from another."""
    seconds_left: float


def read_window(headers: Mapping[str, str], forge_time: datetime) -> Window | None:
    """None where the answer says nothing of the hour, or speaks of one that is over."""
    if headers.get("x-ratelimit-resource", "") not in RESOURCES:
        return None
    said = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(each.isascii() and each.isdigit() and len(each) <= DIGITS_MAX for each in said):
        return None
    limit, remaining, reset = map(int, said)
    left = min(reset - forge_time.timestamp(), HOUR_SECONDS)
    return Window(limit, remaining, reset, left) if left > 0 else None


class RateBudget:
    """The token bucket of one account. Safe from any thread."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._window: Window | None = None
        self._window_ends = -math.inf
        self._in_flight = 0
        self._paused_until = -math.inf
        self._unsaid_in_a_row = 0
        self._creations: deque[float] = deque()
        self._has_limits = True
        """Until an answer comes that says nothing of any."""

    def take(self, *, is_feedback: bool, creates: bool) -> float:
        """Begin a request: 0 if it may be sent, and then `end` must follow; else the seconds to wait first."""
        now = self._monotonic()
        with self._lock:
            waits = [self._paused_until - now, self._until_allowed(now, is_feedback=is_feedback)]
            creates &= self._has_limits
            if creates:
                waits.append(self._until_creation(now))
            wait = max(waits)
            if wait > 0:
                return wait
            self._in_flight += 1
            if creates:
                self._creations.append(now)
            return 0.0

    def end(self, said: Window | None) -> None:
        """A request has ended; `said` is what its answer told of the limits, if there was one."""
        now = self._monotonic()
        with self._lock:
            self._in_flight -= 1
            if said is None:
                return
            known = self._window
            if known is not None and known.reset == said.reset and known.remaining < said.remaining:
                # Answers come in any order, and within one hour nothing is given back.
                return
            self._window, self._window_ends = said, now + said.seconds_left

    def accepted(self, *, says_limits: bool) -> None:
        """A request was not limited.

        GitHub says in each answer what its limits are; a server of one's own has none unless somebody sets them, and
        then `says_limits` is false: what is written there is not counted.
        """
        with self._lock:
            self._unsaid_in_a_row = 0
            self._has_limits = says_limits

    def limited(self, seconds: float, *, is_said: bool) -> float:
        """The forge wants to be left alone. Comes back with how long it is: each time longer, if it did not say."""
        now = self._monotonic()
        with self._lock:
            if not is_said:
                seconds *= 2.0 ** min(self._unsaid_in_a_row, 10)
                self._unsaid_in_a_row += 1
            seconds = min(seconds, PAUSE_SECONDS_MAX)
            self._paused_until = max(self._paused_until, now + seconds)
            return seconds

    def allowance(self, account: str) -> Allowance:
        """What is left at this moment."""
        now = self._monotonic()
        with self._lock:
            self._forget_creations(now)
            window = self._window if now < self._window_ends else None
            return Allowance(
                account=account,
                limit=window.limit if window else None,
                remaining=max(window.remaining - self._in_flight, 0) if window else None,
                creations_left=max(CREATIONS_PER_HOUR - len(self._creations), 0),
                wait_seconds=max(
                    self._paused_until - now, self._until_allowed(now, is_feedback=False), 0.0
                ),
            )

    def _until_allowed(self, now: float, *, is_feedback: bool) -> float:
        window = self._window
        if window is None or now >= self._window_ends:
            return 0.0
        kept = math.ceil(window.limit * RESERVE) if is_feedback else 0
        return 0.0 if window.remaining - self._in_flight > kept else self._window_ends - now

    def _until_creation(self, now: float) -> float:
        self._forget_creations(now)
        wait = 0.0
        for most, seconds in (
            (CREATIONS_PER_MINUTE, MINUTE_SECONDS),
            (CREATIONS_PER_HOUR, HOUR_SECONDS),
        ):
            if len(self._creations) >= most:
                wait = max(wait, self._creations[-most] + seconds - now)
        return wait

    def _forget_creations(self, now: float) -> None:
        while self._creations and self._creations[0] <= now - HOUR_SECONDS:
            self._creations.popleft()
