"""What compares everything now and then: with the forge, and with what is left over."""

from previews.reconcile.assembly.foundation import Foundation
from previews.reconcile.assembly.pull_requests import Surface
from previews.reconcile.assembly.resources import Resources
from previews.reconcile.collector import Collector
from previews.reconcile.resync import Resync


def join_resync(base: Foundation, resources: Resources, surface: Surface) -> Resync:
    """What makes webhooks optional."""
    world, options, gates = base.world, base.options, base.gates
    return Resync(
        projects=options.projects,
        forge=world.forge,
        store=world.store,
        cluster=world.cluster,
        branch=base.branch,
        writer=base.writer,
        effects=base.effects,
        clock=world.clock,
        interval_seconds=options.resync_seconds,
        enqueue=base.queues.enqueue,
        mark=base.marks.mark,
        confirm=surface.reader.confirm,
        suspect=gates.brake.suspects,
        adopt=lambda keys: gates.adopt(keys, world.clock.now()),
        converse=surface.conversation.converse,
        look_at_rules=surface.policies.look,
        elsewhere=resources.servers.keys,
        repositories=base.repositories,
    )


def join_collector(base: Foundation, resources: Resources, surface: Surface) -> Collector:
    """What removes whatever no other way removed."""
    world, options = base.world, base.options
    return Collector(
        projects=options.projects,
        forge=world.forge,
        store=world.store,
        cluster=world.cluster,
        servers=resources.servers,
        host_records=resources.host_records,
        deployments=surface.deployments.inventory,
        branch=base.branch,
        writer=base.writer,
        effects=base.effects,
        clock=world.clock,
        limits=options.collecting,
        name_of=base.repositories.name_of,
        interval_seconds=options.collect_seconds,
    )
