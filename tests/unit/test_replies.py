"""What is answered to a command fits into a comment, whatever an application has logged."""

from dataclasses import replace

import pytest

from previews.domain.preview import Phase
from previews.domain.replies import (
    LOG_LENGTH_MAX,
    LOGS_LENGTH_MAX,
    PREVIEWS_SHOWN_MAX,
    Logs,
    logs_text,
)
from tests.unit.subjects import RECORD, pieces


@pytest.mark.parametrize("mark", ["`", "@", "x"])
def test_the_logs_of_many_previews_fit_into_one_comment(mark: str) -> None:
    record = replace(RECORD, phase=Phase.DEGRADED, message=mark * 5_000)

    text = logs_text([Logs(record, mark * 2 * LOG_LENGTH_MAX)] * (PREVIEWS_SHOWN_MAX + 1))

    assert len(text) <= LOGS_LENGTH_MAX + 2 * len("\n\n…")
    assert [each.type for each in pieces(text)].count("fence") >= 4
