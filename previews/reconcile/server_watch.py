"""What the database servers say of previews: read once in each process and after each change of ours.

A look at all of a server's databases now and then finds what others changed there.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import structlog

from previews.domain.database import Database
from previews.domain.inventory import Kind, OwnedObject
from previews.domain.preview import PreviewKey
from previews.domain.resource_ports import DatabaseServer
from previews.errors import PreviewsError, StalledError
from previews.reconcile.effects import Effect, Effects

LOOK_SECONDS = 60.0
"""How often a server's databases are listed: what others changed there is seen by then."""

_log = structlog.get_logger("previews.databases")


class ServerWatch:
    """Safe from any thread."""

    def __init__(
        self,
        servers: Mapping[str, DatabaseServer],
        on_change: Callable[[Iterable[PreviewKey]], None],
        before_drop: Callable[[PreviewKey], None] = lambda _key: None,
    ) -> None:
        """`before_drop`: takes away what else belongs to a database that the sweep drops."""
        self._servers = servers
        self._on_change = on_change
        self._before_drop = before_drop
        self._lock = threading.Lock()
        self._known: dict[tuple[str, PreviewKey], Database | None] = {}
        self._listed: dict[str, Mapping[PreviewKey, Database]] = {}
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Why what is known of the servers may be out of date."""
        return self._problem

    def server(self, name: str) -> DatabaseServer:
        """One of the configured servers. Raises StalledError for any other."""
        server = self._servers.get(name)
        if server is None:
            raise StalledError(
                "DatabaseServerUnknown",
                f"no database server {name!r} is configured, and a preview has its database there: "
                "put it back until that is dropped; if it is lost, give its name to another server",
            )
        return server

    def is_configured(self, name: str) -> bool:
        return name in self._servers

    def known(self, server: str, key: PreviewKey) -> Database | None:
        """As last read; read now if it never was, or was changed since. Raises PreviewsError."""
        with self._lock:
            if (server, key) in self._known:
                return self._known[server, key]
        return self.read(server, key)

    def read(self, server: str, key: PreviewKey) -> Database | None:
        """Read now. Raises StalledError for what bears its name and is not ours."""
        found = self.server(server).find(key)
        with self._lock:
            self._known[server, key] = found
        if found is not None and found.key != key:
            raise StalledError(
                "DatabaseNotOurs",
                f"database or role {found.name} exists already on server {server} and does not carry "
                "this preview's mark: rename or drop it",
            )
        return found

    def forget(self, server: str, key: PreviewKey) -> None:
        """It has to be read again: we changed it, or do not know whether we did."""
        with self._lock:
            self._known.pop((server, key), None)

    def where(self, key: PreviewKey) -> set[str]:
        """The servers that are known to have anything of its own."""
        with self._lock:
            listed = {name for name, keys in self._listed.items() if key in keys}
            read = {
                name
                for (name, each), found in self._known.items()
                if each == key and found and not found.is_shared
            }
            return listed | read

    def keys(self) -> set[PreviewKey]:
        """Every preview that has anything on a server, as far as is known."""
        with self._lock:
            read = {key for (_, key), found in self._known.items() if found is not None}
            return read.union(*self._listed.values())

    def look(self) -> None:
        """List every server's databases, and have those previews looked at of which something is not as known."""
        problems = []
        for name, server in self._servers.items():
            try:
                found = {each.key: each for each in server.list_databases() if each.key}
            except PreviewsError as error:
                problems.append(f"{name}: {error.message}")
                continue
            self._on_change(self._take_in(name, found))
        self._problem = "; ".join(problems) or None

    def _take_in(self, name: str, found: Mapping[PreviewKey, Database]) -> list[PreviewKey]:
        """A list is a hint: what was done while it was made is newer. Whatever differs is read when it counts."""
        with self._lock:
            known = {key: each for (server, key), each in self._known.items() if server == name}
            changed = {key for key, each in known.items() if each != found.get(key)}
            for key in changed:
                del self._known[name, key]
            # Also of those that nobody has read since our own last change.
            before = self._listed.get(name, {})
            changed |= {k for k in before.keys() | found.keys() if before.get(k) != found.get(k)}
            self._listed[name] = found
        return sorted(changed)

    def owned_objects(self) -> list[OwnedObject]:
        """Everything of ours on every server, read now. Raises PreviewsError unless all of it can be read."""
        return [
            OwnedObject(
                kind=Kind.DATABASE,
                name=f"{name}/{each.name}",
                uid=each.incarnation,
                owner=each.key,
                created_at=each.created_at,
            )
            for name, server in self._servers.items()
            for each in server.list_databases()
            if each.key is not None
        ]

    def drop_object(self, found: OwnedObject, effects: Effects) -> bool:
        """Drop this very database with its role, if it is still the one that was found; False if it is not."""
        name, key = found.name.partition("/")[0], found.owner
        if key is None:
            return False
        now = self.read(name, key)
        if now is None or now.incarnation != found.uid:
            return False
        # The database is what shows that something is left: it goes last.
        self._before_drop(key)
        try:
            effects.perform(Effect.DROP_DATABASE, key, partial(self.server(name).drop, key))
        finally:
            self.forget(name, key)
        return True

    def run(self, stop: threading.Event, after_look: Callable[[], None]) -> None:
        """Look until `stop`."""
        while True:
            try:
                self.look()
                after_look()
            except Exception as error:  # noqa: BLE001 - a bug must be seen on /readyz, not end the looking in silence
                _log.exception("bug")
                self._problem = f"a bug in previews: {error!r}"
            if stop.wait(LOOK_SECONDS):
                return
