"""Whether each preview's role and its secret in Git are of one password, by its id, and nobody else's."""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import yaml

from previews.domain import labels
from previews.domain.naming import folder_of, key_of_folder
from previews.domain.observation import DATABASE_FILE
from previews.domain.preview import PreviewKey

AGREED_SECONDS = 60.0
"""A server that is away for a moment is asked again; what is shown as live does not disagree for so long."""
LOOK_SECONDS = 0.5
NOTHING_FOUND = 1
"""What git grep says then."""

Credentials = Callable[[], Mapping[int, str]]


class Agreement:
    """Reads both sides past the manager. Safe from any thread."""

    def __init__(
        self, on_server: Credentials, *, repository: Path, folder: str, project: str
    ) -> None:
        """`on_server` says the ids by pull request. The repository is the Git server's, on this disk."""
        self._on_server = on_server
        self._repository = repository
        self._folder = folder
        self._project = project

    def problem(self, number: int, ended: threading.Event) -> str:
        """Empty as soon as a live preview's two sides agree; otherwise how they stood until it `ended`, or for long."""
        deadline = time.monotonic() + AGREED_SECONDS
        path = f"{self._folder}/{folder_of(PreviewKey(self._project, number))}/{DATABASE_FILE}"
        while True:
            try:
                problem = disagreement(number, self._on_server(), self._in_git(path))
            except psycopg.OperationalError as error:
                problem = f"{number}: the server could not be asked: {error}"
            if not problem or time.monotonic() > deadline or ended.wait(LOOK_SECONDS):
                return problem

    def strangers(self) -> list[str]:
        """Passwords of one preview that another's role or secret carries: there is no moment when that may be.

        Raises psycopg.OperationalError while the server is away.
        """
        return carried_by_others(self._on_server(), self._in_git(self._folder))

    def _in_git(self, path: str) -> Mapping[int, set[str]]:
        return credentials_in_git(self._repository, path, self._folder)


def credentials_in_git(repository: Path, path: str, folder: str) -> Mapping[int, set[str]]:
    """The ids that secrets below a path say at the branch's tip, by pull request."""
    found = subprocess.run(
        [
            *("git", f"--git-dir={repository}", "-c", "safe.directory=*"),
            *("grep", "--fixed-strings", labels.CREDENTIAL, "main", "--", path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode > NOTHING_FOUND:
        raise RuntimeError(f"git grep in {repository}: {found.stderr}")
    ids: dict[int, set[str]] = {}
    for line in found.stdout.splitlines():
        _, file, text = line.split(":", 2)
        parent, _, name = file.removeprefix(f"{folder}/").rpartition("/")
        key = key_of_folder(parent)
        if key is None or name != DATABASE_FILE:
            continue
        if said := yaml.safe_load(text).get(labels.CREDENTIAL):
            ids.setdefault(key.number, set()).add(said)
    return ids


def disagreement(number: int, on_server: Mapping[int, str], in_git: Mapping[int, set[str]]) -> str:
    """Empty when both sides of a preview say one and the same."""
    role, secret = on_server.get(number), in_git.get(number, set())
    if role and secret == {role}:
        return ""
    return (
        f"{number}: its role has password {role or 'none'}, its secret {sorted(secret) or 'none'}"
    )


def carried_by_others(on_server: Mapping[int, str], in_git: Mapping[int, set[str]]) -> list[str]:
    """Ids that belong to more than one pull request."""
    owners: dict[str, set[int]] = {}
    for number, said in on_server.items():
        owners.setdefault(said, set()).add(number)
    for number, ids in in_git.items():
        for said in ids:
            owners.setdefault(said, set()).add(number)
    return [
        f"password {said} is carried by {', '.join(map(str, sorted(numbers)))}"
        for said, numbers in sorted(owners.items())
        if len(numbers) > 1
    ]
