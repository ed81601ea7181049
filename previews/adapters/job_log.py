"""What a Job's log says, fit to be shown to everybody who can read the pull request. Pure.

A migration that fails likes to print how it tried to connect. Passwords are taken out: those that stand where passwords
stand, and whatever looks like one of ours, since nobody here knows them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from previews.adapters.one_line import one_line

BYTES_MAX = 256 * 1024
LINE_LENGTH_MAX = 300
HIDDEN = "***"

Raw = Mapping[str, Any]

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_IN_ADDRESS = re.compile(r"(://[^\s:/@]*:)[^\s@]+(?=@)")
_NAMED = re.compile(r"""((?:password|passwd|pwd)["']?\s*[=:]\s*["']?)[^\s"',;&]+""", re.IGNORECASE)
_LIKE_OURS = re.compile(r"[A-Za-z0-9_-]{40,}")
"""`secrets.token_urlsafe(32)` has 43 characters; a broken colour before it may have cost it a few."""
_DIGEST = re.compile(r"[0-9a-f]+")


def newest_failed(pods: Iterable[Raw]) -> tuple[str, str] | None:
    """The name of the pod that failed last and of its container; None if none failed."""
    failed = [
        (str(pod["metadata"].get("creationTimestamp", "")), pod["metadata"]["name"], pod)
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Failed"
    ]
    if not failed:
        return None
    _, name, pod = max(failed, key=lambda each: each[:2])
    return name, pod["spec"]["containers"][0]["name"]


def shown(log: str, lines: int) -> str:
    """Its last lines that are not empty, without control characters and passwords."""
    # Colours first: a password with a colour within would not be known for one.
    plain = [_COLOURS.sub("", line) for line in log.splitlines()]
    readable = [one_line(_without_passwords(line), LINE_LENGTH_MAX) for line in plain]
    return "\n".join([line for line in readable if line][-lines:])


def _without_passwords(line: str) -> str:
    line = _NAMED.sub(rf"\1{HIDDEN}", _IN_ADDRESS.sub(rf"\1{HIDDEN}", line))
    return _LIKE_OURS.sub(lambda found: found[0] if _DIGEST.fullmatch(found[0]) else HIDDEN, line)
