"""Manifests say what was meant, whatever a pull request or a site's template says."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from previews.adapters.manifest_yaml import as_yaml
from previews.domain import labels
from previews.domain.preview import HeadSha, Mode, PreviewKey
from previews.domain.project import Project
from previews.errors import StalledError
from tests.unit.rendering import (
    HELM,
    PROJECT,
    PULL_REQUEST,
    TEMPLATES,
    application,
    helm_parameters,
    namespace_objects,
    render,
    renderer_of,
)

HOSTILE = [
    "a;$(id)",
    "{{.x}} {{ 7*7 }} {% raw %} ${IFS} `id`",
    '"\nkind: ClusterRoleBinding\n---\nkind: Secret',
    "'] } , & * ! | > % @ # - ? : <<",
    "a: b #c",
    "\u202eevil\u2066 \u2028 \u2029 \u0085 \ufeff \ufffe",
    "\x01\x07\x1b[31m\x7f\x9f\t\r\n",
    "\U0001f600 \U0010ffff ü 漢字",
    "null",
    "~",
    "true",
    "1e3",
    "0x1F",
    "2024-01-01",
    "=",
    "",
    " ",
    "x" * 300,
    "\\x41 \\u0041 \\",
]

text = st.one_of(
    st.text(), st.text(alphabet='"\\\n:{}[]%#&*!|>\u2028\u202e\0 '), st.sampled_from(HOSTILE)
)


# What is said


def test_the_application_deploys_this_commit_of_this_pull_request() -> None:
    found = application(render())
    assert found["metadata"]["labels"] == {
        "preview": "true",
        "pr": "42",
        "previews.dev/project": "shop",
        "previews.dev/instance": "acme-previews",
    }
    assert found["spec"]["project"] == "0-shop-pr-42"
    assert found["spec"]["destination"]["namespace"] == "preview-shop-pr-42"
    assert found["spec"]["source"] == {
        "repoURL": "https://git.example/shop.git",
        "path": "charts/preview-app",
        "targetRevision": "refs/heads/main",
        "helm": {
            "parameters": [
                {"name": "image.repository", "value": "registry.example/shop", "forceString": True},
                {"name": "image.tag", "value": "pr-42-abc1234", "forceString": True},
                {"name": "ingress.host", "value": "pr-42.preview.example", "forceString": True},
            ]
        },
    }


def test_the_manifests_carry_their_own_digest_and_commit() -> None:
    manifests = render()
    annotations = application(manifests)["metadata"]["annotations"]
    assert annotations["previews.dev/digest"] == manifests.digest
    assert annotations["previews.dev/head-sha"] == manifests.head_sha == PULL_REQUEST.head_sha
    assert annotations["previews.dev/pull-request"] == PULL_REQUEST.url
    assert len(manifests.digest) == 32


def test_the_namespace_says_every_host_that_the_preview_may_claim() -> None:
    """Admission reads it, so it is there whatever else is said, and nothing else can say it."""
    shop = dataclasses.replace(PROJECT, services=("api", "admin"))
    said = {labels.EXPIRES: "2026-11-30T00:00:00Z", labels.HOSTS: "evil.preview.example"}
    for manifests in (render(project=shop), render(project=shop, annotations=said)):
        metadata = namespace_objects(manifests)["Namespace"]["metadata"]
        assert metadata["annotations"][labels.HOSTS] == (
            "pr-42.preview.example,pr-42-api.preview.example,pr-42-admin.preview.example"
        )


def test_a_template_that_leaves_the_hosts_out_is_refused(tmp_path: Path) -> None:
    text = (TEMPLATES / "namespace.yaml.j2").read_text()
    changed = text.replace("{% if annotations %}", "{% if false %}", 1)
    (tmp_path / "namespace.yaml.j2").write_text(changed)
    with pytest.raises(StalledError, match=r"annotations"):
        render(overrides=tmp_path)


def test_other_hosts_are_something_else_to_deploy() -> None:
    shop = dataclasses.replace(PROJECT, services=("api",))
    assert render(project=shop).digest != render().digest


def test_each_service_has_its_host_in_the_parameters() -> None:
    helm = dataclasses.replace(HELM, parameters={"env.API": "https://{host_my_api}/"})
    shop = dataclasses.replace(PROJECT, services=("my-api",), helm=helm)
    given = {each["name"]: each["value"] for each in helm_parameters(render(project=shop))}
    assert given["ingress.host"] == "pr-42.preview.example"
    assert given["ingress.hosts.my-api"] == "pr-42-my-api.preview.example"
    assert given["env.API"] == "https://pr-42-my-api.preview.example/"


def test_the_same_input_yields_the_same_bytes() -> None:
    assert render() == render()
    assert render().files == render().files


@pytest.mark.parametrize(
    "project",
    [
        dataclasses.replace(PROJECT, image_tag="{short_sha}"),
        dataclasses.replace(PROJECT, helm=dataclasses.replace(HELM, values={"replicas": 2})),
        dataclasses.replace(PROJECT, helm=dataclasses.replace(HELM, repository_url="https://x/y")),
    ],
)
def test_whatever_differs_in_the_manifests_differs_in_the_digest(project: Project) -> None:
    assert render(project=project).digest != render().digest


def test_a_push_changes_the_application_and_not_the_namespace() -> None:
    before = render()
    pushed = dataclasses.replace(
        PULL_REQUEST, head_sha=HeadSha("f" * 40), title="Another", head_branch="other"
    )
    after = render(pushed)
    assert after.digest != before.digest
    assert after.files["application.yaml"] != before.files["application.yaml"]
    assert after.files["namespace.yaml"] == before.files["namespace.yaml"]


def test_asleep_it_runs_no_pod_and_claims_no_host() -> None:
    sleeping = render(mode=Mode.ASLEEP)
    assert helm_parameters(sleeping) == [
        *helm_parameters(render()),
        # As Helm's --set reads them: a number and a boolean, no texts.
        {"name": "replicas", "value": "0"},
        {"name": "ingress.enabled", "value": "false"},
    ]


def test_it_wakes_with_its_pods_first_and_claims_no_host_yet() -> None:
    warming = helm_parameters(render(mode=Mode.WARMING))
    assert warming == [
        *helm_parameters(render()),
        {"name": "ingress.enabled", "value": "false"},
    ]


def test_each_mode_is_something_else_to_deploy_and_leaves_the_namespace_alone() -> None:
    modes = {mode: render(mode=mode) for mode in Mode}
    assert len({manifests.digest for manifests in modes.values()}) == len(Mode)
    assert len({manifests.files["namespace.yaml"] for manifests in modes.values()}) == 1
    assert all(manifests.mode is mode for mode, manifests in modes.items())


def test_a_chart_with_names_of_its_own_sleeps_as_its_project_says() -> None:
    helm = dataclasses.replace(
        HELM, sleep_parameters={"web.scale": "0"}, hide_parameters={"route": "null"}
    )
    project = dataclasses.replace(PROJECT, helm=helm)
    added = helm_parameters(render(project=project, mode=Mode.ASLEEP))[-2:]
    assert added == [{"name": "web.scale", "value": "0"}, {"name": "route", "value": "null"}]


def test_a_redeployment_is_another_digest_of_the_same_commit() -> None:
    again = render(redeployed_at="2026-11-02T12:00:00+00:00")
    assert again.digest != render().digest
    assert again.head_sha == render().head_sha
    assert again.files["namespace.yaml"] == render().files["namespace.yaml"]
    assert {
        "name": "global.previews.redeployedAt",
        "value": "2026-11-02T12:00:00+00:00",
        "forceString": True,
    } in helm_parameters(again)


SAID = {"previews.dev/pinned": "2026-03-05T12:00:00Z 2026-03-02T12:00:00Z alice: \u2028"}


def test_what_is_said_of_the_lifetime_redeploys_nothing() -> None:
    said = render(annotations=SAID)
    assert said.digest == render().digest
    assert said.files["application.yaml"] == render().files["application.yaml"]
    assert said.files["namespace.yaml"] != render().files["namespace.yaml"]


@given(st.dictionaries(st.sampled_from(["a", "previews.dev/pinned", "x.y/z"]), text))
def test_what_is_said_of_the_lifetime_is_read_again_as_it_was(said: dict[str, str]) -> None:
    manifests = render(annotations=said)
    read = renderer_of().read_annotations(manifests.files["namespace.yaml"])
    assert read == {
        **{name: as_stored(words) for name, words in said.items()},
        labels.HOSTS: "pr-42.preview.example",
    }
    assert namespace_objects(manifests)["Namespace"]["metadata"]["name"] == "preview-shop-pr-42"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "}",
        "a: [",
        "kind: Namespace",
        "kind: Namespace\nmetadata: []",
        "kind: Namespace\nmetadata: {annotations: x}",
        "kind: Namespace\nmetadata: {annotations: {previews.dev/pinned: 3}}",
        "kind: Namespace\n---\nkind: Namespace",
        "kind: Namespace\nkind: Namespace\n",
        "!!python/name:os.system",
        "\x07",
    ],
)
def test_a_namespace_file_that_somebody_broke_says_nothing(written: str) -> None:
    assert renderer_of().read_annotations(written) == {}


def test_a_project_that_is_no_longer_configured_is_not_rendered() -> None:
    with pytest.raises(StalledError, match="no project 'gone' is configured"):
        renderer_of().render_preview(PULL_REQUEST, PreviewKey("gone", 1))


def test_a_project_without_an_image_is_given_none() -> None:
    project = dataclasses.replace(PROJECT, image_repository=None)
    parameters = helm_parameters(render(project=project))
    assert [parameter["name"] for parameter in parameters] == ["ingress.host"]


def test_a_projects_own_parameters_and_values_come_through() -> None:
    values = {
        "env": [{"name": "A", "value": "{{ x }}: \u2028"}],
        "replicas": 2,
        "off": None,
        "half": 0.5,
    }
    parameters = {
        "commit": "{head_sha}",
        "url": "https://{host}/{project}/{number}",
        "image.tag": "x",
    }
    helm = dataclasses.replace(HELM, values=values, parameters=parameters)
    rendered = application(render(project=dataclasses.replace(PROJECT, helm=helm)))
    assert rendered["spec"]["source"]["helm"]["valuesObject"] == values
    given_to_helm = {
        parameter["name"]: parameter["value"]
        for parameter in rendered["spec"]["source"]["helm"]["parameters"]
    }
    assert given_to_helm["commit"] == PULL_REQUEST.head_sha
    assert given_to_helm["url"] == "https://pr-42.preview.example/shop/42"
    assert given_to_helm["image.tag"] == "x"


@pytest.mark.parametrize(
    ("revision", "full"),
    [
        ("main", "refs/heads/main"),
        ("release/1.x", "refs/heads/release/1.x"),
        ("refs/tags/v1", "refs/tags/v1"),
        ("HEAD", "HEAD"),
        ("a" * 40, "a" * 40),
    ],
)
def test_a_revision_is_spelled_in_full(revision: str, full: str) -> None:
    project = dataclasses.replace(PROJECT, helm=dataclasses.replace(HELM, revision=revision))
    assert application(render(project=project))["spec"]["source"]["targetRevision"] == full


def test_a_preview_is_kept_inside_its_namespace() -> None:
    objects = namespace_objects(render())
    labels = objects["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["pr"] == "42"
    assert objects["ServiceAccount"]["automountServiceAccountToken"] is False
    policy = objects["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == {}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert objects["ResourceQuota"]["spec"]["hard"]["services.loadbalancers"] == "0"


def test_the_previews_own_app_project_allows_its_one_namespace_and_nothing_that_loosens_it() -> (
    None
):
    project = namespace_objects(render())["AppProject"]
    assert project["metadata"]["name"] == application(render())["spec"]["project"]
    spec = project["spec"]
    assert spec["sourceRepos"] == ["https://git.example/shop.git"]
    assert spec["destinations"] == [
        {"server": "https://kubernetes.default.svc", "namespace": "preview-shop-pr-42"}
    ]
    assert spec["clusterResourceWhitelist"] == []
    assert {(kind["group"], kind["kind"]) for kind in spec["namespaceResourceBlacklist"]} == {
        ("networking.k8s.io", "NetworkPolicy"),
        ("", "ResourceQuota"),
        ("", "LimitRange"),
        ("rbac.authorization.k8s.io", "*"),
        ("argoproj.io", "*"),
    }


def test_a_shard_has_a_root_that_deletes_nothing_by_its_own_end() -> None:
    files = renderer_of().render_shard("order-service-2")
    assert set(files) == {"roots/order-service-2.yaml", "order-service/2/keep.yaml"}
    root = yaml.safe_load(files["roots/order-service-2.yaml"])
    assert "finalizers" not in root["metadata"]
    assert root["metadata"]["labels"] == {
        "previews.dev/instance": "acme-previews",
        "previews.dev/shard": "order-service-2",
    }
    assert root["spec"]["project"] == "acme-previews-previews"
    assert root["spec"]["source"] == {
        "repoURL": "https://git.example/gitops.git",
        "targetRevision": "refs/heads/main",
        "path": "previews/order-service/2",
        "directory": {"recurse": True},
    }
    assert root["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
    keep = yaml.safe_load(files["order-service/2/keep.yaml"])
    assert (keep["kind"], keep["metadata"]["namespace"]) == ("ConfigMap", "argocd")


# What strangers say


def as_stored(said: str) -> str:
    """What Kubernetes can hold of a text."""
    return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in said)[:1000]


def without_words(found: dict[str, Any]) -> dict[str, Any]:
    """All but the annotations, which are where a stranger's words belong."""
    kept = {name: value for name, value in found["metadata"].items() if name != "annotations"}
    return {**found, "metadata": kept}


