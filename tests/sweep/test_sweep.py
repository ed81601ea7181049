"""A part of the crash sweep that every run of the tests can afford; `make sweep` runs all of it."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from previews.domain.ports import PushRejectedError
from previews.errors import ConfigurationError, PreviewsError, StalledError, TransientError
from previews.reconcile.effects import Effect
from tests.sweep.peer import GoneError, Peer, Remote
from tests.sweep.plans import Plan, Strike
from tests.sweep.struck_manager import Order, OrderedWitness

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def few() -> dict[str, Any]:
    """The figures of a sweep with one plan for each effect and strike. It forks, so it has a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.sweep", "--few"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    *progress, numbers = ended.stdout.splitlines() or [""]
    print(*progress, sep="\n")
    assert numbers.startswith("{"), numbers
    found: dict[str, Any] = json.loads(numbers)
    return found


@pytest.mark.fault(11)
@pytest.mark.fault(12)
def test_no_strike_changes_the_end(few: dict[str, Any]) -> None:
    assert few["failures"] == []
    assert few["plans"] > 0


def test_every_effect_is_swept_in_every_way(few: dict[str, Any]) -> None:
    assert few["unswept"] == []
    assert few["by_effect"] == {effect: len(Strike) for effect in Effect}


def test_a_plan_is_read_as_it_is_written() -> None:
    plan = Plan("close_one", 17, Strike.ANSWER_LOST)
    assert Plan.parse(str(plan)) == plan


class Thing:
    """The other end's: it fails as it is told, and asks its caller back."""

    def __init__(self, caller: Peer) -> None:
        self._caller = caller

    def fail(self, error: Exception) -> None:
        raise error

    def ask_back(self, question: str) -> str:
        answer: str = self._caller.call("caller", "answer", question)
        return answer


class Caller:
    def answer(self, question: str) -> str:
        return f"{question}? Yes."


@contextmanager
def joined() -> Iterator[Remote]:
    """A thing in another thread, as if it were in another process."""
    ours, theirs = socket.socketpair()
    targets: dict[str, object] = {}
    other = Peer(theirs, targets)
    targets["thing"] = Thing(other)
    thread = threading.Thread(target=other.serve)
    thread.start()
    near = Peer(ours, {"caller": Caller()})
    yield Remote(near, "thing")
    near.close()
    thread.join()
    other.close()


@pytest.mark.parametrize(
    "error",
    [
        TransientError("ForgeRateLimited", "later", retry_after_seconds=30.0),
        StalledError("ForgeRefused", "never"),
        ConfigurationError("no such key"),
        PushRejectedError("PushRejected", "somebody was faster"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_with_all_that_it_knows(error: PreviewsError) -> None:
    with joined() as thing, pytest.raises(type(error)) as caught:
        thing.fail(error)
    found = dict(vars(caught.value))
    assert "in the other process" in found.pop("__notes__")[0]
    assert found == vars(error)
    assert str(caught.value) == str(error)


def test_who_is_asked_may_ask_back() -> None:
    with joined() as thing:
        assert thing.ask_back("Alive") == "Alive? Yes."


def test_whoever_is_dead_is_gone() -> None:
    ours, theirs = socket.socketpair()
    near = Peer(ours, {})
    theirs.close()
    with pytest.raises(GoneError):
        near.call("thing", "ask_back", "Alive")
    near.close()


def test_a_manager_strikes_itself_once_and_as_ordered(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    witness = OrderedWitness(file)
    witness.before(Effect.PUSH, "not ordered yet")
    witness.after(Effect.PUSH, "not ordered yet")
    Order(Effect.PUSH, 2, Strike.ANSWER_LOST).write(file)
    for effect in (Effect.SET_STATUS, Effect.PUSH, Effect.ENSURE_COMMENT):
        witness.before(effect, "another")
        witness.after(effect, "another")
    assert file.exists()
    witness.before(Effect.PUSH, "the second")
    with pytest.raises(TransientError, match="the second was done"):
        witness.after(Effect.PUSH, "the second")
    assert not file.exists()
    witness.before(Effect.PUSH, "the third")
    witness.after(Effect.PUSH, "the third")


@pytest.mark.parametrize("strike", [Strike.KILLED_BEFORE, Strike.KILLED_AFTER])
def test_a_manager_that_must_die_does(strike: Strike, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    Order(Effect.PUSH, 1, strike).write(file)
    program = (
        "import sys; from pathlib import Path; from previews.reconcile.effects import Effect;"
        "from tests.sweep.struck_manager import OrderedWitness as Witness;"
        "witness = Witness(Path(sys.argv[1])); witness.before(Effect.PUSH, 'it');"
        "print('done', flush=True); witness.after(Effect.PUSH, 'it'); print('said', flush=True)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert ("done" in ended.stdout) == (strike is Strike.KILLED_AFTER)
    assert "said" not in ended.stdout
    assert not file.exists()
