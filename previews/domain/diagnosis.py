"""Why a workload does not come up: the first cause, from what Kubernetes says of its pods. Pure.

Read `diagnose` for the order. What only somebody can mend comes before what may pass by itself; of two alike the one
that comes first in a pod's life. Sentences name what people know, the Deployment and its container, and no pod: the
same fault always reads the same, and writes nothing anew.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from previews.domain.image_pull import (
    AT_ONCE,
    WAITING,
    registrys_words,
    why_not_pulled,
    with_short_digests,
)
from previews.domain.workload import (
    LOOP_RESTARTS,
    Container,
    Notice,
    Pod,
    Workload,
    crashed,
    is_out_of_memory,
    never_began,
    newest,
)

MESSAGE_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a workload does not come up."""

    reason: str
    """From the closed list of reasons."""
    message: str
    """One sentence, with Kubernetes' own words where they help."""
    is_final: bool
    """Whether it stays so until somebody changes something: the commit status says failure at once."""


def diagnose(
    workload: Workload, *, since: datetime | None = None, is_under_way: bool = False
) -> Cause | None:
    """The first cause that there is; None if nothing is known to be wrong.

    `since` is when it was decided what to deploy: a warning that is older is about something else. While Argo CD is at
    work on that (`is_under_way`), so is a pod.
    """
    if since is not None:
        workload = _younger(workload, since.replace(microsecond=0), with_pods=is_under_way)
    found = [*_of_pods(workload), *_of_pods_that_were_not_made(workload)]
    cause = next((each for each in found if each.is_final), found[0] if found else None)
    return None if cause is None else replace(cause, message=_cut(cause.message))


def _younger(workload: Workload, since: datetime, *, with_pods: bool) -> Workload:
    return replace(
        workload,
        notices=tuple(n for n in workload.notices if n.at is None or n.at >= since),
        pods=tuple(
            replace(pod, containers=tuple(_without_past(each, since) for each in pod.containers))
            for pod in workload.pods
            if not with_pods or pod.created is None or pod.created >= since
        ),
    )


def _without_past(container: Container, since: datetime) -> Container:
    """One that is well is not told what befell it before."""
    ending = container.ended_before
    is_past = ending is not None and ending.at is not None and ending.at < since
    return replace(container, ended_before=None) if is_past and container.ready else container


def _of_pods(workload: Workload) -> Iterator[Cause]:
    pods = [pod for pod in newest(workload.pods) if pod.phase != "Succeeded"]
    notices: dict[str, list[Notice]] = {}
    for notice in workload.notices:
        if notice.kind == "Pod":
            notices.setdefault(notice.name, []).append(notice)
    sights = [
        _Sight(pod, each, tuple(notices.get(pod.name, ())))
        for pod in pods
        for each in pod.containers
    ]
    for look in (_image, _configuration, _memory, _start, _killed_by_probe):
        yield from (cause for sight in sights if (cause := look(sight)) is not None)
    yield from _crash(workload, pods, notices)
    for pod in pods:
        if not pod.ready and not pod.is_over:
            yield from _preparation(pod, notices.get(pod.name, []))
    for pod in pods:
        yield from _node(pod)
    yield from (cause for sight in sights if (cause := _probe(sight)) is not None)


@dataclass(frozen=True, slots=True)
class _Sight:
    """One container, and what Kubernetes warned of about its pod."""

    pod: Pod
    container: Container
    notices: tuple[Notice, ...]

    @property
    def who(self) -> str:
        return _who(self.pod, self.container)

    def last(self, reason: str) -> Notice | None:
        """The last warning of this kind."""
        return _last(n for n in self.notices if n.reason == reason)


_BACKED_OFF = "Error: ImagePullBackOff"


def _image(sight: _Sight) -> Cause | None:
    container = sight.container
    if container.waiting not in WAITING:
        return None
    words = container.waiting_message
    if "desc = " not in words:
        # Kubernetes before 1.31 says only that it waits; why is in the event.
        failed = _last(n for n in sight.notices if n.message.startswith("Failed to pull image"))
        words = failed.message if failed is not None else words
    said = registrys_words(words, container.image)
    verdict = why_not_pulled(container.waiting, said)
    # Between two attempts it waits, and during one it does not: what it has waited for once is no first attempt.
    backed_off = container.waiting == "ImagePullBackOff" or any(
        n.message == _BACKED_OFF for n in sight.notices
    )
    return Cause(
        reason="ImagePullFailed",
        message=_joined(f"{sight.who}: {_shortened(container.image)} {verdict.sentence}", said),
        is_final=verdict.stays and (backed_off or container.waiting in AT_ONCE),
    )


