"""The manager's files with projects' own secrets, in memory."""

import json
from hashlib import sha256
from pathlib import Path

from previews.domain.database import SecretType
from previews.domain.secret_set import ID_LENGTH, Content, SecretSet, remote_id
from previews.errors import StalledError


class FakeSecretSource:
    """`domain.ports.SecretSource`."""

    def __init__(self) -> None:
        self.files: dict[Path, str] = {}
        """What is in each; those that are not here cannot be read."""
        self._keys = 1
        """The same ids in each run: they stand in Git."""

    def read(self, project: str, wanted: SecretSet) -> Content:
        if wanted.remote:
            return Content(remote_id(wanted.remote), {})
        data = {}
        for entry, file in sorted(wanted.files.items()):
            if file not in self.files:
                raise StalledError(
                    "SecretFileMissing",
                    f"secret {wanted.name} of project {project}: the file {file} cannot be read",
                )
            data[entry] = self.files[file]
            if not data[entry] or (
                wanted.type is SecretType.DOCKER_CONFIG and "auths" not in data[entry]
            ):
                raise StalledError("SecretFileUnusable", f"the file {file} is of no use")
        said = json.dumps([self._keys, project, wanted.name, wanted.type, data]).encode()
        return Content(sha256(said).hexdigest()[:ID_LENGTH], data)

    def lose_key(self) -> None:
        """The manager's data directory is lost."""
        self._keys += 1
