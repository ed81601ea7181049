"""A developer's working copy: commits and pushes with the real git command."""

import base64
import subprocess
from collections.abc import Mapping
from pathlib import Path

from previews.domain.preview import HeadSha, parse_head_sha


class PushRejectedError(Exception):
    """The branch has moved on: pull and do it again."""


class Checkout:
    """One clone. The token reaches git through its environment, so that no argument or file holds it."""

    def __init__(self, directory: Path, url: str, *, user: str, token: str) -> None:
        self.directory = directory
        credentials = base64.b64encode(f"{user}:{token}".encode()).decode()
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(directory.parent),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{url}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credentials}",
            **{f"GIT_{who}_NAME": user for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": f"{user}@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        directory.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", url)

    def git(self, *arguments: str) -> str:
        """What git prints; RuntimeError with its own words if it fails."""
        ended = subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise RuntimeError(f"git {arguments[0]}: {ended.stderr.strip()}")
        return ended.stdout.strip()

    def switch_to_new(self, branch: str) -> None:
        """Start a branch from main as the forge has it."""
        self.git("fetch", "--quiet", "origin", "main")
        self.git("switch", "--quiet", "--force-create", branch, "--no-track", "origin/main")

    def switch_to(self, branch: str) -> None:
        self.git("switch", "--quiet", branch)

    def pull(self, branch: str) -> None:
        """Have exactly what the forge has of a branch."""
        self.git("fetch", "--quiet", "origin", branch)
        self.git("switch", "--quiet", "--force-create", branch, "--no-track", "FETCH_HEAD")

    def commit(self, files: Mapping[str, str | None], message: str) -> HeadSha:
        """Write these files (None removes one) and commit, even if nothing differs: CI reacts to commits."""
        for name, text in files.items():
            file = self.directory / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head_sha()

    def head_sha(self) -> HeadSha:
        return parse_head_sha(self.git("rev-parse", "HEAD"))

    def push(self, branch: str) -> None:
        """Raises PushRejectedError when somebody else was faster."""
        try:
            self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        except RuntimeError as error:
            if any(words in str(error) for words in ("[rejected]", "cannot lock ref")):
                raise PushRejectedError(str(error)) from error
            raise
