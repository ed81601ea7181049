"""What the tests of manifests render, and how they look into it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from previews.adapters.manifests import ManifestRenderer
from previews.domain.preview import HeadSha, Manifests, Mode, PreviewKey, PullRequest
from previews.domain.project import Helm, Project

TEMPLATES = Path(__file__).parents[2] / "templates"
KEY = PreviewKey("shop", 42)
HELM = Helm(
    repository_url="https://git.example/shop.git", path="charts/preview-app", revision="main"
)
PROJECT = Project(
    name="shop",
    repository="acme/shop",
    image_repository="registry.example/shop",
    image_tag="pr-{number}-{short_sha}",
    host_pattern="pr-{number}.preview.example",
    url_pattern="https://{host}/",
    helm=HELM,
)
PULL_REQUEST = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HeadSha("abc1234" + "0" * 33),
    head_branch="feature",
    base_branch="main",
    title="A feature",
    author="alice",
    url="https://git.example/acme/shop/pulls/42",
    from_fork=False,
)


def renderer_of(project: Project = PROJECT, overrides: Path | None = None) -> ManifestRenderer:
    return ManifestRenderer(
        TEMPLATES,
        overrides,
        instance="acme-previews",
        projects={project.name: project},
        gitops_url="https://git.example/gitops.git",
        gitops_branch="main",
        gitops_path="previews",
        argocd_namespace="argocd",
    )


def render(
    pull_request: PullRequest = PULL_REQUEST,
    *,
    project: Project = PROJECT,
    overrides: Path | None = None,
    mode: Mode = Mode.AWAKE,
    redeployed_at: str = "",
    annotations: Mapping[str, str] | None = None,
) -> Manifests:
    return renderer_of(project, overrides).render_preview(
        pull_request, KEY, mode=mode, redeployed_at=redeployed_at, annotations=annotations
    )


def helm_parameters(manifests: Manifests) -> list[dict[str, Any]]:
    """What Argo CD gives to Helm beside the values."""
    found: list[dict[str, Any]] = application(manifests)["spec"]["source"]["helm"]["parameters"]
    return found


def application(manifests: Manifests) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(manifests.files["application.yaml"])
    return found


def namespace_objects(manifests: Manifests) -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all(manifests.files["namespace.yaml"])
    return {document["kind"]: document for document in documents}
