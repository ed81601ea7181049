"""What counts as left behind, and what a relay that loses deliveries tells whom."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.git_remote import GitRemote
from tests.soak.census import (
    APPLICATIONS,
    FILES,
    KINDS,
    NAMESPACES,
    SHARDS,
    count,
    files_in_git,
    is_shards,
    leftovers,
    twice,
)
from tests.soak.hearing import LossyRelay
from tests.soak.things import Thing

NOBODY_LISTENS = 1


def test_files_of_a_preview_are_left_over_and_those_of_its_shard_are_not(tmp_path: Path) -> None:
    remote = GitRemote(tmp_path / "remote")
    remote.commit(
        {
            "README.md": "outside of our folder",
            "previews/roots/shop-2.yaml": "-",
            "previews/shop/2/keep.yaml": "-",
            "previews/shop/2/pr-41/namespace.yaml": "-",
            "previews/shop/2/pr-41/application.yaml": "-",
        }
    )
    found = files_in_git(remote.bare, "previews")
    assert {it.name for it in found if is_shards(it)} == {
        "previews/roots/shop-2.yaml",
        "previews/shop/2/keep.yaml",
    }
    left = leftovers(found)
    assert [(it.kind, it.number) for it in left] == [(FILES, 41), (FILES, 41)]
    assert count(left) == {**dict.fromkeys(KINDS, 0), FILES: 2}


def test_a_file_that_belongs_to_nobody_is_left_over_as_well(tmp_path: Path) -> None:
    remote = GitRemote(tmp_path / "remote")
    remote.commit({"previews/shop/9/pr-41/namespace.yaml": "in another's shard"})
    assert leftovers(files_in_git(remote.bare, "previews")) == [
        Thing(FILES, "previews/shop/9/pr-41/namespace.yaml", None)
    ]


def test_two_applications_of_one_pull_request_are_said() -> None:
    one = Thing(APPLICATIONS, "shop-pr-1", 1)
    other = Thing(APPLICATIONS, "shop-pr-2", 2)
    assert twice([one, other, Thing(NAMESPACES, "preview-shop-pr-1", 1)]) == []
    assert twice([one, other, Thing(APPLICATIONS, "again-shop-pr-1", 1)]) == ["2 Applications of 1"]
    assert twice([Thing(SHARDS, "soak-shop-0", None), Thing(SHARDS, "soak-shop-1", None)]) == []


@pytest.fixture
def careful_relay() -> Iterator[LossyRelay]:
    relay = LossyRelay(NOBODY_LISTENS, seed=1, lost_share=0.0)
    with closing_at_end(relay):
        yield relay


@contextmanager
def closing_at_end(relay: LossyRelay) -> Iterator[None]:
    try:
        yield
    finally:
        relay.stop()


def test_a_relay_that_loses_nothing_passes_on_what_the_manager_answers(
    careful_relay: LossyRelay,
) -> None:
    assert careful_relay.pass_on("/webhooks", {}, b"{}") == HTTPStatus.BAD_GATEWAY
    assert careful_relay.lost == 0


def test_while_it_is_deaf_the_forge_is_told_that_all_is_well_and_the_manager_nothing(
    careful_relay: LossyRelay,
) -> None:
    with careful_relay.deaf():
        assert careful_relay.pass_on("/webhooks", {}, b"{}") == HTTPStatus.OK
    assert careful_relay.lost == 1
    assert careful_relay.pass_on("/webhooks", {}, b"{}") == HTTPStatus.BAD_GATEWAY


def test_a_share_of_the_deliveries_is_lost() -> None:
    relay = LossyRelay(NOBODY_LISTENS, seed=1, lost_share=0.3)
    with closing_at_end(relay):
        answers = [relay.pass_on("/webhooks", {}, b"{}") for _ in range(300)]
    assert answers.count(HTTPStatus.OK) == relay.lost
    assert 60 < relay.lost < 120
