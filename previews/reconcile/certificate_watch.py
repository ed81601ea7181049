"""Looks at the certificate of the previews' hosts now and then, so that its end is announced before it comes."""

import threading
from collections.abc import Callable

import structlog

from previews.domain.certificates import Inspection

LOOK_SECONDS = 3600.0
"""A certificate that ends is announced fourteen days before: an hour more or less is nothing."""

_log = structlog.get_logger("previews.certificate")


class CertificateWatch:
    """`run` in one thread; `last` from any."""

    def __init__(self, look: Callable[[], Inspection]) -> None:
        """`look` does not raise: what cannot be seen is a finding."""
        self._look = look
        self.last: Inspection | None = None
        """None until the first look is over."""

    def look(self) -> None:
        """Look once, and log what is not fine: each time anew, since it stays wrong until somebody mends it."""
        found = self._look()
        for each in found.troubles:
            _log.warning(
                "certificate",
                check=each.check,
                level=each.level.value,
                message=each.message,
                remedy=each.remedy,
            )
        self.last = found

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`."""
        while True:
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a bug must not end the looking in silence
                _log.exception("bug")
            if stop.wait(LOOK_SECONDS):
                return