@given(title=text, branch=text, author=text, url=text)
def test_a_strangers_words_come_back_exactly_and_change_nothing_else(
    title: str, branch: str, author: str, url: str
) -> None:
    manifests = render(
        dataclasses.replace(PULL_REQUEST, title=title, head_branch=branch, author=author, url=url)
    )
    found = application(manifests)
    assert found["metadata"]["annotations"] == {
        "previews.dev/digest": manifests.digest,
        "previews.dev/head-sha": PULL_REQUEST.head_sha,
        "previews.dev/pull-request": as_stored(url),
        "previews.dev/branch": as_stored(branch),
    }
    harmless = render()
    assert without_words(found) == without_words(application(harmless))
    assert manifests.files["namespace.yaml"] == harmless.files["namespace.yaml"]
    assert manifests.files["application.yaml"].isascii()


@pytest.mark.parametrize("said", [*HOSTILE, "\0", "a\ud800b", "\udfff"])
def test_words_that_are_known_to_be_trouble(said: str) -> None:
    found = application(render(dataclasses.replace(PULL_REQUEST, title=said, head_branch=said)))
    assert found["metadata"]["annotations"]["previews.dev/branch"] == as_stored(said)


def test_words_that_would_not_fit_into_an_object_are_cut() -> None:
    found = application(render(dataclasses.replace(PULL_REQUEST, head_branch="x" * 1_000_000)))
    assert found["metadata"]["annotations"]["previews.dev/branch"] == "x" * 1000


data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


def without_nul(value: object) -> object:
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case list():
            return [without_nul(item) for item in value]
        case dict():
            return {without_nul(key): without_nul(item) for key, item in value.items()}
    return value


@given(data)
def test_any_value_is_one_line_of_yaml_that_says_the_same_to_every_reader(value: object) -> None:
    written = as_yaml(value)
    assert written.isascii()
    assert written.isprintable()
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        wrapped = f"before: 1\nvalue: {written}\nlist:\n  - {written}\nafter: 2\n"
        read = yaml.load(wrapped, Loader=loader)
        assert read == {
            "before": 1,
            "value": without_nul(value),
            "list": [without_nul(value)],
            "after": 2,
        }


@pytest.mark.parametrize(
    "value", [b"bytes", object(), float("nan"), float("inf"), {1: "x"}, {"x"}, "x".join]
)
def test_what_no_manifest_can_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no manifest can hold"):
        as_yaml(value)


def test_a_value_that_is_used_twice_is_written_twice() -> None:
    shared = {"a": [1]}
    assert as_yaml([shared, shared]) == '[{"a": [1]}, {"a": [1]}]'