_MISSING = re.compile(
    r"""((secret|configmap)s? "[^"]*" not found|couldn't find key .* in (Secret|ConfigMap) \S+)""",
    re.IGNORECASE,
)
_AS_ROOT = re.compile(r"runAsNonRoot|non-root|non-numeric user", re.IGNORECASE)
_TRIES_MAX = 4
"""A secret may come after the pod that wants it: what was looked for so often in vain will not come by itself."""


def _configuration(sight: _Sight) -> Cause | None:
    words = sight.container.waiting_message
    if sight.container.waiting != "CreateContainerConfigError":
        return None
    found = _MISSING.search(words)
    if found is None:
        return None
    tries = _last(n for n in sight.notices if n.reason == "Failed" and words in n.message)
    return Cause(
        reason="ConfigMissing",
        message=f"{sight.who} waits for what is not there: {found[0]}",
        is_final=tries is not None and tries.count >= _TRIES_MAX,
    )


def _memory(sight: _Sight) -> Cause | None:
    if not is_out_of_memory(sight.container):
        return None
    return Cause(
        reason="OutOfMemory",
        message=f"{sight.who} was killed: it used more memory than its limit allows",
        is_final=True,
    )


_CANNOT_START = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)


def _start(sight: _Sight) -> Cause | None:
    container = sight.container
    ending = never_began(container)
    if container.waiting not in _CANNOT_START and (ending is None or container.ready):
        return None
    words = container.waiting_message
    if container.waiting not in _CANNOT_START and ending is not None:
        words = ending.message
    if container.waiting == "CreateContainerConfigError" and _MISSING.search(words):
        return None
    for_ever = bool(_AS_ROOT.search(words))
    return Cause(
        reason="ContainerCannotStart",
        message=_joined(f"{sight.who} cannot be started", _innermost(words)),
        is_final=for_ever or container.restarts >= LOOP_RESTARTS,
    )


_SIGNALLED = frozenset({0, 137, 143})
"""How a program ends that is told to, or killed."""


def _killed_by_probe(sight: _Sight) -> Cause | None:
    """Kubernetes ends a container whose startup or liveness probe fails: then its exit says nothing."""
    container, ending = sight.container, sight.container.last_ending
    if container.ready or ending is None or not container.restarts:
        return None
    failed = _last(
        n
        for n in sight.notices
        if n.reason == "Unhealthy" and n.message.startswith(("Startup", "Liveness"))
    )
    if failed is None or ending.exit_code not in _SIGNALLED:
        return None
    return Cause(
        reason="ProbeFailing",
        message=f"{sight.who} is started again and again: {_lowered(failed.message)}",
        is_final=container.restarts >= LOOP_RESTARTS,
    )


def _crash(
    workload: Workload, pods: list[Pod], notices: dict[str, list[Notice]]
) -> Iterator[Cause]:
    crash = crashed(pods)
    if crash is None or _killed_by_probe(
        _Sight(crash.pod, crash.container, tuple(notices.get(crash.pod.name, ())))
    ):
        return
    how = "ends again and again" if crash.is_loop else "ended"
    sentence = f"{_who(crash.pod, crash.container)} {how}, with exit code {crash.ending.exit_code}"
    yield Cause(
        reason="Crashing",
        message=_with_end(sentence, " / ".join(workload.last_words.splitlines())),
        is_final=crash.is_loop,
    )


_NO_SANDBOX = "FailedCreatePodSandBox"
_NOT_PREPARED = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume", _NO_SANDBOX})


def _preparation(pod: Pod, notices: list[Notice]) -> Iterator[Cause]:
    """What a pod needs before its first container."""
    failed = _last(n for n in notices if n.reason in _NOT_PREPARED)
    if failed is None or any(c.runs or c.last_ending for c in pod.containers):
        return
    if found := _MISSING.search(failed.message):
        yield Cause(
            reason="ConfigMissing",
            message=f"{pod.of} waits for what is not there: {found[0]}",
            is_final=failed.count >= _TRIES_MAX,
        )
        return
    words = failed.message
    if failed.reason == _NO_SANDBOX:
        yield Cause(
            reason="ContainerCannotStart",
            message=_joined(f"{pod.of} cannot be started", _innermost(words)),
            is_final=False,
        )
        return
    yield Cause(
        reason="VolumeMissing",
        message=_joined(f"{pod.of} waits for a volume", words),
        is_final=False,
    )


