"""How every store keeps records and their history: run on the fake and on SQLite."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from previews.domain.lifetime import Anchor, Expiry, Facts, Said, Wishes
from previews.domain.policy import PathsVerdict
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
    Trace,
)
from previews.domain.probing import ProbeVerdict
from previews.domain.record import HISTORY_KEPT, Gone, HistoryEntry, PreviewRecord, Removal
from tests.contract.stores import KEY, NOON, OTHER_KEY, PINNED, PULL_REQUEST, World, open_store

PUSHED = Condition(type="Pushed", status=True, reason="Met", message="", since=NOON)
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


@pytest.fixture(params=["fake", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with open_store(request.param, tmp_path) as opened:
        yield opened


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
        PreviewRecord(key=KEY, rules_warning="line 2: \ud83d"),
        PreviewRecord(key=KEY, traces=(Trace("", "external-secrets", "database"),)),
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
