"""What a registry's manifests say: their digest, and for which platforms an image was built.

All of it was pushed by somebody's CI: it is bounded before it comes here, and shown only in one short line.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from previews.adapters.one_line import one_line

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
SINGLE_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
MANIFEST_TYPES = (*INDEX_TYPES, *SINGLE_TYPES)
PLATFORMS_SHOWN = 6

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_UNSAID = {"", "unknown"}
"""What an index says of the attestations that lie beside its images."""
_IMPLIED_VARIANTS = {"arm64": "v8", "arm": "v7"}
"""What builders leave out."""


class UnreadableError(Exception):
    """It is not what its content type says."""


@dataclass(frozen=True, slots=True)
class Platform:
    """As an image's configuration spells it."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        parts = (self.os, self.architecture, self.variant)
        return one_line("/".join(filter(None, parts)), 40)

    def runs(self, wanted: str) -> bool:
        """Whether a node of `wanted`, such as `linux/amd64` or `linux/arm/v7`, runs what was built for this."""
        os, architecture, variant = f"{wanted}//".split("/")[:3]
        if (self.os, self.architecture) != (os, architecture):
            return False
        implied = _IMPLIED_VARIANTS.get(architecture, "")
        return not variant or variant == (self.variant or implied)


def is_digest(text: str) -> bool:
    """Whether it is a digest that a container engine can pull by."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(body: bytes, like: str = "sha256") -> str:
    """The digest of a manifest, by the algorithm of the digest `like`."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def platforms_of_index(body: bytes) -> list[Platform]:
    """Of every image in it. Raises UnreadableError."""
    entries = _read(body).get("manifests")
    if not isinstance(entries, list):
        raise UnreadableError
    found = [_platform(entry.get("platform")) for entry in entries if isinstance(entry, dict)]
    return [each for each in found if each.os not in _UNSAID and each.architecture not in _UNSAID]


def config_digest(body: bytes) -> str:
    """Where a single image's configuration is. Raises UnreadableError."""
    config = _read(body).get("config")
    digest = config.get("digest") if isinstance(config, dict) else None
    if not isinstance(digest, str) or not is_digest(digest):
        raise UnreadableError
    return digest


def platforms_of_config(body: bytes) -> list[Platform]:
    """What a single image was built for: one platform, or none if it does not say. Raises UnreadableError."""
    found = _platform(_read(body))
    return [found] if found.os and found.architecture else []


def in_words(platforms: Iterable[Platform]) -> str:
    """Each once, and not too many."""
    found = sorted({str(each) for each in platforms})
    more = f" and {len(found) - PLATFORMS_SHOWN} more" if len(found) > PLATFORMS_SHOWN else ""
    return (", ".join(found[:PLATFORMS_SHOWN]) or "no platform at all") + more


def _platform(said: object) -> Platform:
    if not isinstance(said, dict):
        return Platform("", "")
    os, architecture, variant = (said.get(name) for name in ("os", "architecture", "variant"))
    texts = [each if isinstance(each, str) else "" for each in (os, architecture, variant)]
    return Platform(*texts)


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError from None
    if not isinstance(found, dict):
        raise UnreadableError
    return found
