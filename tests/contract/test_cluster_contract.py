"""What every cluster tells, of one object and as it changes: run on the fake and on Kubernetes."""

from dataclasses import replace

import pytest

from previews.domain.workload import Workload
from previews.errors import TransientError
from tests.contract.clusters import NEVER, SHOP_42, SHOP_43, World
from tests.watching import watching


@pytest.fixture
def world(cluster_world: World) -> World:
    return cluster_world


def test_nothing_is_read_from_the_watch_before_it_has_listed_all(world: World) -> None:
    for read in (
        lambda: world.cluster.application("shop-pr-42"),
        lambda: world.cluster.namespace("preview-shop-pr-42"),
        world.cluster.owned_keys,
    ):
        with pytest.raises(TransientError) as raised:
            read()
        assert raised.value.reason == "ClusterUnreachable"


def test_what_was_there_before_is_listed_and_what_comes_is_told(world: World) -> None:
    first, second = world.name("shop-pr-42"), world.name("shop-pr-43")
    namespace = world.name("preview-shop-pr-43")
    world.put_application(first, SHOP_42, digest="d1")
    with watching(world.cluster) as watch:
        assert set(watch.until(lambda it: it.application(first))) == {SHOP_42}
        found = world.cluster.application(first)
        assert found is not None
        assert (found.owner, found.digest, found.health) == (SHOP_42, "d1", "Healthy")
        assert not found.deleting
        world.put_application(second, SHOP_43)
        assert set(watch.until(lambda it: it.application(second))) == {SHOP_43}
        world.put_namespace(namespace, SHOP_43)
        assert set(watch.until(lambda it: it.namespace(namespace))) == {SHOP_43}
        assert world.cluster.owned_keys() == {SHOP_42, SHOP_43}
        world.put_application(first, SHOP_42, digest="d2")
        watch.until(lambda it: (found := it.application(first)) and found.digest == "d2")
        world.delete_application(first)
        assert set(watch.until(lambda it: it.application(first) is None)) == {SHOP_42}
        assert world.cluster.owned_keys() == {SHOP_43}


def test_what_decides_nothing_wakes_nobody(world: World) -> None:
    noisy, other = world.name("shop-pr-42"), world.name("shop-pr-43")
    world.put_application(noisy, SHOP_42)
    with watching(world.cluster) as watch:
        watch.until(lambda it: it.application(noisy))
        world.make_noise(noisy)
        world.put_application(other, SHOP_43)
        assert watch.until(lambda it: it.application(other)) == [SHOP_43]
        assert watch.is_quiet()


def test_a_shard_root_is_read_like_a_preview_and_wakes_nobody(world: World) -> None:
    root, preview = world.name("acme-shop-2"), world.name("shop-pr-42")
    world.put_application(root, revision="a" * 40)
    with watching(world.cluster) as watch:
        world.put_application(root, revision="b" * 40)
        world.put_application(preview, SHOP_42)
        assert watch.until(lambda it: it.application(preview)) == [SHOP_42]
        found = world.cluster.application(root)
        assert found is not None
        assert found.owner is None
        assert found.revisions == {"b" * 40}
        assert world.cluster.owned_keys() == {SHOP_42}


def test_an_object_of_another_manager_is_only_found_by_asking_for_it(world: World) -> None:
    foreign, ours = world.name("shop-pr-42"), world.name("shop-pr-43")
    world.put_application(foreign, SHOP_42, instance="somebody-else")
    world.put_application(ours, SHOP_43)
    with watching(world.cluster) as watch:
        assert watch.until(lambda it: it.application(ours)) == [SHOP_43]
        assert world.cluster.application(foreign) is None
        assert world.cluster.owned_keys() == {SHOP_43}
    found = world.cluster.fetch_application(foreign)
    assert found is not None
    assert found.owner is None


