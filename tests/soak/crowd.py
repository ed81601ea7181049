"""Lives the lives: for each pull request somebody who does the next thing when the last had its outcome, or before."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from previews.domain.preview import HeadSha, Phase
from tests.soak.agreement import Agreement
from tests.soak.board import Board, IsSo, Said
from tests.soak.forge import ForgeRefusedError, SoakForge
from tests.soak.lives import Act, Step
from tests.soak.orders import NotTakenError, Ordered, Orders
from tests.soak.records import SoakRecords

QUESTION = "/preview help"
OUTCOME_SECONDS = 120.0
"""Then the next act comes anyway; the slowest outcome under faults took half of it."""
REMOVED_SECONDS = 300.0
REMARKABLE_SECONDS = 60.0
"""The target of the 95th percentile without faults: what takes longer is worth a look at the logs."""
LOOK_SECONDS = 0.5
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
    order_seconds: list[float] = field(default_factory=list)
    """From each order of a new database or password whose outcome was waited for until its preview was live with it."""
    unknown: bool = False
    """Opened and closed before the manager heard of it: there was never anything to remove."""


@dataclass(frozen=True)
class DatabaseActs:
    """What the lives do to databases, and how the outcome is judged."""

    orders: Orders
    agreement: Agreement


class Crowd:
    """Safe from any thread."""

    def __init__(
        self,
        forge: SoakForge,
        board: Board,
        scripts: Sequence[Sequence[Step]],
        *,
        databases: DatabaseActs | None,
        records: SoakRecords | None,
        say: Callable[[str], None],
    ) -> None:
        self._forge = forge
        self._board = board
        self._scripts = scripts
        self._databases = databases
        self._records = records
        self._say = say
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.lives: list[Life] = []
        self.refused: list[str] = []
        self.wrong: list[str] = []
        """Databases and records that were not as they had to be by then."""
        self.agreed: Counter[Act] = Counter()
        """Live previews whose database was found to be right, by what was done before."""
        self.named: Counter[Act] = Counter()
        """Likewise those whose host had its record."""
        self._calm = threading.Event()
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
        self._calm.set()
        self._board.stop()

    def be_calm(self) -> None:
        """All faults are over."""
        self._calm.set()

    def live(self, index: int) -> None:
        """One whole life."""
        life = Life(index)
        with self._lock:
            self.lives.append(life)
        try:
            for step in self._scripts[index]:
                if not self._ended.is_set():
                    self._act(life, step)
        except (ForgeRefusedError, NotTakenError) as error:
            self.refused.append(f"life {index}, pull request {life.number}: {error}")
            self._say(f"refused: {self.refused[-1]}")
        with self._lock:
            self._done += 1
        if life.number is not None:
            self._board.forget(life.number)

    def _act(self, life: Life, step: Step) -> None:
        began = time.monotonic()
        ordered = self._do(life, step.act)
        if step.act is Act.REOPEN:
            # Or the end that it had before would be taken for the one that is to come.
            self._wait(life, "noticed to be open again", _is_not_removed, OUTCOME_SECONDS)
        if step.impatient_seconds is not None:
            self._ended.wait(step.impatient_seconds)
        elif step.act is Act.CLOSE:
            self._wait_until_removed(life, began)
        else:
            self._wait_until_live(life, step.act, ordered, began)

    def _do(self, life: Life, act: Act) -> Ordered | None:
        """One act, without its outcome. Comes back with what was ordered, if anything was."""
        if act is Act.REOPEN:
            with self._lock:
                self._gone.discard(_number(life))
        match act:
            case Act.OPEN:
                life.heads.append(self._forge.first_commit(life.index))
                life.number = self._forge.open_pull_request(life.index)
                self._board.follow(life.number)
            case Act.PUSH:
                life.heads.append(self._forge.push(life.index, len(life.heads)))
            case Act.CLOSE | Act.REOPEN:
                self._forge.set_open(_number(life), is_open=act is Act.REOPEN)
            case Act.SAY:
                self._forge.say(_number(life), QUESTION)
            case Act.RESET | Act.ROTATE if self._databases:
                return self._databases.orders.place(_number(life), act)
            case Act.STAY:
                self._stay(life)
        return None

    def _wait_until_live(self, life: Life, act: Act, ordered: Ordered | None, began: float) -> None:
        head_sha = life.heads[-1]
        what = f"live after {act}" if ordered else "live"
        if not self._wait(
            life, what, lambda said: is_live(said, head_sha, ordered), OUTCOME_SECONDS
        ):
            return
        if act is not Act.STAY:
            seconds = life.order_seconds if ordered else life.live_seconds
            seconds.append(time.monotonic() - began)
        self._wait_until_told(life, act, head_sha)
        if self._databases:
            problem = self._databases.agreement.problem(_number(life), self._ended)
            self._note(self.agreed, act, problem)
        if self._records:
            self._note(self.named, act, self._records.problem(_number(life), self._ended))

    def _wait_until_told(self, life: Life, act: Act, head_sha: HeadSha) -> None:
        """What the forge shows people becomes what the manager says."""
        number = _number(life)
        deadline = time.monotonic() + OUTCOME_SECONDS
        while not self._forge.shows_live(number, head_sha):
            if time.monotonic() > deadline:
                problem = (
                    f"{number}: live, and the forge does not show it after {OUTCOME_SECONDS:g} s"
                )
                with self._lock:
                    self.wrong.append(problem)
                self._say(f"after {act}: {problem}")
                return
            if self._ended.wait(LOOK_SECONDS):
                return

    def _stay(self, life: Life) -> None:
        """Nobody wants anything of it: it keeps its database and its password, whatever happens around it."""
        number = _number(life)
        head_sha = life.heads[-1]
        before = self._board.said(number)
        self._calm.wait()
        if not self._wait(life, "live", lambda said: is_live(said, head_sha), OUTCOME_SECONDS):
            return
        after = self._board.said(number)
        if is_live(before, head_sha) and before and after and before.database != after.database:
            self._note(
                self.agreed, Act.STAY, f"{number}: {before.database} became {after.database}"
            )

    def _note(self, right: Counter[Act], act: Act, problem: str) -> None:
        with self._lock:
            if not problem:
                right[act] += 1
                return
            self.wrong.append(problem)
        self._say(f"not as it has to be after {act}: {problem}")

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


def is_live(said: Said | None, head_sha: HeadSha, ordered: Ordered | None = None) -> bool:
    if said is None or said.phase is not Phase.LIVE or said.head_sha != head_sha:
        return False
    return ordered is None or _is_served(said, ordered)


def _is_served(said: Said, ordered: Ordered) -> bool:
    """Whether what was ordered is there: a password since then, and in case another database."""
    database = said.database
    if database is None or database.password_since < ordered.at:
        return False
    return ordered.act is not Act.RESET or database.incarnation != ordered.incarnation


def _is_removed(said: Said | None) -> bool:
    return said is not None and said.phase is Phase.REMOVED


def _is_not_removed(said: Said | None) -> bool:
    return not _is_removed(said)
