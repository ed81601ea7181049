"""Both Helm charts as helm renders them, and what they refuse."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.rendered import (
    ALL_APP_VALUES,
    ALL_MANAGER_VALUES,
    APP_VALUES,
    ASLEEP_APP_VALUES,
    MANAGER_VALUES,
    MIGRATED_APP_VALUES,
    PREVIEW_APP,
    PREVIEWS,
    ROOTS_ALONE,
    WILDCARD_ELSEWHERE,
    run_helm,
)


@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (PREVIEW_APP, APP_VALUES),
        (PREVIEW_APP, ASLEEP_APP_VALUES),
        (PREVIEW_APP, ALL_APP_VALUES),
        (PREVIEW_APP, MIGRATED_APP_VALUES),
        (PREVIEWS, MANAGER_VALUES),
        (PREVIEWS, ALL_MANAGER_VALUES),
        (PREVIEWS, ROOTS_ALONE),
        (PREVIEWS, WILDCARD_ELSEWHERE),
    ],
)
def test_helm_finds_nothing_wrong(helm: str, chart: Path, values: Mapping[str, object]) -> None:
    ended = run_helm(helm, "lint", str(chart), "--strict", values=values)
    assert ended.returncode == 0, ended.stdout + ended.stderr
