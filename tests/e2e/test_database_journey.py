"""Databases of previews on real parts: PostgreSQL, Argo CD, and an application that keeps its orders in one."""

import base64
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.cluster import RunningCluster
from tests.world.database import Databases, missing_server
from tests.world.pull_request import Page, PullRequest
from tests.world.visitor import SEE_OTHER
from tests.world.waiting import wait_until
from tests.world.world import World, WorldOptions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

IN_TEMPLATE = ["Two tea towels", "A blue mug"]
"""What tests/demo/template.sql puts into every new database, the newest first."""
PRICE = "migrations/0002_price.sql"
BROKEN = "migrations/0003_broken.sql"
MIGRATIONS_RAN = "SELECT name FROM migrations ORDER BY name"

Object = dict[str, Any]


@pytest.fixture(scope="module")
def world(cluster: RunningCluster) -> Iterator[World]:
    if missing := missing_server():
        pytest.skip(missing)
    options = WorldOptions(
        name="e2e-db",
        project="e2e-db-shop",
        hostname="{project}-pr-{number}.preview.localhost",
        databases=True,
    )
    with World(cluster, options) as world:
        world.manager.start()
        yield world


@pytest.fixture
def databases(world: World) -> Databases:
    assert world.databases is not None
    return world.databases


def live(world: World, branch: str, files: dict[str, str] | None = None) -> PullRequest:
    """A pull request whose page shows its own commit."""
    opened = world.open_pull_request(branch, Page(branch, "A third off."), files=files)
    opened.wait_until_live()
    wait_until("its page is shown", opened.shows_its_commit, explain=opened.explain)
    return opened


def pushed(pull_request: PullRequest, title: str, files: dict[str, str | None]) -> None:
    """A further commit with these files, until its page is shown."""
    pull_request.push(Page(title, "Half off."), files=files)
    pull_request.wait_until_live()
    wait_until("its page is shown", pull_request.shows_its_commit, explain=pull_request.explain)


def order(pull_request: PullRequest, item: str) -> None:
    assert pull_request.order(item).status == SEE_OTHER
    assert item in pull_request.orders()


def jobs(world: World, pull_request: PullRequest) -> list[str]:
    """The migrations' Jobs, by UID."""
    path = f"/apis/batch/v1/namespaces/{pull_request.names.namespace}/jobs"
    found: list[Object] = world.kubernetes.list(path)
    return sorted(job["metadata"]["uid"] for job in found)


def remove(pull_request: PullRequest) -> None:
    """Its database and role are among what nothing may be left of."""
    pull_request.close()
    pull_request.wait_until_removed()


def test_what_is_ordered_in_one_preview_is_in_no_other(world: World, databases: Databases) -> None:
    first, second = live(world, "first"), live(world, "second")
    assert first.orders() == second.orders() == IN_TEMPLATE

    order(first, "A red scarf; DROP TABLE orders")

    assert first.orders() == ["A red scarf; DROP TABLE orders", *IN_TEMPLATE]
    assert second.orders() == IN_TEMPLATE

    remove(first)
    assert databases.leftovers(first.key) == []
    assert second.orders() == IN_TEMPLATE
    assert set(databases.leftovers(second.key)) == {
        "database preview_e2e_db_shop_pr_" + str(second.number),
        "role preview_e2e_db_shop_pr_" + str(second.number),
    }
    remove(second)


def test_a_push_runs_the_migrations_that_it_brings_and_keeps_the_data(
    world: World, databases: Databases
) -> None:
    pull_request = live(world, "price")
    order(pull_request, "A red scarf")
    assert databases.ask(pull_request.key, MIGRATIONS_RAN) == [("0001_orders.sql",)]
    before = jobs(world, pull_request)

    pushed(pull_request, "Prices", {PRICE: "ALTER TABLE orders ADD COLUMN price integer;"})

    assert databases.ask(pull_request.key, MIGRATIONS_RAN) == [
        ("0001_orders.sql",),
        ("0002_price.sql",),
    ]
    assert pull_request.orders() == ["A red scarf", *IN_TEMPLATE]
    wait_until("the Job of the commit before is gone", lambda: len(jobs(world, pull_request)) == 1)
    assert jobs(world, pull_request) != before
    remove(pull_request)


def test_a_migration_that_fails_says_why_and_the_version_before_goes_on_answering(
    world: World, databases: Databases
) -> None:
    pull_request = live(world, "broken")
    old = pull_request.head_sha

    pull_request.push(Page("Broken", "Half off."), files={BROKEN: "SELECT price FROM nowhere;"})
    said = '0003_broken.sql: pq: relation "nowhere" does not exist'
    wait_until(
        "the end of the log is the reason",
        lambda: said in pull_request.preview()["message"],
        explain=pull_request.explain,
    )
    wait_until(
        "the status of the commit says failure",
        lambda: pull_request.status().get("status") == "failure",
        explain=pull_request.explain,
    )
    assert old in pull_request.page().body
    assert databases.ask(pull_request.key, MIGRATIONS_RAN) == [("0001_orders.sql",)]

    pushed(pull_request, "Mended", {BROKEN: None})
    assert said not in pull_request.preview()["message"]
    remove(pull_request)


