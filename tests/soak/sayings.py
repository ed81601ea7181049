"""How the manager's words are known again at a forge."""

MARKER = "<!-- previews:"
REPLY = ":reply:"
"""In the marker of an answer."""


def is_reply(body: str) -> bool:
    return MARKER in body and REPLY in body


def is_sticky(body: str) -> bool:
    """Whether it is the comment that is kept up to date."""
    return MARKER in body and REPLY not in body


def tells_removed(line: str) -> bool:
    """Whether a status or a check run says that the preview was removed."""
    return "removed" in line.lower()
