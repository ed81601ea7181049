"""What previews have besides their workload: databases, secrets, records of their hosts."""

from dataclasses import dataclass
from functools import partial

from previews.domain.labels import ownership
from previews.reconcile.assembly.foundation import Foundation
from previews.reconcile.databases import Databases
from previews.reconcile.delivery import Delivery
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.migrations import Migrations
from previews.reconcile.parcels import Parcels
from previews.reconcile.server_watch import ServerWatch
from previews.reconcile.storage import StorageWatch
from previews.reconcile.warm_pool import WarmPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Who makes them, and who watches over them."""

    servers: ServerWatch
    databases: Databases
    migrations: Migrations
    storage: StorageWatch
    warm_pool: WarmPool
    parcels: Parcels
    host_records: HostRecordKeeper


def join_resources(base: Foundation) -> Resources:
    """All of them, over the database servers and the stores of secrets that are configured."""
    world, options, effects, queues = base.world, base.options, base.effects, base.queues
    delivery = Delivery(world.deliveries, partial(ownership, options.instance), effects)
    servers = ServerWatch(
        world.databases, queues.enqueue, partial(delivery.withdraw_from, options.projects)
    )
    policies = {name: each.database for name, each in options.projects.items() if each.database}
    return Resources(
        servers=servers,
        databases=Databases(
            servers,
            delivery,
            branch=base.branch,
            effects=effects,
            clock=world.clock,
            rollout=base.gates.rollout,
            enqueue=queues.enqueue,
        ),
        migrations=Migrations(servers, world.forge, base.repositories, effects),
        storage=StorageWatch(policies, servers, queues.enqueue),
        warm_pool=WarmPool(options.pools, servers, effects, world.clock),
        parcels=Parcels(
            world.secret_source,
            world.deliveries,
            projects=options.projects,
            ownership=partial(ownership, options.instance),
            branch=base.branch,
            store=world.store,
            effects=effects,
            rollout=base.gates.rollout,
            enqueue=queues.enqueue,
        ),
        host_records=HostRecordKeeper(world.host_records, effects, monotonic=base.monotonic),
    )
