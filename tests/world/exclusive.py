"""Who may use the cluster: one run of tests or measurements at a time, and alone a test that stops parts of it."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "in-use.lock"
DOOR = "door.lock"
ROOM = "room.lock"


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


@contextmanager
def taking_turns(cluster_directory: Path, *, stops_parts: bool) -> Iterator[None]:
    """Wait while another process of the same run stops parts, or, to stop some, until nobody else is at work.

    Whoever waits for the room stands in the door, so that nobody who comes later gets in before.
    """
    with (cluster_directory / DOOR).open("a") as door, (cluster_directory / ROOM).open("a") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if stops_parts else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
