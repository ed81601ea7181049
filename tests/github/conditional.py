"""What GitHub says beside its documents: ETags, and limits that really count.

An ETag stands for the document and for who asked, as GitHub's does: after another token the same document has another.
"""

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.github.server import Answer, Asked

LIMIT = 5000
HOUR_SECONDS = 3600
CREATIONS_PER_MINUTE = 80
CREATIONS_PER_HOUR = 500
DOCUMENTATION = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"


def conditional(asked: Asked, answer: Answer) -> Answer:
    """A good answer to a GET with its ETag, or `not modified` to whoever has it."""
    if asked.method != "GET" or answer.status != 200:
        return answer
    said = json.dumps(answer.body, sort_keys=True)
    token = asked.headers.get("authorization", "")
    etag = f'W/"{hashlib.sha256(f"{token} {said}".encode()).hexdigest()}"'
    headers = {**answer.headers, "ETag": etag}
    if asked.headers.get("if-none-match") == etag:
        return Answer(304, None, headers)
    return replace(answer, headers=headers)


@dataclass
class Hour:
    """What one account has used."""

    limit: int
    reset: int
    used: int = 0
    created: deque[float] = field(default_factory=deque)


class RateLimits:
    """Of each account. Safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._hours: dict[str, Hour] = {}
        self.limit = LIMIT
        self.is_enterprise = False
        """GitHub Enterprise Server has no limits unless somebody sets them, and then says nothing of any."""
        self.counted: Counter[int] = Counter()
        """How many answers there were of each status."""

    def use(self, account: str, requests: int) -> None:
        """Have somebody else ask as this account."""
        with self._lock:
            self._hour(account).used += requests

    def refusal(self, account: str, asked: Asked) -> Answer | None:
        """What an account that has asked too much is answered."""
        now = self._clock()
        with self._lock:
            hour = self._hour(account)
            if self.is_enterprise:
                return None
            if hour.used >= hour.limit:
                return _limited(f"API rate limit exceeded for {account}.")
            if asked.method == "GET" or asked.path.startswith("/app/"):
                return None
            while hour.created and hour.created[0] <= now - HOUR_SECONDS:
                hour.created.popleft()
            lately = sum(moment > now - 60 for moment in hour.created)
            if lately >= CREATIONS_PER_MINUTE or len(hour.created) >= CREATIONS_PER_HOUR:
                words = (
                    "You have exceeded a secondary rate limit and have been temporarily blocked."
                )
                return _limited(words)
            hour.created.append(now)
            return None

    def counting(self, account: str, answer: Answer) -> Answer:
        """The answer with what is left: one that says `not modified` costs nothing."""
        with self._lock:
            hour = self._hour(account)
            self.counted[answer.status] += 1
            if self.is_enterprise:
                return answer
            hour.used += answer.status != 304
            headers = {
                "X-RateLimit-Limit": str(hour.limit),
                "X-RateLimit-Remaining": str(max(hour.limit - hour.used, 0)),
                "X-RateLimit-Used": str(hour.used),
                "X-RateLimit-Reset": str(hour.reset),
                "X-RateLimit-Resource": "core",
            }
        return replace(answer, headers={**headers, **answer.headers})

    def _hour(self, account: str) -> Hour:
        now = self._clock()
        hour = self._hours.get(account)
        if hour is None or hour.reset <= now:
            created = hour.created if hour else deque[float]()
            hour = Hour(self.limit, int(now) + HOUR_SECONDS, created=created)
            self._hours[account] = hour
        return hour


def _limited(words: str) -> Answer:
    return Answer(403, {"message": words, "documentation_url": DOCUMENTATION})
