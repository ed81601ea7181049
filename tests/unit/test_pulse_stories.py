"""Live previews are asked now and then: what happens when one does not answer any more, and when nothing happens."""

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from previews.domain.preview import Phase, PreviewKey, ProbeResult
from previews.domain.probing import ProbePolicy
from previews.domain.project import Project
from previews.domain.record import StatusState
from previews.reconcile.effects import Effect
from previews.reconcile.probes import Probes
from previews.reconcile.pulse import Pulse
from tests.fakes.prober import FakeProber
from tests.fakes.town import REPOSITORY, CountingWitness, Town, TownClock, project
from tests.fakes.traffic import FakeTraffic

HOST = "shop-pr-1.preview.example"
KEY = PreviewKey("shop", 1)


@pytest.fixture
def town() -> Town:
    """With one preview that is live."""
    town = Town()
    town.open()
    town.settle()
    assert town.phase(1) is Phase.LIVE
    return town


def statuses(town: Town) -> list[tuple[StatusState, str]]:
    head_sha = town.forge.pull_request(REPOSITORY, 1).head_sha
    return [(each.state, each.description) for each in town.forge.statuses(REPOSITORY, head_sha)]


def beat(town: Town) -> None:
    """A minute passes, and the pulse comes to the preview."""
    town.settle()
    town.loop.pulse.look(KEY)


def effects_of(town: Town) -> dict[Effect, int]:
    assert isinstance(town.witness, CountingWitness)
    return dict(town.witness.counts)


def test_an_answer_as_expected_writes_nothing_and_wakes_no_worker(town: Town) -> None:
    before = effects_of(town)
    for _ in range(20):
        beat(town)
        assert len(town.loop.queues.previews) == 0
    assert effects_of(town) == before


def test_one_that_goes_silent_is_degraded_with_the_reason_and_live_again_when_it_answers(
    town: Town,
) -> None:
    before = len(statuses(town))
    town.prober.says(HOST, "certificate: expired", reason="CertificateInvalid")
    beat(town)
    town.settle()
    record = town.record(1)
    assert (record.phase, record.reason) == (Phase.DEGRADED, "CertificateInvalid")
    assert "certificate: expired" in record.message
    assert [state for state, _ in statuses(town)[before:]] == [StatusState.FAILURE]

    town.prober.says(HOST, "200 OK", answered=True)
    town.settle()
    assert town.phase(1) is Phase.LIVE
    assert [state for state, _ in statuses(town)[before:]] == [
        StatusState.FAILURE,
        StatusState.SUCCESS,
    ]
    quiet = effects_of(town)
    for _ in range(20):
        town.manager.reconcile_all()
        beat(town)
    assert effects_of(town) == quiet


def test_as_many_failures_in_a_row_as_the_project_says_are_needed() -> None:
    town = Town([replace(project("shop"), probe=ProbePolicy(failures=4))])
    town.open()
    town.settle()
    town.prober.says(HOST, "502 Bad Gateway")
    town.loop.pulse.look(KEY)
    asked = len(town.prober.asked)
    seen = []
    while town.phase(1) is Phase.LIVE:
        town.settle(1)
        seen.append(len(town.prober.asked) - asked)
    assert seen[-1] == 4
    assert town.phase(1) is Phase.DEGRADED


def test_a_hiccup_is_told_nobody(town: Town) -> None:
    before = statuses(town)
    town.prober.says(HOST, "502 Bad Gateway")
    town.loop.pulse.look(KEY)
    town.settle(2)
    assert town.record(1).probe is not None
    town.prober.says(HOST, "200 OK", answered=True)
    town.settle()
    assert town.phase(1) is Phase.LIVE
    assert statuses(town) == before
    assert len(town.loop.queues.previews) == 0


def test_a_doubt_outlives_the_process_that_had_it(town: Town) -> None:
    town.prober.says(HOST, "502 Bad Gateway")
    town.loop.pulse.look(KEY)
    town.settle(1)
    assert town.phase(1) is Phase.LIVE
    town.start()
    town.settle()
    assert town.phase(1) is Phase.DEGRADED


def test_after_a_restart_the_live_ones_are_asked_again(town: Town) -> None:
    town.start()
    town.settle()
    asked = len(town.prober.asked)
    town.loop.pulse.look(KEY)
    assert len(town.prober.asked) == asked + 1


def test_the_old_version_that_comes_back_is_noticed(town: Town) -> None:
    town.prober.says(HOST, "200 OK", answered=True, head_sha="fedcba9876")
    beat(town)
    town.settle()
    record = town.record(1)
    assert (record.phase, record.reason) == (Phase.DEGRADED, "OldVersionAnswers")


@pytest.mark.parametrize("end", ["asleep", "closed"])
def test_one_that_is_not_live_any_more_is_not_asked(town: Town, end: str) -> None:
    if end == "closed":
        town.close(1)
    else:
        town.manager.act("sleep", KEY, actor="ann")
    town.settle()
    asked = list(town.prober.asked)
    town.loop.pulse.look(KEY)
    assert town.prober.asked == asked
    assert town.loop.pulse.next_key() is None


