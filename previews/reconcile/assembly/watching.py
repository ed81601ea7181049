"""Who asks previews whether they answer, and who sees that they are used."""

from dataclasses import dataclass

from previews.reconcile.activity import ActivityWatch
from previews.reconcile.assembly.foundation import Foundation
from previews.reconcile.probes import Probes
from previews.reconcile.pulse import Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class Watches:
    """What looks at previews from outside."""

    probes: Probes
    pulse: Pulse
    activity: ActivityWatch | None
    """None: requests are not counted."""


def join_watches(base: Foundation) -> Watches:
    """All of them. Whatever asks goes through the same probes: none of them is a visit."""
    world, options, queues = base.world, base.options, base.queues
    probes = Probes(
        world.prober,
        options.projects,
        waiting_at_most=max(1, options.reconcile_threads // 2),
    )
    return Watches(
        probes=probes,
        pulse=Pulse(
            options.projects,
            probes,
            queues.enqueue,
            interval_seconds=options.probe_seconds,
            monotonic=base.monotonic,
        ),
        activity=(
            ActivityWatch(world.traffic, probes.sent, base.actions.visited)
            if world.traffic
            else None
        ),
    )
