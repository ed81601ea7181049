"""Lengths of time as people write them: 30s, 10m, 12h or 3d. Pure."""

import re
from datetime import timedelta

_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
"""No more digits than the longest timedelta has days."""
LONGEST = timedelta(days=3650)
"""Of what is configured: a time counted from now stays one that has a date."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> timedelta:
    """Read a length of time. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be a duration such as 30s, 10m, 2h or 3d")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def parse_bounded_duration(text: str) -> timedelta:
    """The same of what somebody configures once and for all, at most `LONGEST`."""
    length = parse_duration(text)
    if length > LONGEST:
        raise ValueError(f"must be at most {format_duration(LONGEST)}")
    return length


def format_duration(length: timedelta) -> str:
    """In whole units, the largest one that says it exactly: `parse_duration` reads it again."""
    seconds = int(length.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"
