"""What the manager's API says of the previews, asked once a second for everybody who waits for something."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from previews.domain.preview import Phase, PreviewKey
from tests.world.manager import Manager

POLL_SECONDS = 1.0
PAGE_LENGTH = 500

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Granted:
    """A preview's database, by what changes with a new one or a new password."""

    incarnation: str
    password_since: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """One preview as the manager shows it."""

    phase: Phase
    head_sha: str | None
    reason: str
    message: str
    database: Granted | None = None

    def __str__(self) -> str:
        return ": ".join(filter(None, (f"{self.phase} {self.reason}".strip(), self.message)))


IsSo = Callable[[Said | None], bool]


class Board:
    """Used from many threads. What an answer says counts only for waits that began before it was asked for."""

    def __init__(self, manager: Manager, project: str) -> None:
        self._project = project
        self._client = httpx2.Client(
            base_url=manager.url,
            headers={"authorization": f"Bearer {manager.api_token}"},
            trust_env=False,
            timeout=10,
        )
        self._followed: set[int] = set()
        self._said: dict[int, Said] = {}
        self._asked_at = 0.0
        self._answered = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="board", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nobody waits any more."""
        self._stopping.set()
        with self._answered:
            self._answered.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def follow(self, number: int) -> None:
        with self._answered:
            self._followed.add(number)

    def forget(self, number: int) -> None:
        with self._answered:
            self._followed.discard(number)
            self._said.pop(number, None)

    def said(self, number: int) -> Said | None:
        """The last that was said of it."""
        return self._said.get(number)

    def wait(self, number: int, is_so: IsSo, *, seconds: float) -> bool:
        """Whether it became so in time, as said in an answer to a question that was asked from now on."""
        began = time.monotonic()

        def is_over() -> bool:
            return self._stopping.is_set() or (
                self._asked_at > began and is_so(self._said.get(number))
            )

        with self._answered:
            return self._answered.wait_for(is_over, seconds) and not self._stopping.is_set()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            with self._answered:
                first = min(self._followed, default=None)
            if first is None:
                continue
            asked_at = time.monotonic()
            try:
                said = self._ask(first)
            except httpx2.HTTPError:
                continue  # the manager is away
            with self._answered:
                self._said.update(said)
                self._asked_at = asked_at
                self._answered.notify_all()

    def _ask(self, first: int) -> dict[int, Said]:
        """Everything from this number on, page after page."""
        said: dict[int, Said] = {}
        cursor: str | None = str(PreviewKey(self._project, first - 1))
        while cursor is not None:
            answer = self._client.get(
                "/api/v1/previews", params={"limit": PAGE_LENGTH, "cursor": cursor}
            )
            page = answer.raise_for_status().json()
            said |= {each["number"]: _said(each) for each in page["previews"]}
            cursor = page["next_cursor"]
        return said


def _said(view: Object) -> Said:
    phase = Phase(view["phase"])
    database = _granted(view["database"]) if view["database"] else None
    return Said(phase, view["head_sha"], view["reason"], view["message"], database)


def _granted(database: Object) -> Granted:
    since = datetime.fromisoformat(database["password_since"])
    return Granted(database["incarnation"], since)
