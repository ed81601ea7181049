"""GET /metrics: what the loop knows at this moment, as Prometheus reads it. Whoever scrapes has the API's token.

Labels are names of projects, of a configured few, and words of closed sets: nothing that a stranger can make longer.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from previews.domain.allowance import Allowance
from previews.domain.brake import BrakeState
from previews.domain.certificates import Inspection
from previews.domain.findings import Level
from previews.domain.inventory import Kind, Sweep
from previews.domain.ports import Clock
from previews.domain.preview import Phase
from previews.domain.probing import RESULTS
from previews.domain.record import PreviewRecord, Verdict
from previews.web.api import guarded_router

NOT_CONFIGURED = ""
"""The project of all previews whose own was taken out of the configuration."""
ANSWERS = (*Verdict, "duplicate", "refused", "not stored")
"""What the door says of a delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Who is asked at each scrape."""

    projects: frozenset[str]
    """Those that are configured."""
    records: Callable[[], Iterable[PreviewRecord]]
    queues: Callable[[], Mapping[str, int]]
    """How much is due, by queue."""
    brake: Callable[[], BrakeState]
    sweep: Callable[[], Sweep | None]
    """The last one."""
    reclaimed: Callable[[], Mapping[Kind, int]]
    effects: Callable[[], Mapping[str, tuple[int, int]]]
    """How often each was performed, and how often it failed."""
    probes: Callable[[], Mapping[str, int]]
    """How many there were, by what they came to."""
    resynced_at: Callable[[], datetime | None]
    """When everything was last compared in full."""
    listings: Callable[[], Mapping[str, int]]
    """How often a repository was listed, by what became of it."""
    redeliveries: Callable[[], Mapping[str, int]]
    """Deliveries that the forge could not bring, by what became of them."""
    allowances: Callable[[], Sequence[Allowance]]
    """What may still be asked of the forge, by account; nothing where the forge has no limits of its own."""
    certificate: Callable[[], Inspection | None]
    """The last look at that of the previews' hosts."""
    clock: Clock


