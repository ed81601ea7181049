"""The TXT record that says whose a record is. It lies below the host, so that the host itself may be a CNAME."""

import re
from dataclasses import dataclass

from previews.domain.preview import PreviewKey

LABEL = "_previews"
"""Of a host's mark: `_previews.shop-pr-7.preview.example.com`."""
WILDCARD_LABEL = "_previews-wildcard"
"""Of the wildcard's, beside it: a name below `*` would be one that few tools understand."""

_MARK = re.compile(
    r"previews=1,instance=(?P<instance>[a-z0-9-]{1,63}),(?P<kind>preview|wildcard)=(?P<what>[!-~]{1,120})"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says."""

    instance: str
    preview: PreviewKey | None
    """None for the wildcard's."""


def preview_mark(instance: str, key: PreviewKey) -> str:
    return f"previews=1,instance={instance},preview={key}"


def wildcard_mark(instance: str, zone: str) -> str:
    return f"previews=1,instance={instance},wildcard={zone}"


def read_mark(text: str) -> Mark | None:
    """None for whatever is no mark of any manager."""
    found = _MARK.fullmatch(text)
    if found is None:
        return None
    if found["kind"] == "wildcard":
        return Mark(found["instance"], None)
    try:
        return Mark(found["instance"], PreviewKey.parse(found["what"]))
    except ValueError:
        return None
