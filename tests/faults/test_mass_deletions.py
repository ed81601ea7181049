"""Attempts at a mass deletion, by mistake or by a forge gone mad: nothing goes before a person says so."""

from collections import Counter

import pytest

from previews.domain.preview import Phase
from tests.fakes.town import REPOSITORY, Town, project
from tests.faults.town_life import come_to_rest, live
from tests.unit.lives import DAYS_3, HOUR, town_of


@pytest.mark.fault(39)
def test_a_label_set_on_everything_at_once_ends_no_preview_before_a_person_says_so() -> None:
    town = town_of(DAYS_3)
    numbers = live(town, 30)
    town.settle(2 * HOUR)
    for number in numbers:
        town.forge.set_labels(REPOSITORY, number, "preview-ttl: 1h")
    come_to_rest(town)
    assert town.cluster.deleted == Counter()
    town.confirm_brake("ann")
    come_to_rest(town)
    assert {town.phase(number) for number in numbers} == {Phase.EXPIRED}
    assert town.cluster.namespaces == {}


@pytest.mark.fault(39)
def test_a_repository_mistyped_in_the_configuration_deletes_nothing() -> None:
    town = Town()
    numbers = live(town, 12)
    town.forge.add_repository("acme/shpo")
    town.projects["shop"] = project("shop", "acme/shpo")
    town.start()
    come_to_rest(town)
    assert town.cluster.deleted == Counter()
    town.projects["shop"] = project("shop")
    town.start()
    come_to_rest(town)
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    assert town.cluster.deleted == Counter()
