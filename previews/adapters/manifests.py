"""Renders what stands in the GitOps repository, from the Jinja2 templates in templates/ or a site's own.

No template can inject anything: every value that one prints is serialised as YAML, whatever stands around it. What came
out is read back and held against what was meant before anybody gets to see it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import TemplateError

from previews.adapters.manifest_templates import load_templates
from previews.adapters.manifest_yaml import Expected, annotations_in, check, storable
from previews.adapters.one_line import one_line
from previews.domain import labels
from previews.domain.naming import fill, root_file, root_name, top_root_name
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
from previews.domain.secret_set import parameters_of
from previews.errors import StalledError

APPLICATION_TEMPLATE = "application.yaml.j2"
NAMESPACE_TEMPLATE = "namespace.yaml.j2"
SHARD_ROOT_TEMPLATE = "shard-root.yaml.j2"
KEEP_TEMPLATE = "keep.yaml.j2"
TEMPLATES = (APPLICATION_TEMPLATE, NAMESPACE_TEMPLATE, SHARD_ROOT_TEMPLATE, KEEP_TEMPLATE)

REDEPLOY_PARAMETER = "global.previews.redeployedAt"
IN_CLUSTER = "https://kubernetes.default.svc"
ARGO = "argoproj.io/v1alpha1"
DIGEST_LENGTH = 32
PROBLEM_LENGTH_MAX = 300
ANNOTATION_LENGTH_MAX = 1000
"""Kubernetes takes 256 KiB of annotations in all, and refuses the whole object beyond that."""
INGRESS_NAMESPACES = ("ingress-nginx", "traefik", "kube-system")
"""Where the usual ingress controllers run."""

_EXACT_REVISION = re.compile(r"HEAD|refs/.+|[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class _GitOps:
    """`gitops` in every template: the repository that is being written."""

    url: str
    revision: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shard:
    """`shard` in the templates of a shard."""

    root: str
    """The name of its root Application."""
    path: str
    app_project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preview:
    """`preview` in the templates of a preview."""

    project: str
    number: int
    application: str
    namespace: str
    app_project: str
    host: str
    hosts: Sequence[str]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chart:
    """`chart` in the templates of a preview: what it deploys."""

    repository_url: str
    path: str
    revision: str
    values: Mapping[str, object] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Texts, whatever they look like."""
    typed_parameters: Mapping[str, str] = field(default_factory=dict)
    """Numbers and booleans, as Helm's `--set` reads them."""


@dataclass(frozen=True, slots=True)
class _Deployed:
    """What is deployed of a pull request."""

    pull_request: PullRequest
    mode: Mode
    redeployed_at: str
    grant: Grant | None
    image: Image | None
    parcels: Sequence[Parcel]


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
        self._gitops = _GitOps(gitops_url, f"refs/heads/{gitops_branch}", gitops_path)
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
        said = _annotations(annotations or {})
        what = _Deployed(pull_request, mode, redeployed_at, grant, image, parcels)
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
        facts = _Shard(
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
        self, project: Project, key: PreviewKey, what: _Deployed, *, digest: str
    ) -> str:
        names, pull_request = project.names(key.number), what.pull_request
        said = {
            labels.DIGEST: digest,
            labels.HEAD_SHA: pull_request.head_sha,
            labels.PULL_REQUEST: pull_request.url,
            labels.BRANCH: pull_request.head_branch,
        }
        annotations = _annotations(said)
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
            "preview": _preview(project, key),
            "chart": _Chart(
                repository_url=project.helm.repository_url,
                path=project.helm.path,
                revision=_full_revision(project.helm.revision),
                values=project.helm.values,
                parameters=_parameters(project, key, what),
                typed_parameters=_typed_parameters(project, what.mode),
            ),
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
            "preview": _preview(project, key),
            "annotations": annotations,
            "repository_url": project.helm.repository_url,
            "ingress_namespaces": self._ingress_namespaces,
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


def _preview(project: Project, key: PreviewKey) -> _Preview:
    names = project.names(key.number)
    return _Preview(
        project=key.project,
        number=key.number,
        application=names.application,
        namespace=names.namespace,
        app_project=names.app_project,
        host=names.host,
        hosts=names.hosts,
        url=project.url(key.number),
    )


def _full_revision(revision: str) -> str:
    """Argo CD finds a full name without searching all branches and tags of the repository."""
    return revision if _EXACT_REVISION.fullmatch(revision) else f"refs/heads/{revision}"


def _annotations(said: Mapping[str, str]) -> dict[str, str]:
    return {name: storable(text)[:ANNOTATION_LENGTH_MAX] for name, text in said.items()}


def _parameters(project: Project, key: PreviewKey, what: _Deployed) -> dict[str, str]:
    """What differs from one preview and push to the next; a project's own come last and win."""
    host, head_sha = project.names(key.number).host, what.pull_request.head_sha
    parameters = {}
    if what.redeployed_at:
        # Every chart takes what is global, and another value of it is another spec, which Argo CD syncs anew.
        parameters[REDEPLOY_PARAMETER] = what.redeployed_at
    if project.image_repository is not None:
        parameters["image.repository"] = project.image_repository
        parameters["image.tag"] = project.tag(key.number, head_sha)
        if what.image is not None:
            parameters["image.tag"] = what.image.tag
            if what.image.digest:
                parameters["image.digest"] = what.image.digest
    parameters |= parameters_of(what.parcels)
    parameters["ingress.host"] = host
    service_hosts = project.service_hosts(key.number)
    for service, its_host in service_hosts.items():
        parameters[f"ingress.hosts.{service}"] = its_host
    if what.grant is not None and project.database is not None:
        for name, pattern in project.helm.database_parameters.items():
            parameters[name] = pattern.format(
                secret=project.database.secret_name,
                credential=what.grant.credential,
                incarnation=what.grant.incarnation,
            )
    for name, pattern in project.helm.parameters.items():
        parameters[name] = fill(
            pattern, key=key, head_sha=head_sha, host=host, service_hosts=service_hosts
        )
    return parameters


def _typed_parameters(project: Project, mode: Mode) -> dict[str, str]:
    match mode:
        case Mode.AWAKE:
            return {}
        case Mode.WARMING:
            return dict(project.helm.hide_parameters)
        case Mode.ASLEEP:
            return {**project.helm.sleep_parameters, **project.helm.hide_parameters}


def _digest(files: Mapping[str, str]) -> str:
    """Of everything that the files say."""
    hashed = hashlib.sha256()
    for path, text in sorted(files.items()):
        hashed.update(f"{path}\0{text}\0".encode())
    return hashed.hexdigest()[:DIGEST_LENGTH]
