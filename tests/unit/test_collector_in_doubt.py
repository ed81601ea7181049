"""Where something changes meanwhile, cannot be read or is refused, nothing goes that should stay."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from previews.domain.inventory import Kind, OwnedObject, Verdict
from previews.domain.preview import PreviewKey, PullRequest
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError, StalledError, TransientError
from previews.reconcile.effects import Effect
from tests.fakes.cluster import FakeCluster
from tests.fakes.forge import FORBIDDEN, RATE_LIMITED, REFUSED, UNREACHABLE, FakeForge
from tests.unit.yard import A_WHILE, REPOSITORY, Yard, name_of

PATIENCE_SECONDS = 60.0
DOWN = TransientError("GitUnreachable", "the GitOps repository does not answer")


@pytest.fixture
def yard() -> Yard:
    return Yard()


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
