"""The one comment on a pull request: found again by its id, or else by its marker and author, and never deleted."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from previews.domain.comment import comment, marker_of, shown_in_comment
from previews.domain.forge_ports import Forge
from previews.domain.subject import Subject
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.published import Published, Showing

TARGET = "comment"
_UNSURE = "unsure"


class StickyComment:
    """Keeps it true once there is one."""

    def __init__(self, forge: Forge, effects: Effects, instance: str) -> None:
        self._forge = forge
        self._effects = effects
        self._marker = marker_of(instance)

    def publish(self, showing: Showing, subjects: Sequence[Subject]) -> None:
        """Write it if it does not read so already."""
        published = showing.published
        rows = shown_in_comment(subjects, is_there=published.has(TARGET))
        if not rows:
            return
        body = comment(self._marker, rows)
        wanted = self._digest(rows)
        known, _, known_id = published.recall(TARGET).partition(" ")
        if known == wanted and known_id:
            return
        published.note(TARGET, _unsure(known_id))
        comment_id = self._effects.perform(
            Effect.ENSURE_COMMENT,
            showing,
            lambda: self._forge.ensure_comment(
                showing.repository,
                showing.number,
                marker=self._marker,
                body=body,
                known_id=int(known_id) if known_id else None,
            ),
        )
        published.note(TARGET, f"{wanted} {comment_id}")

    def doubt(self, published: Published) -> None:
        """Another hand may have changed it: it is written again."""
        if published.has(TARGET):
            published.note(TARGET, _unsure(published.recall(TARGET).partition(" ")[2]))

    def _digest(self, rows: Sequence[Subject]) -> str:
        """Of all that is said but for when it changed: what came and went before anybody was told is no change."""
        timeless = [replace(each, record=replace(each.record, shown_at=None)) for each in rows]
        return hashlib.sha256(comment(self._marker, timeless).encode()).hexdigest()


def _unsure(known_id: str) -> str:
    return f"{_UNSURE} {known_id}".rstrip()
