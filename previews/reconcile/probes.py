"""Every request that goes to previews' URLs passes here and is counted: none of them is a visit, nor a secret.

The threads that reconcile may not all wait for URLs that hang: some stay for whatever else there is to do.
"""

import threading
from collections import Counter
from collections.abc import Mapping

from previews.domain.ports import Prober
from previews.domain.preview import PreviewKey, ProbeResult
from previews.domain.probing import ANSWERED
from previews.domain.project import Project


class Probes:
    """Safe from any thread."""

    def __init__(
        self, prober: Prober, projects: Mapping[str, Project], *, waiting_at_most: int
    ) -> None:
        self._prober = prober
        self._projects = projects
        self._places = threading.BoundedSemaphore(waiting_at_most)
        self._lock = threading.Lock()
        self._keys: dict[str, PreviewKey] = {}
        """By host, of those that were ever asked."""
        self._sent: Counter[PreviewKey] = Counter()
        self._results: Counter[str] = Counter()

    def ask(self, key: PreviewKey) -> ProbeResult:
        """Ask a preview of a configured project once."""
        project = self._projects[key.project]
        with self._lock:
            self._keys.update(dict.fromkeys(project.names(key.number).hosts, key))
        result = self._prober.probe(
            project.probe_url(key.number), project.probe, on_request=self._count
        )
        with self._lock:
            self._results[ANSWERED if result.answered else result.reason] += 1
        return result

    def ask_if_free(self, key: PreviewKey) -> ProbeResult | None:
        """The same; None when too many wait for an answer already."""
        if not self._places.acquire(blocking=False):
            return None
        try:
            return self.ask(key)
        finally:
            self._places.release()

    def sent(self) -> Mapping[PreviewKey, int]:
        """Requests to each preview so far, where others' redirects led to it too. Each is in it before it is sent."""
        with self._lock:
            return dict(self._sent)

    def results(self) -> Mapping[str, int]:
        """How many probes came to each of `probing.RESULTS`."""
        with self._lock:
            return dict(self._results)

    def _count(self, host: str) -> None:
        with self._lock:
            key = self._keys.get(host)
            # A host that nobody asked has no visits that would be mistaken, and there may be any number of them.
            if key is not None:
                self._sent[key] += 1
