"""A bare Git repository on disk as the server has it, the other people who write to it, and our own adapter on it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from previews.adapters.git_command import Credentials
from previews.adapters.gitops import GitRepository

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Somebody Else",
    "GIT_AUTHOR_EMAIL": "else@example.org",
    "GIT_COMMITTER_NAME": "Somebody Else",
    "GIT_COMMITTER_EMAIL": "else@example.org",
}


def git(directory: Path, *arguments: str) -> str:
    ended = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode()


class GitRemote:
    """The server's repository; its branch is `main`."""

    def __init__(self, directory: Path, *, object_format: str = "sha1") -> None:
        directory.mkdir(parents=True)
        self.bare = directory / "gitops.git"
        self._work = directory / "work"
        self.bare.mkdir()
        git(self.bare, "init", "-q", "--bare", "-b", "main", f"--object-format={object_format}")
        git(directory, "clone", "-q", str(self.bare), str(self._work))
        # An empty repository of either kind is cloned as SHA-1.
        if object_format != "sha1":
            shutil.rmtree(self._work)
            self._work.mkdir()
            git(self._work, "init", "-q", "-b", "main", f"--object-format={object_format}")
            git(self._work, "remote", "add", "origin", str(self.bare))

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    @property
    def tip(self) -> str:
        return git(self.bare, "rev-parse", "main").strip()

    def commit(self, changes: Mapping[str, str | None], message: str = "by hand") -> str:
        """Somebody else changes files of the whole repository; returns the commit's id."""
        if git(self.bare, "for-each-ref", "refs/heads/main"):
            git(self._work, "fetch", "-q", "origin")
            git(self._work, "reset", "-q", "--hard", "origin/main")
        for path, text in changes.items():
            file = self._work / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(text.encode())
        git(self._work, "add", "--all")
        git(self._work, "commit", "-q", "--allow-empty", "-m", message)
        git(self._work, "push", "-q", "origin", "HEAD:main")
        return self.tip

    def set_back_to(self, commit: str) -> None:
        """Somebody else force-pushes an earlier commit."""
        git(self.bare, "update-ref", "refs/heads/main", commit)

    def delete_branch(self) -> None:
        git(self.bare, "update-ref", "-d", "refs/heads/main")

    def text_of(self, path: str, commit: str = "main") -> str | None:
        """A file of the whole repository, or None."""
        if not git(self.bare, "ls-tree", commit, "--", path):
            return None
        return git(self.bare, "show", f"{commit}:{path}")

    def messages(self) -> list[str]:
        """Of the branch's commits, oldest first."""
        logged = git(self.bare, "log", "--reverse", "--format=%B%x00", "main")
        return [message.strip() for message in logged.split("\0")[:-1]]

    def refuse_pushes(self, words: str) -> None:
        """Let a hook decline them, in these words."""
        hook = self.bare / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        (self.bare / "words").write_text(words)
        hook.write_text(f"#!/bin/sh\ncat '{self.bare}/words' >&2\nexit 1\n")
        hook.chmod(0o755)


def repository_of(
    directory: Path,
    url: str,
    *,
    credentials: Credentials | None = None,
    timeout_seconds: float = 30,
) -> GitRepository:
    return GitRepository(
        directory,
        url=url,
        branch="main",
        path="previews",
        credentials=credentials,
        author_name="previews",
        author_email="previews@example.org",
        timeout_seconds=timeout_seconds,
    )
