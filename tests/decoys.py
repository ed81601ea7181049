"""Fifty objects that look like what a sweep removes, each lacking one proof of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from previews.domain.inventory import Kind
from previews.domain.preview import PreviewKey
from tests.fakes.forge import FakeForge

REPOSITORY = "acme/shop"
OF_A_KIND = 10


class Why(StrEnum):
    """What it lacks."""

    PREFIX = "it has our prefix and no label"
    FOREIGN = "it carries the label of another manager"
    OPEN = "its pull request is open"
    STRANGE = "its project is not configured"
    RENEWED = "it is another object of the same name by the time of its deletion"


@dataclass(frozen=True)
class Decoy:
    kind: Kind
    name: str
    why: Why
    owner: PreviewKey


def decoys(forge: FakeForge, *, project: str = "shop") -> Iterator[Decoy]:
    """Ten of each sort. All their pull requests are closed, but for those that are open."""
    for why in Why:
        for _ in range(OF_A_KIND):
            number = forge.open_pull_request(REPOSITORY, "feature", "A change")
            if why is not Why.OPEN:
                forge.close(REPOSITORY, number)
            owner = PreviewKey(f"not-{project}" if why is Why.STRANGE else project, number)
            stem = f"{owner.project}-pr-{number}"
            if why is Why.RENEWED:
                # A namespace of the same name takes Kubernetes seconds to make anew.
                yield Decoy(Kind.APP_PROJECT, f"0-{stem}", why, owner)
            else:
                yield Decoy(Kind.NAMESPACE, f"preview-{stem}", why, owner)
