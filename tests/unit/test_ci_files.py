"""The workflows that the documentation offers for copying."""

from pathlib import Path
from typing import Any

import pytest
import yaml

CI = Path(__file__).parents[2] / "docs" / "ci"
FILES = sorted(CI.glob("*.yml"))


def steps(document: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - as YAML gives it
    jobs = document.get("jobs", {})
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_workflow_is_yaml_and_the_page_names_it(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)
    assert f"({file.name})" in (CI / "README.md").read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_an_event_says_never_becomes_part_of_a_script(file: Path) -> None:
    for step in steps(yaml.safe_load(file.read_text())):
        assert "${{" not in step.get("run", ""), step.get("name")


def test_the_tests_of_a_deployment_run_for_our_own_successes_alone() -> None:
    document = yaml.safe_load((CI / "github-e2e.yml").read_text())
    # YAML reads the key `on` as true.
    assert document[True] == "deployment_status"
    (job,) = document["jobs"].values()
    assert "deployment_status.state == 'success'" in job["if"]
    assert "deployment.creator.login == vars.PREVIEWS_LOGIN" in job["if"]
    assert "startsWith(github.event.deployment.environment, 'preview/')" in job["if"]
    assert document["permissions"] == {"contents": "read", "statuses": "write"}
