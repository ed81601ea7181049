"""What the policies' patterns mean. Pure, and bounded: strangers choose the texts, so no regular expression is asked.

`*` stands for anything, and every other character for itself: a bot's name has brackets in it. In a list, the last
pattern that fits decides, and one that begins with `!` takes away; a list that begins so begins with everything.
"""

from collections.abc import Callable, Sequence

PATTERN_LENGTH_MAX = 200
PATTERNS_MAX = 100
"""In one list."""
_ANY_FOLDERS = "**"


def check_pattern(pattern: str) -> None:
    """Raises ValueError for what can be no pattern of a label, a branch, a title or an author."""
    if not pattern.removeprefix("!").strip() or len(pattern) > PATTERN_LENGTH_MAX:
        raise ValueError(f"a pattern has 1 to {PATTERN_LENGTH_MAX} characters: {pattern[:40]!r}")
    if not pattern.isprintable():
        raise ValueError(f"a pattern is one line of printable characters: {pattern[:40]!r}")


def check_label(pattern: str) -> None:
    """Raises ValueError for what can be no pattern of a label, where nothing can be taken away."""
    check_pattern(pattern)
    if pattern.startswith("!"):
        raise ValueError(f"{pattern[:40]!r}: labels that forbid a preview stand in `none`")


def check_path(pattern: str) -> None:
    """Raises ValueError for what can be no pattern of a file's path."""
    check_pattern(pattern)
    segments = pattern.removeprefix("!").split("/")
    if {"", ".", ".."} & set(segments):
        raise ValueError(
            f"{pattern[:40]!r} must be a path from the repository's root, such as services/order/**"
        )
    if any(_ANY_FOLDERS in each and each != _ANY_FOLDERS for each in segments):
        raise ValueError(f"{pattern[:40]!r}: ** stands for whole folders, between slashes")


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text is of this pattern."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        # The earliest place is as good as any later one: nothing has to be tried twice.
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def fits_path(pattern: str, path: str) -> bool:
    """The same of a file's path: `*` stays within a folder's name, and `**` stands for any folders, or none."""
    wanted, names = pattern.split("/"), path.split("/")
    at = name = 0
    again: tuple[int, int] | None = None
    while name < len(names):
        if at < len(wanted) and wanted[at] == _ANY_FOLDERS:
            again = (at + 1, name)
            at += 1
        elif at < len(wanted) and fits(wanted[at], names[name]):
            at, name = at + 1, name + 1
        elif again is not None:
            # Only the last `**` need take one folder more: the earlier ones took as few as they could.
            again = (again[0], again[1] + 1)
            at, name = again
        else:
            return False
    return all(each == _ANY_FOLDERS for each in wanted[at:])


def among(patterns: Sequence[str], text: str) -> bool:
    """Whether a list of patterns means this text, in any case of its letters. An empty list means everything."""
    folded = [pattern.casefold() for pattern in patterns]
    return _chosen(folded, text.casefold(), fits)


def branch_among(patterns: Sequence[str], branch: str) -> bool:
    """The same of a branch, whose letters' case counts."""
    return _chosen(patterns, branch, fits)


def path_among(patterns: Sequence[str], path: str) -> bool:
    """The same of a file's path."""
    return _chosen(patterns, path, fits_path)


def _chosen(patterns: Sequence[str], text: str, is_of: Callable[[str, str], bool]) -> bool:
    chosen = not patterns or patterns[0].startswith("!")
    for pattern in patterns:
        takes_away = pattern.startswith("!")
        if chosen is takes_away and is_of(pattern.removeprefix("!"), text):
            chosen = not takes_away
    return chosen
