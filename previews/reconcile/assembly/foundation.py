"""What every other part of the loop is joined to."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from previews.domain.database import Provider
from previews.reconcile.actions import Actions
from previews.reconcile.admission import Admission
from previews.reconcile.brake import Brake
from previews.reconcile.branch import GitBranch
from previews.reconcile.effects import Effects, Witness
from previews.reconcile.gates import Gates
from previews.reconcile.marks import Marks
from previews.reconcile.patience import Patience
from previews.reconcile.queues import Queues
from previews.reconcile.repositories import Repositories
from previews.reconcile.rollout import Rollout
from previews.reconcile.world import Options, World
from previews.reconcile.writer import GitOpsWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """Known to `assembly` alone: each part is given what it needs of it, and nothing more."""

    world: World
    options: Options
    monotonic: Callable[[], float]
    effects: Effects
    patience: Patience
    queues: Queues
    marks: Marks
    repositories: Repositories
    branch: GitBranch
    writer: GitOpsWriter
    gates: Gates
    actions: Actions


def lay_foundation(
    world: World,
    options: Options,
    witness: Witness,
    *,
    monotonic: Callable[[], float],
    jitter: random.Random | None,
) -> Foundation:
    """The queues, what is in Git, whom a preview must ask, and what people may ask for."""
    effects, patience = Effects(witness), Patience(monotonic)
    queues = Queues(patience, monotonic=monotonic, jitter=jitter)
    branch = GitBranch(world.gitops, instance=options.instance)
    return Foundation(
        world=world,
        options=options,
        monotonic=monotonic,
        effects=effects,
        patience=patience,
        queues=queues,
        marks=Marks(world.store, effects, queues.enqueue),
        repositories=Repositories(options.projects, world.store, effects),
        branch=branch,
        writer=GitOpsWriter(
            world.gitops,
            branch,
            world.renderer,
            world.store,
            world.cluster,
            effects=effects,
            instance=options.instance,
            on_written=queues.enqueue,
            pushes_per_minute=options.pushes_per_minute,
            monotonic=monotonic,
        ),
        gates=_join_gates(world, options, queues),
        actions=_join_actions(world, options, effects, queues),
    )


def _join_gates(world: World, options: Options, queues: Queues) -> Gates:
    return Gates(
        admission=Admission(
            options.caps,
            {name: project.caps for name, project in options.projects.items()},
            evicts=options.evicts,
            enqueue=queues.enqueue,
        ),
        brake=Brake(options.brake, world.clock),
        rollout=Rollout(options.rewrites_at_most, queues.enqueue),
    )


def _join_actions(world: World, options: Options, effects: Effects, queues: Queues) -> Actions:
    return Actions(
        store=world.store,
        effects=effects,
        clock=world.clock,
        policies={name: project.lifetime for name, project in options.projects.items()},
        with_databases={
            name
            for name, project in options.projects.items()
            if project.database and project.database.provider is Provider.POSTGRES
        },
        enqueue=queues.enqueue,
    )
