"""The fake's own switches; what it has in common with a forge is in the contract suite."""

import pytest

from previews.errors import TransientError
from tests.fakes.forge import RATE_LIMITED, UNREACHABLE, FakeForge

SHOP = "acme/shop"


def test_a_fault_strikes_as_often_as_asked_for_and_where() -> None:
    forge = FakeForge()
    number = forge.open_pull_request(SHOP)
    forge.fail(UNREACHABLE, on="list_open_pull_requests", times=1)
    forge.fail(RATE_LIMITED, on="check")

    assert forge.fetch_pull_request(SHOP, number) is not None
    with pytest.raises(TransientError):
        forge.list_open_pull_requests(SHOP)
    assert len(forge.list_open_pull_requests(SHOP)) == 1
    for _ in range(2):
        with pytest.raises(TransientError) as caught:
            forge.check()
        assert caught.value.retry_after_seconds == 30.0

    forge.heal()

    forge.check()


def test_a_list_can_be_old_or_empty_while_a_fetch_tells_the_truth() -> None:
    forge = FakeForge()
    number = forge.open_pull_request(SHOP)
    old = forge.list_open_pull_requests(SHOP)

    forge.list_instead(SHOP, [])
    assert forge.list_open_pull_requests(SHOP) == []
    forge.list_instead(SHOP, old)
    forge.close(SHOP, number)

    assert forge.list_open_pull_requests(SHOP) == old
    fetched = forge.fetch_pull_request(SHOP, number)
    assert fetched is not None
    assert not fetched.is_open


def test_writes_are_told_apart_from_questions() -> None:
    forge = FakeForge()
    number = forge.open_pull_request(SHOP)

    for _ in range(2):
        forge.ensure_comment(SHOP, number, marker="<!-- m -->", body="<!-- m --> Live")

    assert forge.writes == [f"ensure_comment {SHOP}#{number}"]
    assert len(forge.calls) == 2
