"""Both Helm charts as helm renders them, and everything that we render as a real API server takes it.

Argo CD applies our manifests without kubectl's validation, so it is here that a misspelled field is found.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from previews.adapters.manifests import ManifestRenderer
from previews.domain.naming import top_root_name
from previews.domain.preview import HeadSha, PreviewKey, PullRequest, Stage
from previews.domain.project import Helm, Project
from tests.cluster import RunningCluster, preflight, running

ROOT = Path(__file__).parents[2]
PREVIEW_APP = ROOT / "charts" / "preview-app"
PREVIEWS = ROOT / "charts" / "previews"
KUBERNETES_VERSION = "1.34.0"

APP_VALUES = {
    "image": {"repository": "registry.example/shop", "tag": "pr-42-abc1234"},
    "ingress": {"host": "pr-42.preview.example"},
}
ALL_APP_VALUES = {
    "image": {**APP_VALUES["image"], "pullPolicy": "Always"},
    "ingress": {
        **APP_VALUES["ingress"],
        "className": "traefik",
        "annotations": {"example.org/a": "b: c"},
    },
    "imagePullSecrets": [{"name": "pull"}],
    "port": 9000,
    "replicas": 2,
    "env": {"TEXT": 'a: "b" {{ .Values }} \u2028', "NUMBER": 1, "TRUTH": True},
    "probe": {"path": "/healthz", "startupSeconds": 30},
    "resources": {"requests": {"cpu": 0.2, "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "runAsUser": None,
    "drainSeconds": 5,
}
MANAGER_VALUES = {
    "instance": "acme",
    "gitops": {"url": "https://git.example/gitops.git", "branch": "main", "path": "previews"},
    "manager": {"image": "registry.example/previews:0.1.0"},
}
ALL_MANAGER_VALUES = {
    **MANAGER_VALUES,
    "manager": {"image": "r/p@sha256:0", "imagePullSecrets": [{"name": "pull"}], "port": 9000},
    "persistence": {"enabled": True, "size": "2Gi", "storageClassName": "fast"},
    "ingress": {
        "enabled": True,
        "host": "previews.example",
        "className": "traefik",
        "annotations": {"a": "b"},
    },
}
ROOTS_ALONE = {**MANAGER_VALUES, "manager": {"enabled": False}}

Object = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> str:
    cluster = running()
    in_cluster = cluster.bin_dir / "helm" if cluster else None
    found = str(in_cluster) if in_cluster and in_cluster.exists() else shutil.which("helm")
    if found is None:
        pytest.skip("there is no helm: neither on PATH nor from make cluster-up")
    return found


def run_helm(
    helm: str, command: str, *arguments: str, values: Mapping[str, object]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [helm, command, *arguments, "--kube-version", KUBERNETES_VERSION, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def render(helm: str, chart: Path, values: Mapping[str, object], *options: str) -> list[Object]:
    ended = run_helm(
        helm, "template", "shop-pr-42", str(chart), "--namespace", "there", *options, values=values
    )
    assert ended.returncode == 0, ended.stderr
    return [document for document in yaml.safe_load_all(ended.stdout) if document]


def by_kind(objects: list[Object]) -> dict[str, Object]:
    return {found["kind"]: found for found in objects}


@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (PREVIEW_APP, APP_VALUES),
        (PREVIEW_APP, ALL_APP_VALUES),
        (PREVIEWS, MANAGER_VALUES),
        (PREVIEWS, ALL_MANAGER_VALUES),
        (PREVIEWS, ROOTS_ALONE),
    ],
)
def test_helm_finds_nothing_wrong(helm: str, chart: Path, values: Mapping[str, object]) -> None:
    ended = run_helm(helm, "lint", str(chart), "--strict", values=values)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# preview-app


def test_an_application_gets_a_deployment_a_service_and_an_ingress(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, APP_VALUES))
    assert set(found) == {"Deployment", "Service", "Ingress"}
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/shop:pr-42-abc1234"
    assert container["env"] == [{"name": "PORT", "value": "8080"}]
    rule = found["Ingress"]["spec"]["rules"][0]
    assert rule["host"] == "pr-42.preview.example"
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == found["Service"]["metadata"]["name"]
    selector = found["Service"]["spec"]["selector"]
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selector == labels == found["Deployment"]["spec"]["selector"]["matchLabels"]


def test_every_value_arrives(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, ALL_APP_VALUES))
    pod = found["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {variable["name"]: variable["value"] for variable in container["env"]} == {
        "PORT": "9000",
        "TEXT": 'a: "b" {{ .Values }} \u2028',
        "NUMBER": "1",
        "TRUTH": "true",
    }
    assert container["ports"][0]["containerPort"] == 9000
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"]["requests"] == {"cpu": 0.2, "memory": "1Gi"}
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["failureThreshold"] == 30
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert pod["terminationGracePeriodSeconds"] == 15
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert "runAsUser" not in pod["securityContext"]
    assert found["Deployment"]["spec"]["replicas"] == 2
    assert found["Ingress"]["spec"]["ingressClassName"] == "traefik"
    assert found["Ingress"]["metadata"]["annotations"] == {"example.org/a": "b: c"}


def test_a_pod_may_do_nothing_that_it_need_not(helm: str) -> None:
    pod = by_kind(render(helm, PREVIEW_APP, APP_VALUES))["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_rollout_keeps_the_old_pod_until_the_new_one_answers(helm: str) -> None:
    deployment = by_kind(render(helm, PREVIEW_APP, APP_VALUES))["Deployment"]["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = deployment["template"]["spec"]
    drain = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < drain < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("tag", ["1234567", "1e10000", "0x12345", "true", "null"])
def test_a_tag_that_looks_like_something_else_stays_text(helm: str, tag: str) -> None:
    """As Argo CD passes it: `forceString` is helm's --set-string."""
    values = {"image": {"repository": "r"}, "ingress": APP_VALUES["ingress"]}
    found = by_kind(render(helm, PREVIEW_APP, values, "--set-string", f"image.tag={tag}"))
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"r:{tag}"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "image"),
        ({"image": {"repository": "r", "tag": ""}}, "tag"),
        ({"image": {"repository": "", "tag": "t"}}, "repository"),
        ({"image": {"repository": "r", "tag": "a b"}}, "tag"),
        ({"image": {"repository": "r", "tag": "t", "digest": "x"}}, "digest"),
        ({"ingress": {"host": "no_host"}}, "host"),
        ({"ingress": {"host": "*.preview.example"}}, "host"),
        ({"ingress": {"host": "a.b", "hots": "x"}}, "hots"),
        ({"prot": 1}, "prot"),
        ({"port": 80}, "port"),
        ({"port": "8080"}, "port"),
        ({"replicas": -1}, "replicas"),
        ({"env": {"PORT": "1"}}, "PORT"),
        ({"env": {"a b": "1"}}, "a b"),
        ({"env": {"A": {"b": 1}}}, "env"),
        ({"probe": {"path": "healthz"}}, "path"),
        ({"runAsUser": 0}, "runAsUser"),
        ({"drainSeconds": 0}, "drainSeconds"),
        ({"resources": {"limit": {}}}, "limit"),
    ],
)
def test_a_wrong_value_of_an_application_is_refused_by_name(
    helm: str, values: Mapping[str, object], named: str
) -> None:
    wrong = {**APP_VALUES, **values} if values else {}
    ended = run_helm(helm, "template", "shop-pr-42", str(PREVIEW_APP), values=wrong)
    assert ended.returncode != 0
    assert named in ended.stderr


