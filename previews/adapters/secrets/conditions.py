"""What a controller says of the object that it makes a Secret of."""

from collections.abc import Mapping
from dataclasses import dataclass

from previews.adapters.kubernetes_answers import MESSAGE_LENGTH_MAX, Raw
from previews.adapters.one_line import one_line
from previews.adapters.secrets.manifest import mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where a kind of object says that its Secret is there."""

    kind: str
    condition: str
    observed: str
    """The field of the status that begins with the generation which the condition is about."""
    who: str


def problem_of(found: Raw | None, reading: Reading, *, namespace: str, name: str) -> str:
    """Why there is no Secret of this object's present generation yet; empty when there is."""
    what = f"{reading.kind} {namespace}/{name}"
    if found is None:
        return f"{what} is not in the cluster yet: Argo CD has to sync it"
    status = mapping(found, "status")
    conditions = status.get("conditions")
    stated = [
        each
        for each in (conditions if isinstance(conditions, list) else [])
        if isinstance(each, Mapping) and each.get("type") == reading.condition
    ]
    seen = str(status.get(reading.observed, "")).partition("-")[0]
    is_true = bool(stated) and stated[-1].get("status") == "True"
    if stated and not is_true:
        parts = (str(stated[-1].get(field) or "") for field in ("reason", "message"))
        said = ": ".join(filter(None, parts)) or f"{reading.condition} is not True"
        return f"{what}: {one_line(said, MESSAGE_LENGTH_MAX)}"
    if not stated or seen != str(mapping(found, "metadata").get("generation", "")):
        return f"{what} waits for {reading.who}, which has not looked at it as it is now"
    return ""
