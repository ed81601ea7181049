"""Values into YAML, and YAML back into the objects that it must be. Nothing that a value says can end its scalar."""

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import yaml

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as Kubernetes can hold it: it has no place for NUL, nor for half a character."""
    return _UNSTORABLE.sub("\ufffd", text)


def as_yaml(value: object) -> str:
    """The value in one line of flow style, every text of it in double quotes. Raises ValueError for what is no data."""
    document = yaml.dump(
        [_plain(value)],
        Dumper=_Dumper,
        default_flow_style=True,
        allow_unicode=False,
        sort_keys=False,
        width=_NEVER_FOLD,
    )
    return document.strip()[1:-1]


def object_in(text: str, kind: str) -> Mapping[str, object] | None:
    """The one object of this kind; None if the text does not read as one."""
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError:
        return None
    found = [each for each in documents if isinstance(each, Mapping) and each.get("kind") == kind]
    return found[0] if len(found) == 1 else None


def annotations_in(text: str, kind: str) -> Mapping[str, str]:
    """The annotations of the one object of this kind; none if the text does not read as one."""
    metadata = (object_in(text, kind) or {}).get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    given = annotations.items() if isinstance(annotations, Mapping) else ()
    return {str(name): value for name, value in given if isinstance(value, str)}


@dataclass(frozen=True, slots=True)
class Expected:
    """One object that a template must yield, and what must stand in it, by dotted path.

    A mapping may hold more than what is expected of it; None means that the field is absent.
    """

    api_version: str
    kind: str
    name: str
    namespace: str | None
    fields: Mapping[str, object]


def check(text: str, expected: Sequence[Expected]) -> None:
    """Raises ValueError unless the text is YAML of exactly the expected objects."""
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error
    found: dict[tuple[object, ...], object] = {}
    for document in documents:
        identity = _identity(document)
        if identity in found:
            raise ValueError(f"{_spelled(identity)} is there twice")
        found[identity] = document
    for one in expected:
        identity = (one.api_version, one.kind, one.namespace, one.name)
        document = found.pop(identity, None)
        if document is None:
            raise ValueError(f"{_spelled(identity)} is missing")
        for path, wanted in one.fields.items():
            actual = _at(document, path)
            if not _says(actual, wanted):
                raise ValueError(f"{one.kind} has {actual!r} at {path}, which must be {wanted!r}")
    if found:
        raise ValueError(f"{_spelled(next(iter(found)))} is none of the expected objects")


_NEVER_FOLD = 2**31 - 1


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 the signature is PyYAML's
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", storable(text), style='"')


_Dumper.add_representer(str, _represent_text)


class _Loader(yaml.CSafeLoader):
    """Refuses what different readers of YAML read differently: a key that is there twice."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 the signature is PyYAML's
    ) -> dict[Hashable, object]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key is there twice", node.start_mark
            )
        return mapping


def _plain(value: object) -> object:
    """The value as plain data: what Kubernetes' JSON can hold."""
    match value:
        case None | bool() | int():
            return value
        case float():
            if math.isfinite(value):
                return value
        case str():
            return str(value)
        case Mapping():
            if all(isinstance(key, str) for key in value):
                return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    raise ValueError(f"{value!r} is a {type(value).__name__}, which no manifest can hold")


def _identity(document: object) -> tuple[object, ...]:
    paths = ("apiVersion", "kind", "metadata.namespace", "metadata.name")
    return tuple(_at(document, path) for path in paths)


def _spelled(identity: tuple[object, ...]) -> str:
    api_version, kind, namespace, name = identity
    return f"{kind} ({api_version}) {name!r} in namespace {namespace!r}"


def _at(document: object, path: str) -> object:
    for step in path.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document


def _says(actual: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping) and isinstance(actual, dict):
        return all(_says(actual.get(name), value) for name, value in wanted.items())
    return type(actual) is type(wanted) and bool(actual == wanted)
