"""When the GitOps branch got what: a tight watch of the reference, on the server's own disk."""

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

POLL_SECONDS = 0.005
BRANCH = "refs/heads/main"


@dataclass(frozen=True, slots=True)
class Tip:
    """What the branch pointed to, and since when."""

    at: float
    commit: str


class Branch:
    """The branch of a bare repository on this disk, followed by a thread of its own."""

    def __init__(self, bare: Path) -> None:
        self._bare = bare
        self._file = bare / BRANCH
        self._stopping = threading.Event()
        self._tips: list[Tip] = []
        self._lock = threading.Lock()
        self._objects: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="branch", daemon=True)

    def start(self) -> None:
        self._objects = subprocess.Popen(
            ["git", f"--git-dir={self._bare}", "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._note()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._objects:
            self._objects.terminate()
            self._objects.communicate()

    def tips(self) -> list[Tip]:
        """Every one that was seen, the first of them from before the watch."""
        return list(self._tips)

    def held_at(self, path: str, text: str) -> float | None:
        """When the branch first had a file with this text in it."""
        wanted = text.encode()
        # The newest first: mostly it is that one or the one before.
        moments = [tip.at for tip in self._newest_with(path, wanted)]
        return moments[-1] if moments else None

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder now. Git keeps no empty folders."""
        return self._object(self._tips[-1].commit, path) is not None

    def commits_since(self, tip: Tip) -> int:
        """How many commits were made after this one."""
        counted = subprocess.run(
            ["git", f"--git-dir={self._bare}", "rev-list", "--count", f"{tip.commit}..{BRANCH}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(counted.stdout)

    def _newest_with(self, path: str, wanted: bytes) -> list[Tip]:
        """The unbroken row of tips, counted from the newest, whose file holds the text."""
        found: list[Tip] = []
        for tip in reversed(self.tips()):
            if wanted not in (self._object(tip.commit, path) or b""):
                break
            found.append(tip)
        return found

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self._note()

    def _note(self) -> None:
        commit = self._file.read_text().strip()
        now = time.monotonic()
        # A reference is replaced by renaming, so it is never read half written.
        if not self._tips or self._tips[-1].commit != commit:
            self._tips.append(Tip(now, commit))

    def _object(self, commit: str, path: str) -> bytes | None:
        """What is at a path of a commit; None if nothing is."""
        if self._objects is None:
            raise RuntimeError("the branch is not watched")
        ask = cast("IO[bytes]", self._objects.stdin)
        answer = cast("IO[bytes]", self._objects.stdout)
        with self._lock:
            ask.write(f"{commit}:{path}\n".encode())
            ask.flush()
            head = answer.readline().split()
            if head[-1] == b"missing":
                return None
            content = answer.read(int(head[-1]))
            answer.read(1)
        return content
