"""The whole manager on fakes, without threads: the real loop, driven one step at a time on a clock of its own.

A test opens and closes pull requests as people do, calls `settle`, and looks at what is there in the end.
"""

from collections.abc import Sequence

from previews.domain.preview import Phase, PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.reconcile.effects import Effect, Witness
from tests.fakes.stepped_manager import SteppedManager
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import REPOSITORY, Surroundings, TownClock, project

__all__ = ["REPOSITORY", "CountingWitness", "Town", "TownClock", "project"]

SETTLE_SECONDS = 60.0


class CountingWitness:
    """Counts effects by name."""

    def __init__(self) -> None:
        self.counts: dict[Effect, int] = {}

    def before(self, effect: Effect, subject: str) -> None:
        """Nothing: what did not happen is not counted."""

    def after(self, effect: Effect, subject: str) -> None:  # noqa: ARG002 - the port has it
        self.counts[effect] = self.counts.get(effect, 0) + 1


class Town(Surroundings):
    """Outside systems, and a manager in this very process."""

    def __init__(
        self,
        projects: Sequence[Project] = (),
        *,
        witness: Witness | None = None,
        is_app: bool = False,
    ) -> None:
        super().__init__(projects, is_app=is_app)
        self.store = InMemoryStore()
        self.witness = witness or CountingWitness()
        self.start()

    def start(self) -> None:
        """A new process: everything that the manager had in memory is gone."""
        self.manager = SteppedManager(
            self.world(self.store), self.options(), self.witness, self.clock
        )
        self.loop = self.manager.loop
        # What the watch reports.
        self.cluster.listeners[:] = [self.loop.queues.previews.add]
        self.manager.start()

    def resync(self) -> None:
        """What happens every minute."""
        self.manager.resync()

    def deliver(self, number: int, project_name: str = "shop", *, guid: str | None = None) -> None:
        """A webhook about a pull request, as the door stores it."""
        self.manager.deliver(self.delivery(guid), [PreviewKey(project_name, number)])

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Let the manager and Argo CD work until nothing is due within `seconds`."""
        self.manager.settle_until(self.clock.seconds + seconds)

    def confirm_brake(self, actor: str) -> None:
        """A person lets go on what the brake holds, as the API does."""
        held = [key for key, _ in self.loop.brake_state().held]
        self.loop.actions.confirm(held, actor=actor)
        self.loop.gates.rollout.go_on()

    def record(self, number: int, project_name: str = "shop") -> PreviewRecord:
        found = self.store.load(PreviewKey(project_name, number))
        assert found is not None
        return found

    def phase(self, number: int, project_name: str = "shop") -> Phase:
        return self.record(number, project_name).phase
