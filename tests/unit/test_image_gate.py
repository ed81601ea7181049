"""The gate on the image, as stories: nothing is deployed before its registry has it, and the wait has an end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.preview import CIRun, HeadSha, Image, Phase, PreviewKey
from previews.domain.record import StatusState
from previews.errors import ActionRefusedError
from previews.reconcile.effects import Effect
from tests.fakes.forge import UNREACHABLE
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project

SHOP = "registry.example/shop"
MINUTE = 60.0


def head_of(town: Town, number: int) -> HeadSha:
    return town.forge.pull_request(REPOSITORY, number).head_sha


def deployed(town: Town, number: int) -> Image | None:
    manifests = town.record(number).manifests
    return manifests.image if manifests else None


def application_of(town: Town, number: int) -> str:
    folder = project("shop").names(number).folder
    return town.gitops.files[f"{folder}/application.yaml"]


def test_what_ci_calls_an_image_wins_over_the_pattern() -> None:
    town = Town()
    number = town.open()
    town.registry.push(SHOP, "build-7")

    keys = town.manager.name_image("shop", head_of(town, number), tag="build-7")

    assert keys == []
    town.settle()
    image = deployed(town, number)
    assert town.phase(number) is Phase.LIVE
    assert image == town.registry.find_image(SHOP, "build-7")
    assert "build-7" in application_of(town, number)


def test_an_image_that_has_only_a_digest_is_deployed_by_it() -> None:
    town = Town()
    number = town.open(image=False)
    town.settle()
    digest = town.registry.push(SHOP, "whatever").digest

    keys = town.manager.name_image("shop", head_of(town, number), digest=digest)

    assert keys == [PreviewKey("shop", number)]
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert deployed(town, number) == Image(f"{SHOP}@{digest}", digest)
    assert digest in application_of(town, number)


def test_a_digest_beside_a_tag_is_what_counts() -> None:
    town = Town()
    number = town.open(image=False)
    built = town.registry.push(SHOP, "latest", "built")
    town.registry.push(SHOP, "candidate", "built")
    town.registry.push(SHOP, "latest", "by somebody else")
    town.registry.push(SHOP, "kept", "built")
    digest = town.registry.push(SHOP, "latest-but-one", "x").digest
    town.manager.name_image("shop", head_of(town, number), tag="latest", digest=digest)
    town.settle()
    assert deployed(town, number) == Image(f"{SHOP}:latest", digest)
    assert built.digest != digest


def test_another_name_for_the_same_commit_deploys_anew_and_the_same_one_does_not() -> None:
    town = Town(witness=(witness := CountingWitness()))
    number = town.open()
    town.settle()
    first = deployed(town, number)
    pushes = witness.counts[Effect.PUSH]
    town.registry.push(SHOP, "build-8")

    for _ in range(3):
        town.manager.name_image("shop", head_of(town, number), tag="build-8")
        town.settle()

    assert deployed(town, number) != first
    assert town.phase(number) is Phase.LIVE
    assert witness.counts[Effect.PUSH] == pushes + 1
    assert witness.counts[Effect.NAME_IMAGE] == 1


def test_an_image_that_was_named_and_is_not_there_leaves_the_old_one_deployed() -> None:
    town = Town()
    number = town.open()
    town.settle()
    before = application_of(town, number)

    town.manager.name_image("shop", head_of(town, number), tag="never-pushed")
    town.settle()

    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.WAITING_FOR_IMAGE, "NoImage")
    assert record.message == f"no image {SHOP}:never-pushed in the registry yet"
    assert application_of(town, number) == before


def test_a_name_that_comes_before_its_commit_is_kept_for_it() -> None:
    town = Town()
    town.registry.push(SHOP, "build-7")
    town.manager.name_image("shop", HeadSha("ab" * 20), tag="build-7")
    number = town.forge.open_pull_request(REPOSITORY, head_sha="ab" * 20)
    town.deliver(number)
    town.settle()
    assert town.phase(number) is Phase.LIVE


def test_a_name_survives_a_restart() -> None:
    town = Town()
    number = town.open(image=False)
    town.manager.name_image("shop", head_of(town, number), tag="build-7")
    town.start()
    town.registry.push(SHOP, "build-7")
    town.settle()
    assert town.phase(number) is Phase.LIVE


def test_a_name_is_for_one_project_of_a_commit() -> None:
    town = Town([project("shop"), project("api")])
    number = town.open()
    town.push_image(number, "api")
    town.deliver(number, "api")
    town.manager.name_image("api", head_of(town, number), tag="never-pushed")
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.phase(number, "api") is Phase.WAITING_FOR_IMAGE


@pytest.mark.parametrize(
    ("name", "reason"), [("nobody", "UnknownProject"), ("docs", "NoImageConfigured")]
)
def test_an_image_of_what_has_none_is_refused(name: str, reason: str) -> None:
    town = Town([project("shop"), project("docs", image=False)])
    with pytest.raises(ActionRefusedError) as raised:
        town.manager.name_image(name, HeadSha("a" * 40), tag="t")
    assert raised.value.reason == reason


def test_a_tag_that_moves_moves_nothing() -> None:
    town = Town(witness=(witness := CountingWitness()))
    number = town.open()
    town.settle()
    pushes, image = witness.counts[Effect.PUSH], deployed(town, number)
    assert image is not None
    town.registry.push(SHOP, image.tag, "another content")
    town.manager.reconcile_all()
    town.settle()
    assert deployed(town, number) == image
    assert witness.counts[Effect.PUSH] == pushes


def test_a_push_to_its_repository_has_a_waiting_preview_looked_at_at_once() -> None:
    town = Town([project("shop"), project("api")])
    number = town.open(image=False)
    town.settle(20 * MINUTE)
    town.push_image(number)

    assert town.loop.images.pushed(["api", "team/shop"]) == []
    assert town.loop.images.pushed(["shop"]) == [PreviewKey("shop", number)]

    town.settle(0)
    assert town.record(number).manifests is not None
    # Nobody waits any more.
    assert town.loop.images.pushed(["shop"]) == []


@pytest.mark.parametrize("by_number", [True, False])
def test_what_ci_does_has_the_previews_looked_at_that_wait(*, by_number: bool) -> None:
    town = Town()
    number = town.open(image=False)
    other = town.open(image=False, branch="other")
    town.settle()
    head_sha = None if by_number else head_of(town, number)

    found = town.loop.images.built(REPOSITORY.upper(), [number] if by_number else [], head_sha)

    assert found == [PreviewKey("shop", number)]
    assert town.loop.images.built("acme/other", [number, other], head_sha) == []
    town.close(number)
    town.settle()
    assert town.loop.images.built(REPOSITORY, [number], None) == []


def test_an_image_is_found_within_ten_seconds_without_any_event() -> None:
    town = Town()
    number = town.open(image=False)
    town.settle(25 * MINUTE)
    town.push_image(number)
    town.settle(10)
    assert town.record(number).manifests is not None


RUN = CIRun("build", "failed", "https://ci.example/runs/1")


def test_a_wait_ends_in_a_failure_that_says_what_ci_does() -> None:
    town = Town()
    number = town.open(image=False)
    town.forge.run_ci(REPOSITORY, head_of(town, number), RUN)
    town.settle(29 * MINUTE)
    assert not town.record(number).failed
    assert not [call for call in town.forge.calls if "find_run" in call]

    town.settle(3 * MINUTE)

    record = town.record(number)
    tag = project("shop").tag(number, head_of(town, number))
    assert (record.phase, record.reason, record.failed) == (
        Phase.WAITING_FOR_IMAGE,
        "NoImage",
        True,
    )
    assert record.message == (
        f"no image {SHOP}:{tag} after 30 min; the workflow run build failed: {RUN.url}"
    )
    asked = [call for call in town.forge.calls if "find_run" in call]
    assert 1 <= len(asked) <= 3
    town.push_image(number)
    town.settle()
    assert town.phase(number) is Phase.LIVE


def test_ci_is_asked_about_at_the_repository_s_present_name() -> None:
    town = Town()
    town.open(image=False)
    town.settle()
    town.forge.rename(REPOSITORY, "acme/store")
    town.resync()
    town.settle(32 * MINUTE)

    asked = [call for call in town.forge.calls if "find_run" in call]
    assert asked
    assert {call.split()[1] for call in asked} == {"acme/store"}


def test_a_forge_that_says_nothing_of_ci_spoils_nothing() -> None:
    town = Town()
    number = town.open(image=False)
    town.settle(29 * MINUTE)
    town.forge.fail(UNREACHABLE, on="find_run")
    town.settle(5 * MINUTE)
    record = town.record(number)
    assert (record.reason, record.failed) == ("NoImage", True)
    assert record.message.endswith(" after 30 min, still looking")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("queued", "is queued"),
        ("running", "is still running"),
        ("succeeded", "succeeded"),
        ("cancelled", "was cancelled"),
    ],
)
def test_every_state_of_ci_has_its_words(state: str, words: str) -> None:
    town = Town()
    number = town.open(image=False)
    town.forge.run_ci(REPOSITORY, head_of(town, number), replace(RUN, state=state, url=""))
    town.settle(32 * MINUTE)
    assert town.record(number).message.endswith(f"; the workflow run build {words}")


def test_a_registry_that_is_away_for_too_long_is_a_failure_until_it_answers() -> None:
    town = Town()
    town.registry.is_unreachable = True
    number = town.open(image=False)
    town.settle(20 * MINUTE)
    assert town.record(number).reason == "RegistryUnreachable"
    assert not town.record(number).failed
    assert town.registry.asked < 20 * 60 / 7
    town.settle(20 * MINUTE)
    assert (town.record(number).reason, town.record(number).failed) == (
        "RegistryUnreachable",
        True,
    )
    town.registry.is_unreachable = False
    town.push_image(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.LIVE


def test_an_image_for_another_platform_is_not_deployed_and_one_for_ours_is() -> None:
    town = Town([replace(project("shop"), image_platform="linux/amd64")])
    number = town.open(image=False)
    tag = project("shop").tag(number, head_of(town, number))
    town.registry.push(SHOP, tag, platform="linux/arm64")
    town.settle()
    record = town.record(number)
    assert (record.reason, record.failed, record.manifests) == ("WrongPlatform", True, None)
    town.registry.push(SHOP, tag, "again", platform="linux/amd64")
    assert town.loop.images.pushed(["shop"]) == [PreviewKey("shop", number)]
    town.settle()
    assert town.phase(number) is Phase.LIVE


def test_nothing_is_written_for_a_named_image_when_nothing_changes() -> None:
    town = Town(witness=(witness := CountingWitness()))
    number = town.open(image=False)
    town.registry.push(SHOP, "build-7")
    town.manager.name_image("shop", head_of(town, number), tag="build-7")
    town.settle()
    before, writes = dict(witness.counts), town.store.writes
    for _ in range(20):
        town.clock.seconds += timedelta(seconds=30).total_seconds()
        town.manager.reconcile_all()
        town.settle(0)
    assert (witness.counts, town.store.writes) == (before, writes)


def test_a_registry_that_refuses_is_told_on_the_pull_request_and_asked_seldom() -> None:
    town = Town()
    town.registry.denies = True
    number = town.open(image=False)
    town.settle(5 * MINUTE)
    status = town.status(number)
    assert status is not None
    assert (status.state, town.record(number).reason) == (StatusState.FAILURE, "RegistryDenied")
    assert town.registry.asked <= 12
    town.registry.denies = False
    town.push_image(number)
    town.settle(MINUTE)
    assert town.phase(number) is Phase.LIVE


def test_a_registry_that_asks_for_a_pause_gets_it() -> None:
    town = Town()
    town.registry.pause_seconds = 300.0
    number = town.open()
    town.settle(4 * MINUTE)
    assert town.record(number).reason == "RegistryUnreachable"
    assert town.registry.asked == 1
    town.registry.pause_seconds = 0.0
    town.settle(2 * MINUTE)
    assert town.phase(number) is Phase.LIVE
