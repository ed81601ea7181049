"""The projects' own secrets on their way to previews: the whole manager on fakes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from previews.adapters.rows import to_json
from previews.domain.database import SecretKind, SecretType
from previews.domain.naming import folder_of, names_of
from previews.domain.observation import SECRETS_FILE
from previews.domain.ports import Store
from previews.domain.preview import Parcel, Phase
from previews.domain.project import Project
from previews.domain.secret_set import (
    DOCKER_CONFIG_ENTRY,
    IMAGE_PULL,
    SecretSet,
    manifest_of,
    parts_of,
)
from previews.reconcile.effects import Effect
from previews.reconcile.world import World
from tests.fakes.secrets import FakeSecrets
from tests.fakes.surroundings import OWN_DATABASE
from tests.fakes.town import CountingWitness, Town, project
from tests.unit.database_town import key, parameters

API_KEY, TOKEN, PULL = Path("/x/api-key"), Path("/x/token"), Path("/x/config.json")
CANARY = "canary-Pa55word-never-to-be-seen"
DOCKER = json.dumps({"auths": {"registry.example": {"auth": "Y2FuYXJ5OmNhbmFyeQ=="}}})
OWN = SecretSet(name="shop", kind=SecretKind.SEALED_SECRETS, files={"API_KEY": API_KEY})
MORE = SecretSet(name="more", kind=SecretKind.SEALED_SECRETS, files={"TOKEN": TOKEN})
FOR_IMAGES = SecretSet(
    name=IMAGE_PULL,
    kind=SecretKind.SEALED_SECRETS,
    type=SecretType.DOCKER_CONFIG,
    files={DOCKER_CONFIG_ENTRY: PULL},
)


def with_secrets(*secrets: SecretSet, name: str = "shop") -> Project:
    return replace(project(name), secrets=secrets)


class TwoWays(Town):
    """Sealed secrets, and a store of its own for those that lie outside."""

    def world(self, store: Store) -> World:
        self.store_of_secrets = getattr(self, "store_of_secrets", FakeSecrets())
        world = super().world(store)
        return replace(
            world,
            deliveries={
                **world.deliveries,
                SecretKind.EXTERNAL_SECRETS: self.store_of_secrets,
            },
        )


def town_with(*projects: Project) -> Town:
    town = Town(projects or [with_secrets(OWN)])
    town.secret_source.files |= {API_KEY: CANARY, TOKEN: "token-1", PULL: DOCKER}
    return town


@pytest.fixture
def town() -> Town:
    return town_with()


def parcels(town: Town, number: int) -> tuple[Parcel, ...]:
    """As the preview's manifests bring them."""
    manifests = town.record(number).manifests
    assert manifests is not None
    return manifests.parcels


def in_git(town: Town, number: int) -> str | None:
    return town.gitops.files.get(f"{folder_of(key(number))}/{SECRETS_FILE}")


def in_namespace(town: Town, number: int, name: str = "shop") -> Mapping[str, str]:
    """What pods find once what is in Git has come to the cluster."""
    for part in parts_of(in_git(town, number) or ""):
        town.secrets.sync(manifest_of(part))
    namespace = names_of(key(number), host_pattern="").namespace
    return town.secrets.data(namespace, name) or {}


def effects(town: Town) -> dict[Effect, int]:
    assert isinstance(town.witness, CountingWitness)
    return dict(town.witness.counts)


def sealed(town: Town) -> int:
    return effects(town).get(Effect.DELIVER_SECRET, 0)


def restart_with(town: Town, *projects: Project) -> None:
    town.projects |= {each.name: each for each in projects}
    town.start()
    town.manager.reconcile_all()


def change(town: Town, content: str, file: Path = API_KEY) -> None:
    town.secret_source.files[file] = content
    town.resync()


# a preview gets them


def test_pods_find_what_is_in_the_files(town: Town) -> None:
    number = town.open()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert in_namespace(town, number)["API_KEY"] == CANARY


