"""Runs what fills a template: psql, pg_restore, or a site's own command.

They know of nothing but the one database and the one role that are made for the build, and they find both in their
environment: a password in arguments could be read by everybody on the machine.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from previews.adapters.one_line import one_line
from previews.domain.database import Login
from previews.errors import StalledError, TransientError

_WORDS_LENGTH_MAX = 600
_LINES_KEPT = 8
_LOOK_SECONDS = 0.2

_PSQL = ("psql", "-X", "-q", "--no-password", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse")
_RESTORE = (
    "pg_restore",
    "--exit-on-error",
    "--no-password",
    # Roles, tablespaces, publications and labels are the other server's, and a subscription would fetch from it.
    "--no-owner",
    "--no-privileges",
    "--no-tablespaces",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
)
_NOT_OURS_TO_CHANGE = re.compile(r" (COMMENT - EXTENSION|SCHEMA - public) ")
"""Entries of an archive about what is in a new database already, and belongs to the server."""
_ABOUT_DATA = re.compile(r"\s*(DETAIL|CONTEXT|Command was):")
"""Lines of pg_restore that may show rows, which nobody has made anonymous yet."""


class Programs:
    """Programs with one database. Raises StalledError("TemplateBuildFailed") with what a program said at its end."""

    def __init__(
        self, login: Login, *, seconds_max: float, say: Callable[[str], None], stop: threading.Event
    ) -> None:
        self._login = login
        self._seconds_max = seconds_max
        self._say = say
        self._stop = stop

    def run_file(self, path: Path) -> None:
        """Run an SQL script with psql."""
        _check_readable(path)
        self._run([*_PSQL, "-f", str(path)], encoding="UTF8")

    def run_sql(self, statements: str) -> list[str]:
        """Run statements, and say what they answer: a line for each row."""
        with NamedTemporaryFile("w", encoding="utf-8", suffix=".sql") as script:
            script.write(statements)
            script.flush()
            options = "-c client_min_messages=error"
            return self._run(
                [*_PSQL, "-A", "-t", "-f", script.name], encoding="UTF8", PGOPTIONS=options
            )

    def restore(self, archive: Path) -> None:
        """Load what pg_dump made, in whichever of its formats."""
        _check_readable(archive)
        if _is_plain(archive):
            self.run_file(archive)
            return
        contents = self._run(["pg_restore", "--list", str(archive)], keep=None)
        with NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as chosen:
            chosen.writelines(
                f"{line}\n" for line in contents if not _NOT_OURS_TO_CHANGE.search(line)
            )
            chosen.flush()
            self._run(
                [*_RESTORE, f"--dbname={self._login.database}", "-L", chosen.name, str(archive)]
            )

    def run_command(self, command: Sequence[str]) -> None:
        """Run a site's own program, and pass on what it says."""
        self._run(command, tell=True)

    def _run(
        self,
        command: Sequence[str],
        *,
        encoding: str = "",
        tell: bool = False,
        keep: int | None = _LINES_KEPT,
        **variables: str,
    ) -> list[str]:
        """The last lines of what it said; of everything if `keep` is None."""
        if encoding:
            variables["PGCLIENTENCODING"] = encoding
        said: deque[str] = deque(maxlen=keep)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment() | variables,
                text=True,
                encoding="utf-8",
                errors="replace",
                # A group of its own, so that what it starts ends with it.
                start_new_session=True,
            )
        except OSError as error:
            raise StalledError(
                "TemplateBuildFailed", f"{command[0]} cannot be run: {error.strerror}"
            ) from error
        with self._ended_in_time(process, command[0]):
            for line in process.stdout or ():
                text = line.rstrip("\n").replace(self._login.password, "***")
                if text and not _ABOUT_DATA.match(text):
                    said.append(text)
                    if tell:
                        self._say(one_line(text, _WORDS_LENGTH_MAX))
            code = process.wait()
        if code:
            words = one_line(" ".join(said), _WORDS_LENGTH_MAX)
            raise StalledError(
                "TemplateBuildFailed",
                f"{command[0]} ended with {code}: {words or 'it said nothing'}",
            )
        return list(said)

    @contextmanager
    def _ended_in_time(self, process: subprocess.Popen[str], name: str) -> Iterator[None]:
        """End the program and all that it started when its time is over, the manager stops, or we fail ourselves."""
        over = threading.Event()
        late = threading.Event()
        deadline = time.monotonic() + self._seconds_max

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                if self._stop.is_set() or time.monotonic() > deadline:
                    late.set()
                    _end(process)
                    return

        watcher = threading.Thread(target=watch, name="template-program", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            _end(process)
            process.wait()
            if process.stdout:
                process.stdout.close()
        if late.is_set():
            why = (
                "was ended, since the manager stops"
                if self._stop.is_set()
                else f"was ended after {self._seconds_max:g} s"
            )
            raise TransientError("TemplateBuildFailed", f"{name} {why}")

    def _environment(self) -> dict[str, str]:
        """Ours, but for what would lead it to another database. Which certificates are trusted stays."""
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PG") or name.startswith("PGSSL")
        }
        return ours | self._login.variables()


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _check_readable(path: Path) -> None:
    if not os.access(path, os.R_OK):
        raise StalledError("TemplateBuildFailed", f"{path} is not there, or cannot be read")


def _is_plain(archive: Path) -> bool:
    """Whether it is SQL text, rather than one of the formats that pg_restore reads."""
    if archive.is_dir():
        return False
    with archive.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"\x1f\x8b"):
        raise StalledError("TemplateBuildFailed", f"{archive} is compressed: unpack it first")
    return not start.startswith(b"PGDMP") and start[257:262] != b"ustar"
