"""Workloads whose previews have secrets of their project: one function for each, as in `workloads`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from previews.domain.database import SecretKind, SecretType
from previews.domain.preview import PreviewKey
from previews.domain.project import Project
from previews.domain.secret_set import DOCKER_CONFIG_ENTRY, IMAGE_PULL, SecretSet
from tests.fakes.surroundings import project
from tests.sweep.struck_town import StruckTown

API_KEY, CONFIG = Path("/x/api-key"), Path("/x/config.json")
OWN = SecretSet(name="shop", kind=SecretKind.SEALED_SECRETS, files={"API_KEY": API_KEY})
FOR_IMAGES = SecretSet(
    name=IMAGE_PULL,
    kind=SecretKind.SEALED_SECRETS,
    type=SecretType.DOCKER_CONFIG,
    files={DOCKER_CONFIG_ENTRY: CONFIG},
)
SHOP = replace(project("shop"), secrets=(FOR_IMAGES, OWN))
APPLIED_BY_US = replace(project("shop"), secrets=(replace(OWN, kind=SecretKind.KUBERNETES),))


def _begin(town: StruckTown, shop: Project = SHOP) -> int:
    """A preview with secrets that is well."""
    town.secret_source.files |= {API_KEY: "key-1", CONFIG: '{"auths": {}}'}
    town.restart_with(shop)
    number = town.open()
    town.come_to_rest()
    return number


def push_with_secrets(town: StruckTown) -> None:
    town.push(_begin(town))


def close_with_secrets(town: StruckTown) -> None:
    town.close(_begin(town))


def change_a_secret(town: StruckTown) -> None:
    _begin(town)
    town.open()
    town.come_to_rest()
    town.secret_source.files[API_KEY] = "key-2"
    town.resync()


def change_a_secret_asleep(town: StruckTown) -> None:
    number = _begin(town)
    town.act("sleep", PreviewKey("shop", number), actor="ann")
    town.come_to_rest()
    town.secret_source.files[API_KEY] = "key-2"
    town.resync()


def miss_a_file(town: StruckTown) -> None:
    town.restart_with(SHOP)
    town.open()
    town.come_to_rest()
    town.secret_source.files |= {API_KEY: "key-1", CONFIG: '{"auths": {}}'}
    town.resync()


def give_a_project_secrets_and_take_them_away(town: StruckTown) -> None:
    town.open()
    town.come_to_rest()
    _begin(town)
    town.restart_with(project("shop"))


def apply_secrets_ourselves(town: StruckTown) -> None:
    town.secrets.in_git = False
    number = _begin(town, APPLIED_BY_US)
    town.secret_source.files[API_KEY] = "key-2"
    town.resync()
    town.come_to_rest()
    town.push(number)


SECRET_WORKLOADS: tuple[Callable[[StruckTown], None], ...] = (
    push_with_secrets,
    close_with_secrets,
    change_a_secret,
    change_a_secret_asleep,
    miss_a_file,
    give_a_project_secrets_and_take_them_away,
    apply_secrets_ourselves,
)
