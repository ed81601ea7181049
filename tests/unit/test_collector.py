"""What the fast path left behind is removed, and nothing else is."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from previews.domain.inventory import (
    ForgeAnswer,
    Kind,
    OwnedObject,
    Suspicion,
    Verdict,
    View,
    judge,
)
from previews.domain.memory import Memory
from previews.domain.naming import root_name, shard_of
from previews.domain.preview import Manifests, Phase, PreviewKey, Stage
from previews.domain.record import PreviewRecord, Removal
from previews.reconcile.effects import Effect
from tests.decoys import Why, decoys
from tests.fakes.clock import ManualClock
from tests.unit.yard import A_WHILE, REPOSITORY, Yard, name_of


@pytest.fixture
def yard() -> Yard:
    return Yard()


# What goes.


@pytest.mark.fault(29)
def test_what_a_closed_pull_request_left_goes_and_its_application_first(yard: Yard) -> None:
    key = yard.leave()
    assert yard.sweep().removed == ()
    yard.clock.move(A_WHILE)
    first = yard.sweep()
    assert [name_of(each) for each in first.removed] == ["Application shop-pr-1"]
    waiting = {each.owned.kind: each.waits for each in first.orphans}
    assert waiting[Kind.NAMESPACE] == "its Application is still there"
    second = yard.sweep()
    assert {name_of(each) for each in second.removed} == {
        "AppProject 0-shop-pr-1",
        "Namespace preview-shop-pr-1",
    }
    assert yard.cluster.owned_objects() == []
    assert set(yard.collector.reclaimed.values()) == {1}
    assert "acme/shop#1 is closed" in first.removed[0].cause
    assert first.removed[0].owned.owner == key


def test_a_namespace_waits_for_an_application_that_something_holds(yard: Yard) -> None:
    yard.leave()
    yard.cluster.hold("shop-pr-1")
    assert yard.sweep_until_quiet() == ["Application shop-pr-1"]
    assert "preview-shop-pr-1" in yard.cluster.namespaces
    yard.cluster.let_go("shop-pr-1")
    assert len(yard.sweep_until_quiet()) == 2


def test_a_namespace_that_hangs_is_shown_as_going_and_stops_no_other(yard: Yard) -> None:
    yard.cluster.hold("preview-shop-pr-1", "NamespaceContentRemaining: a finalizer")
    yard.leave()
    assert len(yard.sweep_until_quiet()) == 3
    (hanging,) = yard.collector.inventory()
    assert (hanging.verdict, hanging.owned.name) == (Verdict.BEING_REMOVED, "preview-shop-pr-1")
    yard.leave()
    assert len(yard.sweep_until_quiet()) == 3
    assert set(yard.cluster.namespaces) == {"preview-shop-pr-1"}, "no finalizer was taken off"


def test_each_reclaim_is_a_warning_that_says_what_whose_and_why(yard: Yard) -> None:
    yard.leave()
    with capture_logs() as logs:
        yard.sweep_twice()
    (said,) = [each for each in logs if each["event"].startswith("reclaimed")]
    assert said["log_level"] == "warning"
    assert (said["kind"], said["name"], said["owner"]) == ("Application", "shop-pr-1", "shop#1")
    assert "acme/shop#1 is closed" in said["cause"]


def test_an_empty_shard_goes_from_git_and_then_from_the_cluster(yard: Yard) -> None:
    yard.put_shard("shop-7")
    assert yard.sweep_twice().removed[0].owned.kind is Kind.ROOT_FILE
    assert yard.branch.dropped == ["shop-7"]
    # Argo CD takes the root away itself, and what kept the shard from being empty stays.
    yard.cluster.delete_application("acme-shop-7")
    assert yard.sweep_until_quiet() == ["ConfigMap acme-shop-7-keep"]
    assert yard.cluster.owned_objects() == []


def test_a_root_that_argocd_left_goes_before_what_it_would_bring_back(yard: Yard) -> None:
    yard.put_shard("shop-7")
    yard.branch.shards.clear()
    with capture_logs() as logs:
        removed_now = yard.sweep_until_quiet()
    assert removed_now == ["Application acme-shop-7", "ConfigMap acme-shop-7-keep"]
    assert {each["log_level"] for each in logs} == {"info"}, "no fast path failed"
    assert yard.collector.reclaimed.total() == 0


def test_what_an_ended_preview_of_an_open_pull_request_left_goes(yard: Yard) -> None:
    key = yard.open()
    yard.store.save(removed(yard, key))
    assert len(yard.sweep_until_quiet()) == 3


def test_what_a_removal_under_way_does_not_reach_goes_in_the_end(yard: Yard) -> None:
    key = yard.leave()
    yard.store.save(removed(yard, key, finished=False))
    assert yard.verdicts() == {Verdict.BEING_REMOVED}
    assert yard.sweep().orphans == ()
    yard.clock.move(A_WHILE)
    assert len(yard.sweep_until_quiet()) == 3


def removed(yard: Yard, key: PreviewKey, *, finished: bool = True) -> PreviewRecord:
    now = yard.clock.now()
    return PreviewRecord(
        key=key,
        phase=Phase.EXPIRED,
        pull_request=yard.forge.fetch_pull_request(REPOSITORY, key.number),
        manifests=Manifests(Stage.NOTHING, "", None, {}),
        removal=Removal(
            cause="Expired", by="previews", started_at=now, finished_at=now if finished else None
        ),
    )


# What stays.


def test_fifty_decoys_stay_and_what_was_planned_is_what_goes(yard: Yard) -> None:
    planted = {decoy.name: decoy for decoy in decoys(yard.forge)}
    for decoy in planted.values():
        instance = {Why.PREFIX: "", Why.FOREIGN: "else"}.get(decoy.why)
        if decoy.kind is Kind.APP_PROJECT:
            yard.cluster.put_app_project(decoy.name, decoy.owner)
        else:
            yard.cluster.put_namespace(decoy.name, decoy.owner, instance=instance)

    def renew(_effect: Effect, subject: str) -> None:
        name = subject.partition(" ")[2]
        if name in planted and planted[name].why is Why.RENEWED:
            yard.cluster.delete_app_project(name)
            yard.cluster.put_app_project(name, planted[name].owner)

    yard.before = renew
    yard.start(per_sweep=20)
    yard.crowd()
    kept = yard.everything() | planted.keys()
    orphan = yard.leave()
    yard.sweep(dry_run=True)
    yard.clock.move(A_WHILE)
    renewed = []
    for _ in range(4):
        before = yard.cluster.owned_objects()
        planned = yard.sweep(dry_run=True).planned
        assert yard.cluster.owned_objects() == before
        removed_now = yard.sweep().removed
        renewed += [each for each in planned if each not in removed_now]
        assert {each.owned.owner for each in removed_now} <= {orphan}
        yard.clock.move(A_WHILE)
    assert yard.everything() == kept
    assert {planted[each.owned.name].why for each in renewed} == {Why.RENEWED}
    assert len(planted) == 50
    assert yard.collector.reclaimed.total() == 3


def test_nothing_goes_that_was_seen_once_or_not_for_long_enough(yard: Yard) -> None:
    yard.leave()
    yard.sweep()
    yard.clock.move(timedelta(minutes=9))
    held = yard.sweep()
    assert held.planned == ()
    assert {each.waits[:13] for each in held.orphans} == {"its grace end"}
    yard.start()
    yard.clock.move(timedelta(days=1))
    assert yard.sweep().planned == (), "a new process has seen it once"


def test_without_a_grace_two_looks_are_needed_all_the_same(yard: Yard) -> None:
    yard.start(grace=timedelta(0))
    yard.leave()
    assert yard.sweep().removed == ()
    assert len(yard.sweep().removed) == 1


def test_a_clock_that_was_ahead_holds_nothing_up(yard: Yard) -> None:
    yard.clock.move(timedelta(days=365))
    yard.leave()
    yard.sweep()
    yard.clock.move(timedelta(days=-365))
    assert yard.sweep_twice().removed


def test_what_was_wanted_in_between_begins_its_grace_anew(yard: Yard) -> None:
    key = yard.leave()
    yard.sweep()
    yard.clock.move(A_WHILE)
    yard.forge.reopen(REPOSITORY, key.number)
    assert yard.sweep().orphans == ()
    yard.forge.close(REPOSITORY, key.number)
    assert yard.sweep().planned == ()


def test_what_is_in_git_stays_whatever_the_forge_says(yard: Yard) -> None:
    yard.branch.keys.add(yard.leave())
    assert yard.sweep_until_quiet() == []
    assert yard.verdicts() == {Verdict.WANTED}
    assert not any("fetch" in call for call in yard.forge.calls), "it is not even asked"


def test_what_argocd_still_works_from_stays(yard: Yard) -> None:
    key = yard.leave()
    root = root_name("acme", shard_of(key))
    yard.cluster.put_root(root, shard_of(key))
    yard.cluster.put_application(root, revisions=frozenset({"a" * 40}))
    yard.branch.shards.add(shard_of(key))
    yard.branch.in_use.add(key)
    assert yard.sweep_until_quiet() == []
    yard.branch.in_use.clear()
    assert len(yard.sweep_until_quiet()) == 3 + 2, "and the shard is empty then"


def test_a_pull_request_that_the_forge_does_not_know_proves_nothing(yard: Yard) -> None:
    yard.put(PreviewKey("shop", 999))
    assert yard.sweep_until_quiet() == []
    (one, *_) = yard.collector.inventory()
    assert one.verdict is Verdict.UNKNOWN
    assert "proves nothing" in one.cause


def test_a_project_that_is_not_configured_is_shown_and_left_alone(yard: Yard) -> None:
    yard.put(PreviewKey("elsewhere", 1))
    yard.put_shard("elsewhere-0")
    yard.branch.keys.add(PreviewKey("elsewhere", 2))
    assert yard.sweep_until_quiet() == []
    assert yard.verdicts() == {Verdict.NOT_OURS}


@pytest.mark.parametrize("stage", [None, Stage.WHOLE, Stage.NAMESPACE])
def test_a_shard_that_a_preview_has_or_may_get_stays(yard: Yard, stage: Stage | None) -> None:
    key = PreviewKey("shop", yard.forge.open_pull_request(REPOSITORY, "feature", "A change"))
    yard.put_shard(shard_of(key))
    manifests = Manifests(stage, "", None, {}) if stage else None
    pull_request = yard.forge.fetch_pull_request(REPOSITORY, key.number)
    yard.store.save(PreviewRecord(key=key, pull_request=pull_request, manifests=manifests))
    assert yard.sweep_until_quiet() == []
    yard.forge.close(REPOSITORY, key.number)
    closed = yard.forge.fetch_pull_request(REPOSITORY, key.number)
    nothing = Manifests(Stage.NOTHING, "", None, {})
    yard.store.save(PreviewRecord(key=key, pull_request=closed, manifests=nothing))
    assert yard.sweep_until_quiet() == [
        f"RootFile roots/{shard_of(key)}.yaml",
        f"Application acme-{shard_of(key)}",
        f"ConfigMap acme-{shard_of(key)}-keep",
    ]


# The rule itself, over everything that can be.


@pytest.mark.parametrize("answer", ForgeAnswer)
@pytest.mark.parametrize("in_git", [True, False])
@pytest.mark.parametrize("in_use", [True, False])
@pytest.mark.parametrize("deleting", [True, False])
@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("memory", ["none", "removing", "removing for long", "ended"])
def test_an_orphan_takes_proof(
    *,
    answer: ForgeAnswer,
    in_git: bool,
    in_use: bool,
    deleting: bool,
    configured: bool,
    memory: str,
) -> None:
    now, key = ManualClock().now(), PreviewKey("shop", 1)
    memories = {
        "none": Memory(),
        "removing": Memory(removing_since=now),
        "removing for long": Memory(removing_since=now - A_WHILE),
        "ended": Memory(ended="Expired by previews"),
    }
    view = View(
        now=now,
        projects={"shop"} if configured else {"other"},
        keys_in_git={key} if in_git else set(),
        shards_in_git=set(),
        memories={key: memories[memory]},
        suspicions={key: Suspicion(pull_request="acme/shop#1", answer=answer, in_use=in_use)},
        patience=timedelta(minutes=10),
    )
    thing = OwnedObject(kind=Kind.NAMESPACE, name="n", uid="u", owner=key, deleting=deleting)
    (found,) = judge([thing], view)
    proven = (answer is ForgeAnswer.CLOSED and memory != "removing") or (
        answer is ForgeAnswer.OPEN and memory in {"ended", "removing for long"}
    )
    free = configured and not (in_git or in_use or deleting)
    assert (found.verdict is Verdict.ORPHAN) == (proven and free)
    assert found.cause
