"""What the fast path left behind is removed, and nothing else is, whatever anybody says."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from previews.domain.inventory import (
    ForgeAnswer,
    Found,
    Kind,
    Limits,
    OwnedObject,
    Suspicion,
    Sweep,
    Verdict,
    View,
    judge,
    keep_name,
)
from previews.domain.memory import Memory
from previews.domain.naming import root_name, shard_of
from previews.domain.preview import Manifests, Phase, PreviewKey, PullRequest, Stage
from previews.domain.record import PreviewRecord, Removal
from previews.errors import PreviewsError, StalledError, TransientError
from previews.reconcile.collector import ASKED_MAX, Collector
from previews.reconcile.deployment_inventory import DeploymentInventory
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.server_watch import ServerWatch
from tests.decoys import Why, decoys
from tests.fakes.branch import FakeBranch
from tests.fakes.clock import ManualClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.forge import FORBIDDEN, RATE_LIMITED, REFUSED, UNREACHABLE, FakeForge
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import project

REPOSITORY = "acme/shop"
PATIENCE_SECONDS = 60.0
A_WHILE = timedelta(minutes=11)
"""Longer than the grace."""
DOWN = TransientError("GitUnreachable", "the GitOps repository does not answer")


class Yard:
    """Outside systems, what was left in them, and a collector."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.forge = FakeForge()
        self.forge.add_repository(REPOSITORY)
        self.cluster = FakeCluster()
        self.store = InMemoryStore()
        self.branch = FakeBranch()
        self.projects = {"shop": project("shop", REPOSITORY)}
        self.before: Callable[[Effect, str], None] = lambda _effect, _subject: None
        self.effects: list[str] = []
        self.collector = self.start()

    def start(self, **limits: Any) -> Collector:  # noqa: ANN401 those of Limits
        """A new process."""
        self.collector = Collector(
            projects=self.projects,
            forge=self.forge,
            store=self.store,
            cluster=self.cluster,
            servers=ServerWatch({}, lambda _keys: None),
            host_records=HostRecordKeeper(None, Effects(self._Witness(self))),
            deployments=DeploymentInventory(
                None, Effects(self._Witness(self)), instance="acme", repositories=()
            ),
            writer=self.branch,
            effects=Effects(self._Witness(self)),
            clock=self.clock,
            limits=Limits(**limits),
        )
        return self.collector

    class _Witness:
        def __init__(self, yard: "Yard") -> None:
            self._yard = yard

        def before(self, effect: Effect, subject: str) -> None:
            self._yard.before(effect, subject)

        def after(self, effect: Effect, subject: str) -> None:
            self._yard.effects.append(f"{effect.value} {subject}")

    def open(self) -> PreviewKey:
        """A pull request whose preview's objects are there, and nothing of it in Git."""
        key = PreviewKey("shop", self.forge.open_pull_request(REPOSITORY, "feature", "A change"))
        self.put(key)
        return key

    def leave(self) -> PreviewKey:
        """What a closed pull request left behind."""
        key = self.open()
        self.forge.close(REPOSITORY, key.number)
        return key

    def put(self, key: PreviewKey, **marks: Any) -> None:  # noqa: ANN401 those of the fake
        stem = f"{key.project}-pr-{key.number}"
        self.cluster.put_application(stem, key, **marks)
        self.cluster.put_app_project(f"0-{stem}", key, **marks)
        self.cluster.put_namespace(f"preview-{stem}", key, **marks)

    def put_shard(self, shard: str) -> None:
        """In the cluster and in Git."""
        root = root_name(self.cluster.instance, shard)
        self.cluster.put_root(root, shard)
        self.cluster.put_config_map(keep_name(self.cluster.instance, shard))
        self.branch.shards.add(shard)

    def crowd(self) -> None:
        """Enough of what is wanted, so that a few orphans are no mass."""
        for number in range(1000, 1020):
            key = PreviewKey("shop", number)
            self.put(key)
            self.branch.keys.add(key)

    def sweep(self, **how: Any) -> Sweep:  # noqa: ANN401 those of collect
        return self.collector.collect(**{"dry_run": False, **how})

    def sweep_twice(self) -> Sweep:
        """The second one may remove what the first one found."""
        self.sweep()
        self.clock.move(A_WHILE)
        return self.sweep()

    def sweep_until_quiet(self) -> list[str]:
        """What was removed, in order."""
        gone: list[str] = []
        for _ in range(20):
            gone += [name_of(each) for each in self.sweep().removed]
            self.clock.move(A_WHILE)
        return gone

    def verdicts(self) -> set[Verdict]:
        return {each.verdict for each in self.collector.inventory()}

    def everything(self) -> set[str]:
        return {
            *self.cluster.applications,
            *self.cluster.namespaces,
            *self.cluster.app_projects,
            *self.cluster.config_maps,
        }


