"""Renders what stands in the GitOps repository, from the Jinja2 templates in templates/ or a site's own.

No template can inject anything: every value that one prints is serialised as YAML, whatever stands around it. What came
out is read back and held against what was meant before anybody gets to see it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import TemplateError

from previews.adapters.manifest_facts import (
    Deployed,
    GitOps,
    Shard,
    annotations_of,
    chart_of,
    preview_of,
)
from previews.adapters.manifest_templates import load_templates
from previews.adapters.manifest_yaml import Expected, annotations_in, check
from previews.adapters.one_line import one_line
from previews.domain import labels
from previews.domain.naming import root_file, root_name, top_root_name
from previews.domain.observation import (
    APPLICATION_FILE,
    DATABASE_FILE,
    NAMESPACE_FILE,
    SECRETS_FILE,
)
from previews.domain.preview import (
    Grant,
    Image,
    Manifests,
    Mode,
    Parcel,
    PreviewKey,
    PullRequest,
    Stage,
)
from previews.domain.project import Project
from previews.errors import StalledError

APPLICATION_TEMPLATE = "application.yaml.j2"
NAMESPACE_TEMPLATE = "namespace.yaml.j2"
SHARD_ROOT_TEMPLATE = "shard-root.yaml.j2"
KEEP_TEMPLATE = "keep.yaml.j2"
TEMPLATES = (APPLICATION_TEMPLATE, NAMESPACE_TEMPLATE, SHARD_ROOT_TEMPLATE, KEEP_TEMPLATE)

IN_CLUSTER = "https://kubernetes.default.svc"
ARGO = "argoproj.io/v1alpha1"
DIGEST_LENGTH = 32
PROBLEM_LENGTH_MAX = 300
INGRESS_NAMESPACES = ("ingress-nginx", "traefik", "kube-system")
"""Where the usual ingress controllers run."""


class ManifestRenderer:
    """`domain.ports.Renderer`, from the templates of two folders: the site's come first."""

    def __init__(
        self,
        templates: Path,
        overrides: Path | None,
        *,
        instance: str,
        projects: Mapping[str, Project],
        gitops_url: str,
        gitops_branch: str,
        gitops_path: str,
        argocd_namespace: str,
        ingress_namespaces: Sequence[str] = INGRESS_NAMESPACES,
    ) -> None:
        self._environment = load_templates(templates, overrides, TEMPLATES)
        self._instance = instance
        self._projects = projects
        self._gitops = GitOps(gitops_url, f"refs/heads/{gitops_branch}", gitops_path)
        self._argocd_namespace = argocd_namespace
        self._ingress_namespaces = list(ingress_namespaces)

    def render_preview(
        self,
        pull_request: PullRequest,
        key: PreviewKey,
        *,
        mode: Mode = Mode.AWAKE,
        redeployed_at: str = "",
        annotations: Mapping[str, str] | None = None,
        grant: Grant | None = None,
        image: Image | None = None,
        parcels: Sequence[Parcel] = (),
    ) -> Manifests:
        project = self._projects.get(key.project)
        if project is None:
            raise StalledError("ProjectNotConfigured", f"no project {key.project!r} is configured")
        said = annotations_of(annotations or {})
        what = Deployed(pull_request, mode, redeployed_at, grant, image, parcels)
        undigested = self._render_application(project, key, what, digest="")
        bare = self._render_namespace(project, key, {})
        digest = _digest({NAMESPACE_FILE: bare, APPLICATION_FILE: undigested})
        files = {
            NAMESPACE_FILE: self._render_namespace(project, key, said) if said else bare,
            APPLICATION_FILE: self._render_application(project, key, what, digest=digest),
        }
        if grant is not None and grant.secret_file:
            # No part of the digest: the Application names what is in it by its id.
            files[DATABASE_FILE] = grant.secret_file
        if sealed := [parcel.file for parcel in parcels if parcel.file]:
            files[SECRETS_FILE] = "".join(sealed)
        return Manifests(
            stage=Stage.WHOLE,
            digest=digest,
            head_sha=pull_request.head_sha,
            files=files,
            mode=mode,
            redeployed_at=redeployed_at,
            annotations=dict(annotations or {}),
            grant=grant,
            image=image,
            parcels=tuple(parcels),
        )

    def read_annotations(self, namespace_file: str) -> Mapping[str, str]:
        return annotations_in(namespace_file, "Namespace")

    def render_shard(self, shard: str) -> Mapping[str, str]:
        project, _, index = shard.rpartition("-")
        folder = f"{project}/{index}"
        own = {labels.INSTANCE: self._instance}
        facts = Shard(
            root=root_name(self._instance, shard),
            path=f"{self._gitops.path}/{folder}",
            app_project=top_root_name(self._instance),
        )
        root = Expected(
            ARGO,
            "Application",
            facts.root,
            self._argocd_namespace,
            fields={
                "metadata.labels": own | {labels.SHARD: shard},
                "metadata.finalizers": None,
                "spec.project": facts.app_project,
                "spec.source.path": facts.path,
                "spec.syncPolicy.automated.allowEmpty": None,
            },
        )
        keep = Expected(
            "v1",
            "ConfigMap",
            f"{facts.root}-keep",
            self._argocd_namespace,
            fields={"metadata.labels": own},
        )
        context = {"shard": facts}
        return {
            root_file(shard): self._render(SHARD_ROOT_TEMPLATE, [root], context),
            f"{folder}/keep.yaml": self._render(KEEP_TEMPLATE, [keep], context),
        }

    def _render_application(
        self, project: Project, key: PreviewKey, what: Deployed, *, digest: str
    ) -> str:
        names, pull_request = project.names(key.number), what.pull_request
        said = {
            labels.DIGEST: digest,
            labels.HEAD_SHA: pull_request.head_sha,
            labels.PULL_REQUEST: pull_request.url,
            labels.BRANCH: pull_request.head_branch,
        }
        annotations = annotations_of(said)
        expected = Expected(
            ARGO,
            "Application",
            names.application,
            self._argocd_namespace,
            fields={
                "metadata.labels": self._ownership(key),
                "metadata.annotations": annotations,
                "metadata.finalizers": ["resources-finalizer.argocd.argoproj.io"],
                "spec.project": names.app_project,
                "spec.sources": None,
                "spec.source.repoURL": project.helm.repository_url,
                "spec.destination": {"server": IN_CLUSTER, "namespace": names.namespace},
            },
        )
        context = {
            "preview": preview_of(project, key),
            "chart": chart_of(project, key, what),
            "annotations": annotations,
            "pull_request": pull_request,
        }
        return self._render(APPLICATION_TEMPLATE, [expected], context)

    def _render_namespace(
        self, project: Project, key: PreviewKey, annotations: Mapping[str, str]
    ) -> str:
        """What a push does not change: the template is not even given the pull request."""
        names = project.names(key.number)
        own = {"metadata.labels": self._ownership(key)}
        # Never cut: what is not in it is refused by the cluster.
        annotations = {**annotations, labels.HOSTS: ",".join(names.hosts)}
        noted = own | {"metadata.annotations": annotations}
        inside = names.namespace
        destination = {"server": IN_CLUSTER, "namespace": inside}
        expected = [
            Expected("v1", "Namespace", inside, None, fields=noted),
            Expected("v1", "ResourceQuota", "preview", inside, fields=own),
            Expected("v1", "LimitRange", "preview", inside, fields=own),
            Expected("networking.k8s.io/v1", "NetworkPolicy", "preview", inside, fields=own),
            Expected("v1", "ServiceAccount", "default", inside, fields=own),
            Expected(
                ARGO,
                "AppProject",
                names.app_project,
                self._argocd_namespace,
                fields=own
                | {
                    "spec.sourceRepos": [project.helm.repository_url],
                    "spec.destinations": [destination],
                    "spec.clusterResourceWhitelist": [],
                },
            ),
        ]
        context = {
            "preview": preview_of(project, key),
            "annotations": annotations,
            "repository_url": project.helm.repository_url,
            "ingress_namespaces": self._ingress_namespaces,
            "egress": project.egress,
        }
        return self._render(NAMESPACE_TEMPLATE, expected, context)

    def _ownership(self, key: PreviewKey) -> dict[str, str]:
        return labels.ownership(self._instance, key)

    def _render(
        self, template: str, expected: Sequence[Expected], context: Mapping[str, object]
    ) -> str:
        """The template's text, once it is proven to say what is expected of it."""
        common = {
            "instance": self._instance,
            "argocd_namespace": self._argocd_namespace,
            "gitops": self._gitops,
            "labels": expected[0].fields["metadata.labels"],
        }
        try:
            text = self._environment.get_template(template).render(common | dict(context))
            check(text, expected)
        # A template is a program: it can fail in all the ways of one.
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            problem = one_line(str(error), PROBLEM_LENGTH_MAX)
            raise StalledError("InvalidManifests", f"template {template}: {problem}") from error
        return text


def _digest(files: Mapping[str, str]) -> str:
    """Of everything that the files say."""
    hashed = hashlib.sha256()
    for path, text in sorted(files.items()):
        hashed.update(f"{path}\0{text}\0".encode())
    return hashed.hexdigest()[:DIGEST_LENGTH]