# previews


def test_the_manager_may_read_and_ask_and_nothing_else(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, MANAGER_VALUES))
    assert found["ClusterRole"]["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}
    ]
    assert found["Role"]["metadata"]["namespace"] == "argocd"
    assert found["Role"]["rules"] == [
        {
            "apiGroups": ["argoproj.io"],
            "resources": ["applications"],
            "verbs": ["get", "list", "watch", "patch"],
        },
        {"apiGroups": ["argoproj.io"], "resources": ["appprojects"], "verbs": ["get"]},
    ]
    for binding in ("RoleBinding", "ClusterRoleBinding"):
        assert found[binding]["subjects"] == [
            {"kind": "ServiceAccount", "name": "previews-acme", "namespace": "there"}
        ]
        assert found[binding]["roleRef"]["name"] == "previews-acme"
    assert found["ServiceAccount"]["metadata"]["name"] == "previews-acme"


def test_the_top_root_is_where_the_manager_and_the_shard_roots_look_for_it(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, ROOTS_ALONE))
    top, project = found["Application"], found["AppProject"]
    assert top["metadata"]["name"] == project["metadata"]["name"] == top_root_name("acme")
    assert top["spec"]["project"] == project["metadata"]["name"]
    shard_root = yaml.safe_load(renderer("acme").render_shard("shop-2")["roots/shop-2.yaml"])
    assert shard_root["spec"]["project"] == project["metadata"]["name"]
    assert top["spec"]["source"] == {
        "repoURL": "https://git.example/gitops.git",
        "targetRevision": "refs/heads/main",
        "path": "previews/roots",
        "directory": {"recurse": True},
    }
    assert top["spec"]["syncPolicy"] == shard_root["spec"]["syncPolicy"]
    assert "finalizers" not in top["metadata"]
    assert "allowEmpty" not in top["spec"]["syncPolicy"]["automated"]


