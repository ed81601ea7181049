"""Who answers under the hosts of the previews' zone: an awake preview itself, and for all others the manager."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from previews.adapters.ingress_metrics import IngressMetrics
from previews.domain.preview import PreviewKey
from previews.reconcile.activity import ActivityWatch
from tests.cluster import RunningCluster
from tests.world.visitor import OK, Answer, Visitor, ask
from tests.world.waiting import wait_until
from tests.world.world import World, WorldOptions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

VISITS = 20
ROBOT = "kube-probe/1.34"


@pytest.fixture(scope="module")
def running_waiting_world(cluster: RunningCluster) -> Iterator[World]:
    options = WorldOptions(
        name="e2e-waiting",
        project="e2e-waiting-shop",
        hostname="pr-{number}.waiting.localhost",
        waiting=True,
        sleep_after="20s",
    )
    with World(cluster, options) as world:
        yield world


@pytest.fixture
def world(running_waiting_world: World) -> World:
    """Running, with its wildcard taken up by the ingress."""
    if not running_waiting_world.manager.is_running:
        running_waiting_world.manager.start()
    wait_until(
        "the ingress knows the wildcard",
        lambda: is_of_the_manager(unclaimed(running_waiting_world)),
        explain=lambda: str(unclaimed(running_waiting_world)),
    )
    return running_waiting_world


def unclaimed(world: World, path: str = "") -> Answer:
    """What is under a host that no preview ever had."""
    return ask(f"http://pr-999999.{world.options.zone}:{world.cluster.ingress_port}/{path}")


def is_waiting(answer: Answer) -> bool:
    """Whether it is the manager who asks for patience, and not an ingress that found nobody."""
    return answer.status == 503 and '"reason": ' in answer.body


def is_of_the_manager(answer: Answer) -> bool:
    return answer.status == 404 and "no preview" in answer.body


@pytest.mark.parametrize("path", ["", "livez", "webhooks", "api/v1/previews", "api/openapi.json"])
def test_a_host_that_nobody_claims_gets_the_managers_page_and_nothing_of_its_api(
    world: World, path: str
) -> None:
    answer = unclaimed(world, path)
    assert is_of_the_manager(answer), f"{answer}: {answer.body}"


def test_an_awake_previews_own_host_leads_to_its_application_and_its_visits_are_counted(
    world: World,
) -> None:
    pull_request = world.open_simple_pull_request("awake")
    pull_request.wait_until_live()
    assert {pull_request.page().status for _ in range(VISITS)} == {OK}
    assert is_of_the_manager(unclaimed(world))

    _assert_visits_are_seen(world, pull_request.names.namespace, pull_request.key, pull_request.url)

    pull_request.close()
    pull_request.wait_until_removed()
    wait_until("the manager answers for it", lambda: pull_request.page().status == 404)


def test_a_preview_falls_asleep_and_wakes_up_and_nobody_ever_sees_an_error(world: World) -> None:
    pull_request = world.open_simple_pull_request("sleepy")
    pull_request.wait_until_live()

    with Visitor(pull_request.url, user_agent=ROBOT) as passer_by:
        world.manager.act(pull_request.key.project, pull_request.number, "sleep")
        pull_request.wait_until_phase("Asleep")
        wait_until("no pod is left", lambda: pull_request.tags_of_pods() == set())
    _assert_answered(passer_by, first=OK, last=503)
    assert pull_request.phase() == "Asleep"

    with Visitor(pull_request.url) as visitor:
        pull_request.wait_until_live()
        wait_until("the visitor sees it", lambda: visitor.visits[-1].status == OK)
    _assert_answered(visitor, first=503, last=OK)

    pull_request.close()
    pull_request.wait_until_removed()


def test_a_preview_that_nobody_visits_falls_asleep_by_itself(world: World) -> None:
    pull_request = world.open_simple_pull_request("idle")
    pull_request.wait_until_live()

    # The API is asked, and not the preview: that would be a visit.
    pull_request.wait_until_phase("Asleep")
    wait_until("no pod is left", lambda: pull_request.tags_of_pods() == set())
    assert is_waiting(ask(pull_request.url, ROBOT))
    assert pull_request.phase() == "Asleep"

    pull_request.close()
    pull_request.wait_until_removed()


def _assert_answered(visitor: Visitor, *, first: int, last: int) -> None:
    """By the application or by the manager each time, and by one after the other."""
    strangers = [
        answer for answer in visitor.visits if answer.status != OK and not is_waiting(answer)
    ]
    assert strangers == []
    changes = [
        answer.status
        for before, answer in zip([None, *visitor.visits], visitor.visits, strict=False)
        if before is None or before.status != answer.status
    ]
    assert changes == [first, last]


def _assert_visits_are_seen(world: World, namespace: str, key: PreviewKey, url: str) -> None:
    used: list[PreviewKey] = []
    now = datetime.now(UTC)
    metrics = IngressMetrics(urls=[world.cluster.ingress_metrics_url])
    with closing(metrics):
        watch = ActivityWatch(metrics, dict, lambda seen, _: used.append(seen))
        watch.look(now, [key])
        counted = metrics.requests([namespace])[namespace]
        assert counted >= VISITS
        for _ in range(VISITS):
            ask(url)
        # The ingress counts a request after it was answered.
        wait_until(
            "every visit is counted",
            lambda: metrics.requests([namespace])[namespace] >= counted + VISITS,
        )
        watch.look(now + timedelta(seconds=20), [key])
    assert used == [key]
