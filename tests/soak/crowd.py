"""Lives the lives: for each pull request somebody who does the next thing when the last had its outcome, or before."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from previews.domain.preview import HeadSha, Phase
from tests.soak.board import Board, IsSo, Said
from tests.soak.forge import ForgeRefusedError, PatientForge
from tests.soak.lives import Act, Step

OUTCOME_SECONDS = 120.0
"""Then the next act comes anyway; the slowest outcome under faults took half of it."""
REMOVED_SECONDS = 300.0
REMARKABLE_SECONDS = 60.0
"""The target of the 95th percentile without faults: what takes longer is worth a look at the logs."""
UNKNOWN_SECONDS = 45.0
"""A pull request that is still unknown then, three resyncs after its close, was never heard of."""


@dataclass
class Life:
    """One pull request as its author knows it."""

    index: int
    number: int | None = None
    heads: list[HeadSha] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    """Outcomes that were waited for in vain."""
    live_seconds: list[float] = field(default_factory=list)
    """From each opening or push whose outcome was waited for."""
    receipt_seconds: list[float] = field(default_factory=list)
    """From each close whose outcome was waited for until the manager said that nothing is left."""
    unknown: bool = False
    """Opened and closed before the manager heard of it: there was never anything to remove."""


class Crowd:
    """Safe from any thread."""

    def __init__(
        self,
        forge: PatientForge,
        board: Board,
        scripts: Sequence[Sequence[Step]],
        say: Callable[[str], None],
    ) -> None:
        self._forge = forge
        self._board = board
        self._scripts = scripts
        self._say = say
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.lives: list[Life] = []
        self.refused: list[str] = []
        self._gone: set[int] = set()
        self._done = 0

    @property
    def done(self) -> int:
        """Lives that came to their end, whatever it was."""
        return self._done

    def gone(self) -> set[int]:
        """Pull requests of which the manager has said, after their last close, that nothing is left."""
        with self._lock:
            return set(self._gone)

    def open_count(self) -> int:
        with self._lock:
            return len(self.lives) - self._done

    def end(self) -> None:
        """Before its time: nobody does anything more."""
        self._ended.set()
        self._board.stop()

    def live(self, index: int) -> None:
        """One whole life."""
        life = Life(index)
        with self._lock:
            self.lives.append(life)
        try:
            for step in self._scripts[index]:
                if not self._ended.is_set():
                    self._act(life, step)
        except ForgeRefusedError as error:
            self.refused.append(f"life {index}, pull request {life.number}: {error}")
            self._say(f"the forge refused: {self.refused[-1]}")
        with self._lock:
            self._done += 1
        if life.number is not None:
            self._board.forget(life.number)

    def _act(self, life: Life, step: Step) -> None:
        began = time.monotonic()
        if step.act is Act.REOPEN:
            with self._lock:
                self._gone.discard(_number(life))
        match step.act:
            case Act.OPEN:
                life.heads.append(self._forge.first_commit(life.index))
                life.number = self._forge.open_pull_request(life.index)
                self._board.follow(life.number)
            case Act.PUSH:
                life.heads.append(self._forge.push(life.index, len(life.heads)))
            case Act.CLOSE | Act.REOPEN:
                self._forge.set_open(_number(life), is_open=step.act is Act.REOPEN)
        if step.act is Act.REOPEN:
            # Or the end that it had before would be taken for the one that is to come.
            self._wait(life, "noticed to be open again", _is_not_removed, OUTCOME_SECONDS)
        if step.impatient_seconds is not None:
            self._ended.wait(step.impatient_seconds)
        elif step.act is Act.CLOSE:
            self._wait_until_removed(life, began)
        else:
            head_sha = life.heads[-1]
            if self._wait(life, "live", lambda said: _is_live(said, head_sha), OUTCOME_SECONDS):
                life.live_seconds.append(time.monotonic() - began)

    def _wait_until_removed(self, life: Life, began: float) -> None:
        number = _number(life)
        if self._board.said(number) is None and not self._board.wait(
            number, _is_known, seconds=UNKNOWN_SECONDS
        ):
            life.unknown = True
        elif self._wait(life, "removed", _is_removed, REMOVED_SECONDS):
            life.receipt_seconds.append(time.monotonic() - began)
            with self._lock:
                self._gone.add(number)

    def _wait(self, life: Life, what: str, is_so: IsSo, seconds: float) -> bool:
        number = _number(life)
        began = time.monotonic()
        if self._board.wait(number, is_so, seconds=REMARKABLE_SECONDS):
            return True
        if not self._ended.is_set():
            self._say(f"pull request {number}, not {what} yet: {self._board.said(number)}")
        if self._board.wait(number, is_so, seconds=seconds - REMARKABLE_SECONDS):
            self._say(f"pull request {number}, {what} after {time.monotonic() - began:.0f} s")
            return True
        if self._ended.is_set():
            return False
        life.slow.append(f"not {what} after {seconds:g} s: {self._board.said(number)}")
        self._say(f"pull request {number} is {life.slow[-1]}")
        return False


def _number(life: Life) -> int:
    if life.number is None:
        raise RuntimeError("a pull request must be opened first")
    return life.number


def _is_known(said: Said | None) -> bool:
    return said is not None


def _is_live(said: Said | None, head_sha: HeadSha) -> bool:
    return said is not None and said.phase is Phase.LIVE and said.head_sha == head_sha


def _is_removed(said: Said | None) -> bool:
    return said is not None and said.phase is Phase.REMOVED


def _is_not_removed(said: Said | None) -> bool:
    return not _is_removed(said)
