"""What people ask of a preview: kept with its time and its author, or refused with a reason."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from previews.domain.duration import format_duration, parse_duration
from previews.domain.lifetime import (
    MANAGER,
    VISITOR,
    Anchor,
    Expiry,
    Facts,
    LifetimePolicy,
    Said,
    Until,
    Wishes,
)
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import HistoryEntry, PreviewRecord
from previews.errors import ActionRefusedError, TransientError
from previews.reconcile.actions import Actions
from previews.reconcile.effects import Effects
from tests.fakes.clock import ManualClock
from tests.fakes.store import InMemoryStore
from tests.pull_requests import PULL_REQUEST

KEY = PreviewKey("shop", 42)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
POLICY = LifetimePolicy(ttl=3 * DAY, ttl_max=30 * DAY)
RECORD = PreviewRecord(key=KEY, pull_request=PULL_REQUEST, phase=Phase.LIVE)


class Desk:
    """Where people ask, with what became of it."""

    def __init__(self, store: InMemoryStore | None = None) -> None:
        self.store = store or InMemoryStore()
        self.clock = ManualClock()
        self.queued: list[PreviewKey] = []
        self.effects: list[tuple[str, str]] = []
        self.policies = {"shop": POLICY, "forever": LifetimePolicy()}
        self.actions = Actions(
            store=self.store,
            effects=Effects(self),
            clock=self.clock,
            policies=self.policies,
            enqueue=self.enqueue,
        )
        self.store.save(RECORD)

    def before(self, effect: str, subject: str) -> None:
        self.effects.append((effect, subject))

    def after(self, effect: str, subject: str) -> None: ...

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        self.queued += keys

    def expires_at(self, moment: datetime) -> None:
        expiry = Expiry(moment, Anchor.LAST_PUSH, moment - 3 * DAY, 3 * DAY)
        self.store.save(replace(RECORD, expiry=expiry))

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def wishes(self) -> Wishes:
        return self.store.load_wishes(KEY)

    @property
    def history(self) -> list[HistoryEntry]:
        return self.store.history(KEY)


@pytest.fixture
def desk() -> Desk:
    return Desk()


EVERY_VERB: dict[str, Callable[[Actions, PreviewKey], None]] = {
    "extend": lambda actions, key: actions.extend(key, HOUR, actor="ada"),
    "pin": lambda actions, key: actions.pin(key, DAY, actor="ada"),
    "unpin": lambda actions, key: actions.unpin(key, actor="ada"),
    "sleep": lambda actions, key: actions.sleep(key, actor="ada"),
    "wake": lambda actions, key: actions.wake(key, actor="ada"),
    "redeploy": lambda actions, key: actions.redeploy(key, actor="ada"),
    "remove": lambda actions, key: actions.remove(key, actor="ada"),
}


@pytest.fixture(params=EVERY_VERB)
def verb(request: pytest.FixtureRequest) -> Callable[[Actions, PreviewKey], None]:
    return EVERY_VERB[request.param]


def test_every_wish_is_one_effect_one_line_of_history_and_one_look(
    desk: Desk, verb: Callable[[Actions, PreviewKey], None]
) -> None:
    verb(desk.actions, KEY)

    assert desk.effects == [("store.act", "shop#42")]
    (entry,) = desk.history
    assert (entry.at, entry.actor) == (desk.now, "ada")
    assert desk.queued == [KEY]
    assert desk.wishes != Wishes()


def test_a_wish_that_was_sent_twice_is_kept_once(
    desk: Desk, verb: Callable[[Actions, PreviewKey], None]
) -> None:
    verb(desk.actions, KEY)
    wished = desk.wishes
    desk.clock.move(timedelta(milliseconds=900))
    verb(desk.actions, KEY)

    assert desk.wishes == wished
    assert len(desk.history) == 1
    assert desk.queued == [KEY, KEY]


def test_a_wish_that_is_made_again_later_counts(
    desk: Desk, verb: Callable[[Actions, PreviewKey], None]
) -> None:
    verb(desk.actions, KEY)
    desk.clock.move(timedelta(minutes=1))
    verb(desk.actions, KEY)

    assert [entry.at for entry in desk.history] == [desk.now - timedelta(minutes=1), desk.now]


def test_of_sleep_wake_and_sleep_in_one_second_the_last_counts(desk: Desk) -> None:
    for wish in (desk.actions.sleep, desk.actions.wake, desk.actions.sleep):
        wish(KEY, actor="ada")
        desk.clock.move(timedelta(milliseconds=100))

    assert desk.wishes.sleep is not None
    assert desk.wishes.wake is not None
    assert desk.wishes.sleep.at > desk.wishes.wake.at


def test_nobody_knows_a_preview_that_was_never_heard_of(
    desk: Desk, verb: Callable[[Actions, PreviewKey], None]
) -> None:
    with pytest.raises(ActionRefusedError, match=r"no preview shop#7") as refused:
        verb(desk.actions, PreviewKey("shop", 7))

    assert refused.value.reason == "UnknownPreview"
    assert desk.queued == []


def test_nothing_happens_to_a_project_that_is_not_configured(
    desk: Desk, verb: Callable[[Actions, PreviewKey], None]
) -> None:
    key = PreviewKey("gone", 1)
    desk.store.save(replace(RECORD, key=key))

    with pytest.raises(ActionRefusedError) as refused:
        verb(desk.actions, key)

    assert refused.value.reason == "ProjectNotConfigured"
    assert desk.store.load_wishes(key) == Wishes()


@pytest.mark.parametrize("name", sorted(EVERY_VERB.keys() - {"remove"}))
def test_the_preview_of_a_closed_pull_request_is_left_to_its_removal(desk: Desk, name: str) -> None:
    desk.store.save(replace(RECORD, pull_request=replace(PULL_REQUEST, is_open=False)))

    with pytest.raises(ActionRefusedError) as refused:
        EVERY_VERB[name](desk.actions, KEY)

    assert refused.value.reason == "PullRequestClosed"


def test_removing_the_preview_of_a_closed_pull_request_leaves_no_wish_for_the_reopened_one(
    desk: Desk,
) -> None:
    desk.store.save(replace(RECORD, pull_request=replace(PULL_REQUEST, is_open=False)))

    desk.actions.remove(KEY, actor="ada")

    assert desk.wishes == Wishes()
    assert desk.queued == [KEY]


def test_a_pull_request_that_was_not_read_yet_is_asked_about_again(desk: Desk) -> None:
    desk.store.save(PreviewRecord(key=KEY))

    with pytest.raises(ActionRefusedError) as refused:
        desk.actions.pin(KEY, actor="ada")

    assert refused.value.reason == "NotReadYet"


def test_a_store_that_does_not_answer_keeps_nothing(
    desk: Desk, verb: Callable[[Actions, PreviewKey], None]
) -> None:
    desk.store.unavailable = True

    with pytest.raises(TransientError):
        verb(desk.actions, KEY)

    assert desk.queued == []


def test_an_extension_is_counted_from_the_expiry(desk: Desk) -> None:
    expires_at = desk.now + 5 * HOUR
    desk.expires_at(expires_at)

    desk.actions.extend(KEY, DAY, actor="ada")

    assert desk.wishes.extension == Until(expires_at + DAY, desk.now, "ada")
    assert desk.history[0].detail == "by 1d, until 2026-11-03 13:30 UTC"


def test_what_has_expired_is_extended_from_now(desk: Desk) -> None:
    desk.expires_at(desk.now - 5 * HOUR)

    desk.actions.extend(KEY, DAY, actor="ada")

    assert desk.wishes.extension == Until(desk.now + DAY, desk.now, "ada")
    assert desk.wishes.revived_at == desk.now


def test_two_people_extend_before_either_is_shown(desk: Desk) -> None:
    desk.expires_at(desk.now + HOUR)

    desk.actions.extend(KEY, DAY, actor="ada")
    desk.actions.extend(KEY, DAY, actor="grace")

    assert desk.wishes.extension == Until(desk.now + HOUR + 2 * DAY, desk.now, "grace")


@pytest.mark.parametrize("by", [30 * DAY - HOUR + timedelta(seconds=1), timedelta.max])
def test_an_extension_has_a_maximum_that_is_said(desk: Desk, by: timedelta) -> None:
    desk.expires_at(desk.now + HOUR)
    desk.actions.extend(KEY, 29 * DAY, actor="ada")

    with pytest.raises(ActionRefusedError, match="at most 30d from now on") as refused:
        desk.actions.extend(KEY, by, actor="grace")

    assert refused.value.reason == "BeyondLimit"
    desk.actions.extend(KEY, 23 * HOUR, actor="grace")
    assert desk.wishes.extension == Until(desk.now + 30 * DAY, desk.now, "grace")


def test_what_lives_as_long_as_its_pull_request_cannot_be_extended(desk: Desk) -> None:
    key = PreviewKey("forever", 42)
    desk.store.save(replace(RECORD, key=key))

    with pytest.raises(ActionRefusedError) as refused:
        desk.actions.extend(key, DAY, actor="ada")

    assert refused.value.reason == "NothingToExtend"

    labelled = replace(PULL_REQUEST, labels=("preview-ttl: 2h",))
    desk.store.save(replace(RECORD, key=key, pull_request=labelled))
    desk.actions.extend(key, DAY, actor="ada")
    assert desk.store.load_wishes(key).extension == Until(desk.now + DAY, desk.now, "ada")


@pytest.mark.parametrize("length", [timedelta(0), -HOUR])
def test_no_length_of_time_is_refused(desk: Desk, length: timedelta) -> None:
    for ask in (desk.actions.extend, desk.actions.pin):
        with pytest.raises(ActionRefusedError) as refused:
            ask(KEY, length, actor="ada")
        assert refused.value.reason == "NoLength"


def test_a_pin_lasts_as_long_as_was_asked_for_and_at_most_the_maximum(desk: Desk) -> None:
    desk.actions.pin(KEY, 7 * DAY, actor="ada")
    assert desk.wishes.pin == Until(desk.now + 7 * DAY, desk.now, "ada")

    desk.actions.pin(KEY, actor="ada")
    assert desk.wishes.pin == Until(desk.now + 30 * DAY, desk.now, "ada")

    with pytest.raises(ActionRefusedError, match="at most 30d"):
        desk.actions.pin(KEY, 30 * DAY + HOUR, actor="ada")


def test_a_pin_taken_back_is_over_at_once(desk: Desk) -> None:
    desk.actions.pin(KEY, actor="ada")
    desk.actions.unpin(KEY, actor="ada")

    assert desk.wishes.pin == Until(desk.now, desk.now, "ada")
    assert [entry.action for entry in desk.history] == ["Pin", "Unpin"]


def test_what_has_ended_cannot_sleep(desk: Desk) -> None:
    desk.store.save(replace(RECORD, phase=Phase.EXPIRED))

    with pytest.raises(ActionRefusedError) as refused:
        desk.actions.sleep(KEY, actor="ada")

    assert refused.value.reason == "PreviewEnded"


def test_a_person_brings_back_what_has_ended_and_a_visitor_does_not(desk: Desk) -> None:
    desk.store.save(replace(RECORD, phase=Phase.EXPIRED))

    with pytest.raises(ActionRefusedError) as refused:
        desk.actions.wake(KEY, actor=VISITOR)
    assert refused.value.reason == "PreviewEnded"
    assert desk.wishes == Wishes()

    desk.actions.wake(KEY, actor="ada")
    assert desk.wishes.revived_at == desk.now


def test_a_crowd_of_visitors_wakes_a_preview_once_each_time_that_it_sleeps(desk: Desk) -> None:
    for _ in range(2):
        asleep = Said(desk.now, "nobody visited it")
        facts = Facts(created_at=desk.now - DAY, pushed_at=desk.now - DAY, asleep=asleep)
        desk.store.save(replace(RECORD, phase=Phase.ASLEEP, facts=facts))
        for _ in range(5):
            desk.clock.move(timedelta(seconds=2))
            desk.actions.wake(KEY, actor=VISITOR)
        desk.clock.move(DAY)

    assert [(entry.actor, entry.action) for entry in desk.history] == [(VISITOR, "Wake")] * 2


def test_a_visitor_wakes_what_a_person_sent_to_sleep_only_after_that(desk: Desk) -> None:
    desk.actions.wake(KEY, actor=VISITOR)
    desk.clock.move(HOUR)
    desk.actions.sleep(KEY, actor="ada")
    desk.clock.move(HOUR)
    desk.actions.wake(KEY, actor=VISITOR)

    assert desk.wishes.wake == Said(desk.now, VISITOR)


def test_an_eviction_says_for_whom(desk: Desk) -> None:
    desk.actions.evict(KEY, "shop#43 needed its place")

    assert desk.wishes.eviction == Said(desk.now, "shop#43 needed its place")
    assert desk.history == [HistoryEntry(desk.now, MANAGER, "Evict", "shop#43 needed its place")]


def test_only_the_removals_that_were_named_are_confirmed(desk: Desk) -> None:
    other = PreviewKey("shop", 43)
    desk.store.save(replace(RECORD, key=other))

    desk.actions.confirm([KEY], actor="ada")

    assert desk.wishes.confirmation == Said(desk.now, "ada")
    assert desk.store.load_wishes(other) == Wishes()
    assert desk.history == [HistoryEntry(desk.now, "ada", "ConfirmRemoval")]


def test_everything_is_removed_but_what_is_gone_or_belongs_to_no_project(desk: Desk) -> None:
    others = {
        PreviewKey("shop", 1): Phase.REMOVED,
        PreviewKey("shop", 2): Phase.EXPIRED,
        PreviewKey("shop", 3): Phase.ASLEEP,
        PreviewKey("gone", 4): Phase.LIVE,
    }
    for key, phase in others.items():
        desk.store.save(replace(RECORD, key=key, phase=phase))

    assert desk.actions.remove_all(actor="ada") == [PreviewKey("shop", 3), KEY]

    wished = {key for key, wishes in desk.store.list_wishes().items() if wishes.removal}
    assert wished == {PreviewKey("shop", 3), KEY}


def test_only_a_project_that_is_not_configured_is_drained(desk: Desk) -> None:
    there, gone = PreviewKey("old", 1), PreviewKey("old", 2)
    desk.store.save(replace(RECORD, key=there, phase=Phase.BLOCKED, reason="ProjectNotConfigured"))
    desk.store.save(replace(RECORD, key=gone, phase=Phase.REMOVED))

    assert desk.actions.drain("old", actor="ada") == [there]
    assert desk.store.load_wishes(there).removal == Said(desk.now, "ada")
    assert desk.store.load_wishes(gone) == Wishes()

    with pytest.raises(ActionRefusedError) as refused:
        desk.actions.drain("shop", actor="ada")
    assert refused.value.reason == "ProjectConfigured"
    assert desk.wishes == Wishes()


def test_visits_are_kept_now_and_then_without_history(desk: Desk) -> None:
    start = desk.now
    for _ in range(150):
        desk.clock.move(timedelta(seconds=1))
        desk.actions.visited(KEY, desk.now)

    assert desk.wishes.active_at == start + timedelta(seconds=121)
    assert len(desk.effects) == 3
    assert desk.history == []


def test_visits_are_kept_more_often_where_a_preview_sleeps_soon(desk: Desk) -> None:
    desk.policies["shop"] = replace(POLICY, sleep_after=timedelta(seconds=20))
    for _ in range(10):
        desk.clock.move(timedelta(seconds=1))
        desk.actions.visited(KEY, desk.now)

    assert desk.wishes.active_at == desk.now - timedelta(seconds=1)


def test_a_visit_in_the_future_was_now_and_an_older_one_than_known_is_nothing(desk: Desk) -> None:
    desk.actions.visited(KEY, desk.now + DAY)
    assert desk.wishes.active_at == desk.now

    desk.actions.visited(KEY, desk.now - HOUR)
    assert desk.wishes.active_at == desk.now


def test_a_visit_kept_by_a_clock_that_was_ahead_is_corrected_by_the_next(desk: Desk) -> None:
    desk.store.save_wishes(KEY, Wishes(active_at=desk.now + 365 * DAY))

    desk.actions.visited(KEY, desk.now)

    assert desk.wishes.active_at == desk.now


def test_what_stands_in_git_is_taken_over_where_it_is_newer_and_only_once(desk: Desk) -> None:
    before, after = desk.now - HOUR, desk.now + HOUR
    desk.actions.sleep(KEY, actor="ada")
    desk.actions.wake(KEY, actor="ada")
    found = Wishes(sleep=Said(before, "grace"), wake=Said(after, "grace"))

    for _ in range(2):
        desk.actions.adopt(KEY, found)

    assert desk.wishes.sleep == Said(desk.now, "ada")
    assert desk.wishes.wake == Said(after, "grace")
    assert len(desk.effects) == 3
    assert len(desk.history) == 2


class NarrowStore(InMemoryStore):
    """Notices when two come between the reading of wishes and their writing."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = threading.Semaphore(1)
        self.met = threading.Event()

    def load_wishes(self, key: PreviewKey) -> Wishes:
        wishes = super().load_wishes(key)
        if not self._inside.acquire(blocking=False):
            self.met.set()
        # Whoever is kept out by nothing else comes in this time.
        self.met.wait(0.05)
        return wishes

    def save_wishes(
        self, key: PreviewKey, wishes: Wishes, history: Sequence[HistoryEntry] = ()
    ) -> None:
        super().save_wishes(key, wishes, history)
        self._inside.release()