def test_the_roots_may_bring_in_exactly_what_our_templates_make(helm: str) -> None:
    spec = by_kind(render(helm, PREVIEWS, ROOTS_ALONE))["AppProject"]["spec"]
    whitelisted = {
        (kind["group"], kind["kind"])
        for scope in ("clusterResourceWhitelist", "namespaceResourceWhitelist")
        for kind in spec[scope]
    }
    made = {(group_of(found), found["kind"]) for found in rendered_manifests()}
    assert whitelisted == made
    assert spec["clusterResourceWhitelist"] == [{"group": "", "kind": "Namespace"}]
    assert spec["sourceRepos"] == ["https://git.example/gitops.git"]
    assert [destination["namespace"] for destination in spec["destinations"]] == [
        "argocd",
        "preview-*",
    ]


def group_of(found: Object) -> str:
    group, slash, _ = found["apiVersion"].partition("/")
    return group if slash else ""


def test_a_manager_that_runs_elsewhere_gets_its_rights_and_roots_alone(helm: str) -> None:
    assert set(by_kind(render(helm, PREVIEWS, ROOTS_ALONE))) == {
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "AppProject",
        "Application",
    }


def test_the_manager_is_never_doubled_and_keeps_to_itself(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, MANAGER_VALUES))
    deployment = found["Deployment"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    assert pod["serviceAccountName"] == "previews-acme"
    assert pod["securityContext"]["runAsNonRoot"] is True
    container = pod["containers"][0]
    assert container["args"] == ["serve", "--config", "/etc/previews/previews.yaml"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["config"]["secret"]["secretName"] == "previews"
    assert volumes["data"]["emptyDir"] == {}
    assert "PersistentVolumeClaim" not in found
    assert "Ingress" not in found


def test_what_is_asked_for_besides_is_made(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, ALL_MANAGER_VALUES))
    claim = found["PersistentVolumeClaim"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    volumes = found["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert {"claimName": claim["metadata"]["name"]} in [
        volume.get("persistentVolumeClaim") for volume in volumes
    ]
    assert found["Ingress"]["spec"]["rules"][0]["host"] == "previews.example"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"instance": ""}, "instance"),
        ({"instance": "Acme"}, "instance"),
        ({"instance": "a" * 21}, "instance"),
        ({"gitops": {"url": ""}}, "url"),
        ({"gitops": {"url": "https://me:secret@git.example/g.git"}}, "url"),
        ({"gitops": {"url": "https://g", "branch": "refs/heads/main"}}, "branch"),
        ({"gitops": {"url": "https://g", "path": "../x"}}, "path"),
        ({"gitops": {"url": "https://g", "path": "/x"}}, "path"),
        ({"gitops": {"url": "https://g", "token": "x"}}, "token"),
        ({"manager": {"image": ""}}, "image"),
        ({"manager": {"image": "without-a-tag"}}, "image"),
        ({"config": {"secretName": ""}}, "secretName"),
        ({"ingress": {"enabled": True}}, "host"),
        ({"replicas": 2}, "replicas"),
    ],
)
def test_a_wrong_value_of_the_manager_is_refused_by_name(
    helm: str, values: Mapping[str, object], named: str
) -> None:
    ended = run_helm(helm, "template", "x", str(PREVIEWS), values={**MANAGER_VALUES, **values})
    assert ended.returncode != 0
    assert named in ended.stderr


# A real API server


def renderer(instance: str = "dry-run") -> ManifestRenderer:
    project = Project(
        name="dry-run",
        repository="acme/dry-run",
        image_repository="registry.example/dry-run",
        image_tag="pr-{number}-{short_sha}",
        host_pattern="dry-run-{number}.preview.example",
        url_pattern="https://{host}/",
        helm=Helm(
            repository_url="https://git.example/charts.git",
            path="preview-app",
            revision="main",
            values={"replicas": 2, "env": {"A": "b"}, "resources": None},
            parameters={"commit": "{head_sha}"},
        ),
    )
    return ManifestRenderer(
        ROOT / "templates",
        None,
        instance=instance,
        projects={"dry-run": project},
        gitops_url="https://git.example/gitops.git",
        gitops_branch="main",
        gitops_path="previews",
        argocd_namespace="argocd",
    )


