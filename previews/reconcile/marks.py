"""Marks previews, so that their pull requests are read anew. The mark is stored: whoever ends now does so later."""

from collections.abc import Callable, Iterable

from previews.domain.ports import Store
from previews.domain.preview import PreviewKey
from previews.reconcile.effects import Effect, Effects


class Marks:
    """Safe from any thread."""

    def __init__(
        self, store: Store, effects: Effects, enqueue: Callable[[Iterable[PreviewKey]], None]
    ) -> None:
        self._store = store
        self._effects = effects
        self._enqueue = enqueue

    def mark(self, keys: Iterable[PreviewKey]) -> None:
        """Have these previews looked at, also those of which nothing is known yet."""
        marked = sorted(keys)
        if marked:
            self._effects.perform(
                Effect.MARK_FOR_FETCH,
                f"{len(marked)} previews",
                lambda: self._store.mark_for_fetch(marked),
            )
            self._enqueue(marked)
