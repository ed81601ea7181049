"""How long a preview lives and when it sleeps, by what was wished and when."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.lifetime import (
    Anchor,
    EndCause,
    Expiry,
    Facts,
    LifetimePolicy,
    Said,
    SleepHours,
    Until,
    Wishes,
    end_of,
    expiry_of,
    is_pinned,
    sleep_of,
    ttl_of,
)
from previews.domain.lifetime_annotations import annotations_of, facts_from, wishes_from

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""A Wednesday."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FACTS = Facts(created_at=NOON - DAY, pushed_at=NOON - 2 * HOUR)
POLICY = LifetimePolicy(ttl=3 * DAY)
HEAD = "a" * 40


def said(at: datetime, by: str = "alice") -> Said:
    return Said(at, by)


def expiry(
    policy: LifetimePolicy = POLICY,
    facts: Facts = FACTS,
    wishes: Wishes | None = None,
    labels: tuple[str, ...] = (),
    now: datetime = NOON,
) -> Expiry:
    found = expiry_of(policy, labels, facts, wishes or Wishes(), now)
    assert found is not None
    return found


# The time to live


@pytest.mark.parametrize(
    ("label", "ttl"),
    [
        ("preview-ttl: 24h", DAY),
        ("preview-ttl:24h", DAY),
        ("preview-ttl:   90m  ", 90 * timedelta(minutes=1)),
        ("preview-ttl: 2d", 2 * DAY),
        ("preview-ttl: 30d", 5 * DAY),
        ("preview-ttl: 99999999999999999999d", 5 * DAY),
    ],
)
def test_a_label_sets_the_time_to_live_within_what_the_server_allows(
    label: str, ttl: timedelta
) -> None:
    assert ttl_of(LifetimePolicy(ttl=3 * DAY, ttl_max=5 * DAY), ("preview", label)) == ttl


@pytest.mark.parametrize(
    "label",
    [
        "preview-ttl: 0h",
        "preview-ttl:",
        "preview-ttl: h",
        "preview-ttl: -1h",
        "preview-ttl: 1.5h",
        "preview-ttl: ²h",
        "preview-ttl: 24",
        "preview-ttl: 24H",
        "preview-ttl: 1h2m",
        "preview-ttl: ∞",
        "xpreview-ttl: 1h",
        "Preview-TTL: 1h",
    ],
)
def test_a_label_that_says_no_time_is_as_none(label: str) -> None:
    assert ttl_of(POLICY, (label,)) == 3 * DAY
    assert ttl_of(LifetimePolicy(), (label,)) is None


@given(st.text())
def test_no_label_breaks_anything_nor_reaches_beyond_the_limit(text: str) -> None:
    found = ttl_of(POLICY, (f"preview-ttl:{text}",))
    assert found is not None
    assert timedelta(0) < found <= max(POLICY.ttl_max, 3 * DAY)


def test_the_first_good_label_counts_whatever_the_order() -> None:
    one, other = "preview-ttl: 1h", "preview-ttl: 2h"
    assert ttl_of(POLICY, (one, other)) == ttl_of(POLICY, (other, one)) == HOUR
    assert ttl_of(POLICY, ("preview-ttl: 0h", other)) == 2 * HOUR


def test_a_label_gives_a_time_to_live_where_the_project_has_none() -> None:
    assert ttl_of(LifetimePolicy(), ("preview-ttl: 1h",)) == HOUR
    assert expiry_of(LifetimePolicy(), (), FACTS, Wishes(), NOON) is None


# What it is counted from


def test_each_anchor_counts_from_its_own_moment() -> None:
    wishes = Wishes(active_at=NOON - HOUR)
    anchored = {
        anchor: expiry(replace(POLICY, anchor=anchor), wishes=wishes).anchored_at
        for anchor in Anchor
    }
    assert anchored == {
        Anchor.CREATION: FACTS.created_at,
        Anchor.LAST_PUSH: FACTS.pushed_at,
        Anchor.LAST_ACTIVITY: NOON - HOUR,
    }


def test_a_preview_made_long_after_its_push_is_counted_from_its_making() -> None:
    facts = replace(FACTS, created_at=NOON, pushed_at=NOON - 30 * DAY)
    assert {expiry(replace(POLICY, anchor=anchor), facts).at for anchor in Anchor} == {
        NOON + 3 * DAY
    }


def test_what_brought_it_back_after_its_end_gives_it_a_whole_time_again() -> None:
    facts = replace(FACTS, expired_at=NOON - HOUR)
    wishes = Wishes(wake=said(NOON))
    for anchor in Anchor:
        assert expiry(replace(POLICY, anchor=anchor), facts, wishes).at == NOON + 3 * DAY


def test_a_wake_alone_makes_nothing_live_longer() -> None:
    assert expiry(wishes=Wishes(wake=said(NOON))).at == FACTS.pushed_at + 3 * DAY


def test_it_is_near_from_the_warning_on() -> None:
    end = expiry().at
    assert not expiry(now=end - 6 * HOUR - timedelta(seconds=1)).is_near
    assert expiry(now=end - 6 * HOUR).is_near


# Extensions and pins


def test_an_extension_counts_only_if_it_is_later_than_what_would_be_anyway() -> None:
    later = Until(NOON + 9 * DAY, NOON, "bob")
    assert (expiry(wishes=Wishes(extension=later)).at, later.until) == (later.until, NOON + 9 * DAY)
    assert expiry(wishes=Wishes(extension=later)).extended_by == "bob"
    earlier = Until(NOON + HOUR, NOON, "bob")
    assert expiry(wishes=Wishes(extension=earlier)) == expiry()


def test_a_pin_is_said_only_while_it_lasts() -> None:
    pin = Wishes(pin=Until(NOON + 9 * DAY, NOON, "bob"))
    assert (expiry(wishes=pin).at, expiry(wishes=pin).pinned_by) == (NOON + 9 * DAY, "bob")
    assert is_pinned(pin, NOON)
    after = NOON + 10 * DAY
    assert not is_pinned(pin, after)
    assert expiry(wishes=pin, now=after).pinned_by == ""


def test_an_unpinned_preview_is_not_pinned_from_that_very_moment() -> None:
    unpin = Wishes(pin=Until(NOON, NOON, "bob"))
    assert not is_pinned(unpin, NOON)
    assert unpin.revived_at is None, "to unpin is no wish to have it back"


# Ends and comebacks

ENDS = {
    EndCause.EXPIRED: (replace(FACTS, expired_at=NOON), Wishes()),
    EndCause.REMOVED: (FACTS, Wishes(removal=said(NOON))),
    EndCause.EVICTED: (FACTS, Wishes(eviction=said(NOON))),
}


@pytest.mark.parametrize("cause", ENDS)
def test_an_end_lasts_until_somebody_pushes_or_asks(cause: EndCause) -> None:
    facts, wishes = ENDS[cause]
    after, later = NOON + HOUR, NOON + 2 * HOUR
    end = end_of(facts, wishes, later)
    assert end is not None
    assert (end.cause, end.at) == (cause, NOON)
    assert end_of(replace(facts, pushed_at=after), wishes, later) is None
    for back in (
        replace(wishes, wake=said(after)),
        replace(wishes, redeploy=said(after)),
        replace(wishes, pin=Until(after + DAY, after, "bob")),
        replace(wishes, extension=Until(after + DAY, after, "bob")),
    ):
        assert end_of(facts, back, later) is None
    for no_sign in (
        replace(wishes, sleep=said(after)),
        replace(wishes, active_at=after),
        replace(wishes, confirmation=said(after)),
        replace(wishes, pin=Until(after, after, "bob")),
        replace(wishes, wake=said(NOON - HOUR)),
    ):
        assert end_of(facts, no_sign, later) == end


def test_the_last_of_several_ends_is_said() -> None:
    facts = replace(FACTS, expired_at=NOON - HOUR)
    wishes = Wishes(removal=said(NOON, "bob"), eviction=said(NOON - 2 * HOUR))
    end = end_of(facts, wishes, NOON)
    assert end is not None
    assert (end.cause, end.by) == (EndCause.REMOVED, "bob")


def test_an_end_that_lies_in_the_future_never_happened() -> None:
    for facts, wishes in ENDS.values():
        assert end_of(facts, wishes, NOON - timedelta(seconds=1)) is None


def test_removed_again_after_a_comeback_it_is_gone_again() -> None:
    wishes = Wishes(wake=said(NOON - HOUR), removal=said(NOON))
    end = end_of(FACTS, wishes, NOON)
    assert end is not None
    assert end.cause is EndCause.REMOVED


# Sleep

IDLE = LifetimePolicy(sleep_after=HOUR)


def sleeps(
    policy: LifetimePolicy = IDLE,
    facts: Facts = FACTS,
    wishes: Wishes | None = None,
    now: datetime = NOON,
    watched_since: datetime | None = None,
) -> Said | None:
    return sleep_of(policy, facts, wishes or Wishes(), now, watched_since)


def test_it_sleeps_when_nobody_came_for_long_enough() -> None:
    watched = NOON - DAY
    assert sleeps(watched_since=watched) == Said(NOON, "nobody visited it")
    assert sleeps(watched_since=watched, wishes=Wishes(active_at=NOON - HOUR / 2)) is None
    assert sleeps(watched_since=watched, facts=replace(FACTS, pushed_at=NOON - HOUR / 2)) is None


def test_silence_counts_only_while_somebody_listens() -> None:
    assert sleeps(watched_since=None) is None
    assert sleeps(watched_since=NOON - HOUR / 2) is None
    assert sleeps(LifetimePolicy(), watched_since=NOON - DAY) is None


def test_asleep_it_stays_asleep_until_somebody_uses_it() -> None:
    asleep = replace(FACTS, asleep=Said(NOON, "nobody visited it"))
    later = NOON + 5 * DAY
    assert sleeps(facts=asleep, now=later) == asleep.asleep
    for use in (
        Wishes(wake=said(NOON + HOUR)),
        Wishes(redeploy=said(NOON + HOUR)),
        Wishes(active_at=NOON + HOUR),
    ):
        assert sleeps(facts=asleep, wishes=use, now=later) is None
    assert sleeps(facts=replace(asleep, pushed_at=NOON + HOUR), now=later) is None
    for no_use in (Wishes(pin=Until(later, NOON + HOUR, "bob")), Wishes(removal=said(NOON + HOUR))):
        assert sleeps(facts=asleep, wishes=no_use, now=later) == asleep.asleep


def test_put_to_sleep_by_hand_it_sleeps_at_once_until_it_is_used() -> None:
    wishes = Wishes(sleep=said(NOON), active_at=NOON - timedelta(seconds=1))
    assert sleeps(wishes=wishes) == wishes.sleep
    used = replace(wishes, active_at=NOON + timedelta(seconds=1))
    assert sleeps(wishes=used, now=NOON + HOUR) is None


NIGHT = SleepHours(frozenset(range(5)), time(20), time(7), "Europe/Berlin")
WEEKEND = SleepHours(frozenset({5, 6}), time(0), time(0), "Europe/Berlin")


@pytest.mark.parametrize(
    ("moment", "contained"),
    [
        ("2026-03-04T18:59:00Z", False),
        ("2026-03-04T19:00:00Z", True),
        ("2026-03-05T05:59:59Z", True),
        ("2026-03-05T06:00:00Z", False),
        ("2026-03-06T20:00:00Z", True),
        # Saturday morning still belongs to Friday's night, Sunday's to none, nor Monday's before seven.
        ("2026-03-07T05:00:00Z", True),
        ("2026-03-07T20:00:00Z", False),
        ("2026-03-08T05:00:00Z", False),
        ("2026-03-09T05:00:00Z", False),
        # In summer Berlin is two hours ahead.
        ("2026-07-01T18:00:00Z", True),
        ("2026-07-01T17:59:00Z", False),
        ("2026-07-02T04:59:00Z", True),
        ("2026-07-02T05:00:00Z", False),
    ],
)
def test_nights_over_midnight_belong_to_the_day_on_which_they_begin(
    moment: str, *, contained: bool
) -> None:
    assert NIGHT.contain(datetime.fromisoformat(moment)) is contained


@pytest.mark.parametrize(
    ("moment", "contained"),
    [
        ("2026-03-06T22:59:00Z", False),
        ("2026-03-06T23:00:00Z", True),
        ("2026-03-08T22:59:00Z", True),
        ("2026-03-08T23:00:00Z", False),
    ],
)
def test_a_whole_day_is_from_midnight_to_midnight(moment: str, *, contained: bool) -> None:
    assert WEEKEND.contain(datetime.fromisoformat(moment)) is contained


def test_the_clocks_of_a_zone_go_forward_and_back_within_a_night() -> None:
    sunday = SleepHours(frozenset(range(7)), time(1), time(4), "Europe/Berlin")
    for begin, hours in (("2026-03-28T22:00:00Z", 2), ("2026-10-24T22:00:00Z", 4)):
        start = datetime.fromisoformat(begin)
        slept = sum(sunday.contain(start + n * timedelta(minutes=15)) for n in range(40))
        assert slept == hours * 4


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - zone beside it
    st.sets(st.integers(0, 6), min_size=1),
    st.times(),
    st.times(),
)
def test_hours_and_their_counterpart_share_the_day_between_them(
    moment: datetime, days: set[int], start: time, end: time
) -> None:
    every = frozenset(range(7))
    hours = SleepHours(frozenset(days), start, end, "UTC")
    if start != end:
        assert SleepHours(every, start, end, "UTC").contain(moment) != SleepHours(
            every, end, start, "UTC"
        ).contain(moment)
    if hours.contain(moment):
        assert SleepHours(every, start, end, "UTC").contain(moment)


def test_in_sleeping_hours_it_sleeps_unless_it_was_used_just_now() -> None:
    policy = LifetimePolicy(sleep_hours=(NIGHT,))
    midnight = datetime(2026, 3, 5, 0, tzinfo=UTC)
    assert sleeps(policy, now=midnight) == Said(midnight, "sleeping hours")
    assert sleeps(policy, now=NOON) is None
    woken = Wishes(wake=said(midnight))
    assert sleeps(policy, wishes=woken, now=midnight + timedelta(minutes=29)) is None
    assert sleeps(policy, wishes=woken, now=midnight + timedelta(minutes=30)) is not None
    patient = replace(policy, sleep_after=2 * HOUR)
    assert sleeps(patient, wishes=woken, now=midnight + HOUR) is None


def test_a_night_that_is_over_wakes_nobody_by_itself() -> None:
    policy = LifetimePolicy(sleep_hours=(NIGHT,))
    asleep = replace(FACTS, asleep=Said(datetime(2026, 3, 5, 0, tzinfo=UTC), "sleeping hours"))
    morning = datetime(2026, 3, 5, 9, tzinfo=UTC)
    assert sleeps(policy, facts=asleep, now=morning) == asleep.asleep


# In Git

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone beside it
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
SAYINGS = st.none() | st.builds(Said, MOMENTS, NAMES)
UNTILS = st.none() | st.builds(Until, MOMENTS, MOMENTS, NAMES)
WISHES = st.builds(
    Wishes,
    pin=UNTILS,
    extension=UNTILS,
    sleep=SAYINGS,
    wake=SAYINGS,
    redeploy=SAYINGS,
    removal=SAYINGS,
)


@given(WISHES, MOMENTS, MOMENTS, SAYINGS)
def test_what_git_says_is_read_again_as_it_was(
    wishes: Wishes, created_at: datetime, pushed_at: datetime, asleep: Said | None
) -> None:
    facts = Facts(created_at=created_at, pushed_at=pushed_at, asleep=asleep)
    written = annotations_of(facts, wishes, None, HEAD)
    assert wishes_from(written) == wishes
    assert facts_from(written, HEAD, NOON) == facts


def test_another_commit_than_the_one_in_git_was_pushed_since() -> None:
    written = annotations_of(FACTS, Wishes(), None, HEAD)
    found = facts_from(written, "b" * 40, NOON)
    assert found is not None
    assert found.pushed_at == NOON


GARBAGE = st.sampled_from(
    [
        "",
        " ",
        "yesterday",
        "2026-03-04",
        "2026-03-04T12:00:00",
        "2026-03-04T12:00:00Z",
        "2026-13-40T99:00:00Z alice",
        "2026-03-04T12:00:00+99:00 alice",
        "2026-03-04T12:00:00Z 2026-03-04T12:00:00Z",
        "\u0662\u0660\u0662\u0666-03-04T12:00:00Z alice",
    ]
)
KEYS = st.sampled_from(
    sorted(annotations_of(FACTS, Wishes(pin=Until(NOON, NOON, "a")), None, HEAD))
)


@given(st.dictionaries(KEYS, GARBAGE | st.text()))
def test_garbage_in_git_is_left_out_and_breaks_nothing(written: dict[str, str]) -> None:
    wishes, facts = wishes_from(written), facts_from(written, HEAD, NOON)
    for wish in (wishes.pin, wishes.extension):
        assert wish is None or (wish.at.tzinfo and wish.until.tzinfo)
    assert facts is None or (facts.created_at.tzinfo and facts.pushed_at.tzinfo)
    found = facts or FACTS
    end_of(found, wishes, NOON)
    expiry_of(POLICY, (), found, wishes, NOON)
    sleep_of(IDLE, found, wishes, NOON, NOON)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00"])
def test_a_moment_at_the_end_of_time_breaks_nothing(moment: str) -> None:
    written = dict.fromkeys(annotations_of(FACTS, Wishes(), None, HEAD), f"{moment} {HEAD}")
    written |= {"previews.dev/created-at": moment}
    wishes, facts = wishes_from(written), facts_from(written, HEAD, NOON) or FACTS
    found = expiry_of(POLICY, (), facts, wishes, NOON)
    annotations_of(facts, wishes, found, HEAD)
    sleep_of(IDLE, facts, wishes, NOON, NOON)


def test_an_expiry_that_moves_with_every_visit_is_no_commit_each() -> None:
    moving = expiry(replace(POLICY, anchor=Anchor.LAST_ACTIVITY))
    assert "previews.dev/expires-at" not in annotations_of(FACTS, Wishes(), moving, HEAD)
    assert "previews.dev/expires-at" in annotations_of(FACTS, Wishes(), expiry(), HEAD)


@given(WISHES, WISHES, WISHES)
def test_wishes_are_merged_by_time_whoever_is_asked_first(
    one: Wishes, other: Wishes, third: Wishes
) -> None:
    assert one.merged(one) == one
    assert one.merged(Wishes()) == Wishes().merged(one) == one
    for name in ("pin", "extension", "sleep", "wake", "redeploy", "removal"):
        times = [getattr(wishes, name) for wishes in (one, other, third)]
        newest = max((wish.at for wish in times if wish), default=None)
        for merged in (one.merged(other).merged(third), third.merged(one.merged(other))):
            wish = getattr(merged, name)
            assert (wish.at if wish else None) == newest
