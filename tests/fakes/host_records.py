"""A zone in memory that takes updates: records with their marks, what others put there, and what may go wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from previews.domain.inventory import Kind, OwnedObject
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError

ADDRESS = "192.0.2.10"
INSTANCE = "acme"


class FakeHostRecords:
    """`ports.HostRecords` of one instance; others' records are put there by host."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        """What each host points to."""
        self.marks: dict[str, tuple[str, PreviewKey]] = {}
        """By host: whose its record is."""
        self.problem: PreviewsError | None = None
        """What every operation raises instead of doing anything."""
        self.on_operation: Callable[[Literal["before", "after"], str], None] | None = None

    # What a test does to it.

    def put_foreign(self, host: str, value: str = "192.0.2.99") -> None:
        self.values[host] = value

    def put_of_another(self, instance: str, key: PreviewKey, host: str) -> None:
        self.values[host], self.marks[host] = ADDRESS, (instance, key)

    def put_half(self, key: PreviewKey, host: str) -> None:
        """The mark alone, as a person leaves it who removes the rest."""
        self.marks[host] = (INSTANCE, key)

    def forget(self, host: str) -> None:
        """Somebody removes the record with its mark."""
        self.values.pop(host, None)
        self.marks.pop(host, None)

    def fail(self, reason: str = "NameServerUnreachable", *, stalled: bool = False) -> None:
        kind = StalledError if stalled else TransientError
        self.problem = kind(reason, f"ns.example: {reason}")

    def recover(self) -> None:
        self.problem = None

    # The port.

    def find(self, key: PreviewKey, host: str) -> bool:
        with self._operation("find"):
            if self._is_ours(key, host):
                return self.values.get(host) == ADDRESS
            self._refuse_foreign(host)
            return False

    def is_left(self, key: PreviewKey, host: str) -> bool:
        with self._operation("is_left"):
            return self._is_ours(key, host)

    def ensure(self, key: PreviewKey, host: str) -> None:
        with self._operation("ensure"):
            if not self._is_ours(key, host):
                self._refuse_foreign(host)
            self.values[host], self.marks[host] = ADDRESS, (INSTANCE, key)

    def remove(self, key: PreviewKey, host: str) -> None:
        with self._operation("remove"):
            if not self._is_ours(key, host):
                self._refuse_foreign(host)
            self.forget(host)

    def list_records(self) -> list[OwnedObject]:
        with self._operation("list_records"):
            return [
                OwnedObject(kind=Kind.RECORD, name=host, owner=key)
                for host, (instance, key) in sorted(self.marks.items())
                if instance == INSTANCE
            ]

    def check(self) -> None:
        with self._operation("check"):
            pass

    @contextmanager
    def _operation(self, name: str) -> Iterator[None]:
        if self.on_operation:
            self.on_operation("before", name)
        if self.problem:
            raise type(self.problem)(self.problem.reason, self.problem.message)
        yield
        if self.on_operation:
            self.on_operation("after", name)

    def _is_ours(self, key: PreviewKey, host: str) -> bool:
        return self.marks.get(host) == (INSTANCE, key)

    def _refuse_foreign(self, host: str) -> None:
        if host in self.values or host in self.marks:
            raise StalledError("RecordNotOurs", f"{host} does not carry this preview's mark")