def test_fetching_needs_no_watch_and_none_is_a_proven_absence(world: World) -> None:
    application, namespace = world.name("shop-pr-42"), world.name("preview-shop-pr-42")
    assert world.cluster.fetch_application(application) is None
    assert world.cluster.fetch_namespace(namespace) is None
    assert not world.cluster.app_project_exists(namespace)
    world.put_application(application, SHOP_42)
    world.put_namespace(namespace, SHOP_42)
    world.put_app_project(namespace)
    found = world.cluster.fetch_application(application)
    assert found is not None
    assert (found.name, found.owner) == (application, SHOP_42)
    standing = world.cluster.fetch_namespace(namespace)
    assert standing is not None
    assert (standing.name, standing.owner, standing.deleting) == (namespace, SHOP_42, False)
    assert world.cluster.app_project_exists(namespace)


def test_whoever_comes_again_under_the_same_name_is_another(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    first = world.cluster.fetch_application(name)
    world.delete_application(name)
    assert world.cluster.fetch_application(name) is None
    world.put_application(name, SHOP_42)
    second = world.cluster.fetch_application(name)
    assert first is not None
    assert second is not None
    assert first.uid != second.uid


def test_a_removal_that_is_held_is_seen_as_such(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    world.hold_application(name)
    with watching(world.cluster) as watch:
        watch.until(lambda it: it.application(name))
        world.delete_application(name)
        watch.until(lambda it: (found := it.application(name)) and found.deleting)
        world.let_go_of_application(name)
        watch.until(lambda it: it.application(name) is None)


def test_a_namespace_tells_what_holds_it(world: World) -> None:
    name = world.name("preview-shop-pr-42")
    world.put_namespace(name, SHOP_42, held=True)
    with watching(world.cluster) as watch:
        watch.until(lambda it: it.namespace(name))
        world.delete_namespace(name)
        watch.until(
            lambda it: (found := it.namespace(name)) and any(NEVER in p for p in found.problems)
        )
        found = world.cluster.namespace(name)
        assert found is not None
        assert found.deleting
        world.let_go_of_namespace(name)
        watch.until(lambda it: it.namespace(name) is None)
    assert world.cluster.fetch_namespace(name) is None


def test_without_a_migration_that_failed_there_is_no_log(world: World) -> None:
    namespace = world.name("preview-shop-pr-42")
    world.put_namespace(namespace, SHOP_42)
    assert world.cluster.job_log(namespace, 20) == ""
    assert world.cluster.job_log(world.name("preview-of-nobody"), 20) == ""


def test_a_namespace_without_pods_has_an_empty_workload(world: World) -> None:
    namespace = world.name("preview-shop-pr-42")
    world.put_namespace(namespace, SHOP_42)
    assert world.cluster.workload(namespace) == Workload()
    assert world.cluster.workload(world.name("preview-of-nobody")) == Workload()


def test_a_refresh_is_asked_of_an_application_that_is_there(world: World) -> None:
    name = world.name("acme-shop-2")
    assert not world.cluster.refresh_application(name)
    world.put_application(name)
    assert world.cluster.refresh_application(name)
    assert world.refresh_was_asked_of(name)
    assert world.cluster.refresh_application(name)


def test_an_operation_is_ended_only_on_the_very_application_that_is_going(world: World) -> None:
    name = world.name("shop-pr-42")

    def phase() -> str:
        found = world.cluster.fetch_application(name)
        assert found is not None
        return found.operation_phase

    world.put_application(name, SHOP_42)
    world.hold_application(name)
    world.run_operation(name)
    meant = world.cluster.fetch_application(name)
    assert meant is not None
    world.cluster.end_operation(meant)
    assert phase() == "Running", "it is not being deleted"
    world.delete_application(name)
    world.cluster.end_operation(replace(meant, uid="another"))
    assert phase() == "Running", "another one was meant"
    world.cluster.end_operation(meant)
    assert phase() == "Terminating"
    world.cluster.end_operation(meant)
    assert phase() == "Terminating"
    world.let_go_of_application(name)
    world.cluster.end_operation(meant)
    assert world.cluster.fetch_application(name) is None
