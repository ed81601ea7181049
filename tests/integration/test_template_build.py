"""Golden templates on real servers: what they are made from, and what a build leaves when it fails or is killed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from previews.adapters.databases.postgres import PostgresServer
from previews.adapters.databases.templates import TemplateBuilder
from previews.domain.database import DatabaseLimits, Template
from previews.domain.preview import PreviewKey
from previews.domain.template import Recipe
from previews.errors import StalledError, TransientError
from tests.postgres import VERSIONS, Instance, PostgresProcess, instance_on, postgres_server
from tests.postgres.instance import NOON, credential

SHOP_7, SHOP_8 = PreviewKey("shop", 7), PreviewKey("shop", 8)
SCHEMA = """
CREATE EXTENSION citext;
COMMENT ON EXTENSION citext IS 'ours';
CREATE TABLE customer (id serial PRIMARY KEY, email citext NOT NULL);
INSERT INTO customer (email) VALUES ('ann@shop.example'), ('bob@shop.example');
"""
ANONYMISE = "UPDATE customer SET email = 'customer-' || id || '@preview.example';"
NOBODY_IS_KNOWN = "SELECT count(*) = 0 FROM customer WHERE email LIKE '%@shop.example'"


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"postgresql-{version}")
def process(request: pytest.FixtureRequest) -> Iterator[PostgresProcess]:
    with postgres_server(request.param) as server:
        yield server


@pytest.fixture
def instance(process: PostgresProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    # An archive is read by the programs of the version that wrote it.
    monkeypatch.setenv("PATH", f"{process.programs}:{os.environ['PATH']}")
    with instance_on(process) as prepared:
        yield prepared


class Site:
    """A platform engineer's files, and the builds that they ask for."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.instance = instance
        self.folder = folder
        self.said: list[str] = []
        self.on_say: Callable[[str], None] = lambda _: None
        self.stop = threading.Event()
        self.time = NOON

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def build(self, template: str = "golden", **recipe: Any) -> None:  # noqa: ANN401
        builder = TemplateBuilder(
            self.instance.login,
            instance=self.instance.name,
            now=lambda: self.time,
            say=self._say,
            stop=self.stop,
        )
        builder.build(template, Recipe(**recipe))

    def _say(self, line: str) -> None:
        self.said.append(line)
        self.on_say(line)

    def preview(self, key: PreviewKey = SHOP_7) -> psycopg.Connection[tuple[Any, ...]]:
        """Log in to a preview's clone as its application does."""
        new = credential()
        with self.instance.adapter() as server:
            server.create(key, "golden", DatabaseLimits(), incarnation="first", at=NOON)
            server.set_credential(key, new)
        return self.instance.connect(key, new)

    def emails(self, key: PreviewKey = SHOP_7) -> list[str]:
        with self.preview(key) as connection:
            return [row[0] for row in connection.execute("SELECT email FROM customer ORDER BY id")]

    def templates(self) -> list[Template]:
        with self.instance.adapter() as server:
            return server.templates()

    def built_at(self) -> datetime:
        [found] = self.templates()
        return found.built_at

    def rubbish(self) -> list[str]:
        rows = self.instance.process.administer(
            "SELECT datname::text FROM pg_database WHERE datname ~ '_(next|old)_' "
            "UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname ~ '_(next|old)_'"
        )
        return [row[0] for row in rows]


@pytest.fixture
def site(instance: Instance, tmp_path: Path) -> Site:
    return Site(instance, tmp_path)


def test_a_template_is_made_from_sql_files_in_their_order(site: Site) -> None:
    schema = site.file("1.sql", SCHEMA)
    more = site.file("2.sql", "INSERT INTO customer (email) VALUES ('eve@shop.example');")
    site.build(sql_files=(schema, more))
    assert site.emails()[-1] == "eve@shop.example"
    assert site.rubbish() == []
    [found] = site.templates()
    assert (found.name, found.built_at, found.users) == ("golden", NOON, 1)


