"""What the templates are told: of the GitOps repository, a shard, a preview, and what is deployed of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from previews.adapters.manifest_yaml import storable
from previews.domain.naming import fill
from previews.domain.preview import Grant, Image, Mode, Parcel, PreviewKey, PullRequest
from previews.domain.project import Project
from previews.domain.secret_set import parameters_of

REDEPLOY_PARAMETER = "global.previews.redeployedAt"
ANNOTATION_LENGTH_MAX = 1000
"""Kubernetes takes 256 KiB of annotations in all, and refuses the whole object beyond that."""

_EXACT_REVISION = re.compile(r"HEAD|refs/.+|[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class GitOps:
    """`gitops` in every template: the repository that is being written."""

    url: str
    revision: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """`shard` in the templates of a shard."""

    root: str
    """The name of its root Application."""
    path: str
    app_project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
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
class Chart:
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
class Deployed:
    """What is deployed of a pull request."""

    pull_request: PullRequest
    mode: Mode
    redeployed_at: str
    grant: Grant | None
    image: Image | None
    parcels: Sequence[Parcel]


def preview_of(project: Project, key: PreviewKey) -> Preview:
    """What every template of a preview is told of it."""
    names = project.names(key.number)
    return Preview(
        project=key.project,
        number=key.number,
        application=names.application,
        namespace=names.namespace,
        app_project=names.app_project,
        host=names.host,
        hosts=names.hosts,
        url=project.url(key.number),
    )


def chart_of(project: Project, key: PreviewKey, what: Deployed) -> Chart:
    """What the Application deploys."""
    return Chart(
        repository_url=project.helm.repository_url,
        path=project.helm.path,
        revision=_full_revision(project.helm.revision),
        values=project.helm.values,
        parameters=_parameters(project, key, what),
        typed_parameters=_typed_parameters(project, what.mode),
    )


def _full_revision(revision: str) -> str:
    """Argo CD finds a full name without searching all branches and tags of the repository."""
    return revision if _EXACT_REVISION.fullmatch(revision) else f"refs/heads/{revision}"


def annotations_of(said: Mapping[str, str]) -> dict[str, str]:
    """As far as Kubernetes takes them."""
    return {name: storable(text)[:ANNOTATION_LENGTH_MAX] for name, text in said.items()}


def _parameters(project: Project, key: PreviewKey, what: Deployed) -> dict[str, str]:
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
