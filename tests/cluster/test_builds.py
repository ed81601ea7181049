import re

import pytest

from tests.cluster.builds import BUILDS, Build, builds
from tests.cluster.go_builds import parse_version


@pytest.mark.parametrize(
    "build", builds(is_isolated=True).values(), ids=lambda build: str(build.name)
)
def test_each_build_has_the_version_that_its_module_pins(build: Build) -> None:
    required = (build.source / "go.mod").read_text()
    packages = build.programs.values()
    pinned = re.findall(
        rf"^(?:\t|require )(\S+) {re.escape(build.version)}$", required, re.MULTILINE
    )
    assert any(package.startswith(module) for module in pinned for package in packages)


def test_changed_flags_get_another_folder() -> None:
    helm = BUILDS["helm"]
    other = Build(helm.name, helm.version, helm.module, helm.programs, link_flags="")
    assert other.folder != helm.folder


def test_go_versions_compare_as_numbers() -> None:
    assert parse_version("go1.26.8") > parse_version("1.25.5") > parse_version("1.9")
    assert parse_version("") < parse_version("1.25")