def test_its_progress_names_each_step(site: Site) -> None:
    schema = site.file("schema.sql", SCHEMA)
    site.build(sql_files=(schema,), checks=("SELECT true",))
    assert f"golden: run {schema}" in site.said
    assert "golden: check SELECT true" in site.said
    assert site.said[-1] == "golden: built"


@pytest.mark.parametrize("form", ["custom", "directory", "tar", "plain"])
def test_a_template_is_made_from_an_archive_of_another_owners_database(
    site: Site, form: str
) -> None:
    archive = _dump(site, form)
    site.build(archive=archive)
    assert site.emails() == ["ann@shop.example", "bob@shop.example"]


def _dump(site: Site, form: str) -> Path:
    """Of a database with owners and grants that nobody knows where it is restored."""
    process = site.instance.process
    process.administer(
        "DROP DATABASE IF EXISTS production",
        "DROP ROLE IF EXISTS shopkeeper",
        "CREATE ROLE shopkeeper",
        "CREATE DATABASE production OWNER shopkeeper",
    )
    process.administer(
        SCHEMA,
        "ALTER TABLE customer OWNER TO shopkeeper",
        "GRANT SELECT ON customer TO shopkeeper",
        "ALTER SCHEMA public OWNER TO shopkeeper",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        database="production",
    )
    archive = site.folder / "production.dump"
    bare = ["--no-owner", "--no-privileges", "--no-comments", "--no-publications"]
    subprocess.run(
        [
            *(str(process.programs / "pg_dump"), f"--format={form}", "--file", str(archive)),
            *("-h", "127.0.0.1", "-p", str(process.port), "-U", "postgres", "production"),
            *(bare if form == "plain" else []),
        ],
        env={"PGPASSWORD": process.password},
        check=True,
        timeout=60,
    )
    process.administer("DROP DATABASE production WITH (FORCE)", "DROP ROLE shopkeeper")
    return archive


def test_a_template_is_made_by_a_command_that_finds_the_database_in_its_environment(
    site: Site,
) -> None:
    schema = site.file("schema.sql", SCHEMA)
    script = f'echo "migrating $PGDATABASE with $PGPASSWORD"; psql "$DATABASE_URL" -q -f {schema}'
    site.build(command=("sh", "-ec", script))
    assert site.emails() == ["ann@shop.example", "bob@shop.example"]
    [told] = [line for line in site.said if "migrating" in line]
    assert "golden_next_" in told
    assert told.endswith("with ***")


def test_the_data_are_made_anonymous_before_anybody_gets_them(site: Site) -> None:
    site.build(
        sql_files=(site.file("schema.sql", SCHEMA),),
        anonymise=site.file("anonymise.sql", ANONYMISE),
        checks=(NOBODY_IS_KNOWN,),
    )
    assert site.emails() == ["customer-1@preview.example", "customer-2@preview.example"]


def test_a_preview_may_change_and_drop_what_is_in_its_clone(site: Site) -> None:
    named = "SET ROLE NONE; CREATE TABLE by_the_login (); CREATE SCHEMA extra; CREATE TYPE mood AS ENUM ('fine');"
    large = "SELECT lo_create(4711);"
    site.build(sql_files=(site.file("schema.sql", SCHEMA), site.file("odd.sql", named + large)))
    with site.preview() as connection:
        connection.execute("ALTER TABLE customer ADD COLUMN name text")
        connection.execute("ALTER TABLE by_the_login ADD COLUMN name text")
        connection.execute("ALTER TYPE mood ADD VALUE 'better'")
        connection.execute("SELECT lo_unlink(4711)")
        connection.execute("ALTER EXTENSION citext UPDATE")
        connection.execute("DROP SCHEMA extra")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def test_nobody_can_connect_to_a_template(site: Site) -> None:
    site.build(sql_files=(site.file("schema.sql", SCHEMA),))
    process = site.instance.process
    manager = site.instance.login
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        process.connect(database="golden")
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        process.connect(manager.user, manager.password_file.read_text(), "golden")
    [[acl, is_template]] = process.administer(
        "SELECT datacl::text, datistemplate FROM pg_database WHERE datname = 'golden'"
    )
    assert is_template
    assert acl == "{previews_acme=CTc/previews_acme}"


