"""What the stories about policies share: a town of one project with a policy, and how one looks at it."""

from previews.domain.lifetime import LifetimePolicy, Wishes
from previews.domain.policy import Policy
from previews.domain.preview import Phase, PreviewKey
from tests.fakes.surroundings import REPOSITORY
from tests.fakes.town import Town, project
from tests.unit.lives import HOUR


def town_of(policy: Policy | None = None, *, lifetime: LifetimePolicy | None = None) -> Town:
    return Town([project("shop", policy=policy, lifetime=lifetime)])


def asked_of(town: Town, call: str) -> int:
    """How often the forge was asked for something."""
    return sum(each.startswith(call) for each in town.forge.calls)


def stands(town: Town, number: int, project_name: str = "shop") -> tuple[Phase, str]:
    record = town.record(number, project_name)
    return record.phase, record.reason


def wish(town: Town, number: int, wishes: Wishes) -> None:
    """What the commands in comments do."""
    town.loop.actions.adopt(PreviewKey("shop", number), wishes)
    town.loop.enqueue([PreviewKey("shop", number)])


def relabel(town: Town, number: int, *labels: str) -> None:
    town.forge.set_labels(REPOSITORY, number, *labels)
    town.deliver(number)
    town.settle(HOUR)


def expect_gone(town: Town, number: int, reason: str, project_name: str = "shop") -> None:
    assert stands(town, number, project_name) == (Phase.BLOCKED, reason)
    assert town.left_of(number, project_name) == set()


def fork(town: Town, author: str = "stranger") -> int:
    number = town.forge.open_pull_request(REPOSITORY, "patch", "A patch", author, from_fork=True)
    town.push_image(number)
    town.deliver(number)
    town.settle(HOUR)
    return number


MANY = 24


def busy_town() -> tuple[Town, list[int]]:
    town = town_of()
    numbers = [town.open(branch=f"feature-{each}") for each in range(MANY)]
    town.settle(HOUR)
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    return town, numbers
