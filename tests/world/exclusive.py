"""One at a time: the end-to-end tests stop components of the cluster that a measurement runs on."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "in-use.lock"


@contextmanager
def alone_on(cluster_directory: Path, who: str) -> Iterator[None]:
    """Wait until nobody else has the cluster. The kernel gives the lock back when its holder dies."""
    with (cluster_directory / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "somebody"
            print(f"{who}: waiting for the cluster, which {holder} has", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(who)
        file.flush()
        yield
