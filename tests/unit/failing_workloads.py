"""A workload from pods and events as an API server lists them, and why it does not come up."""

from collections.abc import Sequence

from previews.adapters.workload_status import notices_of, pods_of
from previews.domain.diagnosis import Cause, diagnose
from previews.domain.workload import Workload
from tests.fakes.raw_pods import IMAGE, container, pod, running, terminated

RUNNING = container(running(), ready=True)
HEALTHY = pod(RUNNING, phase="Running")
OOM = terminated(137, "OOMKilled")


def workload(pods: Sequence[object], events: Sequence[object] = (), said: str = "") -> Workload:
    return Workload(pods=pods_of(pods), notices=notices_of(events), last_words=said)


def cause_of(pods: Sequence[object], events: Sequence[object] = (), said: str = "") -> Cause:
    found = diagnose(workload(pods, events, said))
    assert found is not None
    return found


def pull_error(words: str) -> str:
    return (
        f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = Unknown desc = failed to '
        f'pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {words}'
    )
