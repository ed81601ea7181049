from datetime import UTC, datetime

import pytest

from previews.adapters.one_line import one_line
from previews.adapters.retry_after import RETRY_AFTER_SECONDS_MAX, retry_after_seconds

NOON = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Mon, 99 Jan 2026 12:00:07 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 05 Jan 2026 12:00:07 +99999999999999999999", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("86400", RETRY_AFTER_SECONDS_MAX),
        ("9" * 5000, RETRY_AFTER_SECONDS_MAX),
        ("Mon, 05 Jan 2026 12:00:07 GMT", 7.0),
        ("Mon, 05 Jan 2026 12:00:07 -0000", 7.0),
        ("Mon, 05 Jan 2026 11:00:00 GMT", 0.0),
        ("Tue, 05 Jan 2027 12:00:00 GMT", RETRY_AFTER_SECONDS_MAX),
    ],
)
def test_a_pause_is_read_as_seconds_or_as_a_date_and_has_an_end(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(header, NOON) == seconds


def test_a_text_from_outside_becomes_one_short_line() -> None:
    assert one_line("a\r\n\tb\x1b[31m\u202ec\u2028d", 100) == "a b [31m c d"
    assert one_line("x" * 300, 10) == "xxxxxxxxx…"
    assert one_line("x" * 10, 10) == "x" * 10
