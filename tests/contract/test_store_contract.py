"""What every store does about events, and whatever it is asked: run on the fake and on SQLite."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from previews.domain.lifetime import Wishes
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import PreviewRecord, Verdict
from previews.errors import TransientError
from tests.contract.stores import (
    KEY,
    OTHER_KEY,
    PINNED,
    WISHES,
    World,
    delivery,
    mark_of,
    open_store,
)


@pytest.fixture(params=["fake", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with open_store(request.param, tmp_path) as opened:
        yield opened


def test_knows_nothing_at_first(world: World) -> None:
    assert world.store.load(KEY) is None
    assert world.store.list_records() == []
    assert world.store.load_pull_request("acme/shop", 42) == []
    assert world.store.published("acme/shop", 42) == {}
    assert world.store.load_wishes(KEY) == Wishes()
    assert world.store.list_wishes() == {}
    assert world.store.history(KEY) == []


def test_an_event_marks_its_previews_for_a_fresh_read(world: World) -> None:
    assert world.store.accept([(delivery("one"), [KEY, OTHER_KEY])]) == [True]

    assert world.store.load(KEY) == PreviewRecord(key=KEY, fetch_mark=1)
    assert world.store.load(OTHER_KEY) == PreviewRecord(key=OTHER_KEY, fetch_mark=1)


def test_every_event_raises_the_mark(world: World) -> None:
    world.store.accept([(delivery("one"), [KEY]), (delivery("two"), [KEY])])
    world.store.accept([(delivery("three"), [KEY])])
    world.store.mark_for_fetch([KEY])

    assert mark_of(world.store, KEY) == 4


def test_a_delivery_that_is_there_already_changes_nothing(world: World) -> None:
    world.store.accept([(delivery("one"), [KEY])])
    before = world.version()

    assert world.store.accept([(delivery("one"), [KEY])]) == [False]

    assert world.version() == before


def test_a_repetition_within_one_batch_counts_once(world: World) -> None:
    batch = [(delivery("one"), [KEY]), (delivery("one"), [KEY]), (delivery("two"), [])]

    assert world.store.accept(batch) == [True, False, True]

    assert mark_of(world.store, KEY) == 1


def test_accepting_nothing_changes_nothing(world: World) -> None:
    before = world.version()

    assert world.store.accept([]) == []

    assert world.version() == before


def test_a_mark_is_cleared_when_it_is_the_one_that_was_seen(world: World) -> None:
    world.store.mark_for_fetch([KEY])

    world.store.clear_mark(KEY, 1)

    assert mark_of(world.store, KEY) == 0


def test_a_mark_that_was_set_while_the_pull_request_was_read_stays(world: World) -> None:
    world.store.mark_for_fetch([KEY])
    world.store.mark_for_fetch([KEY])

    world.store.clear_mark(KEY, 1)

    assert mark_of(world.store, KEY) == 2


def test_clearing_a_mark_that_is_not_there_changes_nothing(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY))
    before = world.version()

    world.store.clear_mark(KEY, 0)
    world.store.clear_mark(KEY, 3)
    world.store.clear_mark(OTHER_KEY, 1)

    assert world.version() == before
    assert world.store.load(OTHER_KEY) is None


def test_saving_leaves_the_mark_of_an_event_that_came_meanwhile(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY))
    read = world.store.load(KEY)
    assert read is not None
    world.store.mark_for_fetch([KEY])

    world.store.save(replace(read, phase=Phase.LIVE))

    assert world.store.load(KEY) == PreviewRecord(key=KEY, fetch_mark=1, phase=Phase.LIVE)


def test_tells_what_is_still_to_be_done_for_deliveries(world: World) -> None:
    first, second = (replace(delivery(each), body=b"wish") for each in ("a", "b"))
    odd = replace(delivery("odd"), verdict=Verdict.KEPT_ASIDE, body=b"?")
    late = replace(first, guid="0", received_at=first.received_at + timedelta(seconds=1))
    world.store.accept([(each, []) for each in (late, second, odd, delivery("none"), first)])

    assert world.store.unfinished_deliveries() == [first, second, late]

    world.store.finish_delivery("a")
    world.store.finish_delivery("never seen")

    assert world.store.unfinished_deliveries() == [second, late]
    assert world.store.accept([(first, [KEY])]) == [False]
    assert world.store.unfinished_deliveries() == [second, late]


def test_knows_which_deliveries_it_accepted(world: World) -> None:
    world.store.accept([(delivery("one"), [KEY]), (delivery("two"), [])])

    assert world.store.known_deliveries(["one", "two", "three"]) == {"one", "two"}
    assert world.store.known_deliveries([]) == set()


def test_says_that_it_is_out_of_order_and_works_again_afterwards(world: World) -> None:
    world.put_out_of_order()
    with pytest.raises(TransientError, match="store") as raised:
        world.store.accept([(delivery("one"), [KEY])])
    assert raised.value.reason == "StoreUnavailable"
    with pytest.raises(TransientError):
        world.store.save(PreviewRecord(key=KEY), [PINNED])
    with pytest.raises(TransientError):
        world.store.save_wishes(KEY, WISHES, [PINNED])
    with pytest.raises(TransientError):
        world.store.forget(KEY)
    world.mend()

    assert world.store.load(KEY) is None
    assert world.store.load_wishes(KEY) == Wishes()
    assert world.store.history(KEY) == []
    assert world.store.accept([(delivery("one"), [KEY])]) == [True]


def test_serves_eight_workers_and_the_inbox_at_once(world: World) -> None:
    keys = [PreviewKey("shop", number) for number in range(1, 9)]
    world.store.mark_for_fetch(keys)
    rounds = 25

    def work(key: PreviewKey) -> None:
        for turn in range(rounds):
            record = world.store.load(key)
            assert record is not None
            world.store.save(replace(record, message=str(turn)))
            world.store.mark_for_fetch([key])
            world.store.record_published("acme/shop", key.number, "status", str(turn))

    def take_in(turn: int) -> list[bool]:
        return world.store.accept([(delivery(str(turn)), keys)])

    with ThreadPoolExecutor(9) as pool:
        workers = [pool.submit(work, key) for key in keys]
        assert all(pool.submit(take_in, turn).result() == [True] for turn in range(rounds))
        for worker in workers:
            worker.result()

    for key in keys:
        assert mark_of(world.store, key) == 1 + 2 * rounds
        assert world.store.published("acme/shop", key.number) == {"status": str(rounds - 1)}
