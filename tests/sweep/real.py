"""The chosen plans on the real cluster, with the real Git, Gitea, Argo CD, PostgreSQL and BIND, and a manager that
strikes itself.

One pull request after another lives in one World: each step of a life (opened, pushed to, put to sleep, closed,
reopened while it is removed, opened unheard, forgotten) is a plan, and begins when the one before has come to rest.
"""

from collections.abc import Callable, Iterator, Sequence

from tests.cluster import RunningCluster
from tests.sweep.drill import Drill
from tests.sweep.places import LIFE, Costs, RealPlan, in_lives
from tests.sweep.report import Finding
from tests.world.world import World, WorldOptions

OPTIONS = WorldOptions(
    name="sweep",
    project="sweep-shop",
    hostname="{project}-pr-{number}.sweep.example",
    # Soon enough for what a strike made the door miss.
    resync="5s",
    databases=True,
    records=True,
)
UNDISTURBED_ROUNDS = 2


def sweep_really(
    cluster: RunningCluster, plans: Sequence[RealPlan], say: Callable[[str], None]
) -> Iterator[Finding]:
    """Carry them out, in an order that needs few lives."""
    with World(cluster, OPTIONS) as world:
        drill = Drill(world)
        usual = _undisturbed(drill, {plan.workload for plan in plans})
        say(f"undisturbed: {usual}")
        for plan in in_lives(plans):
            problems = drill.carry_out(plan, usual[plan.workload])
            yield Finding(
                plan.workload, str(plan), plan.strike, plan.effect, str(drill.key), problems
            )
        drill.be_without()


def _undisturbed(drill: Drill, workloads: set[str]) -> dict[str, Costs]:
    """The most that each step writes when nothing is struck: how much is said depends on how fast things go."""
    usual = dict.fromkeys(workloads, Costs(0, 0))
    for _ in range(UNDISTURBED_ROUNDS):
        for workload in sorted(workloads, key=LIFE.index):
            costs, most = drill.step(workload, None), usual[workload]
            usual[workload] = Costs(
                max(costs.commits, most.commits), max(costs.statuses, most.statuses)
            )
    return usual
