"""The part of the configuration that is about the forge. Read with the rest of it, in settings.py."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from previews.setting_types import ExistingFile, HttpUrl, Section

_APP_ID = re.compile(r"[A-Za-z0-9._]{1,64}")


def _number_as_text(value: object) -> object:
    """YAML has an App's id for a number, and its client id for text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _app_id(value: str) -> str:
    if not _APP_ID.fullmatch(value):
        raise ValueError(
            "must be the App's id or its client id, as GitHub's page of the App has it"
        )
    return value


class GitHubAppSettings(Section):
    """A GitHub App that works for this manager."""

    id: Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_app_id)]
    """Its id, or its client id."""
    private_key_file: ExistingFile
    """As GitHub gives it (PEM). It is read anew each time, so another key is used without a restart."""


class ForgeSettings(Section):
    """Where the pull requests are."""

    kind: Literal["github", "gitea"]
    api_url: HttpUrl = "https://api.github.com"
    """GitHub: the API's address. Gitea or Forgejo: the server's."""
    token_file: ExistingFile | None = None
    """Either this or `app`."""
    app: GitHubAppSettings | None = None
    webhook_secret_files: Annotated[list[ExistingFile], Field(max_length=5)] = []
    """Any of these secrets is accepted, so that one can be replaced. Empty: no webhooks, resync only."""

    @model_validator(mode="after")
    def _check_credentials(self) -> "ForgeSettings":
        if self.app is not None and self.kind != "github":
            raise ValueError("app is GitHub's: this forge needs token_file")
        if (self.token_file is None) == (self.app is None):
            needed = "token_file or app" if self.kind == "github" else "token_file"
            raise ValueError(f"needs {needed}" + (", and not both" if self.app else ""))
        return self

    def credential_file(self) -> str:
        """The file that whatever the forge says of credentials is about."""
        return str(self.app.private_key_file if self.app else self.token_file)
