"""Every knob, read once from one YAML file. Unknown keys are refused; secrets are named by file, never written here.

docs/configuration.md describes each of them, and a test holds it to this file. Only cli and app read settings.
"""

from collections.abc import Callable, Hashable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from previews.database_settings import (
    DatabaseServerSettings,
    ProjectDatabaseSettings,
    SecretsSettings,
    check_databases,
)
from previews.domain import naming
from previews.domain.brake import BrakeLimits
from previews.domain.caps import Caps
from previews.domain.project import DATABASE_PARAMETERS, Helm, Project
from previews.errors import ConfigurationError
from previews.lifetime_settings import LifetimeSettings
from previews.setting_types import (
    Delay,
    Duration,
    ExistingFile,
    GitUrl,
    HttpUrl,
    Limit,
    Section,
    Span,
    checked_by,
    dns_name,
    folder,
    image_repository,
    repository_name,
)

GITHUB_PUSHES_PER_MINUTE = 6
"""What GitHub recommends for one repository."""


class ForgeSettings(Section):
    """Where the pull requests are."""

    kind: Literal["github", "gitea"]
    api_url: HttpUrl = "https://api.github.com"
    """GitHub: the API's address. Gitea or Forgejo: the server's."""
    token_file: ExistingFile
    webhook_secret_files: Annotated[list[ExistingFile], Field(max_length=5)] = []
    """Any of these secrets is accepted, so that one can be replaced. Empty: no webhooks, resync only."""


class GitOpsSettings(Section):
    """The repository that Argo CD deploys from."""

    url: GitUrl
    branch: str = "main"
    path: Annotated[str, AfterValidator(folder)] = "previews"
    """Our folder. Nothing outside it is ever written."""
    username: str = "previews"
    password_file: ExistingFile | None = None
    pushes_per_minute: Annotated[float, Field(gt=0)] | None = None
    """Unlimited when absent, but 6 on github.com."""


class ArgoCDSettings(Section):
    """The Argo CD that deploys the previews."""

    namespace: Annotated[str, checked_by(naming.check_project_name)] = "argocd"


class KubernetesSettings(Section):
    """The cluster; absent: the one that the manager runs in, with its service account."""

    kubeconfig: ExistingFile | None = None


class DomainSettings(Section):
    """Where the previews answer."""

    zone: Annotated[str, AfterValidator(dns_name)]
    """The wildcard's zone: hosts are one label under it."""
    scheme: Literal["http", "https"] = "https"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Only when the ingress is not on the scheme's own port."""


class ServerSettings(Section):
    """The manager's own web server."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    webhook_body_limit_bytes: Annotated[int, Field(ge=1024)] = 5 * 1024 * 1024
    """GitHub sends up to 25 MB; the events in use are far smaller."""
    public_host: Annotated[str, AfterValidator(dns_name)] | None = None
    """The manager's own host, if it lies under the zone of the previews: there it is not taken for one of theirs."""
    api_token_file: ExistingFile | None = None
    """Bearer token of the API. Absent: there is no API."""


class ImageSettings(Section):
    """The image that CI builds for each commit."""

    repository: Annotated[str, AfterValidator(image_repository)]
    tag: str = "pr-{number}-{short_sha}"
    """With {number}, {short_sha}, {head_sha}, {project}."""


class HelmSettings(Section):
    """The chart that a preview deploys, in a Git repository that Argo CD can read."""

    repository_url: GitUrl
    path: Annotated[str, AfterValidator(folder)]
    revision: str = "main"
    values: dict[str, Any] = {}
    parameters: dict[str, str] = {}
    """Helm parameters; values may use {number}, {head_sha}, {short_sha}, {host}, {project}."""
    sleep_parameters: dict[str, str] = {"replicas": "0"}
    """What makes the chart run no pod, as `helm --set` reads it."""
    hide_parameters: dict[str, str] = {"ingress.enabled": "false"}
    """What makes the chart claim no host, so that visitors see the waiting page."""
    database_parameters: dict[str, str] = dict(DATABASE_PARAMETERS)
    """What tells the chart of the database; values may use {secret}, {credential}, {incarnation}."""


class DeploySettings(Section):
    """How a project is deployed."""

    helm: HelmSettings


class CapsSettings(Section):
    """How many previews there may be at once; absent: as many as there are pull requests."""

    previews: Limit | None = None
    """Awake and asleep."""
    per_author: Limit | None = None
    """Of one author's pull requests."""
    awake: Limit | None = None

    def caps(self) -> Caps:
        return Caps(previews=self.previews, per_author=self.per_author, awake=self.awake)


class ServerCapsSettings(CapsSettings):
    """The same, for all projects together."""

    evict_asleep: bool = False
    """Whether the longest unused of those that sleep and are not pinned makes room when there is none."""


