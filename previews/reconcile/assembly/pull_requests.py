"""What has to do with pull requests: what is read of them, what they are told, and what people say there."""

from dataclasses import dataclass

from previews.reconcile.assembly.foundation import Foundation
from previews.reconcile.commands import Commands
from previews.reconcile.conversation import Conversation
from previews.reconcile.deployments import DeploymentKeeper
from previews.reconcile.doubts import Doubts
from previews.reconcile.images import ImageGate
from previews.reconcile.policies import RULES_KEPT, Policies
from previews.reconcile.publisher import Publisher
from previews.reconcile.pull_request_reader import PullRequestReader
from previews.reconcile.repository_rules import RepositoryRules
from previews.reconcile.subjects import Subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Where previews and pull requests meet."""

    reader: PullRequestReader
    policies: Policies
    images: ImageGate
    deployments: DeploymentKeeper
    publisher: Publisher
    conversation: Conversation


def join_surface(base: Foundation) -> Surface:
    """All of it, over the forge and the registry."""
    world = base.world
    deployments = _join_deployments(base)
    doubts = Doubts(world.store, base.effects)
    return Surface(
        reader=PullRequestReader(
            forge=world.forge, repositories=base.repositories, clock=world.clock
        ),
        policies=_join_policies(base),
        images=_join_images(base),
        deployments=deployments,
        publisher=_join_publisher(base, deployments, doubts),
        conversation=_join_conversation(base, doubts),
    )


def _join_policies(base: Foundation) -> Policies:
    world, queues = base.world, base.queues
    return Policies(
        RepositoryRules(world.forge, world.read_yaml, world.clock, RULES_KEPT),
        projects=base.options.projects,
        forge=world.forge,
        clock=world.clock,
        is_in_git=lambda key: bool(base.branch.names_in_git(key)),
        suspect=base.gates.brake.suspects,
        enqueue=queues.enqueue,
        records=world.store.each_record,
        look_later=lambda place, seconds: queues.rules.add(place, after_seconds=seconds),
    )


def _join_images(base: Foundation) -> ImageGate:
    world, options = base.world, base.options
    return ImageGate(
        projects=options.projects,
        registry=world.registry,
        forge=world.forge,
        repositories=base.repositories,
        store=world.store,
        effects=base.effects,
        clock=world.clock,
        deadline=options.deadlines.image,
        enqueue=base.queues.enqueue,
    )


def _join_deployments(base: Foundation) -> DeploymentKeeper:
    options = base.options
    return DeploymentKeeper(
        base.world.forge.deployments,
        base.world.store,
        base.effects,
        instance=options.instance,
        repositories=[each.repository for each in options.projects.values()],
        monotonic=base.monotonic,
    )


def _join_publisher(base: Foundation, deployments: DeploymentKeeper, doubts: Doubts) -> Publisher:
    world, options, queues = base.world, base.options, base.queues
    return Publisher(
        instance=options.instance,
        forge=world.forge,
        store=world.store,
        effects=base.effects,
        clock=world.clock,
        doubts=doubts,
        subject_of=Subjects(options.projects, options.applications_url).of,
        patience=base.patience,
        look_again=lambda key, seconds: queues.pull_requests.add(key, after_seconds=seconds),
        further=(deployments,),
    )


def _join_conversation(base: Foundation, doubts: Doubts) -> Conversation:
    world = base.world
    return Conversation(
        instance=base.options.instance,
        repositories=base.repositories,
        queue=base.queues.conversations,
        forge=world.forge,
        store=world.store,
        effects=base.effects,
        clock=world.clock,
        commands=Commands(
            forge=world.forge,
            store=world.store,
            cluster=world.cluster,
            clock=world.clock,
            actions=base.actions,
            mark=base.marks.mark,
        ),
        doubts=doubts,
    )
