"""The store in memory. The same contract as the real one; out of order when a test says so."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from previews.domain.images import NamedImage
from previews.domain.lifetime import Wishes
from previews.domain.preview import HeadSha, PreviewKey
from previews.domain.record import HISTORY_KEPT, Delivery, HistoryEntry, PreviewRecord, Verdict
from previews.errors import TransientError


class InMemoryStore:
    def __init__(self) -> None:
        self.deliveries: dict[str, Delivery] = {}
        self.unavailable = False
        self.writes = 0
        """How many times something changed."""
        self._records: dict[PreviewKey, PreviewRecord] = {}
        self._wishes: dict[PreviewKey, Wishes] = {}
        self._history: dict[PreviewKey, list[HistoryEntry]] = {}
        self._named_images: dict[tuple[str, HeadSha], NamedImage] = {}
        self._published: dict[tuple[str, int], dict[str, str]] = {}
        self._comments_read: dict[tuple[str, int], datetime] = {}
        self._lock = threading.Lock()

    def accept(self, deliveries: Sequence[tuple[Delivery, Sequence[PreviewKey]]]) -> list[bool]:
        answers = []
        with self._turn():
            for delivery, keys in deliveries:
                answers.append(delivery.guid not in self.deliveries)
                if answers[-1]:
                    self.deliveries[delivery.guid] = delivery
                    self.writes += 1
                    self._mark(keys)
        return answers

    def known_deliveries(self, guids: Sequence[str]) -> set[str]:
        with self._turn():
            return self.deliveries.keys() & set(guids)

    def unfinished_deliveries(self) -> list[Delivery]:
        with self._turn():
            found = [
                each
                for each in self.deliveries.values()
                if each.verdict is Verdict.ACCEPTED and each.body
            ]
            return sorted(found, key=lambda each: (each.received_at, each.guid))

    def finish_delivery(self, guid: str) -> None:
        with self._turn():
            delivery = self.deliveries.get(guid)
            if delivery is not None and delivery.body:
                self.deliveries[guid] = replace(delivery, body=b"")
                self.writes += 1

    def load(self, key: PreviewKey) -> PreviewRecord | None:
        with self._turn():
            return self._records.get(key)

    def load_pull_request(self, repository: str, number: int) -> list[PreviewRecord]:
        with self._turn():
            return self._at(repository, number)

    def list_records(self) -> list[PreviewRecord]:
        with self._turn():
            return [record for _, record in sorted(self._records.items())]

    def each_record(self) -> Iterator[PreviewRecord]:
        yield from self.list_records()

    def save(self, record: PreviewRecord, history: Sequence[HistoryEntry] = ()) -> None:
        with self._turn():
            stored = self._records.get(record.key)
            mark = stored.fetch_mark if stored else record.fetch_mark
            self._put(replace(record, fetch_mark=mark))
            self._add_history(record.key, history)

    def load_wishes(self, key: PreviewKey) -> Wishes:
        with self._turn():
            return self._wishes.get(key, Wishes())

    def list_wishes(self) -> Mapping[PreviewKey, Wishes]:
        with self._turn():
            return {key: wishes for key, wishes in self._wishes.items() if wishes != Wishes()}

    def save_wishes(
        self, key: PreviewKey, wishes: Wishes, history: Sequence[HistoryEntry] = ()
    ) -> None:
        with self._turn():
            if self._wishes.get(key) != wishes:
                self._wishes[key] = wishes
                self.writes += 1
            self._add_history(key, history)

    def history(self, key: PreviewKey) -> list[HistoryEntry]:
        with self._turn():
            return list(self._history.get(key, ()))

    def forget(self, key: PreviewKey) -> None:
        with self._turn():
            record = self._records.pop(key, None)
            wishes = self._wishes.pop(key, None)
            history = self._history.pop(key, None)
            if record is not None and record.pull_request is not None:
                repository = record.pull_request.repository
                if not self._at(repository, key.number):
                    self._published.pop((repository, key.number), None)
                    self._comments_read.pop((repository, key.number), None)
            if record or wishes or history:
                self.writes += 1

    def mark_for_fetch(self, keys: Sequence[PreviewKey]) -> None:
        with self._turn():
            self._mark(keys)

    def clear_mark(self, key: PreviewKey, seen: int) -> None:
        with self._turn():
            record = self._records.get(key)
            if record is not None and record.fetch_mark == seen:
                self._put(replace(record, fetch_mark=0))

    def name_image(self, named: NamedImage) -> None:
        with self._turn():
            place = (named.project, named.head_sha)
            if self._named_images.get(place) != named:
                self._named_images[place] = named
                self.writes += 1

    def named_image(self, project: str, head_sha: HeadSha) -> NamedImage | None:
        with self._turn():
            return self._named_images.get((project, head_sha))

    def name_repository(self, repository_id: int, name: str, *, was: str) -> None:
        with self._turn():
            for record in self._records.values():
                known = record.pull_request
                if known is not None and known.repository == was:
                    named = replace(known, repository=name, repository_id=repository_id)
                    self._put(replace(record, pull_request=named))
            tables: list[dict[tuple[str, int], Any]] = [self._published, self._comments_read]
            for table in tables if name != was else ():
                for place in [place for place in table if place[0] == was]:
                    table[name, place[1]] = table.pop(place)
                    self.writes += 1

    def comments_read_until(self, repository: str, number: int) -> datetime | None:
        with self._turn():
            return self._comments_read.get((repository, number))

    def record_comments_read(self, repository: str, number: int, until: datetime) -> None:
        with self._turn():
            known = self._comments_read.get((repository, number))
            if known is None or known < until:
                self._comments_read[repository, number] = until
                self.writes += 1

    def published(self, repository: str, number: int) -> Mapping[str, str]:
        with self._turn():
            return dict(self._published.get((repository, number), {}))

    def record_published(self, repository: str, number: int, target: str, digest: str) -> None:
        with self._turn():
            targets = self._published.setdefault((repository, number), {})
            if targets.get(target) != digest:
                targets[target] = digest
                self.writes += 1

    def _at(self, repository: str, number: int) -> list[PreviewRecord]:
        return [
            record
            for key, record in sorted(self._records.items())
            if key.number == number
            and record.pull_request is not None
            and record.pull_request.repository == repository
        ]

    def _add_history(self, key: PreviewKey, entries: Sequence[HistoryEntry]) -> None:
        if entries:
            kept = [*self._history.get(key, ()), *entries]
            self._history[key] = kept[-HISTORY_KEPT:]
            self.writes += 1

    def _mark(self, keys: Sequence[PreviewKey]) -> None:
        for key in keys:
            record = self._records.get(key, PreviewRecord(key=key))
            self._put(replace(record, fetch_mark=record.fetch_mark + 1))

    def _put(self, record: PreviewRecord) -> None:
        if self._records.get(record.key) != record:
            self._records[record.key] = record
            self.writes += 1

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            if self.unavailable:
                raise TransientError("StoreUnavailable", "the store is out of order")
            yield
