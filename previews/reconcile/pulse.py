"""Asks previews at their URLs: live ones now and then, one after the other, so that Live stays true.

An answer that was expected changes nothing and is told nobody. Another one only makes the preview suspected: the
reconciler asks again, and what several answers in a row come to is decided there.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import structlog

from previews.domain.preview import HeadSha, Phase, PreviewKey
from previews.domain.probing import ProbeVerdict, follow
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.reconcile.probes import Probes

THREADS = 8
"""So many may hang at a time before the others are asked later than they should be."""
PACE_SECONDS = 1.0
"""Whoever is due within it is asked in one go: to wake up for each by itself costs as much as half a request."""
BEHIND_AT_MOST_SECONDS = 2.0
"""What was not asked in time is made up for so far, and then simply later."""

_log = structlog.get_logger("previews.pulse")


@dataclass(frozen=True, slots=True)
class _Believed:
    verdict: ProbeVerdict
    head_sha: HeadSha | None


class Pulse:
    """Knows who is live from the reconciler, which tells it of every record. Safe from any thread."""

    def __init__(
        self,
        projects: Mapping[str, Project],
        probes: Probes,
        enqueue: Callable[[Iterable[PreviewKey]], None],
        *,
        interval_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._projects = projects
        self._probes = probes
        self._enqueue = enqueue
        self._interval_seconds = interval_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._live: OrderedDict[PreviewKey, _Believed] = OrderedDict()
        """Whoever was asked longest ago comes first."""
        self._suspects: set[PreviewKey] = set()
        self._asked_at = monotonic()
        self._threads = [
            threading.Thread(target=self._run, name=f"pulse-{index}", daemon=True)
            for index in range(THREADS)
        ]

    def note(self, record: PreviewRecord) -> None:
        """What is true of a preview from now on."""
        verdict, key = record.probe, record.key
        is_live = record.phase is Phase.LIVE and key.project in self._projects
        with self._lock:
            if is_live and verdict is not None and verdict.answered:
                head_sha = record.manifests.head_sha if record.manifests else None
                is_first = not self._live
                self._live[key] = _Believed(verdict, head_sha)
                if is_first:
                    self._asked_at = self._monotonic()
            else:
                self._live.pop(key, None)
                self._suspects.discard(key)

    def suspects(self, key: PreviewKey, verdict: ProbeVerdict | None) -> bool:
        """Whether one that is believed to answer gave another answer."""
        # What a former process began to doubt is still to be found out.
        if verdict is not None and verdict.answered and verdict.doubts:
            return True
        with self._lock:
            return key in self._suspects

    def ask_again(self, record: PreviewRecord) -> PreviewRecord:
        """Ask for whoever reconciles, and conclude. The record stays as it is while too many wait for answers."""
        result = self._probes.ask_if_free(record.key)
        if result is None:
            return record
        with self._lock:
            self._suspects.discard(record.key)
        digest = record.manifests.digest if record.manifests else ""
        head_sha = record.manifests.head_sha if record.manifests else None
        before = record.probe if record.probed_digest == digest else None
        policy = self._projects[record.key.project].probe
        verdict = follow(before, result, policy, head_sha)
        return replace(record, probed_digest=digest, probe=verdict)

    def look(self, key: PreviewKey) -> None:
        """Ask one preview, if it is live."""
        with self._lock:
            believed = self._live.get(key)
        if believed is None:
            return
        result = self._probes.ask(key)
        policy = self._projects[key.project].probe
        if follow(believed.verdict, result, policy, believed.head_sha) == believed.verdict:
            return
        with self._lock:
            # It may have fallen asleep meanwhile.
            if key not in self._live:
                return
            self._suspects.add(key)
        self._enqueue([key])

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Let each thread finish what it asked. One that cannot in time is left behind."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_seconds)

    def next_key(self) -> PreviewKey | None:
        """Whose turn it is at this moment, if it is anybody's. Those that went live together are not asked together."""
        with self._lock:
            if not self._live:
                return None
            each = self._interval_seconds / len(self._live)
            now = self._monotonic() // PACE_SECONDS * PACE_SECONDS
            due = max(self._asked_at, now - each - BEHIND_AT_MOST_SECONDS) + each
            if due > now:
                return None
            self._asked_at = due
            key = next(iter(self._live))
            self._live.move_to_end(key)
            return key

    def _run(self) -> None:
        while not self._stop.wait(PACE_SECONDS):
            while not self._stop.is_set() and (key := self.next_key()) is not None:
                self._look_or_log(key)

    def _look_or_log(self, key: PreviewKey) -> None:
        try:
            self.look(key)
        except Exception:  # noqa: BLE001 - a bug met by one preview must not end the thread that serves all
            _log.exception("bug", key=str(key))
