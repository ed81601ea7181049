"""Migrations that somebody changed after they ran in a preview's database. Pure.

No tool runs a migration twice, so such a database stays as the older text left it. Git's blob ids say that a file is
another one; a file that was added is what migrations are about, and nothing is said of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from previews.domain.preview import PreviewKey

_NAMED_MAX = 3
"""Of the files in one sentence."""


class Change(StrEnum):
    """What happened to a migration after it ran."""

    EDITED = "edited"
    REMOVED = "removed"
    """Renamed as well: a tool that knows migrations by their names takes the new one for another."""


@dataclass(frozen=True, slots=True, order=True)
class ChangedMigration:
    """A file that ran as it no longer is."""

    path: str
    change: Change


def changed_after_they_ran(
    ran: Mapping[str, str], now: Mapping[str, str]
) -> tuple[ChangedMigration, ...]:
    """What of the files that ran is another file now, or none, by path.

    Both are Git's blob ids by path: at the last commit whose migrations ran, and at the new head.
    """
    return tuple(
        ChangedMigration(path, Change.EDITED if path in now else Change.REMOVED)
        for path, blob in sorted(ran.items())
        if now.get(path) != blob
    )


def reset_offer(changed: Sequence[ChangedMigration], key: PreviewKey) -> str:
    """What the pull request says of them, in one line without any markup; empty if there are none.

    Paths are a stranger's words: whoever writes the line into Markdown escapes it.
    """
    if not changed:
        return ""
    named = [f"{each.path} was {each.change}" for each in changed[:_NAMED_MAX]]
    if len(changed) > _NAMED_MAX:
        named.append(f"{len(changed) - _NAMED_MAX} more were changed")
    *most, last = named
    subject = f"{', '.join(most)} and {last}" if most else last
    return (
        f"{subject} after it ran in this preview's database, which still has what it did then. "
        f"`previews reset-database {key}` has it made anew, and all migrations run in it."
    )
