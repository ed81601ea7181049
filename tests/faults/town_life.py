"""What the stories of faults share: pull requests whose previews are live, and time until all is found."""

from previews.domain.preview import Phase
from tests.fakes.town import Town

LONG = 600.0
"""Several resyncs, and every retry."""


def live(town: Town, count: int) -> list[int]:
    """So many pull requests whose previews are live."""
    numbers = [town.open() for _ in range(count)]
    town.settle()
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    return numbers


def come_to_rest(town: Town) -> None:
    for _ in range(3):
        town.resync()
        town.settle(LONG)


def argo_cd_looks(town: Town) -> None:
    """All roots, as it does every few minutes."""
    tip = town.gitops.tip
    assert tip is not None
    town.argocd.looks(tip.files, tip.id)
