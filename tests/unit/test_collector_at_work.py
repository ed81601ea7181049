"""The collector within the whole manager: what it takes away comes back when it is needed, and nothing else goes."""

from datetime import timedelta

import pytest

from previews.domain.database import Secret
from previews.domain.inventory import Kind, Verdict
from previews.domain.preview import Phase, PreviewKey
from previews.errors import TransientError
from tests.fakes.secrets import FakeSecrets
from tests.fakes.surroundings import OWN_DATABASE
from tests.fakes.town import REPOSITORY, Town, project

A_WHILE_SECONDS = timedelta(minutes=11).total_seconds()


def sweep_until_quiet(town: Town) -> list[str]:
    """What was removed, in order."""
    gone: list[str] = []
    for _ in range(6):
        removed = town.loop.collector.collect(dry_run=False).removed
        gone += [f"{each.owned.kind} {each.owned.name}" for each in removed]
        town.settle(A_WHILE_SECONDS)
    return gone


def test_nothing_is_collected_of_a_town_that_works() -> None:
    town = Town()
    for _ in range(3):
        town.open()
    town.settle()
    verdicts = {each.verdict for each in town.loop.collector.inventory()}
    assert verdicts == {Verdict.WANTED}
    assert sweep_until_quiet(town) == []


def test_a_shard_goes_with_its_last_preview_and_comes_back_with_the_next() -> None:
    town = Town()
    first = town.open()
    town.settle()
    town.close(first)
    town.settle()
    assert town.left_of(first) == set()
    assert "acme-shop-0" in town.cluster.applications
    assert sweep_until_quiet(town) == ["RootFile roots/shop-0.yaml", "ConfigMap acme-shop-0-keep"]
    assert town.gitops.files == {}
    assert town.cluster.owned_objects() == []
    second = town.open()
    town.settle()
    assert town.phase(second) is Phase.LIVE
    assert sweep_until_quiet(town) == []


def test_a_namespace_that_argo_cd_left_is_reclaimed_and_the_others_live_on() -> None:
    town = Town()
    alive = town.open()
    closed = town.open()
    town.settle()
    town.close(closed)
    town.settle()
    town.cluster.put_namespace(f"preview-shop-pr-{closed}", PreviewKey("shop", closed))
    town.settle()
    reclaimed = town.loop.collector.reclaimed
    assert sweep_until_quiet(town) == [f"Namespace preview-shop-pr-{closed}"]
    assert reclaimed[Kind.NAMESPACE] == 1
    assert town.phase(alive) is Phase.LIVE
    assert town.left_of(closed) == set()


def test_a_store_that_was_lost_makes_nothing_an_orphan() -> None:
    town = Town()
    numbers = [town.open() for _ in range(3)]
    town.settle()
    town.store = type(town.store)()
    town.start()
    assert sweep_until_quiet(town) == []
    town.resync()
    town.settle()
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}


class Sealing(FakeSecrets):
    """A secret is sealed with the controller's certificate; it takes none to give one up."""

    has_certificate = True

    def deliver(self, secret: Secret) -> str:
        if not self.has_certificate:
            raise TransientError("SealingCertificate", "the controller gives no certificate")
        return super().deliver(secret)


@pytest.fixture
def sealing() -> Sealing:
    return Sealing()


@pytest.fixture
def busy(sealing: Sealing) -> Town:
    """Enough of what is wanted, so that one orphan is no mass."""
    town = Town([project("shop", database=OWN_DATABASE)])
    town.secrets = sealing
    town.start()
    for _ in range(8):
        town.open()
    town.settle()
    return town


def incarnation_of(town: Town, number: int) -> str:
    return town.databases.databases[f"preview_shop_pr_{number}"].incarnation


def test_the_database_of_one_that_came_back_and_waits_for_its_secret_stays(
    busy: Town, sealing: Sealing
) -> None:
    busy.close(1)
    busy.settle()
    assert busy.phase(1) is Phase.REMOVED
    sealing.has_certificate = False
    busy.reopen(1)
    busy.settle()
    made = incarnation_of(busy, 1)
    assert not busy.left_of(1), "there is nothing of it in Git yet"

    assert sweep_until_quiet(busy) == []
    assert incarnation_of(busy, 1) == made
    sealing.has_certificate = True
    busy.settle(A_WHILE_SECONDS)
    assert busy.phase(1) is Phase.LIVE
    assert incarnation_of(busy, 1) == made


def test_a_stranger_that_took_the_name_of_a_renamed_repository_makes_no_orphan(
    busy: Town, sealing: Sealing
) -> None:
    sealing.has_certificate = False
    number = busy.open()
    busy.settle()
    made = incarnation_of(busy, number)
    busy.forge.rename(REPOSITORY, "acme/store")
    busy.resync()
    take_the_name(busy, number)

    assert sweep_until_quiet(busy) == []
    assert incarnation_of(busy, number) == made
    busy.forge.close("acme/store", number)
    busy.resync()
    busy.settle(A_WHILE_SECONDS)
    assert f"preview_shop_pr_{number}" not in busy.databases.databases


def test_a_stranger_that_nobody_has_told_from_the_old_repository_makes_no_orphan(
    busy: Town, sealing: Sealing
) -> None:
    sealing.has_certificate = False
    number = busy.open()
    busy.settle()
    made = incarnation_of(busy, number)
    busy.forge.rename(REPOSITORY, "acme/gone")
    take_the_name(busy, number)

    sweep = busy.loop.collector.collect(dry_run=False)
    (found,) = [each for each in sweep.found if each.owned.name == f"main/preview_shop_pr_{number}"]
    assert found.verdict is Verdict.UNKNOWN
    assert "acme/shop is another repository" in found.cause
    assert not sweep.held, "it keeps nothing else from being collected"
    assert sweep_until_quiet(busy) == []
    assert incarnation_of(busy, number) == made


def take_the_name(town: Town, number: int) -> None:
    """Another repository takes the name, and its pull requests up to this number are closed."""
    town.forge.take_name(REPOSITORY)
    for _ in range(number):
        town.forge.close(REPOSITORY, town.forge.open_pull_request(REPOSITORY))
