"""Tells Argo CD at once which roots changed: no poll is waited for."""

from collections.abc import Iterable
from functools import partial

import structlog

from previews.domain.naming import root_name, top_root_name
from previews.domain.ports import Cluster
from previews.reconcile.effects import Effect, Effects

_log = structlog.get_logger("previews.gitops")


class RootRefresher:
    """Used by the writer's thread alone."""

    def __init__(self, cluster: Cluster, effects: Effects, *, instance: str) -> None:
        self._cluster = cluster
        self._effects = effects
        self._instance = instance
        self._top = top_root_name(instance)
        self._unrefreshed = {self._top}

    def shards_changed(self, shards: Iterable[str]) -> None:
        """Something behind the roots of these shards changed, or is about to."""
        self._unrefreshed |= {root_name(self._instance, shard) for shard in shards}

    def list_changed(self) -> None:
        """There will be other roots than before."""
        self._unrefreshed.add(self._top)

    def refresh(self) -> None:
        """Tell Argo CD. A shard whose root is not there yet comes through the top."""
        for name in sorted(self._unrefreshed, key=lambda name: name != self._top):
            there = self._effects.perform(
                Effect.REFRESH_APPLICATION, name, partial(self._cluster.refresh_application, name)
            )
            self._unrefreshed.discard(name)
            if not there:
                _log.info("root is not there yet", application=name)
