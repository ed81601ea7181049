"""From the public URL's first answer to the word of it on the pull request: at Gitea, and at the stand-in GitHub.

Two pairs of eyes look at once, twenty times a second each. What was said before the URL was seen to answer
took no time.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from previews.domain.feedback import CheckState
from previews.domain.preview import HeadSha
from previews.domain.status_line import status_context
from tests.bench.figures import Part
from tests.bench.rig import PROJECT, Rig, RigOptions
from tests.bench.sampling import eventually, open_all, prepare
from tests.bench.visit import shows
from tests.cluster import RunningCluster
from tests.github.standin import StandInGitHub
from tests.world.stand_in import be_app

Say = Callable[[str], None]

OPTIONS = RigOptions(name="bench-told")
CONTEXT = status_context(PROJECT)


def measure_told(cluster: RunningCluster, part: Part, say: Say, samples: int) -> None:
    """Nothing is limited: one pull request after another, at a server of one's own."""
    say(f"{samples} times at Gitea: open")
    with Rig(cluster, OPTIONS) as rig:
        prepared = prepare(rig, 1, samples)
        rig.manager.start()
        rig.connect_webhook()
        for each in prepared:
            [opened] = open_all(rig, [each])
            seconds = _seconds_to_be_told(rig, opened.number, opened.head_sha, _status_is_there)
            part.add_all("answers_to_status", [seconds])
    say(f"{samples} times at the stand-in GitHub: open")
    with StandInGitHub(prefix="/api/v3") as github, Rig(cluster, OPTIONS) as rig:
        github.limits.is_enterprise = True
        github.add_repository(rig.repository)
        be_app(rig.manager, github)
        rig.manager.start()
        github.hook(rig.relay.url, rig.secret)

        def check_is_there(rig: Rig, head_sha: HeadSha) -> bool:
            found = github.check_runs(rig.repository, head_sha)
            return any(
                (it.check.name, it.check.state) == (CONTEXT, CheckState.SUCCESS) for it in found
            )

        for index in range(samples):
            number = github.open_pull_request(rig.repository, f"change-{index}")
            head_sha = github.pull_request(rig.repository, number).head_sha
            seconds = _seconds_to_be_told(rig, number, head_sha, check_is_there)
            part.add_all("answers_to_check", [seconds])


def _seconds_to_be_told(
    rig: Rig, number: int, head_sha: HeadSha, is_told: Callable[[Rig, HeadSha], bool]
) -> float:
    host, port = rig.names(number).host, rig.cluster.ingress_port
    with ThreadPoolExecutor(2) as eyes:
        answered = eyes.submit(
            _moment, f"{host} shows {head_sha}", lambda: shows(host, port, head_sha)
        )
        told = eyes.submit(_moment, f"success of {head_sha}", lambda: is_told(rig, head_sha))
        return max(told.result() - answered.result(), 0.0)


def _moment(what: str, is_so: Callable[[], bool]) -> float:
    return eventually(what, lambda: is_so() and time.monotonic())


def _status_is_there(rig: Rig, head_sha: HeadSha) -> bool:
    found = rig.gitea.statuses(rig.repository, head_sha)
    ours = [status for status in found if status["context"] == CONTEXT]
    return bool(ours) and ours[0]["status"] == "success"
