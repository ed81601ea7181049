"""Which migrations somebody changed after they ran, and what the pull request says of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.markdown import escape, plain
from previews.domain.migrations import (
    Change,
    ChangedMigration,
    changed_after_they_ran,
    reset_offer,
)
from previews.domain.preview import PreviewKey

SHOP_7 = PreviewKey("shop", 7)
paths = st.text(min_size=1, max_size=20)
files = st.dictionaries(paths, st.sampled_from("abc"), max_size=8)


def test_a_migration_that_was_added_is_nothing_to_speak_of() -> None:
    ran = {"db/0001.sql": "a"}
    assert changed_after_they_ran(ran, {**ran, "db/0002.sql": "b", "db/0000.sql": "c"}) == ()


def test_an_edited_and_a_removed_migration_are_told_apart() -> None:
    ran = {"db/0001.sql": "a", "db/0002.sql": "b", "db/0003.sql": "c"}
    assert changed_after_they_ran(ran, {"db/0002.sql": "B", "db/0003.sql": "c"}) == (
        ChangedMigration("db/0001.sql", Change.REMOVED),
        ChangedMigration("db/0002.sql", Change.EDITED),
    )


def test_a_renamed_migration_is_gone_under_the_name_that_it_ran_with() -> None:
    assert changed_after_they_ran({"db/1.sql": "a"}, {"db/01.sql": "a"}) == (
        ChangedMigration("db/1.sql", Change.REMOVED),
    )


@given(ran=files, added=files)
def test_files_that_are_only_added_never_count(ran: dict[str, str], added: dict[str, str]) -> None:
    assert changed_after_they_ran(ran, added | ran) == ()


@given(ran=files, now=files)
def test_exactly_what_ran_and_is_no_longer_so_is_named(
    ran: dict[str, str], now: dict[str, str]
) -> None:
    changed = changed_after_they_ran(ran, now)

    assert {each.path for each in changed} == {path for path in ran if now.get(path) != ran[path]}
    assert list(changed) == sorted(changed)
    for each in changed:
        assert (each.change is Change.EDITED) == (each.path in now)


@given(ran=files, now=files)
def test_taking_every_change_back_leaves_nothing_to_say(
    ran: dict[str, str], now: dict[str, str]
) -> None:
    mended = now | {each.path: ran[each.path] for each in changed_after_they_ran(ran, now)}
    assert reset_offer(changed_after_they_ran(ran, mended), SHOP_7) == ""


@given(ran=files, now=files)
def test_the_offer_is_one_harmless_line_once_it_is_written_into_a_comment(
    ran: dict[str, str], now: dict[str, str]
) -> None:
    said = escape(plain(reset_offer(changed_after_they_ran(ran, now), SHOP_7)))
    assert "\n" not in said
    assert "<script" not in said
    assert bool(said) == bool(changed_after_they_ran(ran, now))


@pytest.mark.parametrize(
    ("count", "subject"),
    [
        (1, "0.sql was edited after"),
        (2, "0.sql was edited and 1.sql was edited after"),
        (3, "0.sql was edited, 1.sql was edited and 2.sql was edited after"),
        (5, "0.sql was edited, 1.sql was edited, 2.sql was edited and 2 more were changed after"),
    ],
)
def test_the_offer_names_a_few_files_and_the_command(count: int, subject: str) -> None:
    changed = [ChangedMigration(f"{number}.sql", Change.EDITED) for number in range(count)]
    said = reset_offer(changed, SHOP_7)
    assert said.startswith(subject)
    assert "previews reset-database shop#7" in said
