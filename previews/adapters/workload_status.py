"""Reduces raw pods and events to what tells why a workload does not come up. Pure, and total: whatever they hold.

The texts come from programs, registries and charts of strangers: each is cut before anything looks at it, and made one
line. What a program wrote is shown without passwords (job_log).
"""

from collections.abc import Iterable, Mapping

from previews.adapters.one_line import one_line
from previews.adapters.raw_object import Raw, mapping, mappings, moment, text
from previews.domain.workload import Container, Ending, Notice, Pod

PODS_MAX = 300
NOTICES_MAX = 1000
CONTAINERS_MAX = 20
LINES = 3
"""Of what a container wrote that crashed: the last ones say why."""
MESSAGE_LENGTH_MAX = 2000
"""A refusal of a registry names the image three times before it comes to the point."""
NAME_LENGTH_MAX = 300
COUNT_MAX = 2**31 - 1


def pods_of(items: Iterable[object]) -> tuple[Pod, ...]:
    """The pods among `items`, as many as a preview can have."""
    found = [_pod(item) for item in items if isinstance(item, Mapping)]
    return tuple(found[:PODS_MAX])


def notices_of(items: Iterable[object]) -> tuple[Notice, ...]:
    """The warnings among events."""
    found = [_notice(item) for item in items if isinstance(item, Mapping)]
    return tuple(found[:NOTICES_MAX])


def _pod(raw: Raw) -> Pod:
    metadata, spec, status = (mapping(raw, name) for name in ("metadata", "spec", "status"))
    owner = next((o for o in mappings(metadata, "ownerReferences") if o.get("controller")), {})
    conditions = {text(c, "type"): c for c in mappings(status, "conditions")}
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    is_refused = text(scheduled, "status") == "False"
    return Pod(
        name=_name(metadata, "name"),
        created=moment(metadata, "creationTimestamp"),
        owner_kind=_name(owner, "kind"),
        owner=_name(owner, "name"),
        revision=_name(mapping(metadata, "labels"), "controller-revision-hash"),
        node=_name(spec, "nodeName"),
        phase=_name(status, "phase"),
        deleting="deletionTimestamp" in metadata,
        ready=text(ready, "status") == "True",
        unschedulable=_said(scheduled, "message") if is_refused else "",
        failure=_name(status, "reason"),
        failure_message=_said(status, "message"),
        containers=_containers(spec, status),
    )


def _containers(spec: Raw, status: Raw) -> tuple[Container, ...]:
    found: list[Container] = []
    for wanted, reported in (
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
    ):
        images = {_name(each, "name"): _name(each, "image") for each in mappings(spec, wanted)}
        for each in mappings(status, reported)[:CONTAINERS_MAX]:
            name = _name(each, "name")
            # As the chart spells it: a status may name the image otherwise.
            found.append(_container(each, images.get(name) or _name(each, "image")))
    return tuple(found)


def _container(raw: Raw, image: str) -> Container:
    state, before = mapping(raw, "state"), mapping(raw, "lastState")
    waiting = mapping(state, "waiting")
    return Container(
        name=_name(raw, "name"),
        image=image,
        ready=raw.get("ready") is True,
        runs="running" in state,
        restarts=_count(raw, "restartCount"),
        waiting=_name(waiting, "reason"),
        waiting_message=_said(waiting, "message"),
        ended=_ending(state),
        ended_before=_ending(before),
    )


def _ending(state: Raw) -> Ending | None:
    ended = state.get("terminated")
    if not isinstance(ended, Mapping):
        return None
    return Ending(
        reason=_name(ended, "reason"),
        exit_code=_count(ended, "exitCode"),
        message=_said(ended, "message"),
        at=moment(ended, "finishedAt"),
    )


def _notice(raw: Raw) -> Notice:
    about, series = mapping(raw, "involvedObject"), mapping(raw, "series")
    times = (
        moment(series, "lastObservedTime"),
        moment(raw, "lastTimestamp"),
        moment(raw, "eventTime"),
        moment(mapping(raw, "metadata"), "creationTimestamp"),
    )
    return Notice(
        kind=_name(about, "kind"),
        name=_name(about, "name"),
        reason=_name(raw, "reason"),
        message=_said(raw, "message"),
        count=max(1, _count(raw, "count"), _count(series, "count")),
        at=next((at for at in times if at is not None), None),
    )


def _said(of: Raw, field: str) -> str:
    # Cut first: to look at every character of a megabyte takes a while.
    return one_line(text(of, field)[: 2 * MESSAGE_LENGTH_MAX], MESSAGE_LENGTH_MAX)


def _name(of: Raw, field: str) -> str:
    return one_line(text(of, field)[: 2 * NAME_LENGTH_MAX], NAME_LENGTH_MAX)


def _count(of: Raw, field: str) -> int:
    found = of.get(field)
    return min(found, COUNT_MAX) if type(found) is int and found > 0 else 0
