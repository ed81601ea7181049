"""What a forge says of the CI of a commit, made the same for all of them. Names and links in it are a stranger's."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from previews.adapters.forges.answers import Json, Request, malformed
from previews.adapters.one_line import one_line
from previews.domain.preview import CIRun

RUNS_READ = 100
"""Of one commit: one page, the newest first."""
NAME_LENGTH_MAX = 100
URL_LENGTH_MAX = 400

_NOT_BEGUN = frozenset({"queued", "waiting", "requested", "pending"})
_WELL = frozenset({"success", "neutral", "skipped"})
_ENDED_BY_SOMEBODY = frozenset({"cancelled", "stale"})
_AT_WORK = frozenset({"queued", "running"})
_STATES_OF_STATUSES = {"pending": "running", "success": "succeeded", "warning": "succeeded"}


def read_runs(asked: Request, document: Json, list_name: str, *, not_of: str) -> list[CIRun]:
    """Workflow runs or check runs of GitHub, as it lists them: the newest of each name.

    But for what managers say of previews, whose names begin with `not_of`.
    """
    try:
        found = [_run(each) for each in document[list_name]]
    except (AttributeError, KeyError, TypeError) as error:
        raise malformed(asked, f"an incomplete run ({error!r})") from error
    newest: dict[str, CIRun] = {}
    for run in found:
        if not run.name.startswith(not_of):
            newest.setdefault(run.name, run)
    return list(newest.values())


def read_statuses(asked: Request, document: Json, *, server_url: str, not_of: str) -> list[CIRun]:
    """The last commit status of each context, but for ours, whose contexts begin with `not_of`."""
    try:
        return [
            CIRun(
                name=one_line(_text(each["context"]), NAME_LENGTH_MAX),
                state=_STATES_OF_STATUSES.get(_text(each["status"]), "failed"),
                url=_address(each.get("target_url"), server_url),
            )
            for each in document["statuses"] or ()
            if not _text(each["context"]).startswith(not_of)
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise malformed(asked, f"an incomplete commit status ({error!r})") from error


def choose_run(runs: Iterable[CIRun]) -> CIRun | None:
    """The one that failed, or else one that is still at work, or else the first."""
    found = list(runs)
    for states in ({"failed"}, _AT_WORK):
        for run in found:
            if run.state in states:
                return run
    return found[0] if found else None


def _run(said: Json) -> CIRun:
    return CIRun(
        name=one_line(_text(said["name"] or ""), NAME_LENGTH_MAX) or "without a name",
        state=_state(_text(said["status"] or ""), _text(said["conclusion"] or "")),
        url=_address(said["html_url"], ""),
    )


def _state(status: str, conclusion: str) -> str:
    if status != "completed":
        return "queued" if status in _NOT_BEGUN else "running"
    if conclusion in _WELL:
        return "succeeded"
    return "cancelled" if conclusion in _ENDED_BY_SOMEBODY else "failed"


def _address(said: Json, server_url: str) -> str:
    """A link that people can follow; empty if it is none. Gitea leaves its own address out."""
    text = said if isinstance(said, str) else ""
    if server_url and text.startswith("/") and not text.startswith("//"):
        text = server_url.rstrip("/") + text
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    is_link = parts.scheme in {"http", "https"} and bool(parts.netloc)
    is_plain = len(text) <= URL_LENGTH_MAX and text.isascii() and text.isprintable()
    return text if is_link and is_plain and " " not in text else ""


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value
