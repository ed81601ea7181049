"""Reduces raw Kubernetes objects to what decides. Pure, and total: whatever an object holds, it becomes something.

What Argo CD's fields mean, and which of them prove anything, was measured: docs/architecture.md has the table. Texts in
an object come partly from a pull request's chart, so they are cleaned and cut here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from sys import intern

from previews.adapters.one_line import one_line
from previews.adapters.raw_object import Raw, mapping, mappings, moment, text, texts
from previews.domain import labels
from previews.domain.hosts import NUMBER_DIGITS_MAX
from previews.domain.inventory import Kind, OwnedObject, shard_of_keep
from previews.domain.preview import Application, Namespace, PreviewKey

MESSAGE_LENGTH_MAX = 300
PROBLEMS_MAX = 5
IMAGES_MAX = 100
"""More than a preview has; a chart with thousands of pods shall not fill the manager's memory."""


_UNDER_WAY = frozenset({"Running", "Terminating"})
_OF_THE_COMPARISON = frozenset({"ComparisonError", "SyncError"})
"""Conditions that every comparison sets anew: before the next one they are about the sources of the last."""
_OPAQUE_FIELD = "valuesObject"
"""Helm values: Argo CD keeps them as they are, so nothing in them is a default."""


def application_of(raw: Raw, instance: str) -> Application:
    """An Argo CD Application, as this instance sees it."""
    metadata, status = mapping(raw, "metadata"), mapping(raw, "status")
    sync = mapping(status, "sync")
    operation = _operation_on_spec(raw)
    return Application(
        name=text(metadata, "name"),
        uid=text(metadata, "uid"),
        owner=_owner(metadata, instance),
        digest=text(mapping(metadata, "annotations"), labels.DIGEST),
        deleting="deletionTimestamp" in metadata,
        proven_for_spec=operation.is_about_spec and _is_compared(raw),
        sync=intern(text(sync, "status") or "Unknown"),
        health=intern(text(mapping(status, "health"), "status") or "Unknown"),
        operation_phase=intern(operation.phase),
        operation_message=_cleaned(operation.message),
        images=frozenset(texts(mapping(status, "summary"), "images")[:IMAGES_MAX]),
        revisions=_revisions(raw),
        problems=tuple(_cleaned(problem) for problem in _application_problems(raw))[:PROBLEMS_MAX],
    )


def namespace_of(raw: Raw, instance: str) -> Namespace:
    """A Namespace, as this instance sees it."""
    metadata = mapping(raw, "metadata")
    deleting = "deletionTimestamp" in metadata
    problems = [
        _cleaned(f"{text(condition, 'type')}: {text(condition, 'message')}")
        for condition in mappings(mapping(raw, "status"), "conditions")
        if text(condition, "status") == "True"
    ]
    return Namespace(
        name=text(metadata, "name"),
        uid=text(metadata, "uid"),
        owner=_owner(metadata, instance),
        deleting=deleting,
        problems=tuple(problems[:PROBLEMS_MAX]) if deleting else (),
    )


def owned_object_of(raw: Raw, kind: Kind, instance: str) -> OwnedObject | None:
    """What the inventory keeps of an object; None of one that is not this instance's."""
    metadata = mapping(raw, "metadata")
    marks = mapping(metadata, "labels")
    if text(marks, labels.INSTANCE) != instance:
        return None
    name = text(metadata, "name")
    shard = text(marks, labels.SHARD)
    if kind is Kind.CONFIG_MAP:
        shard = shard_of_keep(instance, name)
    return OwnedObject(
        kind=kind,
        name=name,
        uid=text(metadata, "uid"),
        owner=_owner(metadata, instance),
        shard=shard,
        created_at=moment(metadata, "creationTimestamp"),
        deleting="deletionTimestamp" in metadata,
    )


def _cleaned(text: str) -> str:
    return one_line(text, MESSAGE_LENGTH_MAX)


def _owner(metadata: Raw, instance: str) -> PreviewKey | None:
    """Decided by all three labels; an object of another manager is nobody's to us."""
    found = mapping(metadata, "labels")
    project, number = text(found, labels.PROJECT), text(found, labels.NUMBER)
    if text(found, labels.INSTANCE) != instance or not project:
        return None
    if not (number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS_MAX):
        return None
    return PreviewKey(intern(project), int(number))


@dataclass(frozen=True, slots=True)
class _Operation:
    phase: str
    message: str
    is_about_spec: bool