class BrakeSettings(Section):
    """More removals at once than this, that nobody asked for, wait for a person."""

    removals: Limit = 10
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of the previews that there are; the greater of the two counts."""
    window: Span = timedelta(minutes=10)

    def limits(self) -> BrakeLimits:
        return BrakeLimits(removals=self.removals, share=self.share, window=self.window)


class CollectSettings(Section):
    """What was left behind is removed by a sweep now and then."""

    interval: Span = timedelta(minutes=5)
    grace: Delay = timedelta(minutes=10)
    """How long something is known as left behind before it is removed."""
    per_sweep: Limit = 10


class IngressSettings(Section):
    """The ingress controller before the previews."""

    metrics_urls: list[HttpUrl] = []
    """Where each of its replicas exposes Prometheus metrics: Traefik and ingress-nginx are understood."""


class ProjectSettings(Section):
    """One deployable."""

    name: Annotated[str, checked_by(naming.check_project_name)]
    repository: Annotated[str, AfterValidator(repository_name)]
    image: ImageSettings | None = None
    """Absent: the deployable has no image of its own, and none is waited for."""
    deploy: DeploySettings
    hostname: str
    """One label under the zone, with {number} and perhaps {project}."""
    probe_path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    """What must answer before the preview is live."""
    lifetime: LifetimeSettings = LifetimeSettings()
    limits: CapsSettings = CapsSettings()
    database: ProjectDatabaseSettings | None = None
    """Absent: its previews have none that the manager knows of."""


class Settings(Section):
    """The whole configuration file."""

    instance: Annotated[str, checked_by(naming.check_instance)]
    """The name of this manager, in every ownership label."""
    data_directory: Path
    """The store and the clone of the GitOps repository. Losing it loses history only."""
    templates_directory: Path | None = None
    """A site's own manifests, by file name; what is not there comes with the package."""
    forge: ForgeSettings
    gitops: GitOpsSettings
    argocd: ArgoCDSettings = ArgoCDSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    domain: DomainSettings
    server: ServerSettings = ServerSettings()
    insecure_registries: list[str] = []
    """Registries (host:port) that are spoken to without TLS; loopback ones always are."""
    registry_credentials_file: ExistingFile | None = None
    """A Docker config.json."""
    resync: Duration = timedelta(seconds=60)
    """How often the open pull requests are listed. Alone it is enough: webhooks only make it faster."""
    image_deadline: Duration = timedelta(minutes=30)
    """After this long without an image the commit status says failure. It is still looked for."""
    deploy_deadline: Duration = timedelta(minutes=10)
    """After this long without an answer the commit status says failure. It is still waited for."""
    ingress: IngressSettings = IngressSettings()
    limits: ServerCapsSettings = ServerCapsSettings()
    brake: BrakeSettings = BrakeSettings()
    collect: CollectSettings = CollectSettings()
    rewrites_at_most: Limit = 5
    """Live previews that a changed template or configuration reaches at a time."""
    databases: list[DatabaseServerSettings] = []
    secrets: SecretsSettings = SecretsSettings()
    projects: Annotated[list[ProjectSettings], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_projects(self) -> "Settings":
        for index, project in enumerate(self.projects):
            where = f"projects.{index}"
            _checked(f"{where}.hostname", partial(self._check_host, project))
            if project.image:
                _checked(f"{where}.image.tag", partial(naming.check_image_tag, project.image.tag))
            for name, pattern in project.deploy.helm.parameters.items():
                _checked(
                    f"{where}.deploy.helm.parameters.{name}",
                    partial(naming.check_parameter, pattern),
                )
            if project.lifetime.sleep_after and not self.ingress.metrics_urls:
                raise _KeyError(
                    f"{where}.lifetime.sleep_after: needs ingress.metrics_urls: "
                    "nobody could tell whether a preview is visited"
                )
            if project.database:
                _checked(
                    f"{where}.database",
                    partial(check_databases, self.databases, self.secrets, project.database),
                )
            for other in self.projects[:index]:
                _refuse_clash(where, project, other)
        return self

    def _check_host(self, project: ProjectSettings) -> None:
        naming.check_host_pattern(project.hostname, project=project.name, zone=self.domain.zone)

    def pushes_per_minute(self) -> float | None:
        """The push budget in force."""
        on_github = urlsplit(self.gitops.url).hostname == "github.com"
        return self.gitops.pushes_per_minute or (GITHUB_PUSHES_PER_MINUTE if on_github else None)

    def project_map(self) -> Mapping[str, Project]:
        """The projects as the rest of the program knows them."""
        port = f":{self.domain.port}" if self.domain.port else ""
        return {
            project.name: Project(
                name=project.name,
                repository=project.repository,
                image_repository=project.image.repository if project.image else None,
                image_tag=project.image.tag if project.image else "",
                host_pattern=project.hostname,
                helm=Helm(**project.deploy.helm.model_dump()),
                url_pattern=f"{self.domain.scheme}://{{host}}{port}/",
                probe_path=project.probe_path,
                lifetime=project.lifetime.policy(),
                caps=project.limits.caps(),
                database=project.database.policy(project.name) if project.database else None,
            )
            for project in self.projects
        }


class _KeyError(ValueError):
    """A mistake found by comparing keys; its text starts with the key."""


def _checked(key: str, check: Callable[[], None]) -> None:
    try:
        check()
    except ValueError as error:
        raise _KeyError(f"{key}: {error}") from error


def _refuse_clash(where: str, project: ProjectSettings, other: ProjectSettings) -> None:
    if project.name == other.name:
        raise _KeyError(
            f"{where}.name: there are two projects {project.name!r}: "
            "they would share namespaces and Applications"
        )
    if naming.hosts_may_meet(project.hostname, project.name, other.hostname, other.name):
        raise _KeyError(
            f"{where}.hostname: {project.hostname!r} and {other.hostname!r} of project "
            f"{other.name!r} could yield one host: put {{project}} into both"
        )


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may not stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def load_settings(path: Path) -> Settings:
    """Read and check the configuration. Raises ConfigurationError with a line for each mistake."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must hold keys and values (docs/configuration.md)")
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(
            "\n".join(f"{path}: {_describe(detail)}" for detail in error.errors())
        ) from error


def _describe(detail: ErrorDetails) -> str:
    """One line: the key, and what is wrong with it. Never the value of a key that is unknown: it may be a secret."""
    key = ".".join(str(part) for part in detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, _KeyError):
        return str(cause)
    texts = {
        "extra_forbidden": "there is no such key (docs/configuration.md lists them)",
        "missing": "must be given",
    }
    text = texts.get(detail["type"], str(cause) if cause else detail["msg"])
    return f"{key}: {text}"
