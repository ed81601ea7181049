"""The sample application with databases of its own on a real server: what the end-to-end tests and the demo rely on."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import httpx2
import pytest

from previews.domain.database import DatabaseLimits
from previews.domain.preview import PreviewKey
from tests.integration.scripted_http import eventually
from tests.postgres.instance import Instance, credential, instance_on
from tests.postgres.server import postgres_server
from tests.world.image import build_program
from tests.world.world import SAMPLE, TEMPLATE_FILES

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
IN_TEMPLATE = ["Two tea towels", "A blue mug"]


class Shop:
    """One preview's application."""

    def __init__(self, program: Path, address: str) -> None:
        self._program = program
        self.address = address
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._environment = {"PATH": os.defpath, "PORT": str(self._port), "DATABASE_URL": address}
        self.url = f"http://127.0.0.1:{self._port}/"

    def migrate(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, "migrate"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @contextmanager
    def serving(self) -> Iterator[None]:
        process = subprocess.Popen([self._program], env=self._environment)
        try:
            eventually(self._answers)
            yield
        finally:
            process.terminate()
            assert process.wait(10) == 0

    def orders(self) -> list[str]:
        page = httpx2.get(self.url, trust_env=False).raise_for_status().text
        return [unescape(item) for item in re.findall(r"<li>(.*?)</li>", page)]

    def order(self, item: str) -> int:
        return httpx2.post(f"{self.url}orders", data={"item": item}, trust_env=False).status_code

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}healthz", trust_env=False).is_success
        except httpx2.HTTPError:
            return False


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with postgres_server(15) as process, instance_on(process) as instance:
        files = [file.read_text(encoding="utf-8") for file in TEMPLATE_FILES]
        instance.make_template("shop", "SET ROLE shop_owner", *files)
        yield instance


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's repository with one migration more than the template has."""
    source = tmp_path_factory.mktemp("shop") / "source"
    shutil.copytree(SAMPLE, source)
    more = source / "migrations" / "0002_price.sql"
    more.write_text("ALTER TABLE orders ADD COLUMN price integer; SELECT 1;")
    return source


@pytest.fixture(scope="module")
def program(source: Path) -> Path:
    program = source.parent / "shop"
    build_program(source, "0" * 40, program)
    return program


@pytest.fixture
def shops(instance: Instance, program: Path) -> Iterator[list[Shop]]:
    """Two previews, each with its own database; the applications do not run yet."""
    keys = [PreviewKey("shop", number) for number in (1, 2)]
    with instance.adapter() as server:
        made = []
        for key in keys:
            server.create(key, "shop", DatabaseLimits(), incarnation="one", at=NOON)
            opened = credential()
            server.set_credential(key, opened)
            login = server.login(key, opened.password)
            where = f"{login.host}:{login.port}/{login.database}?sslmode={login.sslmode}"
            made.append(Shop(program, f"postgresql://{login.user}:{login.password}@{where}"))
        yield made
        for key in keys:
            server.drop(key)


def test_migrations_run_once_and_only_those_that_the_template_has_not(shops: list[Shop]) -> None:
    first, again = shops[0].migrate(), shops[0].migrate()
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    assert "0001_orders.sql ran before" in first.stderr
    assert "0002_price.sql has run" in first.stderr
    assert "0002_price.sql ran before" in again.stderr


def test_what_is_ordered_in_one_is_not_in_the_other(shops: list[Shop]) -> None:
    with ExitStack() as running:
        for shop in shops:
            assert shop.migrate().returncode == 0
            running.enter_context(shop.serving())
        item = "Robert'); DROP TABLE orders; -- <b>"
        assert shops[0].order(item) == 303
        assert shops[0].orders() == [item, *IN_TEMPLATE]
        assert shops[1].orders() == IN_TEMPLATE


def test_a_migration_that_fails_changes_nothing_and_says_which_it_was(
    shops: list[Shop], source: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "source"
    shutil.copytree(source, broken)
    text = "ALTER TABLE orders ADD COLUMN lost text; SELECT price FROM nowhere;"
    (broken / "migrations" / "0003_broken.sql").write_text(text)
    build_program(broken, "1" * 40, tmp_path / "shop")
    shop = Shop(tmp_path / "shop", shops[0].address)
    for _ in range(2):
        ended = shop.migrate()
        assert ended.returncode != 0
        said = ended.stderr.splitlines()[-1]
        assert '0003_broken.sql: pq: relation "nowhere" does not exist' in said


def test_without_its_database_it_still_answers(program: Path) -> None:
    """As the probe of a preview whose server is away expects it."""
    shop = Shop(program, "postgresql://nobody:x@127.0.0.1:1/nothing?sslmode=disable")
    with shop.serving():
        page = httpx2.get(shop.url, trust_env=False)
        assert page.status_code == 200
        assert "cannot be read" in page.text
        assert shop.order("A mug") == 503
    assert shop.migrate().returncode != 0
