"""The second look at what Gitea lists, against a server whose list is older than what it says of each pull request."""

from pathlib import Path

import pytest

from previews.adapters.forges.gitea_listing import LOOKED_AT
from previews.domain.preview import HeadSha
from tests.integration.gitea_server import (
    PULLS,
    SHOP,
    Object,
    Serve,
    gitea_with_token_in,
    lists,
    pull_request,
)
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

OLD, NEW = HeadSha("0123456789" * 4), HeadSha("9876543210" * 4)
MANY = 2 * LOOKED_AT + 5


@pytest.fixture
def at(tmp_path: Path) -> Serve:
    return gitea_with_token_in(tmp_path)


def head(sha: HeadSha) -> Object:
    return {**pull_request(1)["head"], "sha": sha}


def town(listed: list[Object], alone: dict[int, Object]) -> Script:
    """A list, and what is said of a pull request that is asked for by itself; 500 of those that are not named."""

    def script(asked: Asked, reply: Reply) -> None:
        if asked.path == PULLS:
            lists((listed, str(len(listed))))(asked, reply)
            return
        number = int(asked.path.removeprefix(f"{PULLS}/"))
        if number in alone:
            reply.json(200, alone[number])
        else:
            reply.json(500, {"message": "no merge base"})

    return script


def looked_at(server: ScriptedServer) -> list[int]:
    """The pull requests that were read by themselves since this was last asked."""
    paths = [asked.path for asked in server.asked if asked.path != PULLS]
    server.asked.clear()
    return [int(path.rpartition("/")[2]) for path in paths]


def test_a_push_that_the_list_does_not_show_is_seen(at: Serve) -> None:
    stale = town([pull_request(1, head=head(OLD))], {1: pull_request(1, head=head(NEW))})

    with at(stale) as (forge, _):
        assert [each.head_sha for each in forge.list_open_pull_requests(SHOP)] == [NEW]


def test_one_that_was_closed_since_is_no_longer_open(at: Serve) -> None:
    closed = town([pull_request(1), pull_request(2)], {1: pull_request(1, state="closed")})

    with at(closed) as (forge, _):
        assert [each.number for each in forge.list_open_pull_requests(SHOP)] == [2]


def test_within_some_listings_each_one_is_read_by_itself_and_not_all_at_once(at: Serve) -> None:
    numbers = list(range(1, MANY + 1))
    documents = {number: pull_request(number) for number in numbers}

    with at(town([*documents.values()], documents)) as (forge, server):
        turns = []
        for _ in range(3):
            forge.list_open_pull_requests(SHOP)
            turns.append(looked_at(server))

    assert [len(turn) for turn in turns] == [LOOKED_AT] * 3
    assert [number for turn in turns for number in turn] == [*numbers, *numbers[:5]]


def test_one_that_cannot_be_read_counts_as_the_list_says_and_keeps_no_other_waiting(
    at: Serve,
) -> None:
    numbers = list(range(1, MANY + 1))
    documents = {number: pull_request(number) for number in numbers}
    readable = {number: each for number, each in documents.items() if number != 1}

    with at(town([*documents.values()], readable)) as (forge, server):
        listed = forge.list_open_pull_requests(SHOP)
        assert [each.number for each in listed] == numbers
        assert looked_at(server) == [1]

        for _ in range(3):
            forge.list_open_pull_requests(SHOP)
        assert looked_at(server) == [*numbers[1:], 1]


def test_one_that_the_list_shows_wrongly_is_read_by_itself_until_it_does_not(at: Serve) -> None:
    numbers = range(1, LOOKED_AT + 6)
    listed = [pull_request(number, head=head(OLD)) for number in numbers]
    alone = {number: pull_request(number, head=head(OLD)) for number in numbers}
    alone[1] = pull_request(1, head=head(NEW))

    with at(town(listed, alone)) as (forge, server):
        heads = [
            {each.number: each.head_sha for each in forge.list_open_pull_requests(SHOP)}
            for _ in range(4)
        ]
        assert [each[1] for each in heads] == [NEW] * 4

        listed[0] = alone[1]
        forge.list_open_pull_requests(SHOP)
        server.asked.clear()
        forge.list_open_pull_requests(SHOP)
        assert len(looked_at(server)) == LOOKED_AT
