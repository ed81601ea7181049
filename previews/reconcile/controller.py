"""Gives the loop its threads: starts them in order, and stops them in the reverse order."""

import threading
from collections.abc import Callable

import structlog

from previews.domain.ports import Cluster
from previews.errors import PreviewsError
from previews.reconcile.loop import Loop

STOP_SECONDS = 20.0
"""How long each thread may take to finish what it is at."""


TRAFFIC_SECONDS = 15.0
"""How often the ingress controller is asked who was visited."""

_log = structlog.get_logger("previews.controller")


class Controller:
    """The running loop of one manager."""

    def __init__(
        self,
        loop: Loop,
        cluster: Cluster,
        refresh_templates: Callable[[threading.Event], None] | None = None,
        watch_certificate: Callable[[threading.Event], None] | None = None,
    ) -> None:
        self._loop = loop
        self._cluster = cluster
        self._stop = threading.Event()
        self._writer = threading.Thread(target=loop.writer.run, name="writer", daemon=True)
        self._watch = threading.Thread(target=self._follow_cluster, name="watch", daemon=True)
        self._resync = threading.Thread(target=self._compare, name="resync", daemon=True)
        self._collector = threading.Thread(
            target=loop.collector.run, args=(self._stop,), name="collector", daemon=True
        )
        self._redelivery = threading.Thread(
            target=loop.redelivery.run, args=(self._stop,), name="redelivery", daemon=True
        )
        self._servers = threading.Thread(
            target=loop.servers.run,
            args=(self._stop, loop.storage.look),
            name="databases",
            daemon=True,
        )
        self._warm_pool = threading.Thread(
            target=loop.warm_pool.run, args=(self._stop,), name="warm-pool", daemon=True
        )
        self._parcels = threading.Thread(
            target=loop.parcels.run, args=(self._stop,), name="secrets", daemon=True
        )
        self._templates = threading.Thread(
            target=refresh_templates or _nothing, args=(self._stop,), name="templates", daemon=True
        )
        # Never joined: it may be in the middle of asking a name server, and has nothing to finish.
        self._certificate = threading.Thread(
            target=watch_certificate or _nothing,
            args=(self._stop,),
            name="certificate",
            daemon=True,
        )
        self._traffic = threading.Thread(target=self._follow_traffic, name="traffic", daemon=True)

    def start(self) -> None:
        """Start every thread. What a former process left undone is found by the first resync."""
        self._loop.remember()
        self._writer.start()
        self._loop.publishers.start()
        self._loop.listeners.start()
        self._loop.rule_readers.start()
        self._watch.start()
        self._resync.start()
        self._collector.start()
        self._redelivery.start()
        self._servers.start()
        self._warm_pool.start()
        self._parcels.start()
        self._templates.start()
        self._traffic.start()
        self._certificate.start()
        self._loop.pulse.start()

    def stop(self) -> None:
        """Finish what is being worked, push what is due, and end."""
        self._stop.set()
        self._loop.pulse.stop(STOP_SECONDS)
        self._loop.listeners.stop(STOP_SECONDS)
        self._loop.rule_readers.stop(STOP_SECONDS)
        self._loop.workers.stop(STOP_SECONDS)
        self._loop.writer.stop()
        self._writer.join(STOP_SECONDS)
        self._loop.publishers.stop(STOP_SECONDS)
        for thread in (
            self._watch,
            self._resync,
            self._collector,
            self._redelivery,
            self._servers,
            self._warm_pool,
            self._parcels,
            self._traffic,
        ):
            thread.join(STOP_SECONDS)

    def _compare(self) -> None:
        # One listing confirms hundreds of pull requests that would otherwise each be read by itself.
        self._loop.resync.run(self._stop, after_first=self._loop.workers.start)

    def _follow_traffic(self) -> None:
        if self._loop.activity is None:
            return
        while not self._stop.wait(TRAFFIC_SECONDS):
            try:
                self._loop.look_at_traffic()
            except PreviewsError as error:
                _log.warning("traffic", reason=error.reason, message=error.message)
            except Exception:  # noqa: BLE001 - a bug must not end the looking, or nothing would fall asleep any more
                _log.exception("bug")

    def _follow_cluster(self) -> None:
        self._cluster.watch(self._loop.queues.previews.add, self._stop)


def _nothing(_stop: threading.Event) -> None:
    """There is no template to build, or no certificate to look at."""