def rendered_manifests() -> list[Object]:
    """Everything that our templates make, for a pull request that means no good."""
    pull_request = PullRequest(
        repository="acme/dry-run",
        number=42,
        is_open=True,
        head_sha=HeadSha("a" * 40),
        head_branch="a;$(id)",
        base_branch="main",
        title='"\n---\nkind: Secret \x01\u202e\u2028 \U0001f600 {{.x}}\0',
        author="mallory",
        url="https://git.example/acme/dry-run/pulls/42",
        from_fork=False,
    )
    made = renderer()
    preview = made.render_preview(pull_request, PreviewKey("dry-run", 42), Stage.WHOLE)
    texts = [*preview.files.values(), *made.render_shard("dry-run-2").values()]
    return [document for text in texts for document in yaml.safe_load_all(text)]


@pytest.fixture(scope="module")
def cluster() -> RunningCluster:
    found = running()
    if found is None:
        pytest.skip(preflight() or "the local cluster is down (make cluster-up)")
    return found


@pytest.fixture(scope="module")
def preview_namespace(cluster: RunningCluster) -> Iterator[str]:
    """The rendered Namespace itself: a dry run needs the namespaces of its objects to be there."""
    (namespace,) = (found for found in rendered_manifests() if found["kind"] == "Namespace")
    cluster.kubectl("apply", "-f", "-", input=json.dumps(namespace))
    yield namespace["metadata"]["name"]
    cluster.kubectl("delete", "namespace", namespace["metadata"]["name"])


def dry_run(cluster: RunningCluster, objects: list[Object], *options: str) -> str:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    strictly = ("--dry-run=server", "--validate=strict", *options)
    return cluster.kubectl("apply", *strictly, "-f", "-", input=json.dumps(listed))


@pytest.mark.e2e
def test_the_api_server_takes_all_that_our_templates_make(
    cluster: RunningCluster, preview_namespace: str
) -> None:
    objects = rendered_manifests()
    accepted = dry_run(cluster, objects).splitlines()
    assert len(accepted) == len(objects)
    assert all(line.endswith("(server dry run)") for line in accepted)
    assert any(preview_namespace in line for line in accepted)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (PREVIEW_APP, APP_VALUES),
        (PREVIEW_APP, ALL_APP_VALUES),
        (PREVIEWS, MANAGER_VALUES),
        (PREVIEWS, ALL_MANAGER_VALUES),
        (PREVIEWS, ROOTS_ALONE),
    ],
)
def test_the_api_server_takes_both_charts_without_a_warning(
    helm: str,
    cluster: RunningCluster,
    preview_namespace: str,
    chart: Path,
    values: Mapping[str, object],
) -> None:
    objects = render(helm, chart, values, "--namespace", preview_namespace)
    accepted = dry_run(cluster, objects, "--warnings-as-errors").splitlines()
    assert len(accepted) == len(objects)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (PREVIEW_APP, APP_VALUES),
        (PREVIEW_APP, ALL_APP_VALUES),
        (PREVIEWS, MANAGER_VALUES),
        (PREVIEWS, ALL_MANAGER_VALUES),
    ],
)
def test_a_pod_of_either_chart_fits_the_namespace_of_a_preview(
    helm: str,
    cluster: RunningCluster,
    preview_namespace: str,
    chart: Path,
    values: Mapping[str, object],
) -> None:
    """That is Pod Security `restricted`, with a quota and limits."""
    spec = by_kind(render(helm, chart, values))["Deployment"]["spec"]["template"]["spec"]
    # It is not there: nothing but pods is made here.
    spec.pop("serviceAccountName", None)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": preview_namespace},
        "spec": spec,
    }
    assert "pod/app created" in dry_run(cluster, [pod], "--warnings-as-errors")
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(subprocess.CalledProcessError) as refused:
        dry_run(cluster, [pod])
    assert "violates PodSecurity" in str(refused.value.stderr)


@pytest.mark.e2e
def test_a_misspelled_field_would_be_found(cluster: RunningCluster, preview_namespace: str) -> None:
    (quota,) = (found for found in rendered_manifests() if found["kind"] == "ResourceQuota")
    quota["spec"]["hrad"] = quota["spec"].pop("hard")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        dry_run(cluster, [quota])
    assert "hrad" in str(refused.value.stderr)
    assert preview_namespace == quota["metadata"]["namespace"]
