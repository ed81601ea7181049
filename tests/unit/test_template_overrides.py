"""A site's own templates may say what they like of a preview, but nothing that lets it out."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from previews.errors import ConfigurationError, StalledError
from tests.unit.rendering import (
    PULL_REQUEST,
    TEMPLATES,
    application,
    namespace_objects,
    render,
    renderer_of,
)


def override(directory: Path, name: str, replacements: Mapping[str, str]) -> Path:
    content = (TEMPLATES / name).read_text()
    for old, new in replacements.items():
        assert old in content
        content = content.replace(old, new)
    (directory / name).write_text(content)
    return directory


def test_a_site_overrides_one_template_and_keeps_the_others(tmp_path: Path) -> None:
    overrides = override(tmp_path, "namespace.yaml.j2", {'pods: "20"': 'pods: "3"'})
    rendered = render(overrides=overrides)
    assert namespace_objects(rendered)["ResourceQuota"]["spec"]["hard"]["pods"] == "3"
    assert (
        rendered.files["application.yaml"].splitlines()[:3]
        == (render().files["application.yaml"].splitlines()[:3])
    )
    assert rendered.digest != render().digest


@pytest.mark.parametrize(
    "expression",
    [
        "{{ pull_request.title }}",
        "{{ pull_request.title | safe }}",
        "{{ pull_request['title'] }}",
        "{{ '' ~ pull_request.title }}",
        "{{ pull_request.title | string | trim | e | safe }}",
        "{% set t = pull_request.title %}{{ t }}",
        "{% macro m() %}{{ pull_request.title }}{% endmacro %}{{ m() }}",
        "{% filter string %}{{ pull_request.title }}{% endfilter %}",
        '"{{ pull_request.title }}"',
        "'{{ pull_request.title }}'",
        "|\n      {{ pull_request.title }}",
    ],
)
def test_no_template_lets_a_title_become_more_than_text(tmp_path: Path, expression: str) -> None:
    """However the template prints it: the objects are the same, or the manifests are refused."""
    title = '", evil: "yes"}\n---\nkind: Secret\nmetadata:\n  finalizers: []\nspec:\n  project: default\n#'
    overrides = override(
        tmp_path, "application.yaml.j2", {"revisionHistoryLimit: 1": f"x: {expression}"}
    )
    try:
        found = application(
            render(dataclasses.replace(PULL_REQUEST, title=title), overrides=overrides)
        )
    except StalledError:
        return
    assert isinstance(found["spec"].pop("x"), str)
    expected = application(render())["spec"]
    del expected["revisionHistoryLimit"]
    assert found["spec"] == expected


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        (
            "application.yaml.j2",
            "project: {{ preview.app_project }}",
            "project: default",
            "spec.project",
        ),
        (
            "application.yaml.j2",
            "namespace: {{ preview.namespace }}",
            "namespace: x",
            "destination",
        ),
        (
            "application.yaml.j2",
            "    - resources-finalizer.argocd.argoproj.io",
            "    []",
            "finalizers",
        ),
        ("application.yaml.j2", "labels.items()", "{}.items()", "metadata.labels"),
        ("application.yaml.j2", "annotations.items()", "{}.items()", "metadata.annotations"),
        ("application.yaml.j2", "name: {{ preview.application }}", "name: other", "is missing"),
        (
            "application.yaml.j2",
            "kind: Application",
            "kind: Application\nkind: Application",
            "twice",
        ),
        ("application.yaml.j2", "maxDuration: 4s\n", "maxDuration: 4s\n---\n{a: b}\n", "none of"),
        ("application.yaml.j2", "maxDuration: 4s\n", "maxDuration: 4s\n---\n", "none of"),
        ("application.yaml.j2", "{{ chart.path }}", "{{ chart.pfad }}", "pfad"),
        ("application.yaml.j2", "{{ chart.path }}", "{{ charts }}", "'charts' is undefined"),
        ("application.yaml.j2", "{{ chart.path }}", "{{ [charts] }}", "no manifest can hold"),
        ("application.yaml.j2", "{{ chart.path }}", "{{ 1 / 0 }}", "division by zero"),
        ("application.yaml.j2", "{{ chart.path }}", "{{ gitops }}", "no manifest can hold"),
        ("application.yaml.j2", "{{ chart.path }}", "!!python/name:os.system", "not YAML"),
        ("application.yaml.j2", "  source:", "source:", "not YAML"),
        ("namespace.yaml.j2", "{{ repository_url }}", "'*'", "spec.sourceRepos"),
        ("namespace.yaml.j2", "clusterResourceWhitelist: []", "x: 1", "clusterResourceWhitelist"),
        ("namespace.yaml.j2", "kind: LimitRange\nmetadata", "kind: Secret\nmetadata", "LimitRange"),
        (
            "namespace.yaml.j2",
            "name: preview\n",
            "name: preview\n  annotations: {title: {{ pull_request.title }}}\n",
            "'pull_request' is undefined",
        ),
    ],
)
def test_a_template_that_loosens_or_breaks_a_preview_is_refused_by_name(
    tmp_path: Path, name: str, old: str, new: str, problem: str
) -> None:
    with pytest.raises(StalledError, match=problem) as refused:
        render(overrides=override(tmp_path, name, {old: new}))
    assert refused.value.reason == "InvalidManifests"
    assert refused.value.message.startswith(f"template {name}: ")
    assert refused.value.message.isprintable()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "labels:",
            "finalizers: [resources-finalizer.argocd.argoproj.io]\n  labels:",
            "finalizers",
        ),
        ("prune: true", "prune: true\n      allowEmpty: true", "allowEmpty"),
        ("project: {{ shard.app_project }}", "project: default", "spec.project"),
        ("path: {{ shard.path }}", "path: {{ gitops.path }}", "spec.source.path"),
    ],
)
def test_a_root_that_could_delete_previews_by_itself_is_refused(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    overrides = override(tmp_path, "shard-root.yaml.j2", {old: new})
    with pytest.raises(StalledError, match=problem):
        renderer_of(overrides=overrides).render_shard("shop-2")


def test_a_broken_template_is_known_at_the_start(tmp_path: Path) -> None:
    override(tmp_path, "application.yaml.j2", {"{% endfor %}": "{% endfro %}"})
    with pytest.raises(ConfigurationError, match=r"application\.yaml\.j2, line \d+: .*endfro"):
        renderer_of(overrides=tmp_path)


def test_a_misspelled_override_is_known_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "aplication.yaml.j2").write_text("")
    with pytest.raises(ConfigurationError, match=r"overrides 'aplication\.yaml\.j2'"):
        renderer_of(overrides=tmp_path)


def test_a_missing_folder_of_overrides_is_known_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is missing"):
        renderer_of(overrides=tmp_path / "nothing")
