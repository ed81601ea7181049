"""Public URLs in memory."""

from collections import defaultdict
from collections.abc import Callable
from urllib.parse import urlsplit

from previews.domain.preview import ProbeResult
from previews.domain.probing import ProbePolicy

ANSWERS = ProbeResult(answered=True, detail="200 OK")
NOTHING_THERE = ProbeResult(answered=False, detail="404 Not Found")


class FakeProber:
    """Every host answers, or none, but for those of which a test says otherwise."""

    def __init__(self, *, answers: bool = True) -> None:
        self.asked: list[str] = []
        default = ANSWERS if answers else NOTHING_THERE
        self._results: defaultdict[str, ProbeResult] = defaultdict(lambda: default)

    def probe(
        self,
        url: str,
        policy: ProbePolicy,  # noqa: ARG002 - what answers was decided
        *,
        on_request: Callable[[str], None] = lambda _: None,
    ) -> ProbeResult:
        host = urlsplit(url).hostname or ""
        on_request(host)
        self.asked.append(url)
        return self._results[host]

    def says(
        self,
        host: str,
        detail: str,
        *,
        answered: bool = False,
        reason: str = "URLDoesNotAnswer",
        head_sha: str = "",
    ) -> None:
        """What this host answers from now on."""
        self._results[host] = ProbeResult(answered, detail, reason, head_sha)
