"""Changed paths and single files, as GitHub and Gitea give them."""

import base64
import binascii
from collections.abc import Callable

from previews.adapters.forges.answers import Json, Request, malformed, text
from previews.adapters.forges.trees import Entry
from previews.domain.forge_ports import FILE_BYTES_MAX
from previews.errors import StalledError


def read_changed_paths(asked: Request, document: Json) -> frozenset[str]:
    """The path of one changed file, and the one that it had before if it was renamed."""
    try:
        before = document.get("previous_filename")
        paths = {text(document["filename"]), text(before) if before else ""}
    except (AttributeError, KeyError, TypeError) as error:
        raise malformed(asked, f"an incomplete changed file ({error!r})") from error
    return frozenset(path for path in paths if path)


def read_root_file(
    entries: list[Entry], path: str, fetch_blob: Callable[[str], tuple[Request, Json]]
) -> str | None:
    """The text of a file in a whole root tree; None if it is not in there.

    Raises StalledError for what is no file, no text, or too large: somebody has to change that.
    """
    found = next((each for each in entries if each.path == path), None)
    if found is None:
        return None
    if found.kind != "blob":
        raise _unreadable(path, "is no file")
    if found.size > FILE_BYTES_MAX:
        raise _unreadable(path, f"has more than {FILE_BYTES_MAX} bytes")
    asked, document = fetch_blob(found.id)
    content = _read_blob(asked, document)
    if len(content) > FILE_BYTES_MAX:
        raise _unreadable(path, f"has more than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _unreadable(path, "is no UTF-8") from error


def _read_blob(asked: Request, document: Json) -> bytes:
    """What is in a file. Raises if it is not whole."""
    try:
        if document["encoding"] != "base64":
            raise malformed(asked, f"a file in {document['encoding']!r}")
        content = base64.b64decode("".join(text(document["content"]).split()), validate=True)
        if len(content) != document["size"]:
            raise malformed(asked, f"{len(content)} bytes of {document['size']!r}")
    except (KeyError, TypeError, binascii.Error) as error:
        raise malformed(asked, f"an incomplete file ({error!r})") from error
    return content


def _unreadable(path: str, why: str) -> StalledError:
    return StalledError("RepositoryFileUnreadable", f"{path} on the base branch {why}")
