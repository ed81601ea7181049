"""`previews dns` and the manager's part of it, from a configuration file to a real BIND."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dns.message
import dns.query
import pytest
import yaml
from typer.testing import CliRunner

from previews.app_dns import build_host_records, examine_dns
from previews.cli import cli
from previews.domain.findings import Level
from previews.domain.inventory import Kind
from previews.domain.ports import Store
from previews.domain.preview import Phase, PreviewKey
from previews.domain.resource_ports import HostRecords
from previews.errors import ConfigurationError, StalledError
from previews.reconcile.world import World
from previews.settings import Settings, load_settings
from tests.bind import KEY, BindProcess, name_server
from tests.fakes.town import Town

ZONE = "preview.example"
ZONE_FILE = """$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
"""


@pytest.fixture(scope="module")
def bind() -> Iterator[BindProcess]:
    with name_server({"example.": ZONE_FILE}) as server:
        yield server


class Site:
    """A configuration that names this server."""

    def __init__(self, directory: Path, server: BindProcess) -> None:
        self._file = directory / "previews.yaml"
        self._server = server
        for name, text in (("token", "t"), ("key", KEY.secret)):
            (directory / name).write_text(text)
        self._content = {
            "instance": "acme",
            "data_directory": str(directory),
            "forge": {"kind": "github", "token_file": str(directory / "token")},
            "gitops": {"url": "https://git.example/gitops.git"},
            "domain": {"zone": ZONE},
            "projects": [
                {
                    "name": "shop",
                    "repository": "acme/shop",
                    "deploy": {
                        "helm": {"repository_url": "https://git.example/c.git", "path": "app"}
                    },
                    "hostname": f"shop-pr-{{number}}.{ZONE}",
                }
            ],
        }
        self.dns = {
            "server": server.address,
            "port": server.port,
            "zone": "example",
            "key_name": KEY.name,
            "key_file": str(directory / "key"),
            "addresses": ["192.0.2.10"],
            "resolvers": ["127.0.0.77"],
        }

    def configured(self, mode: str, **changes: object) -> Path:
        dns = {**self.dns, "mode": mode, **changes}
        dns = {name: value for name, value in dns.items() if value is not None}
        self._file.write_text(yaml.safe_dump({**self._content, "dns": dns}))
        return self._file

    def settings(self, mode: str, **changes: object) -> Settings:
        return load_settings(self.configured(mode, **changes))

    def run(self, command: str, mode: str = "wildcard", **changes: object) -> tuple[int, str]:
        file = self.configured(mode, **changes)
        ended = CliRunner().invoke(cli, ["dns", command, "--config", str(file)])
        if ended.exception and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return ended.exit_code, ended.output

    def addresses(self, host: str) -> list[str]:
        question = dns.message.make_query(f"{host}.{ZONE}", "A")
        reply = dns.query.udp(question, self._server.address, port=self._server.port, timeout=5)
        return [each.to_text() for rrset in reply.answer for each in rrset]


@pytest.fixture
def site(tmp_path: Path, bind: BindProcess) -> Site:
    return Site(tmp_path, bind)


def test_the_wildcard_is_applied_changed_and_removed(site: Site) -> None:
    assert site.run("apply") == (0, "*.preview.example leads to 192.0.2.10\n")
    assert site.addresses("anything") == ["192.0.2.10"]
    assert site.run("apply") == (0, "*.preview.example is as it should be\n")
    _, said = site.run("apply", addresses=["192.0.2.11"])
    assert said == "*.preview.example leads to 192.0.2.11\n"
    assert site.addresses("anything") == ["192.0.2.11"]
    assert site.run("remove", addresses=["192.0.2.11"]) == (0, "*.preview.example is gone\n")
    assert site.addresses("anything") == []


def test_a_wildcard_that_is_not_ours_to_make_is_refused(site: Site) -> None:
    for mode in ("none", "per_preview"):
        with pytest.raises(ConfigurationError, match=r"dns\.mode is"):
            site.run("apply", mode)


def test_check_ends_with_1_and_says_what_to_change(site: Site) -> None:
    code, said = site.run("check", key_name="unknown")
    assert code == 1
    assert "PROBLEM" in said
    assert "refused the key unknown" in said
    assert "-> docs/dns.md" in said


def test_the_server_that_takes_updates_is_among_what_is_examined(site: Site) -> None:
    found = {each.check: each for each in examine_dns(site.settings("wildcard"))}
    assert found["dns updates"].level is Level.FINE
    assert found["dns resolver"].level is Level.UNKNOWN


def test_under_localhost_nobody_is_asked(site: Site) -> None:
    settings = site.settings("none")
    local = settings.model_copy(
        update={"domain": settings.domain.model_copy(update={"zone": "preview.localhost"})}
    )
    (found,) = examine_dns(local)
    assert found.level is Level.FINE


def test_hosts_have_records_only_where_that_is_configured(site: Site) -> None:
    for mode in ("none", "wildcard"):
        assert build_host_records(site.settings(mode)) is None
    records = build_host_records(site.settings("per_preview"))
    assert records is not None
    key, host = PreviewKey("shop", 7), f"shop-pr-7.{ZONE}"
    records.ensure(key, host)
    assert site.addresses("shop-pr-7") == ["192.0.2.10"]
    records.remove(key, host)
    assert site.addresses("shop-pr-7") == []


def test_the_managers_own_record_counts_as_ours_after_a_restart(site: Site) -> None:
    key, host = PreviewKey("shop", 8), f"shop-pr-8.{ZONE}"
    first, second = (build_host_records(site.settings("per_preview")) for _ in range(2))
    assert first is not None
    assert second is not None
    first.ensure(key, host)
    assert second.find(key, host)
    with pytest.raises(StalledError):
        second.ensure(PreviewKey("shop", 9), host)
    second.remove(key, host)


class NamedTown(Town):
    """A whole manager on fakes, with hosts named in a real zone."""

    def __init__(self, records: HostRecords) -> None:
        self._records = records
        super().__init__()

    def world(self, store: Store) -> World:
        return replace(super().world(store), host_records=self._records)


def test_a_preview_gets_its_name_in_a_real_zone_and_gives_it_back(site: Site) -> None:
    records = build_host_records(site.settings("per_preview"))
    assert records is not None
    town = NamedTown(records)
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert site.addresses(f"shop-pr-{number}") == ["192.0.2.10"]
    found = [each.owned for each in town.loop.collector.inventory()]
    assert f"shop-pr-{number}.{ZONE}" in {e.name for e in found if e.kind is Kind.RECORD}
    town.close(number)
    town.settle(300)
    assert town.phase(number) is Phase.REMOVED
    assert records.list_records() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"server": None}, "needs server"),
        ({"key_name": None}, "needs key_name"),
        ({"key_file": None}, "needs key_file"),
        ({"addresses": None}, "needs either addresses or target"),
        ({"target": "lb.example.net"}, "needs either addresses or target"),
        ({"addresses": ["lb.example.net"]}, "dns.addresses.0"),
        ({"zone": "other.example"}, "does not lie in"),
        ({"zone": "review.example"}, "does not lie in"),
        ({"ttl": "0s"}, "at least"),
        ({"key_algorithm": "hmac-md5"}, "dns.key_algorithm"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    site: Site, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        site.settings("wildcard", **changes)
