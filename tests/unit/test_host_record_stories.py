"""Previews whose hosts have records of their own: a whole manager on fakes, with a zone that takes updates."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.caps import Caps
from previews.domain.inventory import Kind, Verdict
from previews.domain.lifetime import LifetimePolicy
from previews.domain.preview import Phase, PreviewKey
from previews.domain.project import Project
from previews.reconcile.effects import Effect
from tests.fakes.host_records import ADDRESS
from tests.fakes.town import CountingWitness, Town, project

MINUTE = 60.0
HOST = "shop-pr-1.preview.example"


def town_of(*projects: Project) -> Town:
    town = Town(projects)
    town.names_hosts = True
    town.start()
    return town


@pytest.fixture
def town() -> Town:
    return town_of()


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def asked(town: Town) -> Counter[str]:
    """Every question to the name server from now on."""
    counts: Counter[str] = Counter()
    town.host_records.on_operation = lambda when, name: counts.update([name] * (when == "before"))
    return counts


def test_a_preview_is_live_when_its_host_has_a_record(town: Town) -> None:
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.host_records.values == {HOST: ADDRESS}
    assert town.host_records.marks[HOST] == ("acme", key(number))


def test_it_is_asked_for_once_and_then_only_now_and_again(town: Town) -> None:
    number = town.open()
    town.settle()
    questions = asked(town)
    for _ in range(20):
        town.push(number)
        town.settle(1)
    assert questions["find"] <= 1
    town.settle(6 * MINUTE)
    questions.clear()
    town.loop.enqueue([key(number)])
    town.settle(1)
    assert questions == {"find": 1}


def test_a_record_that_somebody_removed_comes_back(town: Town) -> None:
    number = town.open()
    town.settle()
    town.host_records.forget(HOST)
    town.settle(6 * MINUTE)
    town.push(number)
    town.settle()
    assert town.host_records.values == {HOST: ADDRESS}
    assert town.phase(number) is Phase.LIVE


def test_while_the_server_is_away_the_preview_says_so_and_is_live_afterwards(town: Town) -> None:
    town.host_records.fail()
    number = town.open()
    town.settle()
    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.DEPLOYING, "NameServerUnreachable")
    town.host_records.recover()
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.LIVE


def test_a_server_that_goes_away_takes_no_live_preview_down(town: Town) -> None:
    number = town.open()
    town.settle()
    town.host_records.fail()
    town.settle(6 * MINUTE)
    town.push(number)
    town.settle()
    assert town.phase(number) is Phase.LIVE


def test_a_host_that_is_somebody_elses_is_never_taken(town: Town) -> None:
    town.host_records.put_foreign(HOST)
    number = town.open()
    town.settle()
    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.DEGRADED, "RecordNotOurs")
    assert record.failed
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert town.host_records.values == {HOST: "192.0.2.99"}


def test_a_host_that_somebody_frees_is_taken_then(town: Town) -> None:
    town.host_records.put_foreign(HOST)
    number = town.open()
    town.settle()
    town.host_records.forget(HOST)
    town.settle(MINUTE)
    assert town.phase(number) is Phase.LIVE
    assert town.host_records.values == {HOST: ADDRESS}


def test_the_record_goes_last_and_stands_on_the_receipt(town: Town) -> None:
    number = town.open()
    town.settle()
    seen_at_removal: list[set[str]] = []
    town.host_records.on_operation = lambda when, name: (
        seen_at_removal.append(town.left_of(number))
        if (when, name) == ("before", "remove")
        else None
    )
    town.close(number)
    town.settle(5 * MINUTE)
    assert seen_at_removal == [set()]
    assert (town.host_records.values, town.host_records.marks) == ({}, {})
    removal = town.record(number).removal
    assert removal is not None
    assert [(each.kind, each.name) for each in removal.gone][-1] == ("DNS record", HOST)
    assert "DNS record" in town.record(number).message


def test_a_server_that_is_away_holds_only_the_end_of_a_removal(town: Town) -> None:
    number = town.open()
    town.settle()
    town.host_records.fail()
    town.close(number)
    town.settle(10 * MINUTE)
    assert town.left_of(number) == set()
    assert town.phase(number) is Phase.REMOVING
    assert "NameServerUnreachable" in town.record(number).message
    town.host_records.recover()
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert town.host_records.marks == {}


def test_a_refused_removal_is_told(town: Town) -> None:
    number = town.open()
    town.settle()

    def refuse(when: str, name: str) -> None:
        if (when, name) == ("before", "remove"):
            town.host_records.fail("NameServerRefused", stalled=True)

    town.host_records.on_operation = refuse
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.record(number).reason == "NameServerRefused"
    town.host_records.on_operation = None
    town.host_records.recover()
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED


def test_every_service_has_a_record_and_loses_it() -> None:
    town = town_of(replace(project("shop"), services=("api", "docs")))
    number = town.open()
    town.settle()
    hosts = {f"shop-pr-1{service}.preview.example" for service in ("", "-api", "-docs")}
    assert set(town.host_records.values) == hosts
    assert town.phase(number) is Phase.LIVE
    town.host_records.forget("shop-pr-1-api.preview.example")
    town.settle(6 * MINUTE)
    town.push(number)
    town.settle()
    assert set(town.host_records.values) == hosts
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert town.host_records.marks == {}


def test_one_foreign_host_among_several_keeps_the_preview_from_being_live() -> None:
    town = town_of(replace(project("shop"), services=("api",)))
    town.host_records.put_foreign("shop-pr-1-api.preview.example")
    number = town.open()
    town.settle()
    assert town.record(number).reason == "RecordNotOurs"
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert set(town.host_records.values) == {"shop-pr-1-api.preview.example"}


def test_a_host_that_somebody_took_over_keeps_no_other_record_from_going() -> None:
    town = town_of(replace(project("shop"), services=("api",)))
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    town.host_records.forget(HOST)
    town.host_records.put_foreign(HOST)
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert set(town.host_records.values) == {HOST}
    assert town.host_records.marks == {}


def test_asleep_it_keeps_its_record(town: Town) -> None:
    number = town.open()
    town.settle()
    town.loop.actions.sleep(key(number), actor="ann")
    town.settle()
    assert town.phase(number) is Phase.ASLEEP
    assert town.host_records.values == {HOST: ADDRESS}


def test_reopened_it_gets_its_record_again(town: Town) -> None:
    number = town.open()
    town.settle()
    town.close(number)
    town.settle(1)
    town.reopen(number)
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.LIVE
    assert town.host_records.values == {HOST: ADDRESS}


def test_expired_it_leaves_no_record() -> None:
    town = town_of(project("shop", lifetime=LifetimePolicy(ttl=timedelta(hours=1))))
    number = town.open()
    town.settle(2 * 60 * MINUTE)
    assert town.phase(number) is Phase.EXPIRED
    assert town.host_records.marks == {}


def test_what_waits_in_the_queue_has_no_record() -> None:
    town = town_of(project("shop", caps=Caps(previews=1)))
    town.open()
    town.open()
    town.settle()
    assert list(town.host_records.values) == [HOST]


def test_a_project_that_is_not_configured_any_more_takes_its_records_along(town: Town) -> None:
    number = town.open()
    town.settle()
    town.projects = {"api": project("api")}
    town.start()
    town.settle()
    town.loop.actions.drain("shop", actor="ann")
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert town.host_records.marks == {}


def test_a_record_that_was_left_behind_is_collected(town: Town) -> None:
    number = town.open()
    town.settle()
    town.close(number)
    town.settle(5 * MINUTE)
    town.host_records.put_half(key(number), HOST)
    town.host_records.put_foreign("shop-pr-9.preview.example")
    town.host_records.put_of_another("other", key(9), "shop-pr-8.preview.example")
    for _ in range(4):
        town.loop.collector.collect(dry_run=False, actor="ann", confirmed=True)
        town.settle(5 * MINUTE)
    assert set(town.host_records.values) == {
        "shop-pr-8.preview.example",
        "shop-pr-9.preview.example",
    }
    assert town.loop.collector.reclaimed == {Kind.RECORD: 1}


def test_the_record_of_a_live_preview_is_wanted(town: Town) -> None:
    town.open()
    town.settle()
    (found,) = [f for f in town.loop.collector.inventory() if f.owned.kind is Kind.RECORD]
    assert (found.owned.name, found.verdict) == (HOST, Verdict.WANTED)


def test_a_zone_that_cannot_be_read_lets_the_collector_remove_nothing(town: Town) -> None:
    town.open()
    town.settle()
    town.host_records.fail("NameServerRefused", stalled=True)
    sweep = town.loop.collector.collect(dry_run=False)
    assert "NameServerRefused" in sweep.held


def test_with_nothing_changing_nothing_is_written(town: Town) -> None:
    town.open()
    town.settle(10 * MINUTE)
    town.resync()
    town.settle()
    assert isinstance(town.witness, CountingWitness)
    before = dict(town.witness.counts)
    for _ in range(20):
        town.resync()
        town.loop.enqueue([key(1)])
        town.settle(MINUTE)
    assert town.witness.counts == before
    assert before[Effect.ENSURE_RECORD] == 1


def test_without_records_of_its_own_a_host_asks_no_name_server() -> None:
    town = Town()
    questions = asked(town)
    number = town.open()
    town.settle()
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert questions == {}
    assert "DNS record" not in town.record(number).message
