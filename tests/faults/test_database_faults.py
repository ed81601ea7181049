"""Faults 46-49 and 54 from the manager's side, on fakes: what is said meanwhile, and what is there in the end."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest

from previews.domain.database import DatabasePolicy, SecretKind
from previews.domain.naming import names_of
from previews.domain.observation import DATABASE_FILE
from previews.domain.preview import Phase, PreviewKey
from previews.errors import TransientError
from tests.fakes.surroundings import OWN_DATABASE, TEMPLATE
from tests.fakes.town import REPOSITORY, Town, project
from tests.faults.town_life import LONG, come_to_rest, live

CHANGES = ("create", "set_credential", "drop")


def town_with(policy: DatabasePolicy = OWN_DATABASE) -> Town:
    town = Town([project("shop", database=policy)])
    town.secrets.in_git = policy.secret_kind is not SecretKind.KUBERNETES
    return town


@pytest.fixture
def town() -> Town:
    return town_with()


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def can_log_in(town: Town, number: int) -> bool:
    """With what Argo CD brings to its namespace."""
    names = names_of(key(number), host_pattern="")
    town.secrets.sync(town.gitops.files.get(f"{names.folder}/{DATABASE_FILE}", ""))
    data = town.secrets.data(names.namespace, "database")
    return data is not None and town.databases.can_log_in(
        town.databases.login(key(number), data["PGPASSWORD"])
    )


def count_changes(town: Town) -> Counter[str]:
    done: Counter[str] = Counter()
    town.databases.on_operation = lambda when, name: done.update([name] * (when == "after"))
    return done


# 47: something in the database that no force ends.


@pytest.mark.fault(47)
def test_what_cannot_be_dropped_is_told_and_asked_again_seldom(town: Town) -> None:
    stuck, other = live(town, 2)
    words = 'database "preview_shop_pr_1" is used by a prepared transaction'
    town.databases.hold(key(stuck), words)
    tried: Counter[str] = Counter()
    town.databases.on_operation = lambda when, name: tried.update([name] * (when == "before"))
    town.close(stuck)
    town.close(other)
    town.settle(3600)

    assert words in town.record(stuck).message
    assert town.record(stuck).failed
    assert town.phase(other) is Phase.REMOVED
    assert tried["drop"] <= 3600 / 30 + 2
    town.databases.let_go(key(stuck))
    come_to_rest(town)
    assert town.phase(stuck) is Phase.REMOVED
    assert town.databases.databases == {}


@pytest.mark.fault(47)
def test_reopened_while_its_database_cannot_be_dropped_it_gets_a_new_one_in_the_end(
    town: Town,
) -> None:
    (number,) = live(town, 1)
    before = town.databases.databases["preview_shop_pr_1"].incarnation
    town.databases.hold(key(number), "an active replication slot")
    town.close(number)
    town.settle(LONG)
    town.reopen(number)
    town.settle(LONG)
    assert "an active replication slot" in town.record(number).message
    town.databases.let_go(key(number))
    come_to_rest(town)

    assert town.phase(number) is Phase.LIVE
    assert town.databases.databases["preview_shop_pr_1"].incarnation != before
    assert can_log_in(town, number)


# 48: the server, or the template, is not as it should be.


def away(town: Town) -> None:
    town.databases.fail()


def full(town: Town) -> None:
    town.databases.fail("DatabaseServerFull")


def without_template(town: Town) -> None:
    town.databases.builds.clear()


def refusing(town: Town) -> None:
    town.databases.fail("DatabaseRefused", stalled=True)


def heal(town: Town) -> None:
    town.databases.recover()
    town.databases.put_template(TEMPLATE, town.clock.now())


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (away, "DatabaseServerUnreachable"),
        (full, "DatabaseServerFull"),
        (without_template, "TemplateMissing"),
        (refusing, "DatabaseRefused"),
    ],
)
def test_a_server_out_of_order_is_the_reason_takes_nothing_down_and_leaves_nothing_half_made(
    town: Town, fault: Callable[[Town], None], reason: str
) -> None:
    (stays,) = live(town, 1)
    fault(town)
    town.start()
    opened, resets = town.open(branch="new"), town.open(branch="other")
    town.push(stays)
    town.settle(LONG)
    town.close(resets)
    town.settle(LONG)

    assert town.record(opened).reason == reason
    assert town.phase(stays) is Phase.LIVE
    assert town.cluster.deleted == Counter()
    heal(town)
    come_to_rest(town)
    assert (town.phase(stays), town.phase(opened)) == (Phase.LIVE, Phase.LIVE)
    assert town.phase(resets) is Phase.REMOVED
    assert set(town.databases.databases) == {
        f"preview_shop_pr_{stays}",
        f"preview_shop_pr_{opened}",
    }
    assert can_log_in(town, stays)
    assert can_log_in(town, opened)


@pytest.mark.fault(48)
def test_a_server_that_is_away_is_not_taken_for_one_without_databases(town: Town) -> None:
    (number,) = live(town, 1)
    town.databases.fail()
    town.close(number)
    come_to_rest(town)
    assert town.phase(number) is not Phase.REMOVED
    town.databases.recover()
    come_to_rest(town)
    assert town.phase(number) is Phase.REMOVED
    assert town.databases.databases == {}


@pytest.mark.fault(48)
def test_a_server_that_comes_and_goes_costs_nobody_their_data(town: Town) -> None:
    numbers = live(town, 2)
    before = {name: found.incarnation for name, found in town.databases.databases.items()}
    for _ in range(10):
        town.databases.fail()
        town.start()
        town.resync()
        town.settle(20)
        town.databases.recover()
        town.resync()
        town.settle(20)

    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    assert before == {name: each.incarnation for name, each in town.databases.databases.items()}
    assert all(can_log_in(town, number) for number in numbers)


# 49: an answer is lost, at any statement; tests/sweep kills the manager there.


@pytest.mark.fault(49)
@pytest.mark.parametrize("kind", [SecretKind.SEALED_SECRETS, SecretKind.KUBERNETES])
@pytest.mark.parametrize("operation", CHANGES)
def test_an_answer_that_is_lost_costs_at_most_one_more_of_it(
    operation: str, kind: SecretKind
) -> None:
    town = town_with(replace(OWN_DATABASE, secret_kind=kind))
    done: Counter[str] = Counter()

    def lose_the_first(when: str, name: str) -> None:
        if when == "after":
            done[name] += 1
            if name == operation and done[name] == 1:
                raise TransientError("DatabaseServerUnreachable", "nobody answered")

    town.databases.on_operation = lose_the_first
    number = town.open()
    town.settle(LONG)
    assert town.phase(number) is Phase.LIVE
    assert can_log_in(town, number)
    town.close(number)
    town.settle(LONG)

    assert town.phase(number) is Phase.REMOVED
    assert town.databases.databases == {}
    assert all(done[name] <= 2 for name in CHANGES)


@pytest.mark.fault(49)
def test_a_store_of_secrets_that_is_away_leaves_no_password_without_its_secret(town: Town) -> None:
    town.secrets.unavailable = True
    number = town.open()
    town.settle(LONG)
    assert town.record(number).reason == "SecretStoreFailed"
    assert town.gitops.pushes == 0
    town.secrets.unavailable = False
    come_to_rest(town)

    assert town.phase(number) is Phase.LIVE
    assert can_log_in(town, number)


@pytest.mark.fault(49)
def test_git_that_is_away_between_role_and_secret_leaves_them_agreeing(town: Town) -> None:
    (number,) = live(town, 1)
    town.gitops.is_unreachable = True
    town.clock.seconds += 60
    town.loop.actions.rotate_password(key(number), actor="ann")
    town.settle(LONG)
    town.start()
    town.settle(LONG)
    done = count_changes(town)
    town.gitops.is_unreachable = False
    come_to_rest(town)

    assert town.phase(number) is Phase.LIVE
    assert can_log_in(town, number)
    assert done["create"] == done["drop"] == 0


# 54: a password is in the secret, and nowhere else.


@pytest.mark.fault(54)
@pytest.mark.parametrize("kind", [SecretKind.SEALED_SECRETS, SecretKind.KUBERNETES])
def test_no_password_is_stored_said_or_written(
    kind: SecretKind, capsys: pytest.CaptureFixture[str]
) -> None:
    town = town_with(replace(OWN_DATABASE, secret_kind=kind))
    passwords: set[str] = set()
    town.databases.on_operation = lambda *_: passwords.update(town.databases.passwords.values())
    numbers = live(town, 2)
    town.clock.seconds += 60
    town.loop.actions.rotate_password(key(numbers[0]), actor="ann")
    town.loop.actions.reset_database(key(numbers[1]), actor="ann")
    town.settle(LONG)
    town.databases.fail("DatabaseRefused", stalled=True)
    town.loop.actions.rotate_password(key(numbers[0]), actor="ann")
    town.settle(LONG)

    said = json.dumps([asdict(record) for record in town.store.list_records()], default=str)
    said += "".join(text for commit in town.gitops.history for text in commit.files.values())
    said += "".join(
        comment.body for number in numbers for comment in town.forge.comments(REPOSITORY, number)
    )
    said += " ".join(town.forge.writes) + "".join(capsys.readouterr())
    assert len(passwords) == 4
    assert [password for password in passwords if password in said] == []


def test_what_was_put_into_a_store_of_secrets_goes_with_a_project_that_is_drained(
    town: Town,
) -> None:
    (number,) = live(town, 1)
    town.projects = {"cart": project("cart")}
    town.start()
    town.settle()
    town.loop.actions.drain("shop", actor="ops")
    come_to_rest(town)
    assert town.databases.databases == {}
    assert town.secrets.withdrawn == [(key(number), "database")]
