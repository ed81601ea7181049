"""Keeps clones of golden templates ready, so that a preview gets its database by a mere renaming."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from previews.domain.ports import Clock
from previews.errors import PreviewsError
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.server_watch import ServerWatch

REFILL_SECONDS = 5.0
"""How soon a clone that was handed over is made up for. Never at once: whoever opens a pull request goes first."""

_log = structlog.get_logger("previews.databases")


@dataclass(frozen=True, slots=True)
class Pool:
    """How many clones of one template stand ready."""

    server: str
    template: str
    wanted: int


class WarmPool:
    """One thread fills every pool, one clone at a time."""

    def __init__(
        self, pools: Sequence[Pool], watch: ServerWatch, effects: Effects, clock: Clock
    ) -> None:
        self._pools = pools
        self._watch = watch
        self._effects = effects
        self._clock = clock

    def fill(self) -> bool:
        """Make at most one clone for each pool. Says whether any was missing."""
        made = [self._fill(pool) for pool in self._pools]
        return any(made)

    def _fill(self, pool: Pool) -> bool:
        server = self._watch.server(pool.server)
        try:
            warm = [each.warm for each in server.templates() if each.name == pool.template]
            if warm == [pool.wanted]:
                return False
            return self._effects.perform(
                Effect.FILL_POOL,
                f"{pool.template} on {pool.server}",
                partial(server.fill_pool, pool.template, pool.wanted, at=self._clock.now()),
            )
        except PreviewsError as error:
            _log.warning("pool", reason=error.reason, message=error.message)
            return False

    def run(self, stop: threading.Event) -> None:
        """Fill until `stop`."""
        while self._pools and not stop.wait(REFILL_SECONDS):
            try:
                while self.fill() and not stop.is_set():
                    pass
            except Exception:  # noqa: BLE001 - a bug must not end the filling in silence
                _log.exception("bug")
