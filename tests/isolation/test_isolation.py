"""Previews on a cluster that enforces their NetworkPolicy: what they reach, what they do not, and who reaches them.

Whatever a preview does not reach, a pod without a policy reaches at the same moment.
"""

import pytest

from previews.adapters.isolation_probe import IsolationProbe, Reached
from tests.cluster import RunningCluster
from tests.cluster.layout import API_PORT, KUBELET_PORT
from tests.isolation.doctor import isolation_findings
from tests.isolation.pods import Pod
from tests.isolation.surroundings import NAME, SHOP, Preview, listening_on
from tests.world.database import Databases
from tests.world.waiting import wait_until
from tests.world.world import World

pytestmark = pytest.mark.timeout(400)

PAGE_PORT = 8080
HTTPS = 443
IN_TEMPLATE = ["Two tea towels", "A blue mug"]


@pytest.fixture
def databases(world: World) -> Databases:
    assert world.databases is not None
    return world.databases


def test_the_page_is_reached_through_the_ingress(preview: Preview) -> None:
    assert preview.pull_request.shows_its_commit()


def test_the_page_is_reached_from_the_ingress_controllers_namespace_and_from_no_other(
    preview: Preview, ingress: Pod, stranger: Pod
) -> None:
    assert ingress.reaches(preview.page, PAGE_PORT)
    assert not stranger.reaches(preview.page, PAGE_PORT)


def test_a_preview_reaches_itself_and_no_neighbour(preview: Preview, neighbour: Preview) -> None:
    assert preview.pod.reaches(preview.page, PAGE_PORT)
    assert neighbour.pod.reaches(neighbour.page, PAGE_PORT)
    assert not preview.pod.reaches(neighbour.page, PAGE_PORT)
    assert not neighbour.pod.reaches(preview.page, PAGE_PORT)


def test_a_preview_reaches_no_pod_that_has_no_policy_of_its_own(
    cluster: RunningCluster, preview: Preview, stranger: Pod, ingress: Pod
) -> None:
    address = cluster.kubectl(
        *("get", "pod", "-n", stranger.namespace, stranger.name, "-o=jsonpath={.status.podIP}")
    )
    stranger.run(f"nc -l -p {PAGE_PORT} </dev/null >/dev/null 2>&1 &")
    assert not preview.pod.reaches(address, PAGE_PORT)
    # Which also shows that something listens.
    wait_until("another stranger reaches it", lambda: ingress.reaches(address, PAGE_PORT))


@pytest.mark.usefixtures("name_server")
def test_a_preview_asks_the_name_server(preview: Preview) -> None:
    assert preview.pod.resolves(f"page.{SHOP}", "192.0.2.80")


def test_a_preview_reaches_its_own_database_and_nothing_else_where_that_is(
    cluster: RunningCluster, preview: Preview, stranger: Pod, databases: Databases
) -> None:
    assert preview.pull_request.orders() == IN_TEMPLATE
    assert preview.pod.reaches(cluster.node_ip, databases.instance.login.port)
    with listening_on(cluster.node_ip) as port:
        assert stranger.reaches(cluster.node_ip, port)
        assert not preview.pod.reaches(cluster.node_ip, port)


def test_a_preview_does_not_reach_the_kubelet_of_its_node(
    cluster: RunningCluster, preview: Preview, stranger: Pod
) -> None:
    assert stranger.reaches(cluster.node_ip, KUBELET_PORT)
    assert not preview.pod.reaches(cluster.node_ip, KUBELET_PORT)


def test_a_preview_reaches_the_kubernetes_api_neither_by_its_service_nor_where_it_listens(
    cluster: RunningCluster, preview: Preview, stranger: Pod
) -> None:
    service = cluster.kubectl("get", "service", "kubernetes", "-o=jsonpath={.spec.clusterIP}")
    for address, port in ((service, HTTPS), (cluster.node_ip, API_PORT)):
        assert stranger.reaches(address, port)
        assert not preview.pod.reaches(address, port)


def test_the_doctor_says_that_previews_are_kept_apart(
    cluster: RunningCluster, world: World, image: str
) -> None:
    found = isolation_findings(cluster, world.manager.directory / "previews.yaml", image)
    assert [each["level"] for each in found] == ["fine"], found


def test_the_doctor_sees_what_is_reached_where_no_policy_is(
    cluster: RunningCluster, image: str
) -> None:
    probe = IsolationProbe(kubeconfig=cluster.kubeconfig, instance=NAME, image=image, policies=[])
    assert probe.run() == Reached(mate=True, neighbour=True, api=True, node=True)
