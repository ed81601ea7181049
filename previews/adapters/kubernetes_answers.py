"""What Kubernetes' answers mean: which error a refusal is, and whether an object is proven absent."""

import json
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import urllib3

from previews.adapters.one_line import one_line
from previews.adapters.retry_after import retry_after_seconds
from previews.errors import PreviewsError, StalledError, TransientError

MESSAGE_LENGTH_MAX = 300

Raw = Mapping[str, Any]


class ExpiredError(TransientError):
    """The API server no longer knows what happened since then: list again."""


class BrokenStreamError(TransientError):
    """A watch said something that is no event: what was missed is unknown, so list again."""


class ConflictError(TransientError):
    """The object has changed since it was read."""


def parsed(response: urllib3.BaseHTTPResponse) -> Raw | None:
    """The answer as an object; None if it is none."""
    try:
        found = json.loads(response.data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def says_not_found(status: Raw | None, name: str) -> bool:
    """Whether Kubernetes itself says that this very object is not there."""
    # The name tells the absence of this object from that of its kind, which also has the reason NotFound.
    if status is None or status.get("kind") != "Status" or status.get("reason") != "NotFound":
        return False
    details = status.get("details")
    return isinstance(details, dict) and details.get("name") == name


def refusal(
    response: urllib3.BaseHTTPResponse, verb: str, plural: str, place: str
) -> PreviewsError:
    """The error that this answer to `verb` is."""
    code = response.status
    status = parsed(response) or {}
    said = one_line(str(status.get("message", "")), MESSAGE_LENGTH_MAX)
    subject = f"{verb} {plural}{place}"
    match code:
        case HTTPStatus.UNAUTHORIZED:
            return TransientError(
                "ClusterUnauthorized", "the Kubernetes API does not accept the manager's credential"
            )
        case HTTPStatus.FORBIDDEN if not _is_terminating(status):
            return StalledError("ClusterForbidden", f"the manager may not {subject}: {said}")
        case HTTPStatus.CONFLICT | HTTPStatus.GONE:
            kind = ConflictError if code == HTTPStatus.CONFLICT else ExpiredError
            return kind("ClusterChanged", f"{subject}: {said}")
        case HTTPStatus.NOT_FOUND:
            # Not the object that was meant, but what it lies in or leads to, or else its kind.
            missing = said if _details(status).get("name") else ""
            words = missing or "the API server does not know this kind of object"
            return TransientError("ClusterAnswer", f"{subject}: {words}")
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY if said:
            return StalledError("ClusterRefused", f"{subject} was refused: {said}")
        case _:
            return TransientError(
                "ClusterAnswer",
                f"{subject} was answered with {code}{f': {said}' if said else ''}",
                retry_after_seconds=retry_after_seconds(
                    response.headers.get("Retry-After"), datetime.now(UTC)
                ),
            )


def reason(error: Exception) -> str:
    """The cause in a few words; the library's own text names objects in memory."""
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
        return "timed out"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate: {one_line(cause.verify_message, MESSAGE_LENGTH_MAX)}"
    if isinstance(cause, OSError) and cause.strerror:
        return one_line(cause.strerror, MESSAGE_LENGTH_MAX).lower()
    return one_line(str(cause), MESSAGE_LENGTH_MAX)


def _details(status: Raw) -> Raw:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _is_terminating(status: Raw) -> bool:
    """Whether the object's namespace is on its way out, which ends by itself."""
    causes = _details(status).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
