"""Which image is a commit's: what CI named for it, or else what the project's pattern makes. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from previews.domain.naming import is_image_tag
from previews.domain.preview import CIRun, HeadSha, Image

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """What CI says the image of a commit is called. In which repository it is, only the configuration says."""

    project: str
    head_sha: HeadSha
    tag: str
    """Empty if only the digest was named."""
    digest: str
    """Empty if only the tag was named."""
    named_at: datetime

    def is_same_as(self, other: "NamedImage | None") -> bool:
        """Whether both name one image, whenever that was."""
        return other is not None and replace(other, named_at=self.named_at) == self

    def is_name_of(self, image: Image) -> bool:
        """Whether an image that was found was looked for under this name."""
        return self.tag == image.tag and self.digest in {"", image.digest}


def check_tag(tag: str) -> str:
    """Raises ValueError for what is no image tag."""
    if not is_image_tag(tag):
        raise ValueError("must be an image tag: at most 128 letters, digits, '_', '.' and '-'")
    return tag


def check_digest(digest: str) -> str:
    """Raises ValueError for what is no digest that an image can be pulled by."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(
            "must be sha256: with 64 or sha512: with 128 lower-case hexadecimal digits"
        )
    return digest


def image_name(repository: str, tag: str, digest: str) -> str:
    """As a pod would name it."""
    return repository + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def path_of(image_repository: str) -> str:
    """The name of a repository at its registry, such as `team/shop`, as registries themselves tell it."""
    first, _, rest = image_repository.partition("/")
    names_a_host = "." in first or ":" in first or first == "localhost"
    if not rest or not names_a_host:
        first, rest = "docker.io", image_repository
    if first in _DOCKER_HUB and "/" not in rest:
        return f"library/{rest}"
    return rest


def late_image(name: str, run: CIRun | None, allowed: timedelta) -> str:
    """What is said of an image that has not come in time."""
    said = f"no image {name} after {allowed.total_seconds() / 60:g} min"
    if run is None:
        return f"{said}, still looking"
    link = f": {run.url}" if run.url else ""
    return f"{said}; the workflow run {run.name} {_RUN_STATES.get(run.state, run.state)}{link}"


_RUN_STATES = {
    "queued": "is queued",
    "running": "is still running",
    "cancelled": "was cancelled",
}
"""Of those that are not said as they are called."""
