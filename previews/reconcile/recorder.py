"""Writes down how a preview stands, and has everybody told who goes by it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from previews.domain.ports import Clock, Store
from previews.domain.preview import PreviewKey
from previews.domain.record import HistoryEntry, PreviewRecord
from previews.errors import PreviewsError, StalledError
from previews.reconcile.chronicle import history_of
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.pulse import Pulse


class Recorder:
    """Safe from any thread; for one preview it is called by one of them at a time."""

    def __init__(
        self,
        *,
        store: Store,
        effects: Effects,
        clock: Clock,
        pulse: Pulse,
        tell: Callable[[PreviewRecord], None],
    ) -> None:
        """`tell` has what its pull request says brought up to date."""
        self._store = store
        self._effects = effects
        self._clock = clock
        self._pulse = pulse
        self._tell = tell

    def load(self, key: PreviewKey) -> PreviewRecord:
        """What is known of a preview; an empty record if it is nothing."""
        return self._store.load(key) or PreviewRecord(key=key)

    def save(self, record: PreviewRecord, history: Sequence[HistoryEntry] = ()) -> None:
        """Keep it, before anything is done that goes by it."""
        self._effects.perform(
            Effect.SAVE_RECORD, record.key, lambda: self._store.save(record, history)
        )

    def record(self, stored: PreviewRecord, record: PreviewRecord) -> None:
        """Keep what one look at it came to. What asked for the look has been done."""
        self._pulse.note(record)
        if record != stored:
            record = record.shown_since(stored, self._clock.now())
            self.save(record, tuple(history_of(stored, record)))
            self._tell(record)
        if stored.fetch_mark:
            self._effects.perform(
                Effect.CLEAR_MARK,
                record.key,
                lambda: self._store.clear_mark(record.key, stored.fetch_mark),
            )

    def show_error(self, key: PreviewKey, error: PreviewsError) -> None:
        """Keep an error with the preview that it is about, where people look for it."""
        stored = self._store.load(key)
        if stored is None:
            return
        record = replace(stored, reason=error.reason, message=error.message)
        if isinstance(error, StalledError):
            record = replace(record, failed=True)
        if record != stored:
            record = record.shown_since(stored, self._clock.now())
            self.save(record)
            if isinstance(error, StalledError):
                self._tell(record)
