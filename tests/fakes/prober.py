"""Public URLs in memory."""

from collections import defaultdict
from urllib.parse import urlsplit

from previews.domain.preview import ProbeResult

ANSWERS = ProbeResult(answered=True, detail="200 OK")
NOTHING_THERE = ProbeResult(answered=False, detail="404 Not Found")


class FakeProber:
    """Every host answers, or none, but for those of which a test says otherwise."""

    def __init__(self, *, answers: bool = True) -> None:
        self.asked: list[str] = []
        default = ANSWERS if answers else NOTHING_THERE
        self._results: defaultdict[str, ProbeResult] = defaultdict(lambda: default)

    def probe(self, url: str) -> ProbeResult:
        self.asked.append(url)
        return self._results[urlsplit(url).hostname or ""]

    def says(self, host: str, detail: str, *, answered: bool = False) -> None:
        """What this host answers from now on."""
        self._results[host] = ProbeResult(answered=answered, detail=detail)
