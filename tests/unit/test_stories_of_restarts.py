"""What a manager that starts again does, with its store, with an old one and with none."""

import pytest

from previews.domain.preview import Phase
from tests.fakes.town import REPOSITORY, CountingWitness, Town


def test_twenty_more_looks_write_nothing() -> None:
    witness = CountingWitness()
    town = Town(witness=witness)
    live, closed, waiting = town.open(), town.open(), town.open(image=False)
    town.settle()
    town.close(closed)
    town.settle(7200)
    town.resync()
    town.settle()
    counts, writes, pushes = dict(witness.counts), town.store.writes, town.gitops.pushes
    for _ in range(20):
        town.resync()
        town.loop.enqueue([town.record(n).key for n in (live, closed, waiting)])
        town.settle(1)
    counts = {effect: n for effect, n in counts.items() if effect.startswith(("git", "forge"))}
    now = {effect: n for effect, n in witness.counts.items() if effect in counts}
    assert now == counts
    assert (town.store.writes, town.gitops.pushes) == (writes, pushes)


def test_a_restart_writes_nothing() -> None:
    town = Town()
    number = town.open()
    town.settle()
    writes, pushes = list(town.forge.writes), town.gitops.pushes
    town.start()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert (town.forge.writes, town.gitops.pushes) == (writes, pushes)


def test_removed_while_the_manager_was_down() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.forge.close(REPOSITORY, number)
    town.start()
    town.settle()
    assert town.left_of(number) == set()
    assert town.phase(number) is Phase.REMOVED


def test_a_lost_store_deletes_nothing_and_is_rebuilt() -> None:
    town = Town()
    stays, closes = town.open(), town.open()
    town.settle()
    files = dict(town.gitops.files)
    town.store = type(town.store)()
    town.start()
    town.settle()
    assert town.gitops.files == files
    assert town.phase(stays) is Phase.LIVE
    town.close(closes)
    town.settle()
    assert town.left_of(closes) == set()
    assert town.left_of(stays) != set()


def test_a_lost_store_still_removes_what_was_closed_meanwhile() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.forge.close(REPOSITORY, number)
    town.store = type(town.store)()
    town.start()
    town.settle()
    assert town.left_of(number) == set()


@pytest.mark.fault(19)
def test_a_store_of_yesterday_brings_nothing_back_and_deletes_nothing() -> None:
    town = Town()
    number = town.open()
    town.settle()
    yesterday = [town.record(number)]
    town.push(number)
    town.settle()
    files, history = dict(town.gitops.files), len(town.gitops.history)
    town.store = type(town.store)()
    for record in yesterday:
        town.store.save(record)
    town.start()
    town.settle()
    assert town.gitops.files == files
    assert len(town.gitops.history) == history
