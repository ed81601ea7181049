"""The real manager, striking itself as ordered: `python -m tests.sweep.struck_manager --config FILE --order FILE`.

While the order's file is there, the named effect is counted; the file is gone before the strike, so whoever waits for
the strike sees it, and the process that is started next is struck no more.
"""

import argparse
import json
import os
import signal
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from previews import app
from previews.errors import TransientError
from previews.reconcile.effects import Effect, LoggingWitness
from previews.settings import load_settings
from tests.sweep.plans import Strike


@dataclass(frozen=True, slots=True)
class Order:
    """Strike an effect when it comes for the nth time, counted from 1."""

    effect: Effect
    occurrence: int
    strike: Strike

    def write(self, file: Path) -> None:
        """All of it at once: somebody may be reading."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.rename(file)


class OrderedWitness(LoggingWitness):
    """Safe from any thread: an effect begins and ends on the same one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._text = ""
        self._seen = 0
        self._due = threading.local()

    def before(self, effect: Effect, subject: str) -> None:
        super().before(effect, subject)
        order = self._next(effect)
        self._due.strike = order.strike if order else None
        if self._due.strike is Strike.KILLED_BEFORE:
            self._kill()

    def after(self, effect: Effect, subject: str) -> None:
        super().after(effect, subject)
        strike, self._due.strike = self._due.strike, None
        if strike is Strike.KILLED_AFTER:
            self._kill()
        if strike is Strike.ANSWER_LOST:
            self._file.unlink()
            raise TransientError("AnswerLost", f"{effect} of {subject} was done; nobody heard")

    def _next(self, effect: Effect) -> Order | None:
        """The order, if this is what it is about."""
        with self._lock:
            try:
                text = self._file.read_text()
            except FileNotFoundError:
                return None
            if text != self._text:
                self._text, self._seen = text, 0
            said = json.loads(text)
            order = Order(Effect(said["effect"]), said["occurrence"], Strike(said["strike"]))
            self._seen += order.effect is effect
            is_it = order.effect is effect and self._seen == order.occurrence
            return order if is_it else None

    def _kill(self) -> None:
        self._file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--order", type=Path, required=True)
    arguments = parser.parse_args()
    app.serve(load_settings(arguments.config), witness=OrderedWitness(arguments.order))


if __name__ == "__main__":
    main()
