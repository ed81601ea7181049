"""What every store does: run on the fake and on SQLite."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from previews.adapters.store import SQLStore
from previews.domain.images import NamedImage
from previews.domain.lifetime import Anchor, Expiry, Facts, Said, Until, Wishes
from previews.domain.policy import PathsVerdict
from previews.domain.ports import Store
from previews.domain.preview import (
    Condition,
    Grant,
    HeadSha,
    Manifests,
    Mode,
    Parcel,
    Phase,
    PreviewKey,
    PullRequest,
    Stage,
)
from previews.domain.probing import ProbeVerdict
from previews.domain.record import (
    HISTORY_KEPT,
    Delivery,
    Gone,
    HistoryEntry,
    PreviewRecord,
    Removal,
    Verdict,
)
from previews.errors import TransientError
from tests.fakes.clock import ManualClock
from tests.fakes.store import InMemoryStore

KEY = PreviewKey("shop", 42)
OTHER_KEY = PreviewKey("shop", 43)
NOON = datetime(2026, 11, 2, 12, 0, 0, 123456, tzinfo=UTC)
PUSHED = Condition(type="Pushed", status=True, reason="Met", message="", since=NOON)
PULL_REQUEST = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HeadSha("a" * 40),
    head_branch="a;$(id)",
    base_branch="main",
    title="{{.x}} \u202e '\" \ud83d \x00 \n---\n",
    author="mallory",
    url="https://forge.example/acme/shop/pull/42",
    from_fork=False,
    labels=("\udcff", "preview-ttl: 24h"),
)
FACTS = Facts(
    created_at=NOON, pushed_at=NOON, expired_at=NOON, asleep=Said(NOON, "nobody visited it")
)
EXPIRY = Expiry(
    at=NOON,
    anchor=Anchor.LAST_PUSH,
    anchored_at=NOON,
    ttl=timedelta(hours=72, microseconds=1),
    extended_by="ada",
    pinned_by="bob",
    is_near=True,
)
GRANT = Grant(
    server="main",
    incarnation="5aef42b7e0bddf3b",
    credential="99a64712577aaaf2",
    since=NOON,
    secret_kind="sealed-secrets",
    secret_name="database",
    secret_file="kind: SealedSecret\n",
)
REMOVAL = Removal(
    cause="Closed",
    by="previews",
    started_at=NOON,
    gone=(Gone("Application", "shop-pr-42", NOON), Gone("Namespace", "shop-pr-42", NOON)),
    finished_at=NOON,
)
PINNED = HistoryEntry(NOON, "mallory \ud83d", "Pinned", "until \x00 noon")
WISHES = Wishes(
    pin=Until(NOON + timedelta(days=1), NOON, "mallory \ud83d"),
    extension=Until(NOON, NOON, "ada"),
    sleep=Said(NOON, "ada"),
    wake=Said(NOON, "a visitor"),
    redeploy=Said(NOON, ""),
    removal=Said(NOON, "ada"),
    reset=Said(NOON, "ada"),
    rotation=Said(NOON, "bob"),
    eviction=Said(NOON, "room for shop#43"),
    confirmation=Said(NOON, "bob"),
    active_at=NOON,
)


class World(Protocol):
    """A store, and what can be known and done from beside it."""

    @property
    def store(self) -> Store: ...
    def version(self) -> object:
        """Something that changes with every write."""
        ...

    def put_out_of_order(self) -> None: ...
    def mend(self) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.store = InMemoryStore()

    def version(self) -> object:
        return self.store.writes

    def put_out_of_order(self) -> None:
        self.store.unavailable = True

    def mend(self) -> None:
        self.store.unavailable = False


class SQLiteWorld:
    def __init__(self, path: Path) -> None:
        self.store = SQLStore(
            path,
            clock=ManualClock(),
            delivery_retention=timedelta(days=7),
            busy_timeout_seconds=0.01,
        )
        self._onlooker = sqlite3.connect(path, isolation_level=None)

    def version(self) -> object:
        return self._onlooker.execute("PRAGMA data_version").fetchone()

    def put_out_of_order(self) -> None:
        self._onlooker.execute("BEGIN EXCLUSIVE")

    def mend(self) -> None:
        self._onlooker.execute("ROLLBACK")

    def close(self) -> None:
        self._onlooker.close()
        self.store.close()


@pytest.fixture(params=["fake", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    sqlite = SQLiteWorld(tmp_path / "previews.db")
    yield sqlite
    sqlite.close()


def delivery(guid: str) -> Delivery:
    return Delivery(guid, NOON, "pull_request", Verdict.ACCEPTED, "")


def mark_of(store: Store, key: PreviewKey) -> int:
    record = store.load(key)
    return record.fetch_mark if record else 0


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


def test_saving_what_is_stored_already_writes_nothing(world: World) -> None:
    manifests = Manifests(
        Stage.WHOLE,
        "d1",
        HeadSha("a" * 40),
        {"b.yaml": "b", "a.yaml": "a"},
        annotations={"previews.dev/pinned": "p", "previews.dev/asleep": "a"},
    )
    record = PreviewRecord(
        key=KEY,
        pull_request=PULL_REQUEST,
        facts=FACTS,
        expiry=EXPIRY,
        removal=REMOVAL,
        manifests=manifests,
        probe=ProbeVerdict(answered=True, detail="200 OK"),
        conditions=(PUSHED,),
    )
    world.store.save(record)
    before = world.version()

    world.store.save(record)
    world.store.save(replace(record, fetch_mark=7))
    in_another_order = replace(manifests, files={"a.yaml": "a", "b.yaml": "b"})
    world.store.save(replace(record, manifests=in_another_order))

    assert world.version() == before


@pytest.mark.parametrize(
    "changed",
    [
        PreviewRecord(key=KEY, pull_request=PULL_REQUEST),
        PreviewRecord(key=KEY, head_since=NOON, shown_at=NOON),
        PreviewRecord(key=KEY, grant=GRANT, edited_migrations="a \ud83d", storage_warning="b"),
        PreviewRecord(
            key=KEY, manifests=Manifests(Stage.WHOLE, "d", HeadSha("a" * 40), {}, grant=GRANT)
        ),
        PreviewRecord(
            key=KEY, parcels=(Parcel(name="shop", id="a1", kind="kubernetes", file="---\na\n"),)
        ),
        PreviewRecord(key=KEY, manifests=Manifests(Stage.NOTHING, "", None, {})),
        PreviewRecord(
            key=KEY,
            manifests=Manifests(
                Stage.WHOLE, "d", None, {}, Mode.WARMING, "2026-11-02T12:00:00Z", {"a": "b"}
            ),
        ),
        PreviewRecord(key=KEY, paths=PathsVerdict("a" * 40, "main", "d1", touched=True)),
        PreviewRecord(key=KEY, facts=FACTS),
        PreviewRecord(key=KEY, facts=Facts(created_at=NOON, pushed_at=NOON)),
        PreviewRecord(key=KEY, expiry=EXPIRY),
        PreviewRecord(key=KEY, queued_since=NOON),
        PreviewRecord(key=KEY, manifests_since=NOON),
        PreviewRecord(key=KEY, is_rewritten=True),
        PreviewRecord(key=KEY, removal=REMOVAL),
        PreviewRecord(key=KEY, removal=Removal(cause="Expired", by="ada", started_at=NOON)),
        PreviewRecord(key=KEY, probed_digest="d1"),
        PreviewRecord(key=KEY, probe=ProbeVerdict(answered=False, detail="")),
        PreviewRecord(key=KEY, phase=Phase.LIVE),
        PreviewRecord(key=KEY, reason="Live"),
        PreviewRecord(key=KEY, message="so"),
        PreviewRecord(key=KEY, failed=True),
        PreviewRecord(key=KEY, conditions=(PUSHED,)),
    ],
)
def test_every_field_is_replaced_there_and_back(world: World, changed: PreviewRecord) -> None:
    for record in (PreviewRecord(key=KEY), changed, PreviewRecord(key=KEY)):
        world.store.save(record)

        assert world.store.load(KEY) == record


anything = st.text(st.characters())
moments = st.datetimes(timezones=st.just(UTC))
pull_requests = st.builds(
    PullRequest,
    **dict.fromkeys(
        ("repository", "head_sha", "head_branch", "base_branch", "title", "author", "url"), anything
    ),
    number=st.integers(1, 10**10 - 1),
    is_open=st.booleans(),
    from_fork=st.booleans(),
    labels=st.lists(anything, max_size=3).map(tuple),
)
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
records = st.builds(
    PreviewRecord,
    key=st.just(KEY),
    fetch_mark=st.just(0),
    pull_request=st.none() | pull_requests,
    head_since=st.none() | moments,
    facts=st.none()
    | st.builds(
        Facts, created_at=moments, pushed_at=moments, expired_at=st.none() | moments, asleep=said
    ),
    expiry=st.none()
    | st.builds(
        Expiry,
        at=moments,
        anchor=st.sampled_from(Anchor),
        anchored_at=moments,
        ttl=st.timedeltas(timedelta(0), timedelta(days=36500)),
        extended_by=anything,
        pinned_by=anything,
        is_near=st.booleans(),
    ),
    queued_since=st.none() | moments,
    manifests_since=st.none() | moments,
    is_rewritten=st.booleans(),
    removal=st.none()
    | st.builds(
        Removal,
        cause=anything,
        by=anything,
        started_at=moments,
        gone=st.lists(st.builds(Gone, anything, anything, moments), max_size=3).map(tuple),
        finished_at=st.none() | moments,
    ),
    manifests=st.none()
    | st.builds(
        Manifests,
        stage=st.sampled_from(Stage),
        digest=anything,
        head_sha=st.none() | anything,
        files=st.dictionaries(anything, anything, max_size=3),
        mode=st.sampled_from(Mode),
        redeployed_at=anything,
        annotations=st.dictionaries(anything, anything, max_size=3),
    ),
    probed_digest=st.text(st.characters(codec="ascii")),
    probe=st.none() | st.builds(ProbeVerdict, answered=st.booleans(), detail=anything),
    phase=st.sampled_from(Phase),
    reason=anything,
    message=anything,
    failed=st.booleans(),
    conditions=st.lists(
        st.builds(
            Condition,
            type=anything,
            status=st.booleans(),
            reason=anything,
            message=anything,
            since=moments,
        ),
        max_size=3,
    ).map(tuple),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(record=records)
def test_whatever_is_saved_comes_back_exactly(world: World, record: PreviewRecord) -> None:
    world.store.save(record)

    assert world.store.load(KEY) == record
    if record.pull_request is not None:
        found = world.store.load_pull_request(record.pull_request.repository, KEY.number)
        assert found == [record]


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


def test_a_record_and_its_history_are_written_together(world: World) -> None:
    record = PreviewRecord(key=KEY, phase=Phase.ASLEEP)
    slept, woke = HistoryEntry(NOON, "previews", "Slept"), HistoryEntry(NOON, "ada", "Woke")
    world.store.save(record, [slept])
    before = world.version()

    world.store.save(record, [woke, PINNED])

    assert world.version() != before
    assert world.store.load(KEY) == record
    assert world.store.history(KEY) == [slept, woke, PINNED]
    assert world.store.history(OTHER_KEY) == []


def test_the_oldest_of_a_long_history_go(world: World) -> None:
    entries = [HistoryEntry(NOON, "ada", "Woke", str(turn)) for turn in range(HISTORY_KEPT + 3)]
    other = HistoryEntry(NOON, "bob", "Slept")
    world.store.save_wishes(OTHER_KEY, Wishes(), [other])
    world.store.save_wishes(KEY, Wishes(), entries[:HISTORY_KEPT])
    assert world.store.history(KEY) == entries[:HISTORY_KEPT]

    world.store.save_wishes(KEY, Wishes(), entries[HISTORY_KEPT:-1])
    world.store.save(PreviewRecord(key=KEY), entries[-1:])

    assert world.store.history(KEY) == entries[3:]
    assert world.store.history(OTHER_KEY) == [other]


def test_a_forgotten_preview_leaves_nothing_but_its_deliveries(world: World) -> None:
    world.store.accept([(delivery("one"), [KEY])])
    for key, pull_request in (
        (KEY, PULL_REQUEST),
        (OTHER_KEY, replace(PULL_REQUEST, number=OTHER_KEY.number)),
        (PreviewKey("blog", 42), replace(PULL_REQUEST, repository="acme/blog")),
    ):
        world.store.save(PreviewRecord(key=key, pull_request=pull_request), [PINNED])
        world.store.save_wishes(key, WISHES, [PINNED])
        world.store.record_published(pull_request.repository, key.number, "comment", "d1")

    world.store.forget(KEY)

    assert world.store.load(KEY) is None
    assert world.store.load_wishes(KEY) == Wishes()
    assert world.store.history(KEY) == []
    assert world.store.published("acme/shop", 42) == {}
    assert world.store.accept([(delivery("one"), [KEY])]) == [False]
    for key, repository in ((OTHER_KEY, "acme/shop"), (PreviewKey("blog", 42), "acme/blog")):
        assert world.store.load(key) is not None
        assert world.store.load_wishes(key) == WISHES
        assert world.store.history(key) == [PINNED, PINNED]
        assert world.store.published(repository, key.number) == {"comment": "d1"}


NAMED = NamedImage(
    project="shop",
    head_sha=HeadSha("a" * 40),
    tag="build-7",
    digest="sha256:" + "0f" * 32,
    named_at=NOON,
)


def test_what_ci_called_an_image_is_known_for_that_commit_of_that_project(world: World) -> None:
    assert world.store.named_image("shop", NAMED.head_sha) is None
    world.store.name_image(NAMED)
    assert world.store.named_image("shop", NAMED.head_sha) == NAMED
    assert world.store.named_image("api", NAMED.head_sha) is None
    assert world.store.named_image("shop", HeadSha("b" * 40)) is None


def test_another_name_for_an_image_takes_the_place_of_the_first(world: World) -> None:
    later = replace(NAMED, tag="", named_at=NOON + timedelta(minutes=1))
    elsewhere = replace(NAMED, project="api")
    for named in (NAMED, elsewhere, later):
        world.store.name_image(named)
    assert world.store.named_image("shop", NAMED.head_sha) == later
    assert world.store.named_image("api", NAMED.head_sha) == elsewhere


def test_what_was_published_goes_with_the_last_preview_of_its_pull_request(world: World) -> None:
    api = PreviewKey("api", 42)
    for key in (KEY, api):
        world.store.save(PreviewRecord(key=key, pull_request=PULL_REQUEST))
    world.store.record_published("acme/shop", 42, "comment", "d1")

    world.store.forget(KEY)
    assert world.store.published("acme/shop", 42) == {"comment": "d1"}
    world.store.forget(api)

    assert world.store.published("acme/shop", 42) == {}


def test_forgetting_what_is_not_known_writes_nothing(world: World) -> None:
    world.store.save(PreviewRecord(key=OTHER_KEY, pull_request=PULL_REQUEST), [PINNED])
    world.store.record_published("acme/shop", 42, "comment", "d1")
    before = world.version()

    world.store.forget(KEY)

    assert world.version() == before
    assert world.store.published("acme/shop", 42) == {"comment": "d1"}


def test_finds_the_previews_of_all_projects_at_one_pull_request(world: World) -> None:
    shop = PreviewRecord(key=KEY, pull_request=PULL_REQUEST)
    api = PreviewRecord(key=PreviewKey("api", 42), pull_request=PULL_REQUEST)
    elsewhere = PreviewRecord(
        key=PreviewKey("blog", 42), pull_request=replace(PULL_REQUEST, repository="acme/blog")
    )
    unread = PreviewRecord(key=PreviewKey("docs", 42))
    later = PreviewRecord(key=OTHER_KEY, pull_request=replace(PULL_REQUEST, number=43))
    for record in (shop, api, elsewhere, unread, later):
        world.store.save(record)

    assert world.store.load_pull_request("acme/shop", 42) == [api, shop]
    assert list(world.store.each_record()) == world.store.list_records()
    assert [r.key for r in world.store.list_records()] == sorted(
        r.key for r in (shop, api, elsewhere, unread, later)
    )


def test_remembers_what_was_published_by_target(world: World) -> None:
    world.store.record_published("acme/shop", 42, "comment", "d1")
    world.store.record_published("acme/shop", 42, "status", "d2")
    world.store.record_published("acme/shop", 42, "comment", "d3")
    world.store.record_published("acme/shop", 43, "comment", "d4")

    assert world.store.published("acme/shop", 42) == {"comment": "d3", "status": "d2"}


def test_remembers_how_far_the_comments_of_a_pull_request_were_read(world: World) -> None:
    assert world.store.comments_read_until("acme/shop", 42) is None

    world.store.record_comments_read("acme/shop", 42, NOON)
    world.store.record_comments_read("acme/shop", 42, NOON - timedelta(hours=1))
    world.store.record_comments_read("acme/shop", 43, NOON + timedelta(seconds=1))

    assert world.store.comments_read_until("acme/shop", 42) == NOON
    world.store.record_comments_read("acme/shop", 42, NOON + timedelta(hours=1))
    assert world.store.comments_read_until("acme/shop", 42) == NOON + timedelta(hours=1)
    assert world.store.comments_read_until("acme/shop", 43) == NOON + timedelta(seconds=1)
    assert world.store.comments_read_until("acme/other", 42) is None


def test_comments_that_were_read_already_write_nothing(world: World) -> None:
    world.store.record_comments_read("acme/shop", 42, NOON)
    before = world.version()

    world.store.record_comments_read("acme/shop", 42, NOON)
    world.store.record_comments_read("acme/shop", 42, NOON - timedelta(days=1))

    assert world.version() == before


def test_how_far_comments_were_read_goes_with_the_last_preview_there(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY, pull_request=PULL_REQUEST))
    world.store.record_comments_read("acme/shop", 42, NOON)
    world.store.record_comments_read("acme/shop", 43, NOON)

    world.store.forget(KEY)

    assert world.store.comments_read_until("acme/shop", 42) is None
    assert world.store.comments_read_until("acme/shop", 43) == NOON


def test_publishing_the_same_again_writes_nothing(world: World) -> None:
    world.store.record_published("acme/shop", 42, "comment", "d1")
    before = world.version()

    world.store.record_published("acme/shop", 42, "comment", "d1")

    assert world.version() == before


def test_knows_which_deliveries_it_accepted(world: World) -> None:
    world.store.accept([(delivery("one"), [KEY]), (delivery("two"), [])])

    assert world.store.known_deliveries(["one", "two", "three"]) == {"one", "two"}
    assert world.store.known_deliveries([]) == set()


def test_a_renamed_repository_takes_all_that_is_known_of_it_along(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY, pull_request=PULL_REQUEST, message="as it was"))
    api = PreviewKey("api", 42)
    world.store.save(PreviewRecord(key=api, pull_request=replace(PULL_REQUEST, repository_id=7)))
    elsewhere = PreviewKey("blog", 42)
    blog = replace(PULL_REQUEST, repository="acme/blog", repository_id=8)
    world.store.save(PreviewRecord(key=elsewhere, pull_request=blog))
    world.store.record_published("acme/shop", 42, "comment", "d1")
    world.store.record_comments_read("acme/shop", 42, NOON)
    # Left by a repository that had the new name before.
    world.store.record_published("acme/store", 42, "comment", "an older one")

    world.store.name_repository(7, "acme/store", was="acme/shop")

    renamed = replace(PULL_REQUEST, repository="acme/store", repository_id=7)
    assert [record.key for record in world.store.load_pull_request("acme/store", 42)] == [api, KEY]
    assert world.store.load(KEY) == PreviewRecord(
        key=KEY, pull_request=renamed, message="as it was"
    )
    assert world.store.load_pull_request("acme/shop", 42) == []
    assert world.store.published("acme/store", 42) == {"comment": "d1"}
    assert world.store.published("acme/shop", 42) == {}
    assert world.store.comments_read_until("acme/store", 42) == NOON
    assert world.store.load(elsewhere) == PreviewRecord(key=elsewhere, pull_request=blog)


def test_a_repository_that_is_called_as_before_gets_its_number_alone(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY, pull_request=PULL_REQUEST))
    world.store.record_published("acme/shop", 42, "comment", "d1")

    world.store.name_repository(7, "acme/shop", was="acme/shop")

    known = world.store.load(KEY)
    assert known == PreviewRecord(key=KEY, pull_request=replace(PULL_REQUEST, repository_id=7))
    assert world.store.published("acme/shop", 42) == {"comment": "d1"}
    before = world.version()
    world.store.name_repository(7, "acme/shop", was="acme/shop")
    world.store.save(known)
    assert world.version() == before


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