class Metrics(Collector):
    """Counts what the door answers, and tells the rest as it is when it is asked."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._answers: Counter[str] = Counter()
        # Its own: what other libraries register for the whole process is not ours to show.
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, verdict: str) -> None:
        """The door answered a delivery. Called on the door's thread alone."""
        self._answers[verdict] += 1

    def text(self) -> bytes:
        """All of it in Prometheus' text format. Raises PreviewsError when the store cannot be read."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registration asks nobody for values yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric with its values of now."""
        yield from self._of_previews()
        yield self._queues()
        yield from self._of_the_brake()
        yield from self._of_the_sweep()
        yield self._deliveries()
        yield self._redeliveries()
        yield from self._of_effects()
        yield self._probes()
        yield from self._of_the_resync()
        yield from self._of_the_forge()
        yield from self._of_the_certificate()

    def _of_previews(self) -> Iterator[Metric]:
        projects = self._sources.projects
        counts = Counter({(project, phase): 0 for project in projects for phase in Phase})
        began: list[datetime] = []
        for record in self._sources.records():
            project = record.key.project if record.key.project in projects else NOT_CONFIGURED
            counts[project, record.phase] += 1
            if record.removal is not None and record.removal.finished_at is None:
                began.append(record.removal.started_at)
        previews = GaugeMetricFamily(
            "previews_by_phase",
            "Previews that are remembered, by project and phase.",
            labels=["project", "phase"],
        )
        for (name, phase), count in sorted(counts.items()):
            previews.add_metric([name, phase], count)
        yield previews
        yield GaugeMetricFamily("previews_removals", "Removals under way.", value=len(began))
        age = self._age(min(began)) if began else 0.0
        yield GaugeMetricFamily(
            "previews_removal_oldest_age_seconds", "Age of the oldest of them.", value=age
        )

    def _queues(self) -> Metric:
        queues = GaugeMetricFamily(
            "previews_queue_length", "What is due and waits for a thread.", labels=["queue"]
        )
        for name, length in sorted(self._sources.queues().items()):
            queues.add_metric([name], length)
        return queues

    def _of_the_brake(self) -> Iterator[Metric]:
        state = self._sources.brake()
        yield GaugeMetricFamily(
            "previews_brake_held", "Removals that the brake holds.", value=len(state.held)
        )
        yield GaugeMetricFamily(
            "previews_rollout_waiting",
            "Previews that a changed template or configuration has not reached yet.",
            value=state.rewrites_waiting,
        )
        yield GaugeMetricFamily(
            "previews_rollout_failing",
            "Previews that it reached, and that are not well since.",
            value=state.rewrites_failing,
        )

    def _of_the_sweep(self) -> Iterator[Metric]:
        sweep, reclaimed = self._sources.sweep(), self._sources.reclaimed()
        orphans = GaugeMetricFamily("previews_orphans", "Orphans that the last sweep found.")
        if sweep is not None:
            orphans.add_metric([], len(sweep.orphans))
        yield orphans
        counted = CounterMetricFamily(
            "previews_reclaimed",
            "What the fast path left behind and a sweep removed, since the start.",
            labels=["kind"],
        )
        for kind in Kind:
            counted.add_metric([kind], reclaimed.get(kind, 0))
        yield counted

    def _deliveries(self) -> Metric:
        deliveries = CounterMetricFamily(
            "previews_deliveries", "Webhook deliveries, by what was answered.", labels=["verdict"]
        )
        for verdict in ANSWERS:
            deliveries.add_metric([verdict], self._answers[verdict])
        return deliveries

    def _redeliveries(self) -> Metric:
        redeliveries = CounterMetricFamily(
            "previews_redeliveries",
            "Deliveries that the forge could not bring, by what became of them.",
            labels=["result"],
        )
        for result, count in sorted(self._sources.redeliveries().items()):
            redeliveries.add_metric([result], count)
        return redeliveries

    def _of_effects(self) -> Iterator[Metric]:
        performed = CounterMetricFamily(
            "previews_effects", "Effects that were performed.", labels=["effect"]
        )
        failed = CounterMetricFamily(
            "previews_effect_failures", "Effects that failed.", labels=["effect"]
        )
        for name, (done, failures) in sorted(self._sources.effects().items()):
            performed.add_metric([name], done)
            failed.add_metric([name], failures)
        yield performed
        yield failed

    def _probes(self) -> Metric:
        probes = CounterMetricFamily(
            "previews_probes",
            "Requests to previews' URLs, by what they came to.",
            labels=["result"],
        )
        counts = self._sources.probes()
        for result in RESULTS:
            probes.add_metric([result], counts.get(result, 0))
        return probes

    def _of_the_resync(self) -> Iterator[Metric]:
        at = self._sources.resynced_at()
        age = GaugeMetricFamily(
            "previews_resync_age_seconds", "Since the last resync that could read everything."
        )
        if at is not None:
            age.add_metric([], self._age(at))
        yield age
        listings = CounterMetricFamily(
            "previews_listings",
            "Lists of a repository's open pull requests, by what became of them.",
            labels=["result"],
        )
        for result, count in sorted(self._sources.listings().items()):
            listings.add_metric([result], count)
        yield listings

    def _of_the_forge(self) -> Iterator[Metric]:
        limit = GaugeMetricFamily(
            "previews_forge_requests_limit",
            "Requests an hour that the forge allows.",
            labels=["account"],
        )
        remaining = GaugeMetricFamily(
            "previews_forge_requests_remaining", "Those left in this hour.", labels=["account"]
        )
        creations = GaugeMetricFamily(
            "previews_forge_creations_remaining",
            "What may still be written in this hour.",
            labels=["account"],
        )
        wait = GaugeMetricFamily(
            "previews_forge_wait_seconds", "For how long nothing is asked.", labels=["account"]
        )
        for each in self._sources.allowances():
            if each.limit is not None and each.remaining is not None:
                limit.add_metric([each.account], each.limit)
                remaining.add_metric([each.account], each.remaining)
            creations.add_metric([each.account], each.creations_left)
            wait.add_metric([each.account], each.wait_seconds)
        yield from (limit, remaining, creations, wait)

    def _of_the_certificate(self) -> Iterator[Metric]:
        found = self._sources.certificate()
        ends = GaugeMetricFamily(
            "previews_certificate_expires_seconds",
            "Until the certificate of the previews' hosts ends; below 0 when it has.",
        )
        problems = GaugeMetricFamily(
            "previews_certificate_problems", "What makes browsers refuse it, at the last look."
        )
        if found is not None:
            problems.add_metric([], sum(e.level is Level.PROBLEM for e in found.findings))
            if found.expires_at is not None:
                left = found.expires_at - self._sources.clock.now()
                ends.add_metric([], left.total_seconds())
        yield ends
        yield problems

    def _age(self, since: datetime) -> float:
        """In seconds; a clock that was set back makes nothing negative."""
        return max(0.0, (self._sources.clock.now() - since).total_seconds())


def metrics_router(metrics: Metrics, token: Callable[[], str]) -> APIRouter:
    """The one route, for whoever has the token.

    The port is open to forges and to previews, what is told names private projects, and each answer reads the store.
    """
    router = guarded_router(token)

    @router.get("/metrics", response_class=Response)
    def show_metrics() -> Response:
        """Show counts and ages for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
