"""The one thread that writes the branch goes on, whatever it meets."""

import pytest

from previews.domain.preview import Phase
from tests.fakes.town import Town


def test_a_bug_while_argo_cd_is_told_is_shown_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = Town()

    def bug(name: str) -> bool:
        raise OverflowError(f"no such number, {name}")

    with monkeypatch.context() as broken:
        broken.setattr(town.cluster, "refresh_application", bug)
        number = town.open()
        town.settle(1)
        assert "a bug in previews" in (town.loop.readiness()["git"] or "")
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert town.loop.readiness()["git"] is None
