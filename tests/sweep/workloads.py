"""What goes on while the manager is struck: one function for each workload.

Nothing here knows of strikes. After the last line of each everything comes to rest, and is looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from previews.domain.lifetime import LifetimePolicy
from previews.domain.preview import PreviewKey
from previews.domain.probing import ProbePolicy
from previews.domain.project import Helm
from previews.reconcile.resync import RECEIPTS_KEPT
from tests.fakes.surroundings import REPOSITORY, project
from tests.sweep.app_workloads import APP_WORKLOADS, BUTTON_EFFECTS, press_the_button
from tests.sweep.conversation_workloads import CONVERSATION_EFFECTS, CONVERSATION_WORKLOADS
from tests.sweep.database_workloads import (
    DATABASE_WORKLOADS,
    close_while_a_database_is_made,
)
from tests.sweep.record_workloads import RECORD_WORKLOADS, close_while_it_is_named
from tests.sweep.secret_workloads import SECRET_WORKLOADS
from tests.sweep.struck_town import StruckTown

Workload = Callable[[StruckTown], None]

MINUTE = 60.0
HOUR = 60 * MINUTE
LIVES_AN_HOUR = replace(project("shop"), lifetime=LifetimePolicy(ttl=timedelta(hours=1)))
OTHER_CHART = Helm(repository_url="https://git.example/charts.git", path="app", revision="next")


def key_of(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def open_one(town: StruckTown) -> None:
    town.open()


def push_one(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.push(number)


def push_during_deploy(town: StruckTown) -> None:
    number = town.open()
    town.settle(0)
    town.push(number)


def close_one(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.close(number)


def close_during_deploy(town: StruckTown) -> None:
    number = town.open()
    town.settle(0)
    town.close(number)


def close_overtaking_open(town: StruckTown) -> None:
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    town.forge.close(REPOSITORY, number)
    town.deliver(number)


def reopen_during_removal(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.cluster.hold("preview-shop-pr-1", "waiting")
    town.close(number)
    town.come_to_rest()
    town.reopen(number)
    town.come_to_rest()
    town.cluster.let_go("preview-shop-pr-1")


def end_a_retrying_sync(town: StruckTown) -> None:
    town.argocd.deploys = False
    number = town.open()
    town.come_to_rest()
    town.cluster.put_application("shop-pr-1", operation_phase="Running")
    town.close(number)


def two_of_a_shard(town: StruckTown) -> None:
    first = town.open()
    town.open()
    town.come_to_rest()
    town.close(first)


def every_webhook_lost(town: StruckTown) -> None:
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    town.resync()
    town.come_to_rest()
    town.forge.close(REPOSITORY, number)
    town.resync()


def name_an_image(town: StruckTown) -> None:
    number = town.open(image=False)
    town.settle(0)
    town.registry.push("registry.example/shop", "build-7")
    town.name_image("shop", number, tag="build-7")


def name_another_image(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.registry.push("registry.example/shop", "build-8")
    town.name_image("shop", number, tag="build-8")


def expire(town: StruckTown) -> None:
    town.restart_with(LIVES_AN_HOUR)
    town.open()
    town.settle(2 * HOUR)


def expire_and_come_back(town: StruckTown) -> None:
    town.restart_with(LIVES_AN_HOUR)
    number = town.open()
    town.settle(2 * HOUR)
    town.push(number)


def extend_while_expiring(town: StruckTown) -> None:
    town.restart_with(LIVES_AN_HOUR)
    number = town.open()
    town.come_to_rest()
    town.cluster.hold("preview-shop-pr-1", "waiting")
    town.settle(2 * HOUR)
    town.act("extend", key_of(number), timedelta(hours=3), actor="ann")
    town.settle()
    town.cluster.let_go("preview-shop-pr-1")


def extend_in_time(town: StruckTown) -> None:
    town.restart_with(LIVES_AN_HOUR)
    number = town.open()
    town.come_to_rest()
    town.act("extend", key_of(number), timedelta(hours=3), actor="ann")
    town.settle(2 * HOUR)


def sleep(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.act("sleep", key_of(number), actor="ann")


def wake(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.act("sleep", key_of(number), actor="ann")
    town.come_to_rest()
    town.act("wake", key_of(number), actor="ben")


def close_asleep(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.act("sleep", key_of(number), actor="ann")
    town.come_to_rest()
    town.close(number)


def redeploy(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.act("redeploy", key_of(number), actor="ann")


def remove_by_hand(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.act("remove", key_of(number), actor="ann")


def change_the_configuration(town: StruckTown) -> None:
    town.open()
    town.open()
    town.come_to_rest()
    town.restart_with(
        replace(project("shop"), probe=ProbePolicy(path="/healthz"), helm=OTHER_CHART)
    )


def drain(town: StruckTown) -> None:
    town.restart_with(project("shop"), project("api"))
    number = town.open()
    town.push_image(number, "api")
    town.deliver(number, "api")
    town.come_to_rest()
    town.restart_with(project("api"))
    town.come_to_rest()
    town.act("drain", "shop", actor="ann")


def collect(town: StruckTown) -> None:
    """What a removal left behind that no file stands for any more."""
    number = town.forge.open_pull_request(REPOSITORY)
    town.forge.close(REPOSITORY, number)
    town.cluster.put_namespace("preview-shop-pr-1", key_of(number))
    town.cluster.put_application("shop-pr-1", key_of(number))
    for _ in range(12):
        town.collect()
        town.settle(5 * MINUTE)


def forget(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.close(number)
    town.settle()
    town.settle((RECEIPTS_KEPT + timedelta(days=1)).total_seconds())
    town.resync()


WORKLOADS: tuple[Workload, ...] = (
    open_one,
    push_one,
    push_during_deploy,
    close_one,
    close_during_deploy,
    close_overtaking_open,
    reopen_during_removal,
    end_a_retrying_sync,
    two_of_a_shard,
    every_webhook_lost,
    name_an_image,
    name_another_image,
    expire,
    expire_and_come_back,
    extend_while_expiring,
    extend_in_time,
    sleep,
    wake,
    close_asleep,
    redeploy,
    remove_by_hand,
    change_the_configuration,
    drain,
    collect,
    forget,
    *DATABASE_WORKLOADS,
    *SECRET_WORKLOADS,
    *RECORD_WORKLOADS,
    *CONVERSATION_WORKLOADS,
    *APP_WORKLOADS,
)

ABOUT: Mapping[Workload, frozenset[str]] = {
    **dict.fromkeys(SECRET_WORKLOADS, frozenset({"secret", "git"})),
    **dict.fromkeys(RECORD_WORKLOADS, frozenset({"dns", "git"})),
    **dict.fromkeys(CONVERSATION_WORKLOADS, CONVERSATION_EFFECTS),
    **dict.fromkeys(APP_WORKLOADS, frozenset({"forge", "store.published"})),
    press_the_button: BUTTON_EFFECTS,
}
"""The effects, or the systems, that alone are struck: these repeat what others do, where the rest is struck."""

MAY_NEVER_BEGIN: frozenset[Workload] = frozenset(
    {close_during_deploy, close_while_a_database_is_made, close_while_it_is_named}
)
"""How much was done and said before its end depends on the moment of the strike: then nothing of it may stay."""
