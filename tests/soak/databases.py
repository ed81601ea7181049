"""The database server of a soak: what the manager is told of it, and who looks at it past the manager."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rig import FOLDER, PROJECT
from tests.cluster import RunningCluster
from tests.postgres import PostgresProcess
from tests.soak.agreement import Agreement
from tests.soak.crowd import DatabaseActs
from tests.soak.orders import Orders
from tests.soak.server_census import ServerCensus, Template
from tests.world.database import SERVER, TEMPLATE, Databases, databases_for
from tests.world.manager import Manager
from tests.world.world import TEMPLATE_FILES

WARM = 2
"""Clones that stand ready: with more people at once than that, some databases come from there, and some do not."""


@dataclass(frozen=True)
class SoakDatabases:
    """A server with decoys on it."""

    server: Databases
    census: ServerCensus

    @property
    def process(self) -> PostgresProcess:
        return self.server.instance.process

    def configure(self, manager: Manager) -> None:
        """Every preview of the one project gets a database, and a sealed secret that opens it."""
        configuration = json.loads((manager.directory / "previews.yaml").read_text())
        [project] = configuration["projects"]
        [server] = self.server.configuration()
        pool = {"name": TEMPLATE, "warm": WARM}
        database = {"server": SERVER, "template": TEMPLATE}
        manager.configure(
            {
                **configuration,
                "databases": [{**server, "templates": [pool]}],
                "projects": [{**project, "database": database}],
            }
        )

    def acts(self, manager: Manager, gitops_on_disk: Path) -> DatabaseActs:
        agreement = Agreement(
            self.census.credentials, repository=gitops_on_disk, folder=FOLDER, project=PROJECT
        )
        return DatabaseActs(Orders(manager, PROJECT), agreement)


@contextmanager
def databases_for_soak(cluster: RunningCluster, instance: str) -> Iterator[SoakDatabases]:
    """Nothing of it is left afterwards."""
    with databases_for(cluster, instance, TEMPLATE_FILES) as server:
        ours = server.instance
        template = Template(TEMPLATE, ours.role, WARM)
        census = ServerCensus(ours.process.administer, template)
        census.place_decoys()
        yield SoakDatabases(server, census)
