"""Who may make a clone of a template now: one at a time, and the others go on with their work meanwhile."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from previews.domain.preview import PreviewKey


class CloneLine:
    """Safe from any thread. Whoever's turn comes is looked at again."""

    def __init__(self, enqueue: Callable[[Iterable[PreviewKey]], None]) -> None:
        self._enqueue = enqueue
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], OrderedDict[PreviewKey, None]] = {}
        """By server and template, in the order in which they came; the first one's turn it is."""

    @contextmanager
    def turn(self, server: str, template: str, key: PreviewKey) -> Iterator[bool]:
        """Says whether it is its turn. At the end of it, the next one's comes."""
        with self._lock:
            line = self._waiting.setdefault((server, template), OrderedDict())
            line.setdefault(key)
            is_ours = next(iter(line)) == key
        if not is_ours:
            yield False
            return
        try:
            yield True
        finally:
            with self._lock:
                line.pop(key, None)
                following = next(iter(line), None)
            if following is not None:
                self._enqueue([following])

    def leave(self, key: PreviewKey) -> None:
        """It needs no clone any more, or cannot be worked on now: those behind it go on."""
        with self._lock:
            lines = [line for line in self._waiting.values() if key in line]
            for line in lines:
                del line[key]
            following = [next(iter(line)) for line in lines if line]
        self._enqueue(following)
