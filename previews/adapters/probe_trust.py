"""Whom the probe trusts: whom the system does, and who stands in a file that may be renewed at any time."""

import ssl
import threading
from pathlib import Path

_State = tuple[int, int, int]


class Trust:
    """Safe from any thread."""

    def __init__(self, ca_file: Path | None) -> None:
        """Raises OSError for a file that cannot be read, or holds no certificates."""
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._state = _state_of(ca_file) if ca_file else None
        # One for all: to read the system's certificates takes longer than many requests.
        self._context = _context_with(ca_file)

    def context(self) -> ssl.SSLContext:
        """With the file as it is now; if it cannot be read, as it was when it last could."""
        if self._ca_file is None:
            return self._context
        with self._lock:
            try:
                state = _state_of(self._ca_file)
                if state != self._state:
                    self._context, self._state = _context_with(self._ca_file), state
            except OSError:
                # `doctor` and the watch over the certificate say so.
                pass
            return self._context


def _state_of(file: Path) -> _State:
    found = file.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _context_with(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
