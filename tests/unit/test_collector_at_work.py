"""The collector within the whole manager: what it takes away comes back when it is needed, and nothing else goes."""

from datetime import timedelta

from previews.domain.inventory import Kind, Verdict
from previews.domain.preview import Phase, PreviewKey
from tests.fakes.town import Town

A_WHILE_SECONDS = timedelta(minutes=11).total_seconds()


def sweep_until_quiet(town: Town) -> list[str]:
    """What was removed, in order."""
    gone: list[str] = []
    for _ in range(6):
        removed = town.loop.collector.collect(dry_run=False).removed
        gone += [f"{each.owned.kind} {each.owned.name}" for each in removed]
        town.settle(A_WHILE_SECONDS)
    return gone


def test_nothing_is_collected_of_a_town_that_works() -> None:
    town = Town()
    for _ in range(3):
        town.open()
    town.settle()
    verdicts = {each.verdict for each in town.loop.collector.inventory()}
    assert verdicts == {Verdict.WANTED}
    assert sweep_until_quiet(town) == []


def test_a_shard_goes_with_its_last_preview_and_comes_back_with_the_next() -> None:
    town = Town()
    first = town.open()
    town.settle()
    town.close(first)
    town.settle()
    assert town.left_of(first) == set()
    assert "acme-shop-0" in town.cluster.applications
    assert sweep_until_quiet(town) == ["RootFile roots/shop-0.yaml", "ConfigMap acme-shop-0-keep"]
    assert town.gitops.files == {}
    assert town.cluster.owned_objects() == []
    second = town.open()
    town.settle()
    assert town.phase(second) is Phase.LIVE
    assert sweep_until_quiet(town) == []


def test_a_namespace_that_argo_cd_left_is_reclaimed_and_the_others_live_on() -> None:
    town = Town()
    alive = town.open()
    closed = town.open()
    town.settle()
    town.close(closed)
    town.settle()
    town.cluster.put_namespace(f"preview-shop-pr-{closed}", PreviewKey("shop", closed))
    town.settle()
    reclaimed = town.loop.collector.reclaimed
    assert sweep_until_quiet(town) == [f"Namespace preview-shop-pr-{closed}"]
    assert reclaimed[Kind.NAMESPACE] == 1
    assert town.phase(alive) is Phase.LIVE
    assert town.left_of(closed) == set()


def test_a_store_that_was_lost_makes_nothing_an_orphan() -> None:
    town = Town()
    numbers = [town.open() for _ in range(3)]
    town.settle()
    town.store = type(town.store)()
    town.start()
    assert sweep_until_quiet(town) == []
    town.resync()
    town.settle()
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
