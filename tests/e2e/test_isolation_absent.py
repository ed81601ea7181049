"""The default cluster enforces no NetworkPolicy, and `previews doctor` says so; tests/isolation has one that does."""

import pytest

from tests.cluster import RunningCluster
from tests.isolation.busybox import busybox_in
from tests.isolation.doctor import isolation_findings
from tests.world.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_the_doctor_says_that_a_neighbour_is_reached(cluster: RunningCluster, world: World) -> None:
    if cluster.is_isolated:
        pytest.skip("this cluster enforces NetworkPolicies")
    configuration = world.manager.directory / "previews.yaml"
    with busybox_in(cluster.registry, f"{world.options.name}-doctor") as image:
        found = isolation_findings(cluster, configuration, image)
    assert [(each["level"], each["message"]) for each in found] == [
        ("problem", "a preview's pod reached a pod of another preview"),
        ("warning", "a preview's pod reached its node (the kubelet)"),
    ]