def test_a_pod_can_wait_for_this_very_content(town: Town) -> None:
    number = town.open()
    town.settle()

    [parcel] = parcels(town, number)
    assert f"credential-{parcel.id}" in in_namespace(town, number)
    assert "secrets.sets[0].name" in parameters(town, number)
    assert parcel.id in parameters(town, number)


def test_several_stand_in_one_file_each_a_document_of_its_own() -> None:
    town = town_with(with_secrets(FOR_IMAGES, MORE, OWN))
    number = town.open()
    town.settle()

    text = in_git(town, number)
    assert text is not None
    assert text.count("---\n") == 3
    assert [
        in_namespace(town, number, name).keys() & {"TOKEN", "API_KEY"} for name in ("more", "shop")
    ] == [{"TOKEN"}, {"API_KEY"}]


def test_images_are_pulled_with_the_one_for_them_and_no_pod_finds_it() -> None:
    town = town_with(with_secrets(FOR_IMAGES))
    number = town.open()
    town.settle()

    assert in_namespace(town, number, IMAGE_PULL) == {DOCKER_CONFIG_ENTRY: DOCKER}
    said = parameters(town, number)
    assert "imagePullSecrets[0].name" in said
    assert "secrets.sets" not in said


def test_one_that_the_manager_applies_itself_waits_for_the_namespace_and_rolls_out_once() -> None:
    town = town_with(with_secrets(replace(OWN, kind=SecretKind.KUBERNETES)))
    town.secrets.in_git = False
    number = town.open()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    namespace = names_of(key(number), host_pattern="").namespace
    assert (town.secrets.data(namespace, "shop") or {})["API_KEY"] == CANARY
    assert in_git(town, number) is None
    written = {
        text
        for commit in town.gitops.history
        for path, text in commit.files.items()
        if path.endswith("application.yaml")
    }
    assert len(written) == 1


def test_what_lies_in_a_store_passes_nobody_here() -> None:
    remote = SecretSet(name="shop", kind=SecretKind.EXTERNAL_SECRETS, remote="team/shop")
    town = town_with(with_secrets(remote))
    town.secret_source.files.clear()
    number = town.open()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert [parcel.kind for parcel in parcels(town, number)] == ["external-secrets"]


# nothing is sealed twice


def test_a_push_keeps_the_sealed_bytes(town: Town) -> None:
    number = town.open()
    town.settle()
    before = in_git(town, number)

    town.push(number)
    town.settle()

    assert in_git(town, number) == before
    assert sealed(town) == 1


def test_a_lost_store_finds_the_sealed_bytes_in_git_again() -> None:
    town = town_with(with_secrets(FOR_IMAGES, MORE, OWN))
    number = town.open()
    town.settle()
    before = parcels(town, number)

    town.store = type(town.store)()
    town.start()
    town.settle(180)

    assert town.phase(number) is Phase.LIVE
    assert parcels(town, number) == before
    assert sealed(town) == 3


def test_a_lost_key_has_everything_sealed_once_more_and_no_more_than_that(town: Town) -> None:
    number = town.open()
    town.settle()
    town.secret_source.lose_key()
    town.store = type(town.store)()
    town.start()
    town.settle(180)

    assert town.phase(number) is Phase.LIVE
    assert in_namespace(town, number)["API_KEY"] == CANARY
    assert sealed(town) == 2


def test_a_new_certificate_has_it_sealed_anew_and_restarts_no_pod(town: Town) -> None:
    number = town.open()
    town.settle()
    before, said = in_git(town, number), parameters(town, number)
    town.secrets.renew_certificate()

    town.manager.reconcile_all()
    town.settle()

    assert in_git(town, number) != before
    assert parameters(town, number) == said
    assert town.phase(number) is Phase.LIVE


def test_twenty_looks_at_a_preview_that_is_well_write_nothing() -> None:
    town = town_with(with_secrets(FOR_IMAGES, OWN))
    town.open()
    town.settle()
    before = effects(town)

    for _ in range(20):
        town.manager.reconcile_all()
        town.settle(1)

    assert effects(town) == before


