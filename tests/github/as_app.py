"""A manager's adapter that works as the stand-in's GitHub App, and a clock to pass time by."""

from pathlib import Path

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_app import AppCredentials
from previews.adapters.forges.github_permissions import wanted
from tests.github.app_tokens import APP_ID
from tests.github.standin import StandInGitHub


class Ticks:
    """A monotonic clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def key_file(github: StandInGitHub, folder: Path) -> Path:
    """Where the App's private key is."""
    file = folder / "github-app.pem"
    file.write_text(github.app.private_key)
    return file


def app_forge(
    github: StandInGitHub, folder: Path, ticks: Ticks | None = None, *, app_id: str = str(APP_ID)
) -> GitHubForge:
    """What the configuration with `forge.app` builds."""
    ticks = ticks or Ticks()
    credentials = AppCredentials(
        app_id=app_id,
        private_key_file=key_file(github, folder),
        permissions=wanted(environments=True),
        monotonic=ticks,
    )
    return GitHubForge(api_url=github.url, credentials=credentials, monotonic=ticks)