def test_a_suspicion_about_one_that_fell_asleep_is_forgotten(town: Town) -> None:
    town.prober.says(HOST, "502 Bad Gateway")
    town.manager.act("sleep", KEY, actor="ann")
    town.loop.pulse.look(KEY)
    town.settle()
    assert town.phase(1) is Phase.ASLEEP
    assert not town.loop.pulse.suspects(KEY, None)


def test_the_pulse_is_nobodys_visit() -> None:
    town = Town()
    town.traffic = FakeTraffic()
    town.start()
    town.open()
    town.settle()
    began = town.clock.now()
    town.loop.look_at_traffic()
    town.settle(60)
    town.traffic.serve(town.projects["shop"].names(1).namespace)
    before = dict(town.loop.probes.sent())
    town.loop.pulse.look(KEY)
    assert town.loop.probes.sent() == {KEY: before[KEY] + 1}
    town.loop.look_at_traffic()
    assert town.loop.activity is not None
    assert town.loop.activity.quiet_since(KEY) == began


def a_pulse(clock: TownClock, *numbers: int, interval: float = 60.0) -> Pulse:
    town = Town()
    for _ in numbers:
        town.open()
    town.settle()
    projects = {"shop": project("shop")}
    pulse = Pulse(
        projects,
        Probes(FakeProber(), projects, waiting_at_most=1),
        lambda _keys: None,
        interval_seconds=interval,
        monotonic=clock.monotonic,
    )
    for number in numbers:
        pulse.note(town.record(number))
    return pulse


def test_all_of_them_are_asked_once_in_each_interval_and_evenly() -> None:
    clock = TownClock()
    pulse = a_pulse(clock, 1, 2, 3, 4)
    turns = []
    for _ in range(121):
        if (key := pulse.next_key()) is not None:
            turns.append((clock.seconds, key.number))
        clock.seconds += 1
    assert turns == [(15, 1), (30, 2), (45, 3), (60, 4), (75, 1), (90, 2), (105, 3), (120, 4)]


def test_what_was_not_asked_in_time_is_not_made_up_for_at_once() -> None:
    clock = TownClock()
    pulse = a_pulse(clock, 1, 2, 3, 4)
    clock.seconds += 3600
    assert pulse.next_key() == PreviewKey("shop", 1)
    assert pulse.next_key() is None


def test_it_asks_by_itself_and_has_whoever_is_silent_looked_at() -> None:
    town = Town()
    town.open()
    town.settle()
    prober = FakeProber()
    prober.says(HOST, "502 Bad Gateway")
    found: queue.Queue[PreviewKey] = queue.Queue()

    def enqueue(keys: Iterable[PreviewKey]) -> None:
        for key in keys:
            found.put(key)

    projects = {"shop": project("shop")}
    pulse = Pulse(projects, probes_of(prober), enqueue, interval_seconds=1)
    pulse.note(town.record(1))
    pulse.start()
    try:
        assert found.get(timeout=20) == KEY
    finally:
        pulse.stop(20)
    assert pulse.suspects(KEY, None)


def test_its_threads_end_when_they_are_told_to() -> None:
    pulse = a_pulse(TownClock())
    pulse.start()
    pulse.stop(20)
    assert not [each for each in threading.enumerate() if each.name.startswith("pulse-")]


class RedirectingProber(FakeProber):
    """An application sends whoever asks to a page of its own, then to a neighbour's, then to a host of nobody."""

    def probe(
        self, url: str, policy: ProbePolicy, *, on_request: Callable[[str], None] = lambda _: None
    ) -> ProbeResult:
        for number in (1, 2, 3):
            on_request(f"shop-pr-{number}.preview.example")
        return super().probe(url, policy, on_request=on_request)


def probes_of(prober: FakeProber, *, waiting_at_most: int = 1) -> Probes:
    projects: dict[str, Project] = {"shop": project("shop")}
    return Probes(prober, projects, waiting_at_most=waiting_at_most)


def test_each_request_counts_for_the_preview_that_it_went_to() -> None:
    probes = probes_of(RedirectingProber())
    probes.ask(PreviewKey("shop", 2))
    probes.ask(PreviewKey("shop", 1))
    # Nobody ever asked the third by itself, and so nobody takes its requests for visits.
    assert probes.sent() == {PreviewKey("shop", 1): 2, PreviewKey("shop", 2): 3}


def test_probes_that_hang_leave_threads_for_other_work() -> None:
    prober = FakeProber()
    probes = probes_of(prober)
    inner: list[ProbeResult | None] = []

    class Hanging(FakeProber):
        def probe(
            self,
            url: str,
            policy: ProbePolicy,
            *,
            on_request: Callable[[str], None] = lambda _: None,
        ) -> ProbeResult:
            inner.append(probes.ask_if_free(PreviewKey("shop", 2)))
            return prober.probe(url, policy, on_request=on_request)

    probes = probes_of(Hanging())
    assert probes.ask_if_free(KEY) is not None
    assert inner == [None]
    assert probes.ask_if_free(KEY) is not None
    assert probes.results() == {"Answered": 2}
