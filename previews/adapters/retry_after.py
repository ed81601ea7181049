"""What an HTTP server asks for with `Retry-After`: seconds, or a date (RFC 9110)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRY_AFTER_SECONDS_MAX = 3600.0
"""Nobody is waited for longer, whatever a header says."""


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """The pause that was asked for; None for no header, or one that makes no sense."""
    text = (header or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        # More digits than a pause can have are no pause; int() would also refuse very many.
        return min(float(text[:10]), RETRY_AFTER_SECONDS_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), RETRY_AFTER_SECONDS_MAX)
