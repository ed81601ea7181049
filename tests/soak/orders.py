"""Asks the manager's API for something to happen to a preview's database, again until it has said that it will."""

import itertools
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from tests.soak.lives import Act
from tests.world.manager import Manager

PATIENCE_SECONDS = 120.0
RETRY_SECONDS = 0.5


class NotTakenError(Exception):
    """The manager did not take an order in all that time."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """How it stood just before."""

    act: Act
    at: datetime
    incarnation: str | None


class Orders:
    """Safe from any thread."""

    def __init__(self, manager: Manager, project: str) -> None:
        self._client = httpx2.Client(
            base_url=f"{manager.url}/api/v1/previews/{project}",
            headers={"authorization": f"Bearer {manager.api_token}"},
            trust_env=False,
            timeout=10,
        )
        self._lock = threading.Lock()
        self._actors = itertools.count(1)

    def close(self) -> None:
        self._client.close()

    def place(self, number: int, act: Act) -> Ordered:
        """Raises NotTakenError with the last answer.

        A pull request of which the manager has not heard yet, or not that it is open again, is refused until then.
        """
        with self._lock:
            # Another for each order: the same wish of the same person would be taken for one that is repeated.
            actor = f"person {next(self._actors)}"
        ordered: Ordered | None = None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                # As it was before the first attempt: that one may have been heard although its answer was not.
                ordered = ordered or Ordered(act, datetime.now(UTC), self._incarnation(number))
                answer = self._client.post(f"/{number}/{act}", json={"actor": actor})
                answer.raise_for_status()
            except httpx2.HTTPError as error:
                if time.monotonic() > deadline:
                    raise NotTakenError(f"{act} of {number}: {error}") from error
            else:
                return ordered
            time.sleep(RETRY_SECONDS)

    def _incarnation(self, number: int) -> str | None:
        """Of the database that there is now."""
        database = self._client.get(f"/{number}").raise_for_status().json()["database"]
        return database["incarnation"] if database else None
