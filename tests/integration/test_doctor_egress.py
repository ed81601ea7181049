"""The doctor on the way from previews to their databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from previews.domain.findings import Level
from tests.integration.doctor_town import Town, town_in

PRIVATE, PUBLIC = "10.20.0.5", "9.9.9.9"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with town_in(tmp_path) as there:
        yield there


def with_database(town: Town, host: str, **egress: Any) -> None:  # noqa: ANN401 - as in the file
    password = town.directory / "db-password"
    password.write_text("canary")
    town.configuration["databases"] = [
        {
            "name": "main",
            "host": "db.invalid",
            "password_file": str(password),
            "address": {"host": host, "port": 5433},
        }
    ]
    project = town.configuration["projects"][0]
    project["database"] = {"server": "main", "template": "golden"}
    project["egress"] = [egress] if egress else []


def test_a_private_address_that_is_closed_to_previews_is_a_warning(town: Town) -> None:
    with_database(town, PRIVATE)
    found = town.finding("egress")
    assert (found.level, "10.20.0.5/32" in found.remedy) == (Level.WARNING, True)


@pytest.mark.parametrize(
    "egress",
    [{"cidr": "10.20.0.0/24", "ports": [5432]}, {"cidr": "10.30.0.0/16", "ports": [5433]}],
)
def test_another_port_or_network_is_not_enough(town: Town, egress: dict[str, Any]) -> None:
    with_database(town, PRIVATE, **egress)
    assert town.finding("egress").level is Level.WARNING


@pytest.mark.parametrize(
    ("host", "egress"),
    [
        (PUBLIC, {}),
        (PRIVATE, {"cidr": "10.20.0.0/24", "ports": [5433]}),
        (PRIVATE, {"namespace": "postgres", "ports": [5433]}),
    ],
)
def test_what_previews_reach_is_fine(town: Town, host: str, egress: dict[str, Any]) -> None:
    with_database(town, host, **egress)
    assert [each.level for each in town.examine("egress")] == [Level.FINE]


def test_a_name_that_only_the_cluster_knows_is_unknown(town: Town) -> None:
    with_database(town, "db.postgres.invalid")
    assert town.finding("egress").level is Level.UNKNOWN