def test_an_edited_migration_is_pointed_out_until_the_database_is_made_anew(
    world: World, databases: Databases
) -> None:
    pull_request = live(
        world, "edited", {PRICE: "ALTER TABLE orders ADD COLUMN price integer NOT NULL DEFAULT 1;"}
    )
    wait_until(
        "it is noted what ran",
        lambda: pull_request.head_sha in _comment_on(databases, pull_request),
        explain=pull_request.explain,
    )
    order(pull_request, "A red scarf")

    pushed(pull_request, "Edited", {PRICE: "ALTER TABLE orders ADD COLUMN price numeric;"})
    wait_until(
        "the comment names the file and offers a reset",
        lambda: any(
            "was edited" in text and "reset-database" in text.replace("\\", "")
            for text in pull_request.comments()
        ),
        explain=pull_request.explain,
    )
    assert pull_request.orders() == ["A red scarf", *IN_TEMPLATE]

    world.manager.act(pull_request.key.project, pull_request.number, "reset-database")
    wait_until(
        "it has the template's orders again",
        lambda: pull_request.orders() == IN_TEMPLATE,
        explain=pull_request.explain,
    )
    pull_request.wait_until_live()
    assert databases.ask(
        pull_request.key,
        "SELECT data_type FROM information_schema.columns"
        " WHERE table_name = 'orders' AND column_name = 'price'",
    ) == [("numeric",)]
    wait_until(
        "the comment no longer speaks of it",
        lambda: not any("was edited" in text for text in pull_request.comments()),
        explain=pull_request.explain,
    )
    remove(pull_request)


def test_sleeping_and_waking_keep_the_data_and_run_no_migration(world: World) -> None:
    pull_request = live(world, "sleepy")
    order(pull_request, "A red scarf")
    before = jobs(world, pull_request)
    project, number = pull_request.key.project, pull_request.number

    world.manager.act(project, number, "sleep")
    pull_request.wait_until_phase("Asleep")
    world.manager.act(project, number, "wake")
    pull_request.wait_until_live()

    assert pull_request.orders() == ["A red scarf", *IN_TEMPLATE]
    assert jobs(world, pull_request) == before
    remove(pull_request)


def test_a_new_password_opens_the_same_database_and_the_old_one_nothing(
    world: World, databases: Databases
) -> None:
    pull_request = live(world, "rotated")
    order(pull_request, "A red scarf")
    old = _secret(world, pull_request)["PGPASSWORD"]

    world.manager.act(pull_request.key.project, pull_request.number, "rotate-password")
    wait_until(
        "there is another password in the namespace",
        lambda: _secret(world, pull_request)["PGPASSWORD"] != old,
        explain=pull_request.explain,
    )
    wait_until(
        "its pods use it",
        lambda: pull_request.orders() == ["A red scarf", *IN_TEMPLATE],
        explain=pull_request.explain,
    )
    pull_request.wait_until_live()
    opened = _secret(world, pull_request)
    with databases.instance.process.connect(
        opened["PGUSER"], opened["PGPASSWORD"], opened["PGDATABASE"]
    ):
        pass
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        databases.instance.process.connect(opened["PGUSER"], old, opened["PGDATABASE"])
    remove(pull_request)


def test_nobody_can_read_the_password_but_the_preview(world: World) -> None:
    """A migration that fails and prints all that it knows is the likeliest leak."""
    pull_request = live(world, "canary")
    password = _secret(world, pull_request)["PGPASSWORD"]
    tell = f"DO $$ BEGIN RAISE 'postgres://shop:{password}@db and PGPASSWORD={password}'; END $$;"
    pull_request.push(Page("Canary", "Sings."), files={BROKEN: tell})
    wait_until(
        "its log is the reason",
        lambda: "***" in pull_request.preview()["message"],
        explain=pull_request.explain,
    )
    pull_request.wait_until_phase("Degraded")

    history = world.gitops.git("fetch", "--quiet", "origin", "main") + world.gitops.git(
        "log", "-p", "FETCH_HEAD"
    )
    said = {
        "Git": history,
        "API": str(pull_request.preview()),
        "comments": str(pull_request.comments()),
        "status": str(pull_request.status()),
        "log": world.manager.log.read_text(),
        "Application": str(pull_request.application()),
    }
    assert [place for place, text in said.items() if password in text] == []
    stored = [file for file in world.manager.data.rglob("*") if file.is_file()]
    assert stored
    assert [file for file in stored if password.encode() in file.read_bytes()] == []
    remove(pull_request)


def _comment_on(databases: Databases, pull_request: PullRequest) -> str:
    """The mark of a preview's database."""
    [(comment,)] = databases.ask(
        pull_request.key,
        "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"
        " WHERE datname = current_database()",
    )
    return str(comment)


def _secret(world: World, pull_request: PullRequest) -> dict[str, str]:
    """What is in the preview's Secret, as the administrator of the cluster reads it."""
    path = f"/api/v1/namespaces/{pull_request.names.namespace}/secrets/database"
    found = world.kubernetes.get(path)
    assert found is not None
    return {name: base64.b64decode(value).decode() for name, value in found["data"].items()}