def _node(pod: Pod) -> Iterator[Cause]:
    """No node took it, or the one that had it sent it away."""
    if pod.unschedulable and not pod.node and not pod.is_over:
        yield Cause(
            reason="Unschedulable",
            message=_joined(f"no node can take {pod.of}", pod.unschedulable),
            is_final=False,
        )
    elif pod.phase == "Failed" and pod.failure and pod.owner_kind != "Job":
        yield Cause(
            reason="PodEvicted",
            message=_joined(
                f"the node gave {pod.of} up ({pod.failure})",
                pod.failure_message,
            ),
            is_final=False,
        )


_FAILURES_MIN = 3
"""One that starts fails its probe a few times as a matter of course."""


def _probe(sight: _Sight) -> Cause | None:
    container = sight.container
    failed = sight.last("Unhealthy")
    if not container.runs or container.ready or failed is None or failed.count < _FAILURES_MIN:
        return None
    return Cause(
        reason="ProbeFailing",
        message=f"{sight.who} runs and is not ready: {_lowered(failed.message)}",
        is_final=False,
    )


_OVER_QUOTA = re.compile(r"exceeded quota: ?(.*)", re.IGNORECASE)
_REFUSED = re.compile(r"is forbidden: ?(.*)|denied the request: ?(.*)", re.IGNORECASE)
_PASSES = re.compile(
    r"being terminated|serviceaccount .*not found|not yet ready to handle|status unknown for quota",
    re.IGNORECASE,
)
_POD_NAME = re.compile(r'pods? "[^"]*" ?', re.IGNORECASE)


def _of_pods_that_were_not_made(workload: Workload) -> Iterator[Cause]:
    failed = [n for n in workload.notices if n.reason == "FailedCreate"]
    for notice in sorted(failed, key=_when, reverse=True):
        of = Pod(name="", owner_kind=notice.kind, owner=notice.name).of
        if _was_made_since(workload, notice, of):
            continue
        if found := _OVER_QUOTA.search(notice.message):
            yield Cause(
                reason="QuotaExceeded",
                message=f"{of} needs more than the preview may have: quota {found[1]}",
                # What ends still counts, and makes room when it is gone.
                is_final=not any(pod.deleting for pod in workload.pods),
            )
            continue
        found = _REFUSED.search(notice.message)
        words = next(filter(None, found.groups()), "") if found else notice.message
        yield Cause(
            reason="PodRefused",
            message=_joined(f"Kubernetes makes no pod of {of}", _POD_NAME.sub("", words)),
            is_final=found is not None and not _PASSES.search(notice.message),
        )


def _was_made_since(workload: Workload, notice: Notice, of: str) -> bool:
    """Whether a pod of the same workload came after this warning, so that it is over."""
    return notice.at is not None and any(
        pod.created is not None and pod.created > notice.at
        for pod in workload.pods
        if pod.of == of and pod.owner_kind == notice.kind
    )


def _last(notices: Iterator[Notice]) -> Notice | None:
    return max(notices, key=_when, default=None)


def _when(notice: Notice) -> tuple[float, str]:
    return (notice.at.timestamp() if notice.at else 0.0, notice.message)


def _who(pod: Pod, container: Container) -> str:
    """As people call it, and shortly: a workload may be named after a pull request's longest word."""
    of, name = _shortened(pod.of, 40), _shortened(container.name, 40)
    return of if of == name else f"{name} of {of}"


def _joined(sentence: str, words: str) -> str:
    return f"{sentence}: {words}" if words else sentence


def _with_end(sentence: str, words: str) -> str:
    """The last of the words, if they are too many: what a program says in the end says the most."""
    room = MESSAGE_LENGTH_MAX - len(sentence) - 2
    return _joined(sentence, words if len(words) <= room else f"…{words[1 - room :]}")


_ON_THE_WAY = re.compile(r"^.*(desc = |container process: |container init: |shim task: )")


def _innermost(words: str) -> str:
    """The end of a chain of errors, which is where it began."""
    return _ON_THE_WAY.sub("", words)


def _lowered(words: str) -> str:
    return words[:1].lower() + words[1:]


def _shortened(text: str, length: int = 120) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _cut(text: str) -> str:
    return _shortened(with_short_digests(text), MESSAGE_LENGTH_MAX)
