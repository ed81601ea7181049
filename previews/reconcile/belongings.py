"""What a preview has outside of its workload: a database, secrets, records of its hosts, deployments at its forge.

Each adds what there is of it to what was seen, and does of a decision what concerns it.
"""

from dataclasses import dataclass

from previews.domain.lifetime import Wishes
from previews.domain.observation import Observation, Plan
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.reconcile.databases import Databases
from previews.reconcile.deployments import DeploymentKeeper
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.parcels import Parcels


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """All of them. Where there is no project, it is not configured any more, and everything goes."""

    databases: Databases
    parcels: Parcels
    host_records: HostRecordKeeper
    deployments: DeploymentKeeper

    def observe(
        self,
        project: Project | None,
        record: PreviewRecord,
        wishes: Wishes,
        seen: Observation,
        *,
        goes: bool,
    ) -> Observation:
        """Add what there is of them. `goes`: an absence is to be proven now."""
        seen = self.databases.observe(project, record, wishes, seen, goes=goes)
        if project is not None:
            seen = self.parcels.observe(project, record, seen, goes=goes)
        seen = self.host_records.observe(project, seen, goes=goes)
        return self.deployments.observe(project, record, seen, leaves=goes)

    def work(
        self,
        project: Project | None,
        record: PreviewRecord,
        wishes: Wishes,
        seen: Observation,
        decision: Plan,
    ) -> PreviewRecord:
        """Bring or take away what the record has of them. The one that comes back has what is there now."""
        record = self.databases.work(project, record, wishes, seen, decision)
        if project is None:
            return record
        return self.parcels.work(project, record, seen, decision)

    def work_outside(
        self, project: Project | None, record: PreviewRecord, seen: Observation, decision: Plan
    ) -> bool:
        """What is neither in Git nor in the record. Says whether there is more to observe now."""
        renamed = self.host_records.work(project, seen, decision)
        return self.deployments.work(project, record, decision) or renamed
