"""What the stories of a preview's deployments share: how one looks at them, and what was asked of the forge."""

from typing import Any

from previews.domain.preview import Phase, PreviewKey
from previews.reconcile.effects import Effect
from tests.fakes.forge import UNREACHABLE
from tests.fakes.forge_things import HeldDeployment
from tests.fakes.town import REPOSITORY, CountingWitness, Town

MINUTE = 60.0
URL = "https://shop-pr-1.preview.example/"
ENVIRONMENT = "preview/shop"


class OnEffect(CountingWitness):
    """Loses the answers of an effect as often as it is told to, and looks around before it."""

    def __init__(self, effect: Effect, *, lose: int = 0) -> None:
        super().__init__()
        self._effect = effect
        self.lose = lose
        self.look: Any = None
        self.looks: list[object] = []

    def before(self, effect: Effect, subject: str) -> None:
        super().before(effect, subject)
        if effect is self._effect and self.look is not None:
            self.looks.append(self.look())

    def after(self, effect: Effect, subject: str) -> None:
        super().after(effect, subject)
        if effect is self._effect and self.lose:
            self.lose -= 1
            raise UNREACHABLE


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def shown(town: Town, number: int = 1, project_name: str = "shop") -> list[HeldDeployment]:
    """The deployments of a preview, the oldest first."""
    task = f"previews:acme:{project_name}#{number}"
    return [each for each in town.forge.deployments_of(REPOSITORY) if each.task == task]


def states(town: Town, number: int = 1) -> list[str]:
    """How each of them stands."""
    return [each.state for each in shown(town, number)]


def said(found: HeldDeployment) -> list[str]:
    """How one of them stood, from its beginning on."""
    return [each.state for each in found.statuses]


def asked(town: Town) -> list[str]:
    """Every call about deployments and environments, by its name."""
    names = [each.split()[0] for each in town.forge.calls]
    return [each for each in names if "deployment" in each or "environment" in each]


def live(town: Town) -> int:
    """A pull request whose preview is live."""
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    return number


def receipt(town: Town, number: int = 1) -> dict[str, str]:
    """What a finished removal found gone, by its kind."""
    removal = town.record(number).removal
    assert removal is not None
    assert removal.finished_at is not None
    return {each.kind: each.name for each in removal.gone}
