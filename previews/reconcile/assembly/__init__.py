"""Joins the loop: says what each part of it is given. Nothing is decided here, and nothing runs yet.

One module for each topic; each joins what belongs together, from what was joined before it.
"""

import random
import threading
import time
from collections.abc import Callable

from previews.reconcile.assembly.deciding import join_reconciler
from previews.reconcile.assembly.foundation import lay_foundation
from previews.reconcile.assembly.pull_requests import join_surface
from previews.reconcile.assembly.resources import join_resources
from previews.reconcile.assembly.sweeping import join_collector, join_resync
from previews.reconcile.assembly.watching import join_watches
from previews.reconcile.assembly.working import join_crews
from previews.reconcile.effects import Witness
from previews.reconcile.loop import Loop
from previews.reconcile.redelivery import Redelivery
from previews.reconcile.world import Options, World


def join_loop(
    world: World,
    options: Options,
    witness: Witness,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    jitter: random.Random | None = None,
) -> Loop:
    """The loop of one manager. `witness` is told of every effect; `jitter` spreads retries."""
    base = lay_foundation(world, options, witness, monotonic=monotonic, jitter=jitter)
    watches, resources, surface = join_watches(base), join_resources(base), join_surface(base)
    reconciler = join_reconciler(base, watches, resources, surface)
    quiet = threading.Event()
    quiet.set()
    crews = join_crews(base, reconciler, surface, quiet)
    return Loop(
        world=world,
        options=options,
        effects=base.effects,
        repositories=base.repositories,
        quiet=quiet,
        queues=base.queues,
        workers=crews.previews,
        publishers=crews.pull_requests,
        listeners=crews.conversations,
        rule_readers=crews.rules,
        branch=base.branch,
        writer=base.writer,
        actions=base.actions,
        gates=base.gates,
        images=surface.images,
        policies=surface.policies,
        publisher=surface.publisher,
        conversation=surface.conversation,
        probes=watches.probes,
        pulse=watches.pulse,
        activity=watches.activity,
        servers=resources.servers,
        storage=resources.storage,
        warm_pool=resources.warm_pool,
        parcels=resources.parcels,
        resync=join_resync(base, resources, surface),
        redelivery=Redelivery(world.forge.redeliveries, world.store, base.effects, world.clock),
        collector=join_collector(base, resources, surface),
    )
