"""How every store keeps what somebody asked for: run on the fake and on SQLite."""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from previews.domain.lifetime import Facts, Said, Until, Wishes
from previews.domain.preview import PreviewKey
from previews.domain.record import HistoryEntry, PreviewRecord
from tests.contract.stores import KEY, NOON, OTHER_KEY, PINNED, WISHES, World, open_store


@pytest.fixture(params=["fake", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with open_store(request.param, tmp_path) as opened:
        yield opened


anything = st.text(st.characters())
moments = st.datetimes(timezones=st.just(UTC))
said = st.none() | st.builds(Said, moments, anything)
until = st.none() | st.builds(Until, moments, moments, anything)
entries = st.builds(HistoryEntry, moments, anything, anything, anything)
wishes_of_any_kind = st.builds(
    Wishes,
    pin=until,
    extension=until,
    active_at=st.none() | moments,
    **dict.fromkeys(("sleep", "wake", "redeploy", "removal", "eviction", "confirmation"), said),
)


def test_remembers_what_was_asked_for_and_who_asked(world: World) -> None:
    world.store.save_wishes(KEY, WISHES, [PINNED])

    assert world.store.load_wishes(KEY) == WISHES
    assert world.store.load_wishes(OTHER_KEY) == Wishes()
    assert world.store.history(KEY) == [PINNED]
    assert world.store.load(KEY) is None


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wishes=wishes_of_any_kind, entry=entries)
def test_whatever_was_asked_for_comes_back_exactly(
    world: World, wishes: Wishes, entry: HistoryEntry
) -> None:
    world.store.save_wishes(KEY, wishes, [entry])

    assert world.store.load_wishes(KEY) == wishes
    assert world.store.list_wishes() == ({} if wishes == Wishes() else {KEY: wishes})
    assert world.store.history(KEY)[-1] == entry


@pytest.mark.parametrize("wish", [field.name for field in fields(Wishes)])
def test_every_wish_is_replaced_there_and_back(world: World, wish: str) -> None:
    for wishes in (replace(WISHES, **{wish: None}), WISHES, Wishes(), WISHES):
        world.store.save_wishes(KEY, wishes)

        assert world.store.load_wishes(KEY) == wishes


def test_lists_the_wishes_of_every_preview_that_has_some(world: World) -> None:
    slept = Wishes(sleep=Said(NOON, "ada"))
    world.store.save(PreviewRecord(key=PreviewKey("api", 1)))
    world.store.save_wishes(KEY, WISHES)
    world.store.save_wishes(OTHER_KEY, slept)
    world.store.save_wishes(PreviewKey("docs", 1), Wishes())

    assert world.store.list_wishes() == {KEY: WISHES, OTHER_KEY: slept}


def test_asking_for_what_is_stored_already_writes_nothing(world: World) -> None:
    world.store.save_wishes(KEY, WISHES)
    before = world.version()

    world.store.save_wishes(KEY, WISHES)

    assert world.version() == before


def test_times_of_any_zone_come_back_as_the_same_moment(world: World) -> None:
    eastern = NOON.astimezone(timezone(timedelta(hours=5)))
    entry = HistoryEntry(eastern, "ada", "Slept")
    record = PreviewRecord(
        key=KEY, queued_since=eastern, facts=Facts(created_at=eastern, pushed_at=eastern)
    )
    world.store.save(record, [entry])
    world.store.save_wishes(KEY, Wishes(pin=Until(eastern, eastern, "ada"), active_at=eastern))

    found, wishes = world.store.load(KEY), world.store.load_wishes(KEY)
    assert found == record
    assert wishes.pin == Until(NOON, NOON, "ada")
    assert wishes.active_at == NOON
    assert world.store.history(KEY) == [entry]
