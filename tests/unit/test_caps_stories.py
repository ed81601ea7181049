"""When there are too few places: who waits, who is next, and who makes room."""

from previews.domain.caps import Caps
from previews.domain.lifetime import LifetimePolicy
from previews.domain.preview import Phase
from previews.errors import StalledError
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.lives import (
    DAY,
    HOUR,
    MINUTE,
    comment,
    expect_quiet,
    happened,
    key_of,
    lose_the_store,
    reconfigure,
    town_of,
)

TWO = Caps(previews=2)


def there(town: Town) -> set[int]:
    """The previews that have something in Git."""
    return {int(path.split("/")[2][3:]) for path in town.gitops.files if "/pr-" in path}


def full_town(*, waiting: int = 3) -> tuple[Town, list[int]]:
    town = town_of(caps=TWO)
    numbers = []
    for _ in range(2 + waiting):
        numbers.append(town.open())
        town.settle(MINUTE)
    return town, numbers


def test_whoever_finds_no_place_waits_and_is_told_where_in_the_queue() -> None:
    town, numbers = full_town()
    phases = [town.phase(n) for n in numbers]
    assert phases == [Phase.LIVE, Phase.LIVE, Phase.QUEUED, Phase.QUEUED, Phase.QUEUED]
    for place, number in enumerate(numbers[2:], 1):
        assert f"number {place} in the queue" in town.record(number).message
        assert f"number {place} in the queue" in comment(town, number)
        assert town.left_of(number) == set()
    expect_quiet(town)


def test_a_free_place_is_written_to_few_of_those_who_wait() -> None:
    town, numbers = full_town(waiting=20)
    edited = [comment(town, number) for number in numbers]
    town.close(numbers[0])
    town.settle(5 * MINUTE)
    told = [
        number
        for number, before in zip(numbers, edited, strict=True)
        if comment(town, number) != before
    ]
    # Who went, who came, those now at 1 to 5, and the one that is among the first ten now.
    assert told == [numbers[0], *numbers[2:8], numbers[12]]
    expect_quiet(town)


def test_the_first_come_is_the_first_served_and_the_others_move_up() -> None:
    town, numbers = full_town()
    town.close(numbers[0])
    town.settle(5 * MINUTE)
    assert [town.phase(n) for n in numbers[2:]] == [Phase.LIVE, Phase.QUEUED, Phase.QUEUED]
    assert "number 1 in the queue" in town.record(numbers[3]).message
    assert "number 2 in the queue" in comment(town, numbers[4])
    town.close(numbers[3])
    town.settle(5 * MINUTE)
    assert town.phase(numbers[3]) is Phase.REMOVED
    assert "number 1 in the queue" in town.record(numbers[4]).message
    expect_quiet(town)


def test_a_place_is_free_only_when_nothing_is_left_of_whoever_had_it() -> None:
    town, numbers = full_town(waiting=1)
    town.cluster.hold(f"preview-shop-pr-{numbers[0]}", "a finalizer")
    town.close(numbers[0])
    town.settle(HOUR)
    assert town.phase(numbers[2]) is Phase.QUEUED
    town.cluster.let_go(f"preview-shop-pr-{numbers[0]}")
    town.settle(HOUR)
    assert town.phase(numbers[2]) is Phase.LIVE


def test_whoever_is_closed_while_it_waits_holds_up_nobody() -> None:
    town, numbers = full_town()
    town.close(numbers[2])
    town.settle(MINUTE)
    town.close(numbers[0])
    town.settle(5 * MINUTE)
    assert town.phase(numbers[3]) is Phase.LIVE


def test_a_poisoned_pull_request_in_the_queue_holds_up_nobody() -> None:
    town, numbers = full_town()
    poisoned = numbers[2]
    town.forge.fail(StalledError("ForgeAnswer", "cannot be read"), on=f"{REPOSITORY}#{poisoned}")
    town.deliver(poisoned)
    town.settle(MINUTE)
    town.close(numbers[0])
    town.settle(HOUR)
    assert town.phase(numbers[3]) is Phase.LIVE


def test_an_expired_preview_that_comes_back_waits_like_everybody() -> None:
    town, numbers = full_town(waiting=1)
    town.loop.actions.remove(key_of(numbers[0]), actor="alice")
    town.settle(5 * MINUTE)
    assert town.phase(numbers[2]) is Phase.LIVE
    town.loop.actions.wake(key_of(numbers[0]), actor="alice")
    town.settle(5 * MINUTE)
    assert town.phase(numbers[0]) is Phase.QUEUED
    assert there(town) == set(numbers[1:3])
    expect_quiet(town)


def test_an_author_with_too_many_waits_and_holds_up_nobody_else() -> None:
    town = town_of(caps=Caps(per_author=1))
    first, second = town.open(author="alice"), town.open(author="alice")
    town.settle(MINUTE)
    other = town.open(author="bob")
    town.settle(MINUTE)
    assert [town.phase(n) for n in (first, second, other)] == [
        Phase.LIVE,
        Phase.QUEUED,
        Phase.LIVE,
    ]
    assert "1 previews of alice" in town.record(second).message


def test_the_server_has_a_limit_of_its_own_over_all_projects() -> None:
    town = Town([project("api"), project("shop")])
    town.caps = Caps(previews=1)
    town.start()
    api = town.open("api")
    town.settle(MINUTE)
    shop = town.open("shop")
    town.settle(MINUTE)
    assert (town.phase(api, "api"), town.phase(shop)) == (Phase.LIVE, Phase.QUEUED)


