"""The seed decides everything, and every kind of life and of fault comes about."""

from itertools import islice, pairwise, product

import pytest

from tests.soak.faults import COMMON, OF_DATABASES, OF_RECORDS, Fault, schedule
from tests.soak.lives import RESIDENTS, Act, script

LIVES = 1000
OF_A_DATABASE = {Act.RESET, Act.ROTATE}


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


def test_some_ask_something_as_soon_as_their_pull_request_is_open() -> None:
    lives = [[step.act for step in script(1, index)] for index in range(LIVES)]
    asking = [acts for acts in lives if Act.SAY in acts]
    assert 0 < len(asking) < LIVES
    assert all(acts[:2] == [Act.OPEN, Act.SAY] and acts.count(Act.SAY) == 1 for acts in asking)


@pytest.mark.parametrize("faults", [COMMON, tuple(Fault)])
def test_every_kind_of_fault_comes_before_any_comes_again(faults: tuple[Fault, ...]) -> None:
    planned = list(islice(schedule(1, faults), 10 * len(faults)))
    for start in range(0, len(planned), len(faults)):
        assert {it.fault for it in planned[start : start + len(faults)]} == set(faults)


def test_the_database_and_the_name_server_are_left_alone_unless_they_are_asked_for() -> None:
    assert not {it.fault for it in islice(schedule(1), 500)} & {*OF_DATABASES, *OF_RECORDS}


def test_faults_come_five_to_forty_seconds_apart() -> None:
    pauses = [it.pause_seconds for it in islice(schedule(1), 500)]
    assert min(pauses) >= 5
    assert max(pauses) <= 40


def test_what_is_done_to_databases_is_added_to_the_same_lives() -> None:
    for index in range(LIVES):
        with_them = script(1, index, databases=True)
        assert script(1, index) == tuple(it for it in with_them if it.act not in OF_A_DATABASE)


def test_no_database_is_asked_for_while_its_pull_request_is_closed() -> None:
    for index in range(LIVES):
        is_open = False
        for step in script(1, index, databases=True):
            assert is_open or step.act not in OF_A_DATABASE
            is_open = step.act is not Act.CLOSE


def test_among_a_thousand_lives_every_act_on_a_database_meets_every_other() -> None:
    steps = [script(1, index, databases=True) for index in range(LIVES)]
    met = {
        (one.act, other.act)
        for life in steps
        for one, other in pairwise(life)
        if OF_A_DATABASE & {one.act, other.act}
    }
    before = {Act.OPEN, Act.SAY, Act.PUSH, Act.REOPEN}
    after = {Act.PUSH, Act.CLOSE}
    assert met == {
        *product(before, OF_A_DATABASE),
        *product(OF_A_DATABASE, after),
        *product(OF_A_DATABASE, OF_A_DATABASE),
    }
    patience = {
        (step.act, step.impatient_seconds is None)
        for life in steps
        for step in life
        if step.act in OF_A_DATABASE
    }
    assert patience == set(product(OF_A_DATABASE, (True, False)))


def test_some_previews_outlast_all_faults_and_are_asked_for_something_only_then() -> None:
    for life in RESIDENTS:
        acts = [step.act for step in life]
        assert acts[:2] == [Act.OPEN, Act.STAY]
        assert acts[-1] is Act.CLOSE
        assert all(step.impatient_seconds is None for step in life)
    assert {step.act for life in RESIDENTS for step in life} >= OF_A_DATABASE
