"""What every store knows of a pull request beside its record, and when it forgets: run on the fake and on SQLite."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from previews.domain.images import NamedImage
from previews.domain.lifetime import Wishes
from previews.domain.preview import HeadSha, PreviewKey
from previews.domain.record import PreviewRecord
from tests.contract.stores import (
    KEY,
    NOON,
    OTHER_KEY,
    PINNED,
    PULL_REQUEST,
    WISHES,
    World,
    delivery,
    open_store,
)

NAMED = NamedImage(
    project="shop",
    head_sha=HeadSha("a" * 40),
    tag="build-7",
    digest="sha256:" + "0f" * 32,
    named_at=NOON,
)


@pytest.fixture(params=["fake", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with open_store(request.param, tmp_path) as opened:
        yield opened


def test_a_forgotten_preview_leaves_nothing_but_its_deliveries(world: World) -> None:
    world.store.accept([(delivery("one"), [KEY])])
    for key, pull_request in (
        (KEY, PULL_REQUEST),
        (OTHER_KEY, replace(PULL_REQUEST, number=OTHER_KEY.number)),
        (PreviewKey("blog", 42), replace(PULL_REQUEST, repository="acme/blog")),
    ):
        world.store.save(PreviewRecord(key=key, pull_request=pull_request), [PINNED])
        world.store.save_wishes(key, WISHES, [PINNED])
        world.store.record_published(pull_request.repository, key.number, "comment", "d1")

    world.store.forget(KEY)

    assert world.store.load(KEY) is None
    assert world.store.load_wishes(KEY) == Wishes()
    assert world.store.history(KEY) == []
    assert world.store.published("acme/shop", 42) == {}
    assert world.store.accept([(delivery("one"), [KEY])]) == [False]
    for key, repository in ((OTHER_KEY, "acme/shop"), (PreviewKey("blog", 42), "acme/blog")):
        assert world.store.load(key) is not None
        assert world.store.load_wishes(key) == WISHES
        assert world.store.history(key) == [PINNED, PINNED]
        assert world.store.published(repository, key.number) == {"comment": "d1"}


def test_what_ci_called_an_image_is_known_for_that_commit_of_that_project(world: World) -> None:
    assert world.store.named_image("shop", NAMED.head_sha) is None
    world.store.name_image(NAMED)
    assert world.store.named_image("shop", NAMED.head_sha) == NAMED
    assert world.store.named_image("api", NAMED.head_sha) is None
    assert world.store.named_image("shop", HeadSha("b" * 40)) is None


def test_another_name_for_an_image_takes_the_place_of_the_first(world: World) -> None:
    later = replace(NAMED, tag="", named_at=NOON + timedelta(minutes=1))
    elsewhere = replace(NAMED, project="api")
    for named in (NAMED, elsewhere, later):
        world.store.name_image(named)
    assert world.store.named_image("shop", NAMED.head_sha) == later
    assert world.store.named_image("api", NAMED.head_sha) == elsewhere


def test_what_was_published_goes_with_the_last_preview_of_its_pull_request(world: World) -> None:
    api = PreviewKey("api", 42)
    for key in (KEY, api):
        world.store.save(PreviewRecord(key=key, pull_request=PULL_REQUEST))
    world.store.record_published("acme/shop", 42, "comment", "d1")

    world.store.forget(KEY)
    assert world.store.published("acme/shop", 42) == {"comment": "d1"}
    world.store.forget(api)

    assert world.store.published("acme/shop", 42) == {}


def test_forgetting_what_is_not_known_writes_nothing(world: World) -> None:
    world.store.save(PreviewRecord(key=OTHER_KEY, pull_request=PULL_REQUEST), [PINNED])
    world.store.record_published("acme/shop", 42, "comment", "d1")
    before = world.version()

    world.store.forget(KEY)

    assert world.version() == before
    assert world.store.published("acme/shop", 42) == {"comment": "d1"}


def test_remembers_what_was_published_by_target(world: World) -> None:
    world.store.record_published("acme/shop", 42, "comment", "d1")
    world.store.record_published("acme/shop", 42, "status", "d2")
    world.store.record_published("acme/shop", 42, "comment", "d3")
    world.store.record_published("acme/shop", 43, "comment", "d4")

    assert world.store.published("acme/shop", 42) == {"comment": "d3", "status": "d2"}


def test_remembers_how_far_the_comments_of_a_pull_request_were_read(world: World) -> None:
    assert world.store.comments_read_until("acme/shop", 42) is None

    world.store.record_comments_read("acme/shop", 42, NOON)
    world.store.record_comments_read("acme/shop", 42, NOON - timedelta(hours=1))
    world.store.record_comments_read("acme/shop", 43, NOON + timedelta(seconds=1))

    assert world.store.comments_read_until("acme/shop", 42) == NOON
    world.store.record_comments_read("acme/shop", 42, NOON + timedelta(hours=1))
    assert world.store.comments_read_until("acme/shop", 42) == NOON + timedelta(hours=1)
    assert world.store.comments_read_until("acme/shop", 43) == NOON + timedelta(seconds=1)
    assert world.store.comments_read_until("acme/other", 42) is None


def test_comments_that_were_read_already_write_nothing(world: World) -> None:
    world.store.record_comments_read("acme/shop", 42, NOON)
    before = world.version()

    world.store.record_comments_read("acme/shop", 42, NOON)
    world.store.record_comments_read("acme/shop", 42, NOON - timedelta(days=1))

    assert world.version() == before


def test_how_far_comments_were_read_goes_with_the_last_preview_there(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY, pull_request=PULL_REQUEST))
    world.store.record_comments_read("acme/shop", 42, NOON)
    world.store.record_comments_read("acme/shop", 43, NOON)

    world.store.forget(KEY)

    assert world.store.comments_read_until("acme/shop", 42) is None
    assert world.store.comments_read_until("acme/shop", 43) == NOON


def test_publishing_the_same_again_writes_nothing(world: World) -> None:
    world.store.record_published("acme/shop", 42, "comment", "d1")
    before = world.version()

    world.store.record_published("acme/shop", 42, "comment", "d1")

    assert world.version() == before


def test_a_renamed_repository_takes_all_that_is_known_of_it_along(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY, pull_request=PULL_REQUEST, message="as it was"))
    api = PreviewKey("api", 42)
    world.store.save(PreviewRecord(key=api, pull_request=replace(PULL_REQUEST, repository_id=7)))
    elsewhere = PreviewKey("blog", 42)
    blog = replace(PULL_REQUEST, repository="acme/blog", repository_id=8)
    world.store.save(PreviewRecord(key=elsewhere, pull_request=blog))
    world.store.record_published("acme/shop", 42, "comment", "d1")
    world.store.record_comments_read("acme/shop", 42, NOON)
    # Left by a repository that had the new name before.
    world.store.record_published("acme/store", 42, "comment", "an older one")

    world.store.name_repository(7, "acme/store", was="acme/shop")

    renamed = replace(PULL_REQUEST, repository="acme/store", repository_id=7)
    assert [record.key for record in world.store.load_pull_request("acme/store", 42)] == [api, KEY]
    assert world.store.load(KEY) == PreviewRecord(
        key=KEY, pull_request=renamed, message="as it was"
    )
    assert world.store.load_pull_request("acme/shop", 42) == []
    assert world.store.published("acme/store", 42) == {"comment": "d1"}
    assert world.store.published("acme/shop", 42) == {}
    assert world.store.comments_read_until("acme/store", 42) == NOON
    assert world.store.load(elsewhere) == PreviewRecord(key=elsewhere, pull_request=blog)


def test_a_repository_that_is_called_as_before_gets_its_number_alone(world: World) -> None:
    world.store.save(PreviewRecord(key=KEY, pull_request=PULL_REQUEST))
    world.store.record_published("acme/shop", 42, "comment", "d1")

    world.store.name_repository(7, "acme/shop", was="acme/shop")

    known = world.store.load(KEY)
    assert known == PreviewRecord(key=KEY, pull_request=replace(PULL_REQUEST, repository_id=7))
    assert world.store.published("acme/shop", 42) == {"comment": "d1"}
    before = world.version()
    world.store.name_repository(7, "acme/shop", was="acme/shop")
    world.store.save(known)
    assert world.version() == before
