"""How many requests each preview got, from the metrics that the ingress controller itself exposes for Prometheus.

Traefik and ingress-nginx are understood. Of some thousand lines only those of one family are parsed.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from previews.adapters.one_line import one_line
from previews.errors import TransientError

BODY_BYTES_MAX = 64 * 1024 * 1024
"""Traefik writes 0.5 to 3 KB for each service, most of it histograms that nobody here reads."""

_TRAEFIK = "traefik_service_requests_total"
_NGINX = "nginx_ingress_controller_requests"
_FAMILIES = (f"{_TRAEFIK}{{".encode(), f"{_NGINX}{{".encode())
_CONTROLLERS = (b"traefik_", b"nginx_ingress_controller_")
"""What every line of theirs begins with: an answer without one is not from either."""


class IngressMetrics:
    """`domain.ports.Traffic`, summed over the replicas of a controller. Used by one thread."""

    def __init__(self, *, urls: Sequence[str], timeout_seconds: float = 10.0) -> None:
        """`urls` names each replica: behind one address for all of them every answer would be another one's."""
        self._timeout_seconds = timeout_seconds
        self._replicas = {url: _Replica() for url in urls}
        self._client = httpx2.Client(
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "text/plain", "Accept-Encoding": "identity"},
        )

    def requests(self, namespaces: Collection[str]) -> Mapping[str, int]:
        """Requests for each namespace since a replica of the controller was first read, or since it started."""
        wanted = frozenset(namespaces)
        total: Counter[str] = Counter()
        for url, replica in self._replicas.items():
            total.update(replica.count_on(self._read(url, wanted), wanted))
        return total

    def close(self) -> None:
        """Let go of the connections that are kept."""
        self._client.close()

    def _read(self, url: str, wanted: frozenset[str]) -> Counter[str]:
        place = urlsplit(url).netloc
        body = self._fetch(url, place)
        lines = body.split(b"\n")
        if not any(line.startswith(_CONTROLLERS) for line in lines):
            raise TransientError(
                "TrafficAnswer",
                f"{place} gives no metrics of Traefik or ingress-nginx; check ingress.metrics_urls",
            )
        found = b"\n".join(line for line in lines if line.startswith(_FAMILIES))
        try:
            return _count(found.decode(), wanted)
        except (ValueError, OverflowError) as error:
            problem = one_line(str(error), 200)
            raise TransientError(
                "TrafficAnswer", f"the metrics of {place} cannot be read: {problem}"
            ) from error

    def _fetch(self, url: str, place: str) -> bytes:
        # A server that sends a byte now and then never times out by itself.
        deadline = time.monotonic() + self._timeout_seconds
        body = bytearray()
        try:
            with self._client.stream("GET", url) as response:
                if response.status_code != HTTPStatus.OK:
                    raise TransientError(
                        "TrafficAnswer",
                        f"{place} was asked for its metrics and answered with {response.status_code}",
                    )
                for part in response.iter_raw():
                    body += part
                    if len(body) > BODY_BYTES_MAX:
                        raise TransientError("TrafficAnswer", f"the metrics of {place} never end")
                    if time.monotonic() > deadline:
                        raise TransientError("TrafficUnreachable", f"{place} is too slow")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            timed_out = isinstance(error, httpx2.TimeoutException)
            reason = "timed out" if timed_out else one_line(str(error), 200)
            raise TransientError(
                "TrafficUnreachable", f"{place} gives no metrics: {reason}"
            ) from error
        return bytes(body)


class _Replica:
    """One process of the controller. What it had counted before a restart is not lost with it."""

    def __init__(self) -> None:
        self._served: Mapping[str, int] = {}
        self._before: Mapping[str, int] = {}

    def count_on(self, served: Mapping[str, int], wanted: Iterable[str]) -> Mapping[str, int]:
        last, before = self._served, self._before
        self._served = {name: served.get(name, 0) for name in wanted}
        self._before = {
            name: before.get(name, 0) + (last.get(name, 0) if last.get(name, 0) > count else 0)
            for name, count in self._served.items()
        }
        return {name: self._before[name] + count for name, count in self._served.items()}


def _count(text: str, wanted: frozenset[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    owners: dict[str, str | None] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == _NGINX:
                labels = sample.labels
                owner = labels.get("exported_namespace") or labels.get("namespace")
            else:
                service = sample.labels.get("service", "")
                if service not in owners:
                    owners[service] = next(
                        (prefix for prefix in _prefixes(service) if prefix in wanted), None
                    )
                owner = owners[service]
            if owner in wanted:
                counts[owner] += int(sample.value)
    return counts


def _prefixes(service: str) -> Iterator[str]:
    """Traefik joins namespace, name and port by hyphens: `a-b-app-http@kubernetes` may be in `a-b-app`, `a-b`, `a`."""
    while "-" in service:
        service = service.rpartition("-")[0]
        yield service
