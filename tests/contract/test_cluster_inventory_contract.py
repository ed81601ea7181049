"""What every cluster lists as ours, and how it deletes nothing else: run on the fake and on Kubernetes."""

from dataclasses import replace

import pytest

from previews.adapters.kubernetes_api import PAGE_SIZE
from previews.domain.inventory import OwnedObject
from tests.contract.clusters import SHOP_42, SHOP_43, World


@pytest.fixture
def world(cluster_world: World) -> World:
    return cluster_world


def owned(world: World) -> dict[tuple[str, str], OwnedObject]:
    return {(each.kind, each.name): each for each in world.cluster.owned_objects()}


def test_the_inventory_is_all_that_carries_our_label_and_nothing_else(world: World) -> None:
    application, namespace = world.name("shop-pr-42"), world.name("preview-shop-pr-42")
    project, foreign = world.name("0-shop-pr-42"), world.name("shop-pr-43")
    root, keep = world.name("acme-shop-2"), f"{world.instance}-shop-2-keep"
    assert owned(world) == {}
    world.put_application(application, SHOP_42)
    world.put_application(root)
    world.put_application(foreign, SHOP_43, instance="somebody-else")
    world.put_namespace(namespace, SHOP_42)
    world.unlabelled_namespace(world.name("preview-shop-pr-44"))
    world.put_app_project(project, SHOP_42)
    world.put_config_maps(keep)
    world.put_config_maps(world.name("else"), instance="somebody-else")
    found = owned(world)
    assert {each: thing.owner for each, thing in found.items()} == {
        ("Application", application): SHOP_42,
        ("Application", root): None,
        ("Namespace", namespace): SHOP_42,
        ("AppProject", project): SHOP_42,
        ("ConfigMap", keep): None,
    }
    assert found["ConfigMap", keep].shard == "shop-2"
    assert all(thing.uid and thing.created_at and not thing.deleting for thing in found.values())


def test_the_inventory_is_read_to_its_last_page(world: World) -> None:
    names = {world.name(f"page-{index:03}") for index in range(PAGE_SIZE + 20)}
    world.put_config_maps(*names)
    assert {name for _, name in owned(world)} == names


@pytest.mark.parametrize("kind", ["Application", "Namespace", "AppProject", "ConfigMap"])
def test_what_was_found_is_deleted_once(world: World, kind: str) -> None:
    name = world.name("shop-pr-42")
    put(world, kind, name)
    found = owned(world)[kind, name]
    assert world.cluster.delete_object(found)
    assert not world.cluster.delete_object(found), "it is gone, or about to go"
    assert all(each.deleting for each in owned(world).values())


@pytest.mark.parametrize("kind", ["Application", "Namespace", "AppProject"])
def test_only_the_very_object_that_was_found_is_deleted(world: World, kind: str) -> None:
    name = world.name("shop-pr-42")
    put(world, kind, name)
    found = owned(world)[kind, name]
    for another in (
        replace(found, uid="00000000-0000-0000-0000-000000000000"),
        replace(found, uid=""),
        replace(found, owner=SHOP_43),
        replace(found, owner=None),
        replace(found, shard="shop-2"),
        replace(found, name=world.name("shop-pr-43")),
    ):
        assert not world.cluster.delete_object(another)
    assert owned(world)[kind, name] == found


def test_what_became_somebody_elses_meanwhile_is_left_alone(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    found = owned(world)["Application", name]
    world.put_application(name, SHOP_42, instance="somebody-else")
    assert not world.cluster.delete_object(found)
    assert world.cluster.fetch_application(name) is not None


def test_what_comes_again_under_the_same_name_before_its_deletion_is_left_alone(
    world: World,
) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    found = owned(world)["Application", name]
    world.delete_application(name)
    world.put_application(name, SHOP_42)
    assert not world.cluster.delete_object(found)
    assert world.cluster.fetch_application(name) is not None


def test_a_finalizer_holds_what_is_deleted(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    world.hold_application(name)
    found = owned(world)["Application", name]
    assert world.cluster.delete_object(found)
    assert owned(world)["Application", name].deleting
    assert not world.cluster.delete_object(found)
    world.let_go_of_application(name)
    assert owned(world) == {}


def put(world: World, kind: str, name: str) -> None:
    match kind:
        case "Application":
            world.put_application(name, SHOP_42)
        case "Namespace":
            world.put_namespace(name, SHOP_42)
        case "AppProject":
            world.put_app_project(name, SHOP_42)
        case "ConfigMap":
            world.put_config_maps(name)
