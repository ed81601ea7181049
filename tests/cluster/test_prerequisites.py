import os

import pytest

from tests.cluster import preflight


def test_an_unprivileged_user_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert preflight() == "the local cluster needs root (containers, network namespaces and mounts)"
