"""How a preview is brought to what its pull request says: everything that one look at it needs."""

from previews.domain.preview import PreviewKey
from previews.reconcile.assembly.foundation import Foundation
from previews.reconcile.assembly.pull_requests import Surface
from previews.reconcile.assembly.resources import Resources
from previews.reconcile.assembly.watching import Watches
from previews.reconcile.belongings import Belongings
from previews.reconcile.desired import Desired
from previews.reconcile.lifetimes import Lifetimes
from previews.reconcile.nudges import Nudges
from previews.reconcile.observer import Observer
from previews.reconcile.reconciler import Reconciler
from previews.reconcile.recorder import Recorder
from previews.reconcile.removal_by_hand import RemovalByHand
from previews.reconcile.unconfigured import Unconfigured
from previews.reconcile.unknown import Unknown


def join_reconciler(
    base: Foundation, watches: Watches, resources: Resources, surface: Surface
) -> Reconciler:
    """From what is observed to what is recorded."""
    world, options, gates = base.world, base.options, base.gates
    observer = Observer(cluster=world.cluster, branch=base.branch, clock=world.clock)
    nudges = Nudges(world.cluster, base.effects, world.clock)
    recorder = _join_recorder(base, watches)
    lifetimes = _join_lifetimes(base, watches)
    desired = _join_desired(base, recorder)
    belongings = Belongings(
        databases=resources.databases,
        parcels=resources.parcels,
        host_records=resources.host_records,
        deployments=surface.deployments,
    )
    removal = RemovalByHand(
        observer=observer,
        belongings=belongings,
        desired=desired,
        nudges=nudges,
        recorder=recorder,
        store=world.store,
        clock=world.clock,
        look_again=base.queues.look_again,
    )
    return Reconciler(
        projects=options.projects,
        deadlines=options.deadlines,
        clock=world.clock,
        reader=surface.reader,
        observer=observer,
        images=surface.images,
        belongings=belongings,
        pulse=watches.pulse,
        migrations=resources.migrations,
        storage=resources.storage,
        lifetimes=lifetimes,
        policies=surface.policies,
        gates=gates,
        desired=desired,
        nudges=nudges,
        recorder=recorder,
        unconfigured=Unconfigured(
            lifetimes=lifetimes,
            brake=gates.brake,
            recorder=recorder,
            removal=removal,
            clock=world.clock,
        ),
        unknown=Unknown(
            repositories=base.repositories,
            lifetimes=lifetimes,
            gates=gates,
            recorder=recorder,
            removal=removal,
            clock=world.clock,
        ),
        look_again=base.queues.look_again,
        evict=base.actions.evict,
    )


def _join_recorder(base: Foundation, watches: Watches) -> Recorder:
    return Recorder(
        store=base.world.store,
        effects=base.effects,
        clock=base.world.clock,
        pulse=watches.pulse,
        tell=base.queues.tell,
    )


def _join_lifetimes(base: Foundation, watches: Watches) -> Lifetimes:
    return Lifetimes(
        store=base.world.store,
        branch=base.branch,
        renderer=base.world.renderer,
        clock=base.world.clock,
        adopt=base.actions.adopt,
        quiet_since=watches.activity.quiet_since if watches.activity else _nobody_counts,
    )


def _join_desired(base: Foundation, recorder: Recorder) -> Desired:
    return Desired(
        renderer=base.world.renderer,
        branch=base.branch,
        writer=base.writer,
        clock=base.world.clock,
        rollout=base.gates.rollout,
        save=recorder.save,
    )


def _nobody_counts(_key: PreviewKey) -> None:
    """Since when it was not used: that is not known of any preview."""
