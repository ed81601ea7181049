"""Every outside effect goes through `perform`, with a name.

So there is one place that logs effects, and one where a test can end the process before an effect, or after it and
before anything was recorded. An effect must find its own earlier work: it may always happen twice.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger("previews.effects")


class Effect(StrEnum):
    """All that the manager does to the world."""

    ACCEPT = "store.accept"
    ACT = "store.act"
    NAME_IMAGE = "store.name_image"
    SAVE_RECORD = "store.save"
    MARK_FOR_FETCH = "store.mark"
    CLEAR_MARK = "store.clear_mark"
    FORGET = "store.forget"
    RECORD_PUBLISHED = "store.published"
    RECORD_COMMENTS_READ = "store.comments_read"
    PUSH = "git.push"
    REFRESH_APPLICATION = "argocd.refresh"
    END_OPERATION = "argocd.end_operation"
    COLLECT = "cluster.delete"
    CREATE_DATABASE = "database.create"
    SET_CREDENTIAL = "database.credential"
    NOTE_MIGRATED = "database.note"
    FILL_POOL = "database.fill_pool"
    DROP_DATABASE = "database.drop"
    DELIVER_SECRET = "secret.deliver"  # noqa: S105 - the name of an effect
    WITHDRAW_SECRET = "secret.withdraw"  # noqa: S105 - the name of an effect
    ENSURE_RECORD = "dns.ensure"
    REMOVE_RECORD = "dns.remove"
    SET_STATUS = "forge.set_status"
    SET_CHECK = "forge.set_check"
    ENSURE_COMMENT = "forge.ensure_comment"
    SET_DEPLOYMENT = "forge.set_deployment"
    REMOVE_DEPLOYMENT = "forge.remove_deployment"
    REMOVE_ENVIRONMENT = "forge.remove_environment"
    REACT = "forge.react"
    REPLY = "forge.reply"
    REDELIVER = "forge.redeliver"


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
    """Performs effects, and counts them. One for the whole process."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._lock = threading.Lock()
        self._performed: Counter[Effect] = Counter()
        self._failed: Counter[Effect] = Counter()

    def perform(self, effect: Effect, subject: object, action: Callable[[], T]) -> T:
        """Carry `action` out. `subject` says to what, for logs and faults."""
        self._witness.before(effect, str(subject))
        try:
            result = action()
        except Exception:
            self._count(self._failed, effect)
            raise
        self._count(self._performed, effect)
        self._witness.after(effect, str(subject))
        return result

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """How often each was performed, and how often it failed, since the start."""
        with self._lock:
            return {effect: (self._performed[effect], self._failed[effect]) for effect in Effect}

    def _count(self, counter: Counter[Effect], effect: Effect) -> None:
        with self._lock:
            counter[effect] += 1
