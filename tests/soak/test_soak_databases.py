"""What counts as left behind on a database server, and what a role and a secret must agree on."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from previews.adapters.secrets.manifest import write
from previews.domain import labels
from previews.domain.database import DatabaseLimits
from previews.domain.preview import Phase, PreviewKey, parse_head_sha
from tests.git_remote import GitRemote
from tests.postgres import Instance, instance_on, postgres_server
from tests.postgres.instance import NOON, credential
from tests.soak.agreement import Agreement, carried_by_others, credentials_in_git, disagreement
from tests.soak.board import Granted, Said
from tests.soak.census import DATABASE_KINDS, count, leftovers, too_early
from tests.soak.crowd import is_live
from tests.soak.lives import Act
from tests.soak.orders import Ordered
from tests.soak.run import Size
from tests.soak.server_census import (
    DATABASES,
    DECOYS,
    POOL_CLONES,
    READY,
    ROLES,
    ServerCensus,
    Template,
    databases_in,
    roles_in,
)
from tests.soak.things import Thing
from tests.soak.verdict import save

VERSION = 15
GOLDEN = "golden"
TEMPLATE = Template(GOLDEN, "previews_acme", warm=1)
POOL_MARK = json.dumps({"previews": 1, "instance": "acme", "pool": GOLDEN})
HEAD = parse_head_sha("a" * 40)


def secret(credential_id: str) -> str:
    """As the manager writes it into Git, but for what is sealed."""
    noted = {"annotations": {labels.CREDENTIAL: credential_id}}
    return write({"kind": "SealedSecret", "metadata": noted, "spec": {"template": noted}})


def test_whatever_is_named_like_ours_or_owned_by_us_is_left_over_but_for_the_template() -> None:
    found = databases_in(
        [
            ("golden", "previews_acme", False, "{}"),
            ("other", "previews_acme", False, None),
            ("postgres", "postgres", True, None),
            ("preview_shop_pr_7", "previews_acme", True, "{}"),
            ("preview_shop_pr_8", "postgres", True, "not ours"),
            ("previews_pool_00000001", "previews_acme", False, None),
            *((name, "postgres", True, None) for name in DECOYS),
        ],
        TEMPLATE,
    )
    assert leftovers(found) == [
        Thing(DATABASES, "other", None),
        Thing(DATABASES, "preview_shop_pr_7", 7),
        Thing(DATABASES, "preview_shop_pr_8", 8),
        Thing(POOL_CLONES, "previews_pool_00000001", None),
    ]
    assert count(found, DATABASE_KINDS) == {
        **dict.fromkeys(DATABASE_KINDS, 0),
        DATABASES: 3,
        POOL_CLONES: 1,
    }


def test_only_as_many_clones_stand_ready_as_are_wanted() -> None:
    rows = [(f"previews_pool_0000000{it}", "previews_acme", False, POOL_MARK) for it in range(3)]
    found = databases_in(rows, TEMPLATE)
    assert [it.kind for it in found] == [READY, POOL_CLONES, POOL_CLONES]
    assert len(leftovers(found)) == 2


def test_a_clone_that_somebody_can_connect_to_does_not_stand_ready() -> None:
    [found] = databases_in([("previews_pool_00000001", "acme", True, POOL_MARK)], TEMPLATE)
    assert found.kind == POOL_CLONES


def test_a_clone_that_is_being_made_is_not_too_early_and_a_role_of_one_that_is_gone_is() -> None:
    clone = Thing(POOL_CLONES, "previews_pool_00000001", None)
    [gone, alive] = roles_in([("preview_shop_pr_7", None), ("preview_shop_pr_8", None)])
    assert too_early([clone, gone, alive], {7}) == [gone]


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with postgres_server(VERSION) as process, instance_on(process) as instance:
        instance.make_template(GOLDEN)
        yield instance


@pytest.fixture
def census(instance: Instance) -> Iterator[ServerCensus]:
    census = ServerCensus(instance.process.administer, Template(GOLDEN, instance.role, warm=1))
    census.place_decoys()
    yield census
    for name in DECOYS:
        instance.process.administer(f"DROP DATABASE {name}")
    instance.process.administer(f"DROP ROLE {DECOYS[0]}")


def test_the_server_itself_says_what_a_preview_has_and_that_nothing_is_left(
    instance: Instance, census: ServerCensus
) -> None:
    key = PreviewKey("shop", 7)
    with instance.adapter() as server:
        assert server.fill_pool(GOLDEN, 1, at=NOON)
        [ready] = census.take()
        assert ready.kind == READY

        server.check()
        server.create(key, GOLDEN, DatabaseLimits(), incarnation="first", at=NOON)
        assert census.credentials() == {}
        server.set_credential(key, credential("one"))
        assert census.credentials() == {7: "one"}
        assert [(it.kind, it.number) for it in census.take()] == [(DATABASES, 7), (ROLES, 7)]

        server.drop(key)
    assert census.take() == []
    assert census.touched_decoys() == []


@pytest.mark.parametrize(
    "touch",
    [
        f"COMMENT ON DATABASE {DECOYS[0]} IS 'touched'",
        f"ALTER DATABASE {DECOYS[1]} ALLOW_CONNECTIONS false",
        f"ALTER ROLE {DECOYS[0]} NOLOGIN",
    ],
)
def test_a_decoy_that_is_touched_is_said(
    instance: Instance, census: ServerCensus, touch: str
) -> None:
    instance.process.administer(touch)
    assert census.touched_decoys()


def test_the_ids_of_passwords_are_read_where_the_git_server_keeps_them(tmp_path: Path) -> None:
    remote = GitRemote(tmp_path / "remote")
    remote.commit(
        {
            "previews/shop/0/pr-7/database.yaml": secret("12e5"),
            "previews/shop/0/pr-7/namespace.yaml": '"previews.dev/credential-asked": "now"\n',
            "previews/shop/0/pr-8/database.yaml": secret("b0b"),
            "elsewhere/shop/0/pr-9/database.yaml": secret("c0c"),
        }
    )
    found = credentials_in_git(remote.bare, "previews", "previews")
    assert found == {7: {"12e5"}, 8: {"b0b"}}
    assert credentials_in_git(remote.bare, "previews/shop/0/pr-6", "previews") == {}


def test_a_preview_whose_role_and_secret_are_of_one_password_is_right_at_once(
    tmp_path: Path,
) -> None:
    remote = GitRemote(tmp_path / "remote")
    remote.commit({"previews/shop/0/pr-7/database.yaml": secret("a0a")})
    agreement = Agreement(
        lambda: {7: "a0a", 8: "b0b"}, repository=remote.bare, folder="previews", project="shop"
    )
    assert agreement.problem(7, threading.Event()) == ""
    assert agreement.strangers() == []


def test_what_differs_or_is_missing_on_either_side_is_said() -> None:
    assert disagreement(7, {7: "a0a"}, {7: {"a0a"}}) == ""
    assert "password a0a, its secret ['b0b']" in disagreement(7, {7: "a0a"}, {7: {"b0b"}})
    assert "its secret none" in disagreement(7, {7: "a0a"}, {})
    assert "password none" in disagreement(7, {}, {7: {"a0a"}})
    assert disagreement(7, {7: "a0a"}, {7: {"a0a", "b0b"}})


def test_nobody_carries_the_password_of_another() -> None:
    assert carried_by_others({7: "a0a", 8: "b0b"}, {7: {"a0a"}, 8: {"old"}}) == []
    assert carried_by_others({7: "a0a"}, {8: {"a0a"}}) == ["password a0a is carried by 7, 8"]
    assert carried_by_others({7: "a0a", 8: "a0a"}, {}) == ["password a0a is carried by 7, 8"]


@pytest.mark.parametrize("act", [Act.RESET, Act.ROTATE])
def test_an_order_is_served_by_a_password_since_then_and_a_reset_by_another_database(
    act: Act,
) -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    ordered = Ordered(act, noon, "first")
    earlier, later = noon - timedelta(seconds=1), noon + timedelta(seconds=1)

    def is_served(incarnation: str, since: datetime) -> bool:
        said = Said(Phase.LIVE, HEAD, "", "", Granted(incarnation, since))
        return is_live(said, HEAD, ordered)

    assert not is_served("first", earlier)
    assert not is_served("second", earlier)
    assert is_served("second", later)
    assert is_served("first", later) == (act is Act.ROTATE)
    assert not is_live(Said(Phase.LIVE, HEAD, "", "", None), HEAD, ordered)


def kind(*, with_faults: bool = True, databases: bool = False, dns: bool = False) -> str:
    size = Size(
        lives=1,
        abreast=1,
        seed=1,
        with_faults=with_faults,
        databases=databases,
        dns=dns,
        github=False,
    )
    return size.kind


def test_each_kind_of_run_keeps_its_figures_and_those_of_the_others(tmp_path: Path) -> None:
    file = tmp_path / "build" / "soak.json"
    for times in (1, 2):
        save({"lives": times + 10}, kind=kind(with_faults=False), file=file)
        save({"lives": times + 20}, kind=kind(databases=True), file=file)
        save({"lives": times + 30}, kind=kind(databases=True, with_faults=False), file=file)
        save({"lives": times + 40}, kind=kind(databases=True, dns=True), file=file)
        save({"lives": times, "leftovers": {"records": 0}}, kind=kind(), file=file)
    assert json.loads(file.read_text()) == {
        "lives": 2,
        "leftovers": {"records": 0},
        "without_faults": {"lives": 12},
        "databases": {"lives": 22},
        "databases_without_faults": {"lives": 32},
        "databases_dns": {"lives": 42},
    }
