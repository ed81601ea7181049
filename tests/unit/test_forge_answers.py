"""How long a forge asks us to wait, by its own clock."""

import pytest

from previews.adapters.forges.answers import wait_seconds

DATE = "Sun, 22 Nov 2026 14:48:56 GMT"
NOW = 1_795_358_936
"""The same moment."""


@pytest.mark.parametrize(
    ("status", "headers", "words", "wait"),
    [
        (403, {"retry-after": "30"}, "", 30.0),
        (403, {"retry-after": "Sun, 22 Nov 2026 14:49:56 GMT"}, "", 60.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW + 90)}, "", 90.0),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW - 90)}, "", 1.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 30}, "", 3600.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, "", None),
        (403, {"x-ratelimit-remaining": "4000"}, "a Secondary Rate Limit", 60.0),
        (403, {"x-ratelimit-remaining": "4000"}, "Resource not accessible", None),
        (403, {}, "", None),
        (429, {}, "", 60.0),
        (200, {"retry-after": "30"}, "", None),
        (503, {"retry-after": "30"}, "", None),
    ],
)
def test_the_wait_is_what_the_forge_says_it_is(
    status: int, headers: dict[str, str], words: str, wait: float | None
) -> None:
    assert wait_seconds(status, {"date": DATE, **headers}, words) == wait