# other content


def test_other_content_reaches_live_previews_a_few_at_a_time(town: Town) -> None:
    town.rewrites_at_most = 2
    town.start()
    numbers = [town.open() for _ in range(6)]
    town.settle()
    most = 0

    change(town, "another-one")
    for _ in range(1000):
        if not town.manager._step():
            town.settle(1)
        most = max(most, sum(town.record(number).is_rewritten for number in numbers))

    town.settle()
    assert most == 2
    assert all(town.phase(number) is Phase.LIVE for number in numbers)
    assert all(in_namespace(town, number)["API_KEY"] == "another-one" for number in numbers)


def test_a_change_that_breaks_previews_stops_by_itself(town: Town) -> None:
    town.rewrites_at_most = 1
    town.start()
    numbers = [town.open() for _ in range(3)]
    town.settle()
    town.argocd.deploys = False

    change(town, "wrong")
    town.settle(3600)

    changed = [n for n in numbers if in_namespace(town, n)["API_KEY"] == "wrong"]
    assert len(changed) == 1
    assert [town.phase(n) for n in numbers].count(Phase.LIVE) == 2


def test_who_is_pushed_to_gets_it_at_once(town: Town) -> None:
    town.rewrites_at_most = 1
    town.start()
    first, second = town.open(), town.open()
    town.settle()
    town.argocd.deploys = False
    change(town, "another-one")
    town.settle(3600)
    waiting = second if in_namespace(town, first)["API_KEY"] == "another-one" else first
    assert in_namespace(town, waiting)["API_KEY"] == CANARY

    town.push(waiting)
    town.settle()

    assert in_namespace(town, waiting)["API_KEY"] == "another-one"


def test_who_is_not_well_gets_it_at_once(town: Town) -> None:
    town.rewrites_at_most = 1
    town.start()
    first, second = town.open(), town.open()
    town.settle()
    town.argocd.deploys = False
    change(town, "wrong")
    town.settle(3600)
    waiting = second if in_namespace(town, first)["API_KEY"] == "wrong" else first
    application = names_of(key(waiting), host_pattern="").application
    town.argocd.finishes(application, health="Degraded")
    town.settle()
    assert town.phase(waiting) is not Phase.LIVE

    change(town, "right")
    town.settle()

    assert [in_namespace(town, n)["API_KEY"] for n in (first, second)] == ["right", "right"]


def test_one_that_sleeps_wakes_up_with_it(town: Town) -> None:
    number = town.open()
    town.settle()
    town.loop.actions.sleep(key(number), actor="ann")
    town.settle()

    change(town, "another-one")
    town.settle()
    assert town.phase(number) is Phase.ASLEEP
    town.loop.actions.wake(key(number), actor="ann")
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert in_namespace(town, number)["API_KEY"] == "another-one"


def test_a_set_that_is_new_in_the_configuration_comes_to_live_previews(town: Town) -> None:
    number = town.open()
    town.settle()
    before = parcels(town, number)

    restart_with(town, with_secrets(MORE, OWN))
    town.settle()

    assert [parcel.name for parcel in parcels(town, number)] == ["more", "shop"]
    assert parcels(town, number)[1:] == before


def test_a_set_that_is_out_of_the_configuration_goes_from_git(town: Town) -> None:
    number = town.open()
    town.settle()

    restart_with(town, project("shop"))
    town.settle()

    assert in_git(town, number) is None
    assert town.record(number).parcels == ()
    assert "secrets.sets" not in parameters(town, number)
    assert town.phase(number) is Phase.LIVE


def test_one_that_goes_another_way_from_now_on_leaves_git(town: Town) -> None:
    number = town.open()
    town.settle()
    town.secrets.in_git = False

    restart_with(town, with_secrets(replace(OWN, kind=SecretKind.KUBERNETES)))
    town.settle()

    assert in_git(town, number) is None
    assert town.phase(number) is Phase.LIVE
    assert [parcel.kind for parcel in parcels(town, number)] == ["kubernetes"]


