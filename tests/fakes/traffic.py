"""An ingress controller in memory, which counts what it serves."""

from collections import Counter
from collections.abc import Collection, Mapping

from previews.errors import TransientError


class FakeTraffic:
    """Of every namespace it knows how many requests there were since it started."""

    def __init__(self) -> None:
        self.unavailable = False
        self._served: Counter[str] = Counter()

    def requests(self, namespaces: Collection[str]) -> Mapping[str, int]:
        if self.unavailable:
            raise TransientError("TrafficUnreachable", "the ingress controller gives no metrics")
        return {name: count for name, count in self._served.items() if name in namespaces}

    def serve(self, namespace: str, count: int = 1) -> None:
        """Somebody asks for something; our own probes too."""
        self._served[namespace] += count

    def restart(self) -> None:
        """Whatever it has counted is forgotten."""
        self._served.clear()
