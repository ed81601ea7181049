"""A rollout goes on, whatever becomes of those that wait for their turn and of those that have one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import HistoryEntry, PreviewRecord
from previews.errors import TransientError
from tests.fakes.town import REPOSITORY, Town
from tests.unit.lives import HOUR, MINUTE, town_of
from tests.unit.test_upgrade_stories import upgrade


def has(town: Town, number: int, version: str) -> bool:
    path = f"shop/{number // 20}/pr-{number}/application.yaml"
    return f'"version": "{version}"' in town.gitops.files.get(path, "")


def under_way(count: int) -> tuple[Town, int, list[int]]:
    """A town with places for one, who has it and who waits."""
    town = town_of(rewrites_at_most=1)
    numbers = [town.open() for _ in range(count)]
    town.settle()
    town.argocd.deploys = False
    upgrade(town, "2")
    town.settle()
    (first,) = [number for number in numbers if has(town, number, "2")]
    town.argocd.deploys = True
    return town, first, [number for number in numbers if number != first]


def days_pass(town: Town) -> None:
    for _ in range(5):
        town.resync()
        town.settle(HOUR)


def test_one_that_is_closed_while_it_waits_holds_up_nobody() -> None:
    town, first, waiting = under_way(4)
    closed, *others = waiting
    town.close(closed)
    town.deliver(closed)
    town.settle(10 * MINUTE)
    assert town.phase(closed) is Phase.REMOVED
    assert town.loop.brake_state().rewrites_waiting == len(others)
    town.argocd.finishes(f"shop-pr-{first}")
    town.settle(HOUR)
    assert all(has(town, number, "2") for number in others)
    assert town.loop.brake_state().rewrites_waiting == 0


def test_one_that_is_pushed_to_while_it_waits_holds_up_nobody() -> None:
    town, first, waiting = under_way(4)
    pushed, *_ = waiting
    town.push(pushed)
    town.deliver(pushed)
    town.settle(10 * MINUTE)
    assert has(town, pushed, "2"), "along with its new head"
    town.argocd.finishes(f"shop-pr-{first}")
    town.settle(HOUR)
    assert all(has(town, number, "2") for number in waiting)
    assert town.loop.brake_state().rewrites_waiting == 0


def test_one_that_cannot_be_read_while_it_waits_holds_up_nobody() -> None:
    town, first, waiting = under_way(4)
    lost, *others = waiting
    town.forge.delete_pull_request(REPOSITORY, lost)
    town.deliver(lost)
    town.settle(MINUTE)
    town.argocd.finishes(f"shop-pr-{first}")
    town.settle(HOUR)
    assert all(has(town, number, "2") for number in others)


class LockedOnce:
    """A store that is locked at the moment when it is to keep the first rewrite."""

    def __init__(self, town: Town, meanwhile: Callable[[int], None]) -> None:
        self._save = town.store.save
        self._meanwhile = meanwhile
        self.failed: list[int] = []

    def save(self, record: PreviewRecord, history: Sequence[HistoryEntry] = ()) -> None:
        if record.is_rewritten and not self.failed:
            self.failed.append(record.key.number)
            self._meanwhile(record.key.number)
            raise TransientError("StoreUnavailable", "database is locked")
        self._save(record, history)


def upgrade_while_locked(
    town: Town, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[int], None]
) -> None:
    for _ in range(2):
        town.open()
    town.settle()
    store = LockedOnce(town, meanwhile)
    monkeypatch.setattr(town.store, "save", store.save)
    upgrade(town, "2")
    town.settle(HOUR)
    assert store.failed


def test_a_store_that_is_locked_for_a_moment_costs_no_rewrite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = town_of(rewrites_at_most=1)
    upgrade_while_locked(town, monkeypatch, lambda _: None)
    assert [has(town, number, "2") for number in (1, 2)] == [True, True]


def test_whoever_is_pushed_to_before_its_rewrite_is_kept_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = town_of(rewrites_at_most=1)
    upgrade_while_locked(town, monkeypatch, town.push)
    assert [has(town, number, "2") for number in (1, 2)] == [True, True]


def test_a_rewritten_one_whose_project_is_not_configured_takes_no_place() -> None:
    town = town_of(rewrites_at_most=1)
    number = town.open()
    town.settle()
    old = replace(town.record(number), is_rewritten=True, phase=Phase.DEPLOYING)
    town.store.save(replace(old, key=PreviewKey("gone", 7)))
    upgrade(town, "2")
    town.settle(HOUR)
    assert has(town, number, "2")


def test_somebody_accepts_that_a_rewritten_one_cannot_be_read() -> None:
    town, first, waiting = under_way(3)
    town.forge.delete_pull_request(REPOSITORY, first)
    town.argocd.finishes(f"shop-pr-{first}")
    days_pass(town)
    assert town.loop.brake_state().rewrites_failing == 1
    assert not any(has(town, number, "2") for number in waiting)
    town.confirm_brake("alice")
    town.settle(HOUR)
    assert all(has(town, number, "2") for number in waiting)