# mishaps


def test_a_file_that_is_missing_is_named_and_harms_no_other_project() -> None:
    town = town_with(with_secrets(OWN), with_secrets(MORE, name="api"))
    del town.secret_source.files[API_KEY]
    number = town.open()
    town.push_image(number, "api")
    town.deliver(number, "api")
    town.settle()

    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.DEGRADED, "SecretFileMissing")
    assert str(API_KEY) in record.message
    assert "project shop" in record.message
    assert town.phase(number, "api") is Phase.LIVE


def test_a_file_that_comes_back_is_enough(town: Town) -> None:
    del town.secret_source.files[API_KEY]
    number = town.open()
    town.settle()

    change(town, CANARY)
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert in_namespace(town, number)["API_KEY"] == CANARY


def test_a_live_preview_outlives_the_loss_of_a_file(town: Town) -> None:
    number = town.open()
    town.settle()
    before = in_git(town, number)

    del town.secret_source.files[API_KEY]
    town.resync()
    town.manager.reconcile_all()
    town.settle(3600)

    assert town.phase(number) is Phase.LIVE
    assert in_git(town, number) == before


def test_what_was_sealed_while_another_could_not_be_sent_is_not_sealed_again() -> None:
    town = TwoWays([with_secrets(MORE, replace(OWN, kind=SecretKind.EXTERNAL_SECRETS))])
    town.secret_source.files |= {API_KEY: CANARY, TOKEN: "token-1"}
    town.store_of_secrets.unavailable = True
    number = town.open()
    town.settle()
    assert town.record(number).reason == "SecretStoreFailed"

    town.store_of_secrets.unavailable = False
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert sealed(town) == 2


def test_why_one_has_not_arrived_is_said_while_pods_wait_for_it(town: Town) -> None:
    number = town.open()
    town.settle()
    names = names_of(key(number), host_pattern="")
    town.secrets.problems[names.namespace, "shop"] = "no key could decrypt secret"

    town.argocd.finishes(names.application, health="Progressing")
    town.settle(5)

    record = town.record(number)
    assert (record.reason, record.message) == ("SecretNotDelivered", "no key could decrypt secret")


def test_it_is_sealed_later_if_that_cannot_be_done_now(town: Town) -> None:
    town.secrets.unavailable = True
    number = town.open()
    town.settle()
    assert town.record(number).reason == "SecretStoreFailed"

    town.secrets.unavailable = False
    town.settle()

    assert town.phase(number) is Phase.LIVE


def test_a_preview_that_goes_and_comes_back_gets_them_again(town: Town) -> None:
    number = town.open()
    town.settle()
    town.close(number)
    town.settle(180)
    assert town.left_of(number) == set()
    assert town.record(number).parcels == ()

    town.reopen(number)
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert in_namespace(town, number)["API_KEY"] == CANARY


def test_a_database_has_its_own_beside_them() -> None:
    town = town_with(replace(with_secrets(OWN), database=OWN_DATABASE))
    number = town.open()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert {"database.yaml", SECRETS_FILE} <= {
        path.rpartition("/")[2] for path in town.gitops.files
    }


# what is in them


def test_what_is_in_them_is_nowhere_to_be_read() -> None:
    town = town_with(with_secrets(FOR_IMAGES, OWN))
    number = town.open()
    with structlog.testing.capture_logs() as logged:
        town.settle()
        change(town, f"{CANARY}-2")
        town.settle()
        town.secrets.unavailable = True
        town.push(number)
        change(town, f"{CANARY}-3")
        town.settle()

    history = town.gitops.history
    kept = [to_json(record) for record in town.store.list_records()]
    said = [town.status(number), *town.forge.comments("acme/shop", number)]
    everything = "\n".join(map(repr, [*history, *kept, *logged, *said, town.store.__dict__]))
    assert history
    assert kept
    assert "canary" not in everything
    assert "Y2FuYXJ5" not in everything
