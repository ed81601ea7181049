"""When what a preview passes through is told."""

from dataclasses import replace

import pytest

from previews.domain.preview import Phase
from previews.reconcile.patience import (
    AGAIN_AFTER_SECONDS,
    PUBLISH_AFTER_SECONDS,
    REMOVAL_AFTER_SECONDS,
    Patience,
)
from tests.unit.subjects import RECORD

DEPLOYING = replace(RECORD, phase=Phase.DEPLOYING)
REMOVING = replace(RECORD, phase=Phase.REMOVING)
LIVE = replace(RECORD, phase=Phase.LIVE)


class Hours:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hours:
    return Hours()


@pytest.fixture
def patience(clock: Hours) -> Patience:
    return Patience(clock)


def test_what_lasts_is_told_at_once(patience: Patience) -> None:
    assert patience.changed(LIVE) == 0
    assert patience.changed(replace(DEPLOYING, failed=True)) == 0
    assert patience.seconds_left(RECORD.key) == 0


def test_what_passes_is_told_once_it_has_lasted(patience: Patience, clock: Hours) -> None:
    assert patience.changed(DEPLOYING) == PUBLISH_AFTER_SECONDS
    clock.now += 0.4
    assert patience.changed(DEPLOYING) == pytest.approx(PUBLISH_AFTER_SECONDS - 0.4)
    assert patience.changed(LIVE) == 0
    assert patience.seconds_left(RECORD.key) == 0


def test_a_removal_is_told_when_it_takes_long(patience: Patience) -> None:
    assert patience.changed(REMOVING) == REMOVAL_AFTER_SECONDS


def test_whatever_goes_on_for_long_is_told_less_and_less_often(
    patience: Patience, clock: Hours
) -> None:
    told = 0
    for _ in range(3600):
        patience.changed(DEPLOYING)
        if not patience.seconds_left(RECORD.key):
            patience.told(RECORD.key)
            told += 1
        clock.now += 1
    assert told == 7, "within an hour in which something changed each second"
    assert AGAIN_AFTER_SECONDS > PUBLISH_AFTER_SECONDS


def test_each_time_under_way_begins_anew(patience: Patience, clock: Hours) -> None:
    patience.changed(DEPLOYING)
    clock.now += 300
    patience.told(RECORD.key)
    patience.changed(LIVE)
    assert patience.changed(DEPLOYING) == PUBLISH_AFTER_SECONDS