def test_a_new_build_takes_the_place_of_the_old_one_whose_previews_live_on(site: Site) -> None:
    site.build(sql_files=(site.file("schema.sql", SCHEMA),))
    assert len(site.emails(SHOP_7)) == 2
    site.time += timedelta(days=1)
    more = SCHEMA + "INSERT INTO customer (email) VALUES ('eve@shop.example');"
    site.build(sql_files=(site.file("schema.sql", more),))
    assert len(site.emails(SHOP_7)) == 2
    assert len(site.emails(SHOP_8)) == 3
    assert site.built_at() == site.time
    assert site.rubbish() == []


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"sql_files": ("broken.sql",)}, ("run", "broken.sql:2: ERROR", "no_such_table")),
        ({"sql_files": ("absent.sql",)}, ("run", "absent.sql is not there")),
        ({"archive": "broken.sql"}, ("restore", "broken.sql:2: ERROR")),
        ({"command": ("sh", "-c", "echo no seeds; exit 7")}, ("sh ended with 7: no seeds",)),
        ({"command": ("no-such-program",)}, ("no-such-program cannot be run",)),
        ({"sql_files": ("good.sql",), "anonymise": "broken.sql"}, ("anonymise with", "ERROR")),
        ({"sql_files": ("good.sql",), "checks": ("SELECT false",)}, ("check SELECT false",)),
        ({"sql_files": ("good.sql",), "checks": ("SELECT",)}, ("check SELECT",)),
        ({"sql_files": ("good.sql",), "base": "no_such_base"}, ("from no_such_base", "not exist")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_step_that_fails_is_named_and_leaves_the_old_template_as_it_was(
    site: Site, recipe: dict[str, Any], words: tuple[str, ...]
) -> None:
    site.build(sql_files=(site.file("good.sql", SCHEMA),))
    site.file("broken.sql", "SELECT 1;\nSELECT * FROM no_such_table;\n")
    site.time += timedelta(days=1)
    with pytest.raises(StalledError) as failure:
        site.build(**{name: _placed(site, value) for name, value in recipe.items()})
    assert [word for word in words if word not in failure.value.message] == []
    assert site.built_at() == NOON
    assert site.rubbish() == []
    assert len(site.emails()) == 2


def _placed(site: Site, value: Any) -> Any:  # noqa: ANN401
    """With the folder before the names of files."""
    if isinstance(value, tuple):
        return tuple(_placed(site, each) for each in value)
    return site.folder / value if value.endswith(".sql") else value


def test_an_error_shows_no_row_of_the_data(site: Site) -> None:
    twice = SCHEMA + "CREATE UNIQUE INDEX ON customer ((1 + length(email)));"
    with pytest.raises(StalledError) as failure:
        site.build(sql_files=(site.file("schema.sql", twice),))
    assert "could not create unique index" in failure.value.message
    assert "=(" not in failure.value.message


def test_what_bears_the_name_and_is_not_ours_is_left_alone(site: Site) -> None:
    site.instance.process.administer("CREATE DATABASE golden")
    with pytest.raises(StalledError, match="is no template of acme") as failure:
        site.build(sql_files=(site.file("schema.sql", SCHEMA),))
    assert failure.value.reason == "DatabaseNotOurs"
    site.instance.process.administer("DROP DATABASE golden")
    assert site.rubbish() == []


def test_what_only_looks_like_left_by_a_build_is_left_alone(site: Site) -> None:
    other = "golden_old_0a1b2c3d"
    site.instance.manager(f"CREATE DATABASE {other} OWNER {site.instance.role} TEMPLATE template0")
    site.build(sql_files=(site.file("schema.sql", SCHEMA),))
    assert site.rubbish() == [other]


KILLED = """
import sys
from datetime import datetime
from pathlib import Path
from previews.adapters.databases.connections import ServerLogin
from previews.adapters.databases.postgres import PostgresServer
from previews.adapters.databases.templates import TemplateBuilder
from previews.domain.template import Recipe

host, port, user, password_file, instance = sys.argv[1:]
login = ServerLogin(host=host, port=int(port), user=user, password_file=Path(password_file))
builder = TemplateBuilder(login, instance=instance, now=lambda: datetime.now(UTC), say=lambda line: None)
builder.build("golden", Recipe(command=("sh", "-c", sys.stdin.read())))
"""


def test_what_a_killed_build_left_is_dropped_by_the_next(site: Site) -> None:
    site.build(sql_files=(site.file("schema.sql", SCHEMA),))
    begun = site.folder / "begun"
    os.mkfifo(begun)
    login = site.instance.login
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", KILLED, login.host, str(login.port), login.user),
            *(str(login.password_file), site.instance.name),
        ],
        stdin=subprocess.PIPE,
    )
    assert process.stdin
    process.stdin.write(f'psql -qc "CREATE TABLE half ()"; echo $$ > {begun}; sleep 600'.encode())
    process.stdin.close()
    child = int(begun.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.killpg(child, signal.SIGKILL)
    assert len(site.rubbish()) == 2
    assert site.built_at() == NOON

    site.time += timedelta(days=1)
    site.build(sql_files=(site.file("schema.sql", SCHEMA),))
    assert site.rubbish() == []
    assert site.built_at() == site.time


def test_a_build_ends_with_the_manager(site: Site) -> None:
    def stop_at_the_command(line: str) -> None:
        if "begun" in line:
            site.stop.set()

    site.on_say = stop_at_the_command
    with pytest.raises(TransientError, match="the manager stops"):
        site.build(command=("sh", "-c", "echo begun; sleep 600 & wait"))
    assert site.rubbish() == []


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(site: Site) -> None:
    with pytest.raises(TransientError, match=r"sh was ended after 0\.5 s"):
        site.build(command=("sh", "-c", "sleep 600 & wait"), step_at_most=timedelta(seconds=0.5))
    assert site.rubbish() == []


def test_two_builds_of_one_template_do_not_run_at_once(site: Site) -> None:
    other = Site(site.instance, site.folder)
    schema = site.file("schema.sql", SCHEMA)
    refusals: list[TransientError] = []

    def build_as_well(line: str) -> None:
        if line.startswith("golden: run "):
            with pytest.raises(TransientError) as refusal:
                other.build(sql_files=(schema,))
            refusals.append(refusal.value)

    site.on_say = build_as_well
    site.build(sql_files=(schema,))
    assert [refusal.reason for refusal in refusals] == ["TemplateBeingBuilt"]
    assert len(site.emails()) == 2


def test_a_build_that_lost_its_connection_and_so_its_lock_changes_nothing(site: Site) -> None:
    schema = site.file("schema.sql", SCHEMA)
    site.build(sql_files=(schema,))
    site.time += timedelta(days=1)

    def cut(line: str) -> None:
        if line.startswith("golden: run "):
            site.instance.process.administer(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'previews template build'"
            )

    site.on_say = cut
    with pytest.raises(TransientError) as failure:
        site.build(sql_files=(schema,))
    assert failure.value.reason == "DatabaseServerUnreachable"
    assert site.built_at() == NOON
    assert site.rubbish() == []


def test_what_fills_a_template_reaches_no_other_database(site: Site) -> None:
    site.build(sql_files=(site.file("schema.sql", SCHEMA),))
    site.preview().close()
    tries = "for each in postgres golden preview_shop_pr_7; do psql -d $each -c 'SELECT 1' && exit 1; done; true"
    site.build(command=("sh", "-c", tries))
    for statement in ("CREATE DATABASE mine", "CREATE ROLE mine", "SET ROLE previews_acme"):
        with pytest.raises(StalledError, match="permission denied"):
            site.build(sql_files=(site.file("bold.sql", f"SET ROLE NONE; {statement};"),))


def test_the_swap_waits_for_clones_that_are_being_made_and_says_so(site: Site) -> None:
    schema = site.file("schema.sql", SCHEMA)
    site.build(sql_files=(schema,))
    site.time += timedelta(days=1)
    is_waiting = threading.Event()
    site.on_say = lambda line: is_waiting.set() if "waiting for them" in line else None
    with site.instance.process.connect() as other:
        # As a clone does for as long as it is being made: a lock on the template, which ends with the transaction.
        other.execute("BEGIN")
        other.execute("COMMENT ON DATABASE golden IS NULL")
        building = threading.Thread(target=site.build, kwargs={"sql_files": (schema,)})
        building.start()
        assert is_waiting.wait(60)
        other.execute("ROLLBACK")
    building.join()
    assert site.built_at() == site.time


def test_previews_get_their_clones_while_templates_are_swapped(site: Site) -> None:
    schema = site.file("schema.sql", SCHEMA)
    site.build(sql_files=(schema,))
    over = threading.Event()
    failures: list[Exception] = []
    made: list[int] = []

    def keep_cloning() -> None:
        with site.instance.adapter() as server:
            clone_with(server)

    def clone_with(server: PostgresServer) -> None:
        number = 100
        while not over.is_set() or not made:
            number += 1
            try:
                server.create(
                    PreviewKey("shop", number), "golden", DatabaseLimits(), incarnation="i", at=NOON
                )
                made.append(number)
            except TransientError:
                continue
            except Exception as error:  # noqa: BLE001
                failures.append(error)
                return

    cloning = threading.Thread(target=keep_cloning)
    cloning.start()
    for _ in range(3):
        site.time += timedelta(hours=1)
        site.build(sql_files=(schema,))
    over.set()
    cloning.join()
    assert failures == []
    with site.instance.adapter() as server:
        found = {each.key for each in server.list_databases() if each.is_ready}
    assert {PreviewKey("shop", number) for number in made} <= found
    assert site.rubbish() == []


def configuration(site: Site, build: dict[str, Any]) -> Path:
    """A manager's, in which only the database server matters."""
    token = site.file("token", "unused")
    login = site.instance.login
    server = {
        "name": "main",
        "host": login.host,
        "port": login.port,
        "user": login.user,
        "password_file": str(login.password_file),
        "templates": [{"name": "golden", "build": build}],
    }
    helm = {"repository_url": "https://git.example/shop.git", "path": "chart"}
    project = {
        "name": "shop",
        "repository": "acme/shop",
        "deploy": {"helm": helm},
        "hostname": "pr-{number}.preview.example",
    }
    document = {
        "instance": site.instance.name,
        "data_directory": str(site.folder / "data"),
        "forge": {"kind": "github", "token_file": str(token)},
        "gitops": {"url": "https://git.example/gitops.git"},
        "domain": {"zone": "preview.example"},
        "databases": [server],
        "projects": [project],
    }
    return site.file("previews.yaml", yaml.safe_dump(document))


def previews(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "previews", "template", *arguments, "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_builds_what_the_configuration_says_and_lists_it(site: Site) -> None:
    schema = site.file("schema.sql", SCHEMA)
    config = configuration(site, {"sql_files": [str(schema)], "checks": ["SELECT true"]})
    ended = previews(config, "build", "golden", "--server", "main")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert f"golden: run {schema}\n" in ended.stderr
    assert ended.stderr.endswith("golden: built\n")
    listed = previews(config, "list").stdout.splitlines()
    assert listed[0].split() == ["TEMPLATE", "SERVER", "BUILT", "SIZE", "USERS", "WARM"]
    assert listed[1].split()[:2] == ["golden", "main"]


def test_the_command_says_what_failed_in_one_line(site: Site) -> None:
    config = configuration(site, {"command": ["sh", "-c", "echo no seeds; exit 7"]})
    ended = previews(config, "build", "golden")
    assert ended.returncode == 1
    last = "previews: golden: could not run the command sh: sh ended with 7: no seeds"
    assert ended.stderr.splitlines()[-1] == last
    unknown = previews(config, "build", "silver")
    assert unknown.returncode == 2
    assert "there is no template silver with a build on any server" in unknown.stderr
