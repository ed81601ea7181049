"""The seed decides everything, and every kind of life and of fault comes about."""

from itertools import islice

from tests.soak.faults import Fault, schedule
from tests.soak.lives import Act, script

LIVES = 1000


def test_the_same_seed_brings_the_same_lives_and_faults() -> None:
    assert [script(7, it) for it in range(50)] == [script(7, it) for it in range(50)]
    assert list(islice(schedule(7), 50)) == list(islice(schedule(7), 50))
    assert [script(7, it) for it in range(50)] != [script(8, it) for it in range(50)]
    assert list(islice(schedule(7), 50)) != list(islice(schedule(8), 50))


def test_every_life_begins_open_and_ends_closed_and_its_end_is_waited_for() -> None:
    for index in range(LIVES):
        first, *between, last = script(1, index)
        assert first.act is Act.OPEN
        assert last.act is Act.CLOSE
        assert last.impatient_seconds is None
        acts = [step.act for step in between]
        assert acts.count(Act.OPEN) == 0
        assert acts.count(Act.PUSH) <= 2
        assert acts.count(Act.CLOSE) == acts.count(Act.REOPEN)


def test_who_reopens_has_closed_before() -> None:
    for index in range(LIVES):
        acts = [step.act for step in script(1, index)]
        for place, act in enumerate(acts):
            if act is Act.REOPEN:
                assert acts[place - 1] is Act.CLOSE


def test_among_a_thousand_lives_there_is_every_kind() -> None:
    lives = [script(1, index) for index in range(LIVES)]
    kinds = {tuple(step.act for step in life) for life in lives}
    assert {len([act for act in kind if act is Act.PUSH]) for kind in kinds} == {0, 1, 2}
    assert any(Act.REOPEN in kind for kind in kinds)
    steps = [step for life in lives for step in life]
    for act in (Act.OPEN, Act.PUSH, Act.CLOSE, Act.REOPEN):
        patience = {step.impatient_seconds is None for step in steps if step.act is act}
        assert patience == {True, False}


def test_every_kind_of_fault_comes_before_any_comes_again() -> None:
    planned = list(islice(schedule(1), 10 * len(Fault)))
    for start in range(0, len(planned), len(Fault)):
        assert {it.fault for it in planned[start : start + len(Fault)]} == set(Fault)


def test_faults_come_five_to_forty_seconds_apart() -> None:
    pauses = [it.pause_seconds for it in islice(schedule(1), 500)]
    assert min(pauses) >= 5
    assert max(pauses) <= 40