def _operation_on_spec(raw: Raw) -> _Operation:
    """How far Argo CD is with the sources that the spec has now.

    How an operation on older sources ended says nothing about these; one that is still under way is told in any case,
    since it stands in the way of a removal. Argo CD begins none when it finds nothing to do.
    """
    status = mapping(raw, "status")
    state = mapping(status, "operationState")
    phase, message = text(state, "phase"), text(state, "message")
    # A result is missing while an operation is tried again, and when it failed before it began.
    subject = mapping(state, "syncResult") or mapping(mapping(state, "operation"), "sync")
    is_about_spec = _is_about_spec(raw, subject)
    if is_about_spec or phase in _UNDER_WAY:
        return _Operation(phase, message, is_about_spec)
    is_synced = text(mapping(status, "sync"), "status") == "Synced"
    if is_synced and _is_compared(raw) and not raw.get("operation"):
        return _Operation("Succeeded", "", is_about_spec=True)
    return _Operation("", "", is_about_spec=False)


def _is_compared(raw: Raw) -> bool:
    """Whether the last comparison with the cluster is about the sources that the spec has now."""
    return _is_about_spec(raw, mapping(mapping(mapping(raw, "status"), "sync"), "comparedTo"))


def _is_about_spec(raw: Raw, subject: Raw) -> bool:
    """Whether a comparison or a sync is about exactly the sources that the spec has now.

    Argo CD stores them through its own types, which leave out every empty field; with several sources it fills
    `source` as well, with something that says nothing.
    """
    spec = mapping(raw, "spec")
    field = "sources" if spec.get("sources") else "source"
    wanted = _canonical(spec.get(field))
    return wanted != _canonical(None) and wanted == _canonical(subject.get(field))


def _canonical(source: object) -> str:
    # As text, since Python holds 1, 1.0 and True for the same and Helm does not.
    return json.dumps(_without_empty_fields(source), sort_keys=True)


def _without_empty_fields(value: object) -> object:
    if isinstance(value, Mapping):
        fields = {
            name: field if name == _OPAQUE_FIELD else _without_empty_fields(field)
            for name, field in value.items()
        }
        # `valuesObject: {}` is a pointer that is set, and Argo CD writes it back.
        return {name: field for name, field in fields.items() if field or name == _OPAQUE_FIELD}
    if isinstance(value, list):
        return [_without_empty_fields(item) for item in value]
    return value


_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def _revisions(raw: Raw) -> frozenset[str]:
    """The commits that Argo CD works from: the last comparison's, and those of an operation that is not over.

    An operation that was asked for stands in `operation` until it ends; one that is retried keeps the revision it began
    with, however old. A comparison that failed leaves the name of the branch where its commit would be: then the last
    sync's counts.
    """
    status = mapping(raw, "status")
    operation = mapping(status, "operationState")
    compared = _commits(mapping(status, "sync"))
    sources = [mapping(mapping(raw, "operation"), "sync")]
    if text(operation, "phase") in _UNDER_WAY:
        sources.append(mapping(mapping(operation, "operation"), "sync"))
    if text(operation, "phase") in _UNDER_WAY or not compared:
        sources.append(mapping(operation, "syncResult"))
    return frozenset(compared.union(*(_commits(source) for source in sources)))


def _commits(source: Raw) -> set[str]:
    found = (text(source, "revision"), *texts(source, "revisions"))
    return {intern(revision) for revision in found if _COMMIT.fullmatch(revision)}


def _application_problems(raw: Raw) -> Iterator[str]:
    """What was refused or failed, and the error conditions; of this very spec: what is about older ones is no news."""
    status = mapping(raw, "status")
    is_compared = _is_compared(raw)
    result = mapping(mapping(status, "operationState"), "syncResult")
    if _is_about_spec(raw, result):
        for resource in mappings(result, "resources"):
            # The second is what became of something that a sync waited for, such as a Job of migrations.
            if text(resource, "status") == "SyncFailed" or text(resource, "hookPhase") == "Failed":
                kind, name = text(resource, "kind"), text(resource, "name")
                yield f"{kind} {name}: {_refusal(text(resource, 'message'))}"
    for condition in mappings(status, "conditions"):
        kind = text(condition, "type")
        if kind.endswith("Error") and (is_compared or kind not in _OF_THE_COMPARISON):
            yield f"{kind}: {text(condition, 'message')}"


_APPLIED_FILE = re.compile(r'^error when .*"/[^"\n]*/[0-9]+": ', re.DOTALL)
_DENIED = re.compile(
    r"ValidatingAdmissionPolicy '([^']*)' with binding '[^']*' denied request: (.*)"
)


def _refusal(message: str) -> str:
    """What Kubernetes says of an object that it does not take, with the reason first.

    Argo CD puts in front of it the name of its own file, another one each time, and of an object that was there already
    the whole change as well. An admission policy's name comes before its sentence, which the commit status has little
    room for.
    """
    said = _APPLIED_FILE.sub("", message)
    denied = _DENIED.search(said)
    return f"{denied[2]} (ValidatingAdmissionPolicy {denied[1]})" if denied else said
