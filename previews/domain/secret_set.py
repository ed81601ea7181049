"""A project's own secrets, which its previews get beside that of the database. Pure.

What is in them is never remembered: each has an id instead, another one whenever its content is another, and previews
are compared by these alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from previews.domain.database import SecretKind, SecretType
from previews.domain.preview import Parcel

IMAGE_PULL = "image-pull"
"""The Secret with which a preview's images are pulled. No other set may have this name."""
DOCKER_CONFIG_ENTRY = ".dockerconfigjson"
ID_LENGTH = 16
_BEGINNING = "---\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSet:
    """One Secret of every preview of a project, and where its content comes from: files of the manager, or a store."""

    name: str
    """Of the Secret in the preview's namespace."""
    kind: SecretKind
    type: SecretType = SecretType.OPAQUE
    files: Mapping[str, Path] = field(default_factory=dict)
    """By entry of the Secret. They are read for each use."""
    remote: str = ""
    """Where it lies in the store of external-secrets. Then nothing of it passes through the manager."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a set now."""

    id: str
    data: Mapping[str, str] = field(repr=False)
    """By entry of the Secret; empty for what lies in a store."""


def remote_id(remote: str) -> str:
    """The id of what lies in a store: of its place there, since nobody here sees more of it."""
    return sha256(remote.encode()).hexdigest()[:ID_LENGTH]


def wait_entry(id_: str) -> str:
    """An entry of the Secret that a pod can require, so that it waits for this very content."""
    return f"credential-{id_}"


def as_part(manifest: str) -> str:
    """The manifest of one secret, as it stands in a file with others."""
    return _BEGINNING + manifest


def manifest_of(part: str) -> str:
    """The reverse of `as_part`."""
    return part.removeprefix(_BEGINNING)


def parts_of(text: str) -> list[str]:
    """What `as_part` made, out of a file with all of them, to the byte."""
    found = f"\n{text}".split(f"\n{_BEGINNING}")
    return [as_part(each if each.endswith("\n") else f"{each}\n") for each in found if each.strip()]


def parameters_of(parcels: Sequence[Parcel]) -> dict[str, str]:
    """What the chart is told: the name of each Secret, and the id of what is in it, since pods restart for another.

    Of the one that images are pulled with only the name: nodes read it anew for each pull.
    """
    parameters = {}
    sets = [parcel for parcel in parcels if parcel.name != IMAGE_PULL]
    for index, parcel in enumerate(sets):
        parameters[f"secrets.sets[{index}].name"] = parcel.name
        parameters[f"secrets.sets[{index}].id"] = parcel.id
    if len(sets) < len(parcels):
        parameters["imagePullSecrets[0].name"] = IMAGE_PULL
    return parameters


def ids_of(parcels: Sequence[Parcel]) -> Mapping[str, str]:
    """Which content each of them brings, by name."""
    return {parcel.name: parcel.id for parcel in parcels}
