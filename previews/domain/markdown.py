"""Foreign text in Markdown: it mentions nobody and becomes no link, picture, HTML or cell of a table. Pure."""

import re
import unicodedata
from datetime import UTC, datetime


def plain(text: str) -> str:
    """One line, without control or direction-changing characters."""
    spaced = "".join(
        " " if character.isspace() or unicodedata.category(character)[0] == "C" else character
        for character in text
    )
    return " ".join(spaced.split())


def cut(text: str, length: int) -> str:
    """At most `length` characters, with an ellipsis where something is missing."""
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"


_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~-])")
_SPLIT = "<!-- -->"
"""An empty comment in the middle of a word keeps a forge from making a mention, a reference or a bare link of it."""
_LINKED = re.compile(r"(?i)@|:(?=//)|\\[#!]|(?<![a-z0-9])(?:gh(?=\\-[0-9])|www(?=\.))")
"""After which a forge would go on to a mention, an address, or the number of an issue, in text that is escaped."""


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    html = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    marked = _SPECIAL.sub(r"\\\1", html)
    return _LINKED.sub(rf"\g<0>{_SPLIT}", marked)


def fenced(lines: str) -> str:
    """A block of foreign lines, shown as they are: its fence is longer than any row of backticks in it."""
    shown = "\n".join(plain(line) for line in lines.splitlines())
    longest = max((len(ticks) for ticks in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"


def moment(at: datetime) -> str:
    """To the minute, in UTC, which is not said."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
