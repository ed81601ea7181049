"""The real programs that several files here run."""

import pytest

from tests.rendered import find_helm


@pytest.fixture(scope="session")
def helm() -> str:
    """The path of helm; skips where there is none."""
    return find_helm()
