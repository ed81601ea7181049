"""How much GitHub is asked for: what the issue allows, counted by the stand-in with the whole manager at work."""

from collections import Counter
from functools import lru_cache

from tests.bench.forge_requests import count_one_life, count_quiet_resync

HEAD_MAX = 12
CLOSE_MAX = 4
CLOSE_MAX_EACH_DEPLOYMENT = 2


@lru_cache(maxsize=1)
def life() -> dict[str, Counter[str]]:
    return count_one_life()


def test_one_head_takes_few_requests() -> None:
    for name in ("first_head", "next_head"):
        assert life()[name].total() <= HEAD_MAX, (name, life()[name])


def test_the_end_of_one_deployment_takes_few_requests() -> None:
    assert life()["close"].total() <= CLOSE_MAX + CLOSE_MAX_EACH_DEPLOYMENT, life()["close"]


def test_a_resync_without_news_is_free_and_writes_nothing() -> None:
    counts, not_modified, writes = count_quiet_resync(6, 5)
    assert counts == {"GET /repos/{owner}/{repo}/pulls": 6}
    assert not_modified == 6
    assert writes == 0
