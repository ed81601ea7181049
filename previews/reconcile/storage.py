"""Watches how large the previews' databases grow. Nothing is stopped for it: it is pointed out on the pull request."""

import threading
from collections.abc import Callable, Iterable, Mapping

import structlog

from previews.domain.database import DatabasePolicy, Provider
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError
from previews.reconcile.server_watch import ServerWatch

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024

_log = structlog.get_logger("previews.databases")


class StorageWatch:
    """Safe from any thread; `look` is for one."""

    def __init__(
        self,
        policies: Mapping[str, DatabasePolicy],
        watch: ServerWatch,
        on_change: Callable[[Iterable[PreviewKey]], None],
    ) -> None:
        self._limits = {
            project: (policy.server, policy.storage_warning_bytes)
            for project, policy in policies.items()
            if policy.provider is Provider.POSTGRES and policy.storage_warning_bytes
        }
        self._watch = watch
        self._on_change = on_change
        self._lock = threading.Lock()
        self._large: dict[PreviewKey, str] = {}

    def warning(self, key: PreviewKey) -> str:
        """What there is to say of its database's size. It names the limit alone, and so stays the same."""
        with self._lock:
            return self._large.get(key, "")

    def look(self) -> None:
        """Measure every database that has a limit."""
        large: dict[PreviewKey, str] = {}
        for key in sorted(self._watch.keys()):
            if key.project in self._limits and (said := self._measure(key)):
                large[key] = said
        with self._lock:
            before, self._large = self._large, large
        self._on_change(sorted({*before} ^ {*large}))

    def _measure(self, key: PreviewKey) -> str:
        server, limit = self._limits[key.project]
        try:
            size = self._watch.server(server).size_bytes(key)
        except PreviewsError as error:
            _log.warning("size", key=str(key), reason=error.reason, message=error.message)
            return self.warning(key)
        return f"its database has grown beyond {_amount(limit)}" if limit and size > limit else ""


def _amount(size_bytes: int) -> str:
    amount, unit = float(size_bytes), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.4g} {_UNITS[unit]}"
