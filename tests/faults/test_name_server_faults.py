"""Faults 50, 53 and 55 as far as they are about names: servers that fail or lie, hostile names, hosts used again."""

from collections import Counter

import pytest

from previews.domain.preview import Phase, PreviewKey
from previews.errors import TransientError
from tests.fakes.host_records import ADDRESS
from tests.fakes.town import REPOSITORY, Town, project
from tests.faults.town_life import LONG, come_to_rest, live

HOST = "shop-pr-1.preview.example"


@pytest.fixture
def town() -> Town:
    made = Town()
    made.names_hosts = True
    made.start()
    return made


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


# 50: what a pull request says reaches no name.


@pytest.mark.fault(50)
def test_a_hostile_branch_title_or_author_changes_no_record(town: Town) -> None:
    hostile = '*.preview.example. 60 IN A 198.51.100.66\n$INCLUDE /etc/passwd"'
    number = town.open(branch="evil..preview.example", title=hostile, author="a.b*c")
    come_to_rest(town)
    assert town.host_records.values == {HOST: ADDRESS}
    assert town.host_records.marks == {HOST: ("acme", key(number))}


# 53: a name server that fails, refuses and recovers.


@pytest.mark.fault(53)
@pytest.mark.parametrize("stalled", [False, True], ids=["away", "refuses"])
def test_a_name_server_that_fails_costs_nobody_a_live_preview(town: Town, *, stalled: bool) -> None:
    one, other = live(town, 2)
    reason = "NameServerRefused" if stalled else "NameServerUnreachable"
    town.host_records.fail(reason, stalled=stalled)
    third = town.open()
    town.settle(LONG)
    for number in (one, other):
        town.push(number)
    town.settle(LONG)
    assert town.phase(one) is town.phase(other) is Phase.LIVE
    assert town.record(third).reason == reason
    town.host_records.recover()
    come_to_rest(town)
    assert town.phase(third) is Phase.LIVE


@pytest.mark.fault(53)
def test_a_name_server_that_is_away_is_asked_ever_more_seldom(town: Town) -> None:
    town.host_records.fail()
    tried: Counter[str] = Counter()
    town.host_records.on_operation = lambda when, name: tried.update([name] * (when == "before"))
    town.open()
    town.settle(3600)
    # At most each half minute, once the first minutes are over.
    assert sum(tried.values()) <= 2 * (3600 / 30 + 30)


@pytest.mark.fault(53)
def test_an_answer_that_was_lost_makes_no_second_record(town: Town) -> None:
    lost: list[str] = []

    def lose(when: str, name: str) -> None:
        if when == "after" and name in {"ensure", "remove"} and lost.count(name) == 0:
            lost.append(name)
            raise TransientError("NameServerUnreachable", "nobody heard")

    town.host_records.on_operation = lose
    number = town.open()
    come_to_rest(town)
    assert town.phase(number) is Phase.LIVE
    town.close(number)
    come_to_rest(town)
    assert town.phase(number) is Phase.REMOVED
    assert lost == ["ensure", "remove"]
    assert (town.host_records.values, town.host_records.marks) == ({}, {})


# 55: a host is used again, or by somebody else.


@pytest.mark.fault(55)
def test_a_closed_preview_leaves_no_name_that_another_could_take_over(town: Town) -> None:
    (number,) = live(town, 1)
    town.close(number)
    come_to_rest(town)
    assert (town.host_records.values, town.host_records.marks) == ({}, {})


@pytest.mark.fault(55)
def test_a_host_that_somebody_else_took_meanwhile_is_not_taken_back(town: Town) -> None:
    (number,) = live(town, 1)
    town.close(number)
    come_to_rest(town)
    town.host_records.put_of_another("other", key(number), HOST)
    town.reopen(number)
    come_to_rest(town)
    assert town.record(number).reason == "RecordNotOurs"
    assert town.host_records.marks == {HOST: ("other", key(number))}


@pytest.mark.fault(55)
def test_two_projects_never_hold_one_record() -> None:
    town = Town([project("shop"), project("api")])
    town.names_hosts = True
    town.start()
    number = town.open()
    town.deliver(number, "api")
    town.push_image(number, "api")
    come_to_rest(town)
    assert town.forge.numbers(REPOSITORY) == [number]
    assert {mark[1] for mark in town.host_records.marks.values()} == {
        PreviewKey("shop", number),
        PreviewKey("api", number),
    }
    assert len(town.host_records.values) == 2
