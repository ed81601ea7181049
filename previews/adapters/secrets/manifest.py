"""What stands in Git in place of a secret: written one value to a line, and read back before anybody relies on it."""

from collections.abc import Iterator, Mapping

from previews.adapters.kubernetes_answers import Raw
from previews.adapters.manifest_yaml import as_yaml, object_in
from previews.domain import labels

OPEN_TO_SEALED = {"sealedsecrets.bitnami.com/managed": "true"}
"""Annotation of every Secret that is not sealed: by it the sealed-secrets controller takes one over, should the project
choose that way later. It overwrites no other, and the manager may not delete any."""


def write(document: Mapping[str, object]) -> str:
    """As YAML in blocks, so that a change in Git shows what changed."""
    return "\n".join(_lines(document, "")) + "\n"


def read(text: str, kind: str, *, namespace: str, name: str) -> Raw | None:
    """The one object of `kind`, if that is what the text is: of this name, and for this namespace."""
    found = object_in(text, kind)
    if found is None:
        return None
    metadata = mapping(found, "metadata")
    is_meant = metadata.get("namespace") == namespace and metadata.get("name") == name
    return found if is_meant else None


def annotation(found: Raw, name: str) -> str:
    """Empty if there is none."""
    value = mapping(found, "metadata", "annotations").get(name)
    return value if isinstance(value, str) else ""


def credential(found: Raw) -> str:
    """The id of what is in it; empty if it does not say."""
    return annotation(found, labels.CREDENTIAL)


def mapping(found: object, *path: str) -> Raw:
    """What lies there; nothing, if it is no mapping."""
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _lines(document: Mapping[str, object], indent: str) -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{as_yaml(key)}:"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, list) and value:
            yield f"{indent}{as_yaml(key)}:"
            yield from (f"{indent}- {as_yaml(item)}" for item in value)
        else:
            yield f"{indent}{as_yaml(key)}: {as_yaml(value)}"