def name_of(found: Found) -> str:
    return f"{found.owned.kind} {found.owned.name}"


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


# What happens between the look and the removal.


def test_a_pull_request_reopened_after_the_look_keeps_its_preview(yard: Yard) -> None:
    key = yard.leave()
    yard.sweep()
    yard.clock.move(A_WHILE)
    asked = itertools.count(1)

    class Reopening(FakeForge):
        def fetch_pull_request(self, repository: str, number: int) -> PullRequest | None:
            found = yard.forge.fetch_pull_request(repository, number)
            assert found is not None
            return replace(found, is_open=next(asked) > 1)

    yard.collector._forge = Reopening()
    sweep = yard.sweep()
    assert [name_of(each) for each in sweep.planned] == [f"Application shop-pr-{key.number}"]
    assert sweep.removed == ()
    assert yard.effects == []


@pytest.mark.fault(31)
def test_a_new_object_of_the_same_name_is_left_alone(yard: Yard) -> None:
    key = yard.leave()

    def another(_effect: Effect, _subject: str) -> None:
        yard.cluster.delete_application("shop-pr-1")
        yard.cluster.put_application("shop-pr-1", key)

    yard.before = another
    sweep = yard.sweep_twice()
    assert len(sweep.planned) == 1
    assert sweep.removed == ()
    assert "shop-pr-1" in yard.cluster.applications
    assert yard.collector.reclaimed.total() == 0


# What cannot be read.

ERRORS: list[Any] = [UNREACHABLE, RATE_LIMITED, FORBIDDEN]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.reason)
def test_while_the_forge_cannot_be_asked_about_one_nothing_goes(
    yard: Yard, error: TransientError
) -> None:
    yard.crowd()
    yard.leave()
    yard.leave()
    yard.sweep()
    yard.clock.move(A_WHILE)
    yard.forge.fail(error, on="#2")
    sweep = yard.sweep()
    assert (sweep.planned, sweep.removed) == ((), ())
    assert error.message in sweep.held
    assert not sweep.needs_confirmation
    assert yard.collector.problem() == error.message
    assert {each.verdict for each in sweep.found if each.owned.owner == PreviewKey("shop", 2)} == {
        Verdict.UNKNOWN
    }
    yard.forge.heal()
    assert len(yard.sweep().removed) == 2, "what was known before counts again"
    assert yard.collector.problem() is None


def test_a_repository_that_the_forge_refuses_to_show_stops_no_other(yard: Yard) -> None:
    yard.crowd()
    yard.leave()
    yard.leave()
    yard.forge.fail(REFUSED, on="#2")
    assert [name_of(each) for each in yard.sweep_twice().removed] == ["Application shop-pr-1"]


@pytest.mark.parametrize(
    "breaks",
    [
        lambda yard: setattr(yard.branch, "unread", DOWN),
        lambda yard: setattr(yard.branch, "behind", DOWN),
        lambda yard: setattr(yard.branch, "behind", StalledError("GitRefused", "no right")),
        lambda yard: setattr(yard.store, "unavailable", True),
        lambda yard: setattr(yard.cluster, "is_unreachable", True),
        lambda yard: setattr(yard.cluster, "_is_listed", False),
    ],
    ids=["git unread", "git behind", "git refused", "store", "cluster", "watch"],
)
def test_while_something_cannot_be_read_nothing_goes(
    yard: Yard, breaks: Callable[[Yard], None]
) -> None:
    yard.leave()
    yard.sweep()
    yard.clock.move(A_WHILE)
    breaks(yard)
    sweep = yard.sweep()
    assert (sweep.found, sweep.planned, sweep.removed) == ((), (), ())
    assert sweep.held.startswith("nothing is removed, since not everything could be read: ")
    with pytest.raises(PreviewsError):
        yard.collector.inventory()


@pytest.mark.parametrize(
    "knows",
    [
        lambda yard, key: yard.branch.keys.add(key),
        lambda yard, key: yard.cluster.put_namespace("n", key),
        lambda yard, key: yard.store.save(PreviewRecord(key=key)),
    ],
    ids=["git", "cluster", "store"],
)
def test_a_shard_is_empty_only_if_nobody_knows_a_preview_in_it(
    yard: Yard, knows: Callable[[Yard, PreviewKey], None]
) -> None:
    """All three would have to be wrong at once."""
    yard.forge.open_pull_request(REPOSITORY, "feature", "A change")
    yard.put_shard("shop-0")
    knows(yard, PreviewKey("shop", 1))
    assert yard.sweep_until_quiet() == []


