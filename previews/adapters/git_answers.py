"""What a failed git command means: git says it in words only, so this is a table of them (git is run with LC_ALL=C)."""

import re

from previews.domain.ports import PushRejectedError
from previews.errors import PreviewsError, StalledError, TransientError

COMMIT_IS_UNKNOWN = re.compile(r"not our ref|unadvertised object|couldn't find remote ref")
"""The server's answer to a fetch of a commit that it does not have, or does not give."""

_CLONE_IS_BROKEN = re.compile(
    r"unable to read|bad object|invalid object|bad tree|corrupt|loose object|missing (blob|tree|commit)|packfile"
    r"|not a git repository: |bad config|\.lock'|did not send all necessary objects|shallow file|invalid sha1"
)
_REFUSALS = (
    (
        re.compile(r"mismatched algorithms"),
        "GitOpsUnsupported",
        "only repositories that name objects by SHA-1 are supported, not SHA-256",
    ),
    (
        re.compile(r"couldn't find remote ref"),
        "GitOpsBranchMissing",
        "create that branch with a first commit (a README will do)",
    ),
    (
        re.compile(
            r"Authentication failed|could not read (Username|Password)|Permission denied \(|error: 40[13]"
        ),
        "GitOpsAccessDenied",
        "check the credentials and what they may do",
    ),
    (
        re.compile(
            r"does not appear to be a git repository|repository '.*' not found|error: (404|3\d\d)"
            r"|transport '.*' not allowed|[Uu]nable to find remote helper"
        ),
        "GitOpsNotFound",
        "check the URL",
    ),
)
_MAY_NOT_PUSH = re.compile(r"error: 403")
_UNREACHABLE = re.compile(
    r"unable to access|Could not resolve|[Cc]onnection|timed out|early EOF|hung up|RPC failed|disconnect"
    r"|remote error|Could not read from remote|error: (429|5\d\d)|protocol error|bad line length"
    r"|not valid: is this a git repository|server response|remote end"
)
_SOMEBODY_WAS_FIRST = re.compile(
    r"fetch first|non-fast-forward|stale info|cannot lock ref|incorrect old value|failed to update ref"
    r"|failed to lock|reference already exists"
)
_SERVER_FAILED = re.compile(r"(?i)unpack|internal server error|remote failure|timed? ?out")


class BrokenCloneError(TransientError):
    """Git cannot use the clone. It holds nothing that the server does not have."""


def failure(*, doing: str, url: str, errors: str, words: str) -> PreviewsError:
    """A command that failed before the server answered about our branch, as what should be done about it.

    `words` is what people may read of `errors`.
    """
    own = "\n".join(line for line in errors.splitlines() if not line.startswith("remote:"))
    failed = f"git could not {doing} {url}: {words}"
    if doing == "push to" and _MAY_NOT_PUSH.search(own):
        return write_refused(url, words)
    for pattern, reason, advice in _REFUSALS:
        if pattern.search(own):
            return StalledError(reason, f"{failed}; {advice}")
    if _UNREACHABLE.search(own) and not _CLONE_IS_BROKEN.search(own):
        return TransientError("GitUnreachable", failed)
    # What is not known to be the server's doing is cured by a fresh clone, or shown if it is not.
    return BrokenCloneError("GitCloneBroken", failed)


def rejection(*, url: str, answer: str, words: str) -> PreviewsError:
    """The server's answer about our branch, such as `[remote rejected] (pre-receive hook declined)`."""
    if _SOMEBODY_WAS_FIRST.search(answer):
        return PushRejectedError("PushRejected", f"somebody else pushed to {url} first: {words}")
    if _SERVER_FAILED.search(answer):
        return TransientError("GitUnreachable", f"{url} could not take a commit: {words}")
    return write_refused(url, words)


def write_refused(url: str, words: str) -> StalledError:
    return StalledError(
        "GitOpsWriteRefused",
        f"{url} refuses our commits; allow this user to push to the branch: {words}",
    )
