"""The passwords of databases and the secrets that carry them: the whole manager on fakes."""

from dataclasses import replace

import pytest

from previews.domain.database import SecretKind
from previews.domain.naming import names_of
from previews.domain.observation import DATABASE_FILE
from previews.domain.preview import Phase
from tests.fakes.surroundings import OWN_DATABASE, SERVER
from tests.fakes.town import Town
from tests.unit.database_town import arrive, can_log_in, key, parameters, town_with


@pytest.fixture
def town() -> Town:
    return town_with()


def test_its_chart_is_told_of_both(town: Town) -> None:
    number = town.open()
    town.settle()

    grant = town.record(number).grant
    assert grant is not None
    assert grant.credential in parameters(town, number)
    assert grant.incarnation in parameters(town, number)


def test_a_push_keeps_database_password_and_the_sealed_bytes(town: Town) -> None:
    number = town.open()
    town.settle()
    before = town.record(number).grant

    town.push(number)
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert town.record(number).grant == before


def test_a_reset_makes_it_anew_with_another_password_and_rolls_the_pods_out(town: Town) -> None:
    number = town.open()
    town.settle()
    before = town.record(number).grant
    town.clock.seconds += 60

    town.loop.actions.reset_database(key(number), actor="octo-dev")
    town.settle()

    after = town.record(number).grant
    assert before is not None
    assert after is not None
    assert after.incarnation != before.incarnation
    assert town.phase(number) is Phase.LIVE
    arrive(town, number)
    assert can_log_in(town, number)


def test_a_rotation_keeps_the_data_and_changes_the_password(town: Town) -> None:
    number = town.open()
    town.settle()
    before = town.record(number).grant
    town.clock.seconds += 60

    town.loop.actions.rotate_password(key(number), actor="octo-dev")
    town.settle()

    after = town.record(number).grant
    assert before is not None
    assert after is not None
    assert (after.incarnation == before.incarnation, after.credential == before.credential) == (
        True,
        False,
    )
    arrive(town, number)
    assert can_log_in(town, number)


def test_a_listing_that_is_older_than_what_was_done_rotates_nothing(town: Town) -> None:
    number = town.open()
    town.settle()
    listed = {found.key: found for found in town.databases.list_databases() if found.key}
    town.clock.seconds += 60
    town.loop.actions.rotate_password(key(number), actor="octo-dev")
    town.settle()
    rotated = town.record(number).grant

    town.loop.enqueue(town.loop.servers._take_in(SERVER, listed))
    town.settle()

    assert town.record(number).grant == rotated


def test_why_a_secret_does_not_arrive_is_said_while_pods_wait_for_it(town: Town) -> None:
    number = town.open()
    town.settle()
    names = names_of(key(number), host_pattern="")
    town.secrets.problems[names.namespace, "database"] = "no key could decrypt secret"

    town.argocd.finishes(names.application, health="Progressing")
    town.settle(5)

    record = town.record(number)
    assert (record.reason, record.message) == (
        "SecretNotDelivered",
        "no key could decrypt secret",
    )


def test_a_new_certificate_has_it_sealed_anew(town: Town) -> None:
    number = town.open()
    town.settle()
    before = town.record(number).grant
    town.secrets.renew_certificate()

    town.start()
    town.manager.reconcile_all()
    town.settle()

    assert town.record(number).grant != before
    arrive(town, number)
    assert can_log_in(town, number)


def test_a_lost_store_finds_the_database_and_the_secret_in_git_again(town: Town) -> None:
    number = town.open()
    town.settle()
    before = town.record(number).grant
    passwords = dict(town.databases.passwords)

    town.store = type(town.store)()
    town.start()
    town.settle(180)

    assert town.phase(number) is Phase.LIVE
    assert town.record(number).grant == before
    assert town.databases.passwords == passwords


def test_a_secret_that_the_manager_applies_itself_waits_for_the_namespace() -> None:
    town = town_with(replace(OWN_DATABASE, secret_kind=SecretKind.KUBERNETES))
    town.secrets.in_git = False
    number = town.open()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert can_log_in(town, number)
    manifests = town.record(number).manifests
    assert manifests is not None
    assert DATABASE_FILE not in manifests.files
