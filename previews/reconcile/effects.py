"""Every outside effect goes through `perform`, with a name.

So there is one place that logs effects, and one where a test can end the process before an effect, or after it and
before anything was recorded. An effect must find its own earlier work: it may always happen twice.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger("previews.effects")


class Effect(StrEnum):
    """All that the manager does to the world."""

    ACCEPT = "store.accept"
    ACT = "store.act"
    SAVE_RECORD = "store.save"
    MARK_FOR_FETCH = "store.mark"
    CLEAR_MARK = "store.clear_mark"
    FORGET = "store.forget"
    RECORD_PUBLISHED = "store.published"
    PUSH = "git.push"
    REFRESH_APPLICATION = "argocd.refresh"
    END_OPERATION = "argocd.end_operation"
    COLLECT = "cluster.delete"
    SET_STATUS = "forge.set_status"
    ENSURE_COMMENT = "forge.ensure_comment"


class Witness(Protocol):
    """Is told of each effect before and after it happens."""

    def before(self, effect: Effect, subject: str) -> None: ...

    def after(self, effect: Effect, subject: str) -> None: ...


class LoggingWitness:
    """The production witness: a line for each effect on the outside world."""

    def before(self, effect: Effect, subject: str) -> None:
        """Nothing: an effect is logged when it has happened."""

    def after(self, effect: Effect, subject: str) -> None:
        if not effect.startswith("store."):
            _log.info(effect.value, subject=subject)


class Effects:
    """Performs effects. One for the whole process."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def perform(self, effect: Effect, subject: object, action: Callable[[], T]) -> T:
        """Carry `action` out. `subject` says to what, for logs and faults."""
        self._witness.before(effect, str(subject))
        result = action()
        self._witness.after(effect, str(subject))
        return result
