"""What the stories of a preview's life share: a town of one project, its days and nights, and how one looks at it."""

from collections.abc import Mapping
from datetime import timedelta

import yaml

from previews.domain.brake import BrakeLimits, BrakeState
from previews.domain.caps import Caps
from previews.domain.lifetime import LifetimePolicy
from previews.domain.preview import Mode, PreviewKey
from tests.fakes.town import CountingWitness, Town, project
from tests.fakes.traffic import FakeTraffic

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
DAYS_3 = LifetimePolicy(ttl=timedelta(days=3))
LOOK_SECONDS = 15.0


def key_of(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def town_of(
    lifetime: LifetimePolicy | None = None,
    *,
    caps: Caps | None = None,
    server: Caps | None = None,
    evicts: bool = False,
    brake: BrakeLimits | None = None,
    rewrites_at_most: int = 5,
    traffic: FakeTraffic | None = None,
) -> Town:
    """A town whose one project is configured like this."""
    town = Town([project("shop", lifetime=lifetime, caps=caps)])
    town.caps, town.evicts = server or Caps(), evicts
    town.brake, town.rewrites_at_most = brake or BrakeLimits(), rewrites_at_most
    town.traffic = traffic
    town.start()
    return town


def reconfigure(town: Town, lifetime: LifetimePolicy, caps: Caps | None = None) -> None:
    """The configuration changes, and the manager starts anew."""
    town.projects["shop"] = project("shop", lifetime=lifetime, caps=caps)
    town.start()


def lose_the_store(town: Town) -> None:
    """The manager's memory is lost, and it starts anew."""
    town.store = type(town.store)()
    town.start()


def confirm_brake(town: Town, actor: str) -> BrakeState:
    """What `previews confirm-brake` does: these removals may go on, and a rollout that stands."""
    state = town.loop.brake_state()
    town.loop.actions.confirm([key for key, _ in state.held], actor=actor)
    town.loop.gates.rollout.go_on()
    return state


def wait(town: Town, seconds: float) -> None:
    """Time passes, with somebody looking at the traffic now and then."""
    end = town.clock.seconds + seconds
    while town.clock.seconds < end:
        if town.traffic is not None and not town.traffic.unavailable:
            town.loop.look_at_traffic()
        town.settle(min(LOOK_SECONDS * 4, end - town.clock.seconds))


def said_in_git(town: Town, number: int) -> Mapping[str, str]:
    """What Git says of a preview's lifetime, without the prefix of all its annotations."""
    text = town.gitops.files[f"shop/0/pr-{number}/namespace.yaml"]
    namespace = next(yaml.safe_load_all(text))
    found = namespace["metadata"].get("annotations", {})
    return {name.removeprefix("previews.dev/"): value for name, value in found.items()}


def mode_in_git(town: Town, number: int) -> Mode:
    """What Git asks Argo CD to run."""
    parameters = parameters_in_git(town, number)
    if parameters.get("replicas") == "0":
        assert parameters["ingress.enabled"] == "false"
        return Mode.ASLEEP
    return Mode.WARMING if "ingress.enabled" in parameters else Mode.AWAKE


def parameters_in_git(town: Town, number: int) -> Mapping[str, str]:
    application = yaml.safe_load(town.gitops.files[f"shop/0/pr-{number}/application.yaml"])
    helm = application["spec"]["source"]["helm"]
    return {each["name"]: each["value"] for each in helm["parameters"]}


def happened(town: Town, number: int) -> list[str]:
    """The actions of a preview's history."""
    return [entry.action for entry in town.store.history(key_of(number))]


def comment(town: Town, number: int) -> str:
    """Our comment on a pull request, as it reads now."""
    (found,) = town.forge.comments("acme/shop", number)
    return found.body


def deleted(town: Town) -> int:
    """How many objects went from the cluster."""
    return sum(town.cluster.deleted.values())


def expect_quiet(town: Town) -> None:
    """With nothing changing, twenty more looks at everything write nothing anywhere."""
    assert isinstance(town.witness, CountingWitness)
    # What was said last is itself a change of the pull request: that it was no command is noted once.
    town.resync()
    town.settle()
    before = dict(town.witness.counts)
    written = (town.store.writes, town.gitops.pushes, list(town.forge.writes), deleted(town))
    for _ in range(20):
        town.resync()
        town.manager.reconcile_all()
        town.settle(1)
    assert dict(town.witness.counts) == before
    now = (town.store.writes, town.gitops.pushes, list(town.forge.writes), deleted(town))
    assert now == written