def test_a_restart_keeps_who_is_there_and_the_order_of_the_queue() -> None:
    town = town_of(caps=TWO)
    early, late = town.open(), town.forge.open_pull_request(REPOSITORY)
    town.push_image(late)
    rest = [town.open()]
    town.settle(MINUTE)
    third = town.open()
    town.settle(MINUTE)
    town.deliver(late)
    town.settle(MINUTE)
    assert there(town) == {early, *rest}
    assert "number 1" in town.record(third).message
    assert "number 2" in town.record(late).message
    town.start()
    town.settle(MINUTE)
    assert there(town) == {early, *rest}
    expect_quiet(town)
    reconfigure(town, LifetimePolicy(), Caps(previews=3))
    town.settle(HOUR)
    assert there(town) == {early, *rest, third}, "it was first in the queue"


def test_a_lost_store_lets_nobody_in_beyond_the_limit() -> None:
    town = town_of(caps=TWO)
    first = town.open()
    second = town.open()
    town.settle(MINUTE)
    third = town.open()
    town.settle(MINUTE)
    town.close(first)
    town.settle(5 * MINUTE)
    assert there(town) == {second, third}
    town.reopen(first)
    town.settle(5 * MINUTE)
    assert town.phase(first) is Phase.QUEUED
    lose_the_store(town)
    town.settle(HOUR)
    assert there(town) == {second, third}
    assert town.phase(first) is Phase.QUEUED


def test_a_lower_limit_takes_nobody_away() -> None:
    town, numbers = full_town(waiting=1)
    reconfigure(town, LifetimePolicy(), Caps(previews=1))
    town.settle(DAY / 24)
    assert there(town) == set(numbers[:2])
    town.close(numbers[0])
    town.settle(HOUR)
    assert there(town) == {numbers[1]}


def test_the_longest_unused_that_sleeps_makes_room_and_is_told() -> None:
    town = town_of(caps=Caps(previews=3), evicts=True)
    numbers = [town.open() for _ in range(3)]
    town.settle(MINUTE)
    pinned, older, newer = numbers
    town.loop.actions.pin(key_of(pinned), actor="alice")
    for number in numbers:
        town.loop.actions.sleep(key_of(number), actor="alice")
        town.settle(MINUTE)
    town.loop.actions.wake(key_of(newer), actor="bob")
    town.settle(MINUTE)
    town.loop.actions.sleep(key_of(newer), actor="alice")
    town.settle(MINUTE)
    fourth = town.open()
    town.settle(5 * MINUTE)
    assert there(town) == {pinned, newer, fourth}
    assert town.phase(fourth) is Phase.LIVE
    assert town.phase(older) is Phase.EXPIRED
    said = comment(town, older).replace("\\", "").replace("<!-- -->", "")
    assert f"shop#{fourth} needed its place" in said
    assert "Evict" in happened(town, older)
    receipt = town.record(older).removal
    assert receipt is not None
    assert receipt.cause == "Evicted"
    expect_quiet(town)
    town.push(older)
    town.settle(5 * MINUTE)
    assert there(town) == {pinned, older, fourth}, "who comes back has another make room"


def test_nobody_who_is_awake_or_pinned_makes_room() -> None:
    town = town_of(caps=TWO, evicts=True)
    awake, pinned = town.open(), town.open()
    town.settle(MINUTE)
    town.loop.actions.pin(key_of(pinned), actor="alice")
    town.loop.actions.sleep(key_of(pinned), actor="alice")
    town.settle(MINUTE)
    third = town.open()
    town.settle(HOUR)
    assert there(town) == {awake, pinned}
    assert town.phase(third) is Phase.QUEUED


def test_no_more_make_room_than_there_are_who_need_it() -> None:
    town = town_of(caps=Caps(previews=4), evicts=True)
    sleepers = [town.open() for _ in range(4)]
    town.settle(MINUTE)
    for number in sleepers:
        town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle(MINUTE)
    new = [town.open(), town.open()]
    town.settle(10 * MINUTE)
    assert len(there(town)) == 4
    assert set(new) <= there(town)
    assert sum(town.phase(n) is Phase.EXPIRED for n in sleepers) == 2


def test_one_who_cannot_go_at_once_is_not_made_up_for_by_taking_others() -> None:
    town = town_of(caps=Caps(previews=4), evicts=True)
    sleepers = [town.open() for _ in range(4)]
    town.settle(MINUTE)
    for number in sleepers:
        town.loop.actions.sleep(key_of(number), actor="alice")
        town.settle(MINUTE)
        town.cluster.hold(f"preview-shop-pr-{number}", "a finalizer")
    new = town.open()
    town.settle(HOUR)
    assert [town.phase(n) for n in sleepers] == [
        Phase.REMOVING,
        Phase.ASLEEP,
        Phase.ASLEEP,
        Phase.ASLEEP,
    ]
    town.start()
    town.settle(HOUR)
    assert sum(town.phase(n) is Phase.ASLEEP for n in sleepers) == 3
    assert town.phase(new) is Phase.QUEUED
    town.cluster.let_go(f"preview-shop-pr-{sleepers[0]}")
    town.settle(HOUR)
    assert town.phase(new) is Phase.LIVE
    assert sum(town.phase(n) is Phase.ASLEEP for n in sleepers) == 3


def test_who_waits_for_a_project_that_was_taken_out_holds_up_nobody() -> None:
    town = Town([project("api"), project("shop")])
    town.caps = Caps(previews=1)
    town.start()
    first = town.open()
    town.settle(MINUTE)
    gone = town.open("api")
    town.settle(MINUTE)
    waits = town.open()
    town.settle(MINUTE)
    assert (town.phase(gone, "api"), town.phase(waits)) == (Phase.QUEUED, Phase.QUEUED)
    del town.projects["api"]
    town.start()
    town.settle(MINUTE)
    town.close(first)
    town.settle(HOUR)
    assert town.phase(waits) is Phase.LIVE
