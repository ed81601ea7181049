"""A World's PostgreSQL server: a real one, that this machine's manager and the pods of the previews both reach."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from previews.domain.naming import database_name
from previews.domain.preview import PreviewKey
from tests.cluster import RunningCluster
from tests.cluster.layout import POD_SUBNET
from tests.postgres.installation import DEBIAN, missing
from tests.postgres.instance import Instance, instance_on
from tests.postgres.server import HOST, postgres_server

VERSION = 15
"""Debian's."""
SERVER = "main"
TEMPLATE = "shop"

Object = dict[str, Any]


def missing_server() -> str:
    """What to install before a World can have databases; empty if nothing is missing."""
    return "" if (DEBIAN / str(VERSION) / "bin" / "postgres").exists() else missing(VERSION)


@dataclass(frozen=True)
class Databases:
    """One instance's databases on a server of their own, and its administrator's eyes."""

    instance: Instance
    node_ip: str

    def configuration(self) -> list[Object]:
        """What the manager is told: it comes by loopback, the previews by the node's address."""
        login = self.instance.login
        return [
            {
                "name": SERVER,
                "host": login.host,
                "port": login.port,
                "user": login.user,
                "password_file": str(login.password_file),
                "address": {"host": self.node_ip, "port": login.port},
            }
        ]

    def egress(self) -> list[Object]:
        """What a project is told, so that its previews may reach the server."""
        return [{"cidr": f"{self.node_ip}/32", "ports": [self.instance.login.port]}]

    def leftovers(self, key: PreviewKey) -> list[str]:
        """What the server still has of a preview."""
        name = database_name(key)
        found = self.instance.process.administer(
            f"SELECT 'database ' || datname FROM pg_database WHERE datname = '{name}'"
            f" UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname = '{name}'"
        )
        return [each for (each,) in found]

    def ask(self, key: PreviewKey, query: str) -> list[tuple[Any, ...]]:
        """The rows of a preview's own database."""
        return self.instance.process.administer(query, database=database_name(key))


@contextmanager
def databases_for(
    cluster: RunningCluster, instance: str, template: Sequence[Path]
) -> Iterator[Databases]:
    """A server with a golden template that these SQL files make. Nothing is left of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="previews-postgres-hba-") as directory:
        # Not a secret, and read by a user without any rights.
        Path(directory).chmod(0o755)
        hba = Path(directory, "pg_hba.conf")
        hba.write_text(
            f"host all all {HOST}/32 scram-sha-256\nhost all all {POD_SUBNET} scram-sha-256\n"
        )
        hba.chmod(0o644)
        listening = f"'{HOST},{cluster.node_ip}'"
        with (
            postgres_server(VERSION, listen_addresses=listening, hba_file=f"'{hba}'") as process,
            instance_on(process, instance) as ours,
        ):
            statements = [file.read_text(encoding="utf-8") for file in template]
            ours.make_template(TEMPLATE, f"SET ROLE {TEMPLATE}_owner", *statements)
            yield Databases(ours, cluster.node_ip)
