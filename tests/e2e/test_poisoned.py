"""Pull requests whose every word is hostile: each goes live under names of ours, and nothing else happens."""

import json
import re
import tempfile
from pathlib import Path

import pytest

from previews.domain.hosts import is_dns_label
from tests.world.pull_request import PullRequest
from tests.world.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WRITTEN_BY_A_SHELL = Path(tempfile.gettempdir(), "previews-was-here")
RIGHT_TO_LEFT = "\u202e"
HOSTILE = {
    "a;$(id)": f"$(touch {WRITTEN_BY_A_SHELL}); `touch {WRITTEN_BY_A_SHELL}` && echo",
    "{{.x}}": "{{ .Values.image.repository }} {% raw %} ${HOME} %s",
    "quo'te\"d": 'key: "value"\n---\napiVersion: v1\nkind: Namespace\n# \'',
    f"tfel-ot-thgir{RIGHT_TO_LEFT}": f"harmless{RIGHT_TO_LEFT}gnp.exe <script>alert(1)</script> @all",
    "long/" + "x" * 200: "t" * 300,
}


@pytest.mark.fault(15)
def test_hostile_words_reach_nothing_but_the_texts_that_they_are(world: World) -> None:
    before = _applications(world)
    process = world.manager.pid
    opened = {
        branch: world.open_simple_pull_request(branch, title=title)
        for branch, title in HOSTILE.items()
    }
    for pull_request in opened.values():
        pull_request.wait_until_live()
        pull_request.wait_until_announced()

    names = [pull_request.names for pull_request in opened.values()]
    assert _applications(world) - before == {each.application for each in names}
    for each in names:
        assert all(map(is_dns_label, (each.application, each.namespace, each.host.split(".")[0])))
    for pull_request in opened.values():
        _assert_only_the_number_and_the_commit_were_used(pull_request)
    assert world.manager.is_running
    assert world.manager.pid == process
    assert not WRITTEN_BY_A_SHELL.exists()
    files = world.gitea.files(world.gitops_repository, world.gitops_folder)
    assert all(re.fullmatch(r"[a-z0-9./-]+", file) for file in files)
    for pull_request in opened.values():
        pull_request.close()
    for pull_request in opened.values():
        pull_request.wait_until_removed()


def _applications(world: World) -> set[str]:
    path = world.kubernetes.application_path()
    found = world.kubernetes.list(path, instance=world.options.name, preview="true")
    return {each["metadata"]["name"] for each in found}


def _assert_only_the_number_and_the_commit_were_used(pull_request: PullRequest) -> None:
    application = pull_request.application()
    assert application is not None
    parameters = application["spec"]["source"]["helm"]["parameters"]
    said = {each["name"]: each["value"] for each in parameters}
    assert said["image.tag"] == pull_request.tag
    assert said["ingress.host"] == pull_request.names.host
    assert pull_request.opened.branch not in json.dumps(application["spec"], ensure_ascii=False)
