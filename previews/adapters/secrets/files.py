"""The files of the manager that hold projects' own secrets: read for each use, bounded, and never quoted.

What is in them gets an id that nobody can guess it from, by a key of the manager's own.
"""

import hashlib
import hmac
import json
import os
from pathlib import Path
from threading import Lock

from previews.domain.database import SecretType
from previews.domain.secret_set import ID_LENGTH, Content, SecretSet, remote_id
from previews.errors import StalledError, TransientError

KEY_BYTES = 32
BYTES_MAX = 512 * 1024
"""Of one set. Kubernetes takes 1 MiB, and what is sealed is longer by a third."""
_CREDENTIALS = {"auth", "username"}
"""One of them stands beside a registry's name in a config.json that needs no helper."""


class SecretFiles:
    """`domain.resource_ports.SecretSource`. Safe from any thread."""

    def __init__(self, key_file: Path) -> None:
        """`key_file` is made when it is needed for the first time."""
        self._key_file = key_file
        self._lock = Lock()

    def read(self, project: str, wanted: SecretSet) -> Content:
        if wanted.remote:
            return Content(remote_id(wanted.remote), {})
        where = f"secret {wanted.name} of project {project}"
        data = {entry: _text(file, where) for entry, file in sorted(wanted.files.items())}
        if sum(len(text.encode()) for text in data.values()) > BYTES_MAX:
            raise _too_large(where)
        if wanted.type is SecretType.DOCKER_CONFIG:
            for entry, text in data.items():
                _check_docker_config(text, f"{wanted.files[entry]}, the file of {where},")
        said = json.dumps([project, wanted.name, wanted.type, data], sort_keys=True)
        return Content(self._id_of(said), data)

    def _id_of(self, said: str) -> str:
        return hmac.new(self._key(), said.encode(), hashlib.sha256).hexdigest()[:ID_LENGTH]

    def _key(self) -> bytes:
        with self._lock:
            try:
                return self._read_key() or self._make_key()
            except OSError as error:
                raise TransientError(
                    "SecretUnreadable",
                    f"the key of secrets' ids, {self._key_file}, cannot be used: {error.strerror}",
                ) from error

    def _read_key(self) -> bytes | None:
        """None for one that was never written to its end."""
        try:
            key = self._key_file.read_bytes()
        except FileNotFoundError:
            return None
        return key if len(key) == KEY_BYTES else None

    def _make_key(self) -> bytes:
        key, new = os.urandom(KEY_BYTES), self._key_file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600, exist_ok=False)
        with new.open("wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._key_file)
        return key


def _text(file: Path, where: str) -> str:
    """A single line is taken without its end, which editors add; anything longer is taken as it is."""
    try:
        with file.open("rb") as opened:
            content = opened.read(BYTES_MAX + 1)
    except OSError as error:
        raise StalledError(
            "SecretFileMissing",
            f"{where}: the file {file} cannot be read: {error.strerror}",
        ) from error
    if len(content) > BYTES_MAX:
        raise _too_large(where)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Not as its cause: that one carries what is in the file.
        raise _unusable(f"{where}: the file {file} is no text in UTF-8") from None
    if "\0" in text:
        raise _unusable(f"{where}: the file {file} holds a zero byte, which no variable can")
    line = text.removesuffix("\n").removesuffix("\r")
    text = text if "\n" in line else line
    if not text.strip():
        raise _unusable(f"{where}: the file {file} is empty")
    return text


def _check_docker_config(text: str, which: str) -> None:
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    auths = config.get("auths") if isinstance(config, dict) else None
    entries = list(auths.values()) if isinstance(auths, dict) else []
    usable = [each for each in entries if isinstance(each, dict) and (each.keys() & _CREDENTIALS)]
    if not entries or len(usable) != len(entries):
        raise _unusable(
            f"{which} is no Docker config.json with credentials under auths: "
            "a node runs no credential helpers"
        )


def _too_large(where: str) -> StalledError:
    return _unusable(f"{where} is larger than {BYTES_MAX // 1024} KiB")


def _unusable(message: str) -> StalledError:
    return StalledError("SecretFileUnusable", message)
