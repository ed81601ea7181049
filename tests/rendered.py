"""Both charts and everything that our templates make, as helm and the renderer make it for a test."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from previews.adapters.manifests import ManifestRenderer
from previews.domain.preview import HeadSha, PreviewKey, PullRequest
from previews.domain.project import Helm, Project
from tests.cluster import running

ROOT = Path(__file__).parents[1]
PREVIEW_APP = ROOT / "charts" / "preview-app"
PREVIEWS = ROOT / "charts" / "previews"
KUBERNETES_VERSION = "1.34.0"

APP_VALUES = {
    "image": {"repository": "registry.example/shop", "tag": "pr-42-abc1234"},
    "ingress": {"host": "pr-42.preview.example"},
}
ASLEEP_APP_VALUES = {
    **APP_VALUES,
    "ingress": {**APP_VALUES["ingress"], "enabled": False},
    "replicas": 0,
}
SERVED_APP_VALUES = {
    **APP_VALUES,
    "ingress": {
        **APP_VALUES["ingress"],
        "hosts": {"api": "pr-42-api.preview.example"},
        "services": {"api": {"name": "api", "port": 8080}},
        "noindex": {"controller": "ingress-nginx"},
    },
}
ALL_APP_VALUES = {
    "global": {"previews": {"redeployedAt": "2026-11-22T17:00:00Z"}, "other": 1},
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
    "database": {"secret": "database", "credential": "k7", "incarnation": "3f"},
    "migrate": {"command": ["/shop", "migrate"], "image": "r/migrate:1", "deadlineSeconds": 60},
}
MIGRATED_APP_VALUES = {
    **APP_VALUES,
    "database": {"secret": "database", "credential": "k7", "incarnation": "3f"},
    "migrate": {"command": ["/shop", "migrate"]},
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
    "wildcard": {
        "enabled": True,
        "zone": "preview.example",
        "className": "traefik",
        "annotations": {"a": "b"},
    },
}
WILDCARD = {"enabled": True, "zone": "preview.example"}
WILDCARD_ELSEWHERE = {
    **MANAGER_VALUES,
    "manager": {"enabled": False, "port": 18080},
    "wildcard": {**WILDCARD, "address": "10.213.0.1"},
}
ROOTS_ALONE = {**MANAGER_VALUES, "manager": {"enabled": False}}

Object = dict[str, Any]


def find_helm() -> str:
    """Skips the test where there is none."""
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
    return [each for each in yaml.load_all(ended.stdout, Loader=yaml.CSafeLoader) if each]


def by_kind(objects: list[Object]) -> dict[str, Object]:
    return {found["kind"]: found for found in objects}


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
    preview = made.render_preview(pull_request, PreviewKey("dry-run", 42))
    texts = [*preview.files.values(), *made.render_shard("dry-run-2").values()]
    return [each for text in texts for each in yaml.load_all(text, Loader=yaml.CSafeLoader)]