def test_a_list_that_lacks_the_application_takes_nothing_from_under_it(yard: Yard) -> None:
    class Forgetful(FakeCluster):
        def owned_objects(self) -> list[OwnedObject]:
            found = super().owned_objects()
            return [each for each in found if each.kind is not Kind.APPLICATION]

    yard.cluster = Forgetful()
    yard.start()
    yard.leave()
    assert yard.sweep_until_quiet() == []


# Masses.


def test_more_orphans_than_five_sweeps_take_are_removed_only_by_a_person(yard: Yard) -> None:
    yard.start(per_sweep=2)
    for _ in range(20):
        yard.crowd()
    for _ in range(4):
        yard.leave()
    held = yard.sweep_twice()
    assert (held.planned, held.removed) == ((), ())
    assert (
        held.held == "12 of 92 are orphans at once: nothing is removed until a person confirms it"
    )
    assert held.needs_confirmation
    assert yard.sweep(actor="previews", confirmed=True).removed == (), "that is no person"
    confirmed = yard.sweep(actor="maria", confirmed=True)
    assert len(confirmed.removed) == 2
    assert confirmed.actor == "maria"
    yard.sweep(actor="maria", confirmed=True)
    assert len(yard.sweep().removed) == 2, "ten are none any more"


def test_most_of_everything_is_removed_only_by_a_person(yard: Yard) -> None:
    wanted = yard.open()
    yard.branch.keys.add(wanted)
    for _ in range(3):
        yard.leave()
    held = yard.sweep_twice()
    assert held.removed == ()
    assert held.held.startswith("9 of 13 are orphans at once")
    assert len(yard.sweep(actor="maria", confirmed=True).removed) == 3


def test_a_sweep_removes_no_more_than_its_share_and_the_oldest_first(yard: Yard) -> None:
    yard.start(per_sweep=3)
    yard.crowd()
    first = [yard.leave() for _ in range(2)]
    yard.sweep()
    yard.clock.move(timedelta(minutes=5))
    for _ in range(3):
        yard.leave()
    yard.sweep()
    yard.clock.move(A_WHILE)
    removed_now = yard.sweep().removed
    assert len(removed_now) == 3
    assert {each.owned.owner for each in removed_now} >= set(first)


def test_of_too_many_only_some_are_asked_for_and_none_is_removed(yard: Yard) -> None:
    for number in range(1, ASKED_MAX + 5):
        yard.cluster.put_namespace(f"n{number}", PreviewKey("shop", number))
        yard.forge.close(REPOSITORY, yard.forge.open_pull_request(REPOSITORY, "b", "t"))
    held = yard.sweep_twice()
    assert held.removed == ()
    assert len([call for call in yard.forge.calls if "fetch" in call]) == 2 * ASKED_MAX
    assert sum(each.verdict is Verdict.UNKNOWN for each in held.found) == 4


# What goes wrong while removing.


class Refusing(FakeCluster):
    def __init__(self) -> None:
        super().__init__()
        self.refusal: PreviewsError | None = None

    def delete_object(self, found: OwnedObject) -> bool:
        if self.refusal and found.name == "shop-pr-1":
            raise self.refusal
        return super().delete_object(found)


@pytest.mark.parametrize(
    ("refusal", "others_go"),
    [
        (StalledError("ClusterForbidden", "the manager may not"), True),
        (TransientError("ClusterUnreachable", "no answer"), False),
    ],
    ids=["refused", "no answer"],
)
def test_one_that_is_refused_stops_no_other_and_silence_stops_all(
    yard: Yard, refusal: PreviewsError, *, others_go: bool
) -> None:
    yard.cluster = Refusing()
    yard.start()
    yard.crowd()
    yard.leave()
    yard.leave()
    yard.cluster.refusal = refusal
    sweep = yard.sweep_twice()
    assert [name_of(each) for each in sweep.removed] == ["Application shop-pr-2"] * others_go
    assert sweep.problems == (f"Application shop-pr-1: {refusal.message}",)


def test_it_sweeps_until_it_is_stopped_and_a_bug_does_not_end_it(yard: Yard) -> None:
    yard.collector._interval_seconds = 0.001
    stop, swept = threading.Event(), threading.Event()
    calls = itertools.count()

    def first_fails() -> None:
        if next(calls) == 0:
            raise RuntimeError("a bug")
        swept.set()

    yard.branch.on_fetch = first_fails
    thread = threading.Thread(target=yard.collector.run, args=(stop,))
    with capture_logs() as logs:
        thread.start()
        assert swept.wait(PATIENCE_SECONDS)
        stop.set()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert "bug" in {each["event"] for each in logs}
    assert yard.collector.last is not None


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
