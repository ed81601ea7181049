"""What can go wrong, by what the loop should do about it.

Adapters translate their library's errors into these, and the loop catches only these: anything else is a bug and is
shown as one. `reason` is CamelCase from a closed set (docs/operations.md lists them); the message is for people.
"""


class PreviewsError(Exception):
    """Something that a person may have to read about."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class TransientError(PreviewsError):
    """An outside system did not answer as it should: try again, later each time.

    `retry_after_seconds` is what the system itself asked for, if it did.
    """

    def __init__(
        self, reason: str, message: str, *, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(reason, message)
        self.retry_after_seconds = retry_after_seconds


class StalledError(PreviewsError):
    """Nothing will change until the pull request, the configuration or the cluster does."""


class ActionRefusedError(StalledError):
    """Somebody asked for what cannot be. Nothing was changed, and the preview itself has no fault."""


class ConfigurationError(PreviewsError):
    """The configuration cannot be used; the message names the key. Ends the program with code 2."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidConfiguration", message)
