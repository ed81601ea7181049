"""Runs the `git` program on one bare clone of its own, which may be lost at any time.

Git finds nobody's settings but those given here, never asks a person, and never waits for ever. Secrets reach it
through files named in its environment: not through arguments, the environment itself, or URLs.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from previews.adapters.git_answers import BrokenCloneError
from previews.adapters.one_line import one_line
from previews.errors import StalledError, TransientError

WORDS_LENGTH_MAX = 400

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "gc.auto=0",  # the clone is packed between two commits instead, never beside one
    "maintenance.auto=false",
    "http.followRedirects=false",  # the password is for this server, not for one that it names
)
_ASKPASS = """\
#!/bin/sh
# Answers git's questions for a username and a password. The password is read anew each time.
case "$1" in
Username*) printf '%s\\n' "$PREVIEWS_GIT_USERNAME" ;;
*) cat -- "$PREVIEWS_GIT_PASSWORD_FILE" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How git names itself to the server."""

    username: str
    password_file: Path
    """Its first line is the password or token; read anew for each use, so it may be replaced at any time."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A git command that came to its end by itself."""

    code: int
    output: str
    """Names of files that are not UTF-8 survive in it, as surrogates."""
    errors: str


class GitCommand:
    """Git on the clone in `directory`. Two processes never share a directory."""

    def __init__(
        self, directory: Path, *, url: str, credentials: Credentials | None, timeout_seconds: float
    ) -> None:
        self._directory = directory
        self._clone = directory / "clone.git"
        self._askpass = directory / "askpass"
        self._url = url
        self._credentials = credentials
        self._timeout_seconds = timeout_seconds
        self._is_prepared = False

    def prepare(self) -> None:
        """Have a clone that no killed process still blocks."""
        if self._is_prepared:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if self._credentials:
                self._write_askpass()
            if self._clone.is_dir():
                _remove_leftovers(self._clone)
            else:
                self._make_clone()
        except OSError as error:
            raise TransientError(
                "GitCloneFailed", f"no clone can be made in {self._directory}: {error.strerror}"
            ) from error
        self._is_prepared = True

    def discard(self) -> None:
        """Throw the clone away; `prepare` makes another."""
        self._is_prepared = False
        if self._clone.is_dir():
            shutil.rmtree(self._clone, ignore_errors=True)

    def run(self, *arguments: str, stream: bytes = b"", clone: Path | None = None) -> Ended:
        """Run git and say how it ended. Raises TransientError when it does not end in time."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        command = ["git", f"--git-dir={clone or self._clone}", *settings, *arguments]
        try:
            return _run(command, self._environment(), stream, self._timeout_seconds)
        except FileNotFoundError as error:
            raise StalledError("GitMissing", "there is no git program: install git") from error
        except subprocess.TimeoutExpired as error:
            # Killed in the middle of something: look for what it left before going on.
            self._is_prepared = False
            raise TransientError(
                "GitUnreachable",
                f"git {arguments[0]} with {self._url} took longer than {self._timeout_seconds:g} s",
            ) from error

    def succeed(self, *arguments: str, stream: bytes = b"", clone: Path | None = None) -> str:
        """Run git on the clone alone, where any failure is the clone's."""
        ended = self.run(*arguments, stream=stream, clone=clone)
        if ended.code:
            words = self.words(ended.errors)
            raise BrokenCloneError("GitCloneBroken", f"git {arguments[0]} failed: {words}")
        return ended.output

    def words(self, text: str) -> str:
        """What a server or git said, fit for a log and a status: short, one line, and without our secret."""
        with suppress(OSError, UnicodeDecodeError):
            if self._credentials:
                secret = self._credentials.password_file.read_text().strip()
                text = text.replace(secret, "***") if secret else text
        return one_line(text.replace("remote:", ""), WORDS_LENGTH_MAX)

    def _write_askpass(self) -> None:
        self._askpass.unlink(missing_ok=True)
        descriptor = os.open(self._askpass, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
        with os.fdopen(descriptor, "w") as script:
            script.write(_ASKPASS)

    def _make_clone(self) -> None:
        """Under another name first, so that what has the clone's name was once complete."""
        for abandoned in self._directory.glob("unfinished-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=self._directory))
        self.succeed("init", "--quiet", "--bare", "--object-format=sha1", clone=unfinished)
        self._clone.unlink(missing_ok=True)
        unfinished.rename(self._clone)

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name.startswith(("GIT_SSL_", "GIT_SSH"))
        }
        is_file = self._url.startswith(("/", "file:"))
        environment = {
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            **inherited,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:file" if is_file else "https:http:ssh",
            "GIT_LITERAL_PATHSPECS": "1",
            "LC_ALL": "C",
        }
        if self._credentials:
            environment["GIT_ASKPASS"] = str(self._askpass)
            environment["PREVIEWS_GIT_USERNAME"] = self._credentials.username
            environment["PREVIEWS_GIT_PASSWORD_FILE"] = str(self._credentials.password_file)
        return environment


def _run(
    command: Sequence[str], environment: Mapping[str, str], stream: bytes, timeout_seconds: float
) -> Ended:
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(stream, timeout_seconds)
        except BaseException:
            # Git's helpers hold the same pipes: they must go with it, or their end would be waited for.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Ended(
        process.returncode,
        output.decode(errors="surrogateescape"),
        errors.decode(errors="replace"),
    )


def _remove_leftovers(clone: Path) -> None:
    """Locks and half-written files of processes that were killed."""
    locks = (*clone.glob("*.lock"), *(clone / "refs").rglob("*.lock"))
    unfinished = (*clone.glob("fast_import_crash_*"), *(clone / "objects").glob("*/tmp_*"))
    for file in (*locks, *unfinished):
        file.unlink(missing_ok=True)