def test_wishes_of_many_threads_at_once_are_all_kept() -> None:
    store = NarrowStore()
    desk = Desk(store)
    threads = [
        threading.Thread(target=ask, args=[desk.actions, KEY]) for ask in EVERY_VERB.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not store.met.is_set()
    wished = desk.store.load_wishes(KEY)
    kept = [
        wished.extension,
        wished.pin,
        wished.sleep,
        wished.wake,
        wished.redeploy,
        wished.removal,
    ]
    assert None not in kept
    assert len(desk.history) == len(EVERY_VERB)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("24h", DAY),
        ("3d", 3 * DAY),
        ("999999999d", timedelta(days=999999999)),
    ],
)
def test_a_length_of_time_is_read_and_written_again(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length
    assert parse_duration(format_duration(length)) == length


def test_a_length_of_time_is_written_in_its_largest_whole_unit() -> None:
    lengths = [timedelta(0), timedelta(seconds=90), timedelta(minutes=90), 36 * HOUR, 2 * DAY]
    assert [format_duration(length) for length in lengths] == ["0s", "90s", "90m", "36h", "2d"]


@pytest.mark.parametrize(
    "text", ["", "3", "d", "-3d", "3 d", "1.5h", "3w", "٣d", "3d ", "9999999999d", "3D"]
)
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as"):
        parse_duration(text)
