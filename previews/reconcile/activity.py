"""Who was used: from what the ingress controller counts, less what we asked ourselves.

A probe that is counted late is no visit, and one that never arrived stands for a visit no longer than until the next
look. While the controller cannot be asked, nobody is known to be idle.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from previews.domain.naming import names_of
from previews.domain.ports import Traffic
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError

COUNTED_WITHIN = timedelta(seconds=10)
"""The controller has counted a probe by then, or it never got there. A probe itself takes ten seconds at most."""


@dataclass(slots=True)
class _Watched:
    """One preview. Times are those of looks."""

    quiet_since: datetime
    looked_at: datetime
    requests: int
    probes: int
    owed: deque[tuple[datetime, int]] = field(default_factory=deque)
    """Probes that were sent and not counted yet, by when we learned of them."""

    def visits(self, now: datetime, requests: int, probes: int) -> int:
        """Requests since the last look that were not ours. A count that fell began anew."""
        fresh = requests - self.requests if requests >= self.requests else requests
        if probes > self.probes:
            self.owed.append((now, probes - self.probes))
        self.requests, self.probes = requests, probes
        while self.owed and fresh:
            when, count = self.owed.popleft()
            ours = min(count, fresh)
            fresh -= ours
            if count > ours:
                self.owed.appendleft((when, count - ours))
        # One that never got to the controller must not stand for a visit for ever.
        while self.owed and now - self.owed[0][0] >= COUNTED_WITHIN:
            self.owed.popleft()
        return fresh


class ActivityWatch:
    """Used by one thread, but for `quiet_since`, which is safe from any.

    `probes_sent` says how many probes went to each preview so far; a probe is in it before it is sent.
    """

    def __init__(
        self,
        traffic: Traffic,
        probes_sent: Callable[[], Mapping[PreviewKey, int]],
        on_active: Callable[[PreviewKey, datetime], None],
    ) -> None:
        self._traffic = traffic
        self._probes_sent = probes_sent
        self._on_active = on_active
        self._watched: dict[PreviewKey, _Watched] = {}
        self._can_see = False

    def look(self, now: datetime, keys: Iterable[PreviewKey]) -> None:
        """Compare with the last look; `on_active` is called for whoever was used since then. Raises TransientError."""
        namespaces = {key: names_of(key, host_pattern="").namespace for key in keys}
        try:
            requests = self._traffic.requests(namespaces.values())
        except PreviewsError:
            self._can_see = False
            raise
        # Asked for afterwards: every probe that the controller has counted is in it.
        probes = self._probes_sent()
        seen: dict[PreviewKey, _Watched] = {}
        for key, namespace in namespaces.items():
            served, sent = requests.get(namespace, 0), probes.get(key, 0)
            # Nobody can say which of the earlier probes are still under way: all of them may be.
            watched = self._watched.get(key) or _Watched(now, now, served, probes=0)
            seen[key] = watched
            if watched.visits(now, served, sent):
                watched.quiet_since = now
                # Whoever sent it to sleep since the last look may have been its last visitor.
                self._on_active(key, watched.looked_at)
            watched.looked_at = now
        self._watched, self._can_see = seen, True

    def quiet_since(self, key: PreviewKey) -> datetime | None:
        """Since when nobody used it, as far as we have watched; None while we cannot tell."""
        watched = self._watched.get(key)
        return watched.quiet_since if watched and self._can_see else None
