"""Builds golden templates anew when they are too old, or when somebody asks: one at a time.

How old a template is, its server says. Only failures are remembered, so that they are not repeated all the time.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from previews.domain.database import Template
from previews.domain.ports import Clock
from previews.domain.resource_ports import DatabaseServer
from previews.errors import ActionRefusedError, PreviewsError

LOOK_SECONDS = 60.0
"""How often the servers are asked how old their templates are."""
ASKED_SECONDS = 1.0
"""How soon one is built that somebody asks for, if no other is being built."""
RETRY = timedelta(minutes=15)
"""How long a build that failed is left alone, unless somebody asks."""

_log = structlog.get_logger("previews.templates")


@dataclass(frozen=True, slots=True)
class Source:
    """A template that can be built here."""

    server: str
    template: str
    refresh: timedelta | None = None
    """It is built again when it is older."""

    def __str__(self) -> str:
        return f"{self.template} on {self.server}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How it stands with a template. Without `template` there is none yet, or its server does not answer."""

    server: str
    name: str
    template: Template | None = None
    is_building: bool = False
    problem: str = ""
    """Why it could last not be built, or not be looked at."""


@dataclass(frozen=True, slots=True)
class _Failure:
    at: datetime
    message: str


class TemplateRefresh:
    """Its methods may be called from any thread; `run` has one of its own."""

    def __init__(
        self,
        sources: Sequence[Source],
        servers: Mapping[str, DatabaseServer],
        *,
        rebuild: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        """`servers` are those whose templates are shown; `rebuild` takes the names of a server and a template."""
        self._sources = {(each.server, each.template): each for each in sources}
        self._servers = servers
        self._rebuild = rebuild
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], str] = {}
        self._building: Source | None = None
        self._failures: dict[Source, _Failure] = {}

    def ask(self, server: str, template: str, *, actor: str) -> None:
        """Have it built soon. Raises ActionRefusedError for one that cannot be built here."""
        key = (server, template)
        if key not in self._sources:
            raise ActionRefusedError(
                "UnknownTemplate",
                f"there is no template {template} on a server {server} with a build in the configuration",
            )
        _log.info("asked", template=str(self._sources[key]), actor=actor)
        with self._lock:
            self._asked.setdefault(key, actor)

    def run(self, stop: threading.Event) -> None:
        """Build what is due until `stop`."""
        looks = round(LOOK_SECONDS / ASKED_SECONDS)
        turn = 0
        while not stop.wait(ASKED_SECONDS):
            try:
                self.build_asked(stop)
                turn += 1
                if turn >= looks:
                    turn = 0
                    self.build_old(stop)
            except Exception:  # noqa: BLE001 - a bug must not end the refreshing in silence
                _log.exception("bug")

    def build_asked(self, stop: threading.Event) -> None:
        """Build what somebody asked for, in that order."""
        while not stop.is_set():
            with self._lock:
                if not self._asked:
                    return
                key = next(iter(self._asked))
                actor = self._asked.pop(key)
            self._build(self._sources[key], f"asked by {actor}")

    def build_old(self, stop: threading.Event) -> None:
        """Build what is older than it should get, and what is not there yet."""
        for source in self._sources.values():
            if stop.is_set():
                return
            if source.refresh and self._may_try(source) and self._is_due(source, source.refresh):
                self._build(source, f"older than {source.refresh}, or not there")

    def shown(self) -> list[Shown]:
        """Every template that is on a server or in the configuration. A server that is down hides no other's."""
        return [each for name in self._servers for each in self._shown_of(name)]

    def _shown_of(self, server: str) -> list[Shown]:
        names = [source.template for source in self._sources.values() if source.server == server]
        try:
            found = {each.name: each for each in self._servers[server].templates()}
            unreachable = ""
        except PreviewsError as error:
            found, unreachable = {}, error.message
        with self._lock:
            return [
                Shown(
                    server=server,
                    name=name,
                    template=found.get(name),
                    is_building=self._building is not None
                    and (self._building.server, self._building.template) == (server, name),
                    problem=unreachable or self._problem(server, name, found.get(name)),
                )
                for name in sorted({*names, *found})
            ]

    def _problem(self, server: str, name: str, found: Template | None) -> str:
        """Why it could last not be built, unless somebody else has built it since."""
        source = self._sources.get((server, name))
        failure = self._failures.get(source) if source else None
        is_over = failure and found and found.built_at > failure.at
        return failure.message if failure and not is_over else ""

    def _may_try(self, source: Source) -> bool:
        failure = self._failures.get(source)
        # By a clock that was set back since, it failed in the future: that keeps nobody waiting.
        return failure is None or not failure.at <= self._clock.now() < failure.at + RETRY

    def _is_due(self, source: Source, refresh: timedelta) -> bool:
        try:
            found = self._servers[source.server].templates()
        except PreviewsError as error:
            _warn(source, error)
            return False
        built = [each.built_at for each in found if each.name == source.template]
        return not built or self._clock.now() - max(built) >= refresh

    def _build(self, source: Source, why: str) -> None:
        _log.info("building", template=str(source), why=why)
        with self._lock:
            self._building = source
        try:
            self._rebuild(source.server, source.template)
        except PreviewsError as error:
            _warn(source, error)
            with self._lock:
                self._failures[source] = _Failure(self._clock.now(), error.message)
        else:
            _log.info("built", template=str(source))
            with self._lock:
                self._failures.pop(source, None)
        finally:
            with self._lock:
                self._building = None


def _warn(source: Source, error: PreviewsError) -> None:
    _log.warning("template", template=str(source), reason=error.reason, message=error.message)
