"""Why something about a preview could last not be done: kept until it is done, and logged when it is news."""

import threading

import structlog

from previews.domain.database import Trouble
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError, StalledError


class Troubles:
    """Of one outside system. Safe from any thread."""

    def __init__(self, logger: str) -> None:
        """`logger`: under which name the log shows them."""
        self._log = structlog.get_logger(logger)
        self._lock = threading.Lock()
        self._troubles: dict[PreviewKey, Trouble] = {}

    def of(self, key: PreviewKey) -> Trouble | None:
        with self._lock:
            return self._troubles.get(key)

    def note(self, key: PreviewKey, error: PreviewsError) -> None:
        trouble = Trouble(error.reason, error.message, isinstance(error, StalledError))
        with self._lock:
            is_news = self._troubles.get(key) != trouble
            self._troubles[key] = trouble
        if is_news:
            self._log.warning("trouble", key=str(key), reason=error.reason, message=error.message)

    def forget(self, key: PreviewKey) -> None:
        """It is done, or nobody wants it any more."""
        with self._lock:
            self._troubles.pop(key, None)
