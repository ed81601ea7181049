"""Every knob, read once from one YAML file. Unknown keys are refused; secrets are named by file, never written here.

docs/configuration.md describes each of them, and a test holds it to this file. Only cli and app read settings.
"""

from collections.abc import Callable, Hashable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from previews.argocd_settings import ArgoCDSettings
from previews.database_settings import (
    DatabaseServerSettings,
    ProjectDatabaseSettings,
    check_databases,
)
from previews.dns_settings import DNSSettings, check_dns
from previews.domain import naming
from previews.domain.brake import BrakeLimits
from previews.domain.caps import Caps
from previews.domain.hosts import HostRule
from previews.domain.project import DATABASE_PARAMETERS, Helm, Project
from previews.domain.secret_set import SecretSet
from previews.egress_settings import EgressSettings
from previews.errors import ConfigurationError
from previews.feedback_settings import FeedbackSettings
from previews.forge_settings import ForgeSettings
from previews.image_settings import ImageSettings
from previews.ingress_settings import DomainSettings, IngressSettings
from previews.lifetime_settings import LifetimeSettings
from previews.policy_settings import PolicySettings
from previews.probe_settings import ProbeSettings
from previews.secret_settings import (
    SecretSetSettings,
    SecretsSettings,
    check_not_ours,
    check_secret_sets,
    secret_sets,
)
from previews.setting_types import (
    Delay,
    Duration,
    ExistingFile,
    GitUrl,
    Limit,
    Section,
    Span,
    checked_by,
    dns_name,
    folder,
    repository_name,
)

GITHUB_PUSHES_PER_MINUTE = 6
"""What GitHub recommends for one repository."""


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


class KubernetesSettings(Section):
    """The cluster; absent: the one that the manager runs in, with its service account."""

    kubeconfig: ExistingFile | None = None


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
    images_token_file: ExistingFile | None = None
    """Token of CI and of registries: it may say that there is an image, and nothing else."""


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


class ProjectSettings(Section):
    """One deployable."""

    name: Annotated[str, checked_by(naming.check_project_name)]
    repository: Annotated[str, AfterValidator(repository_name)]
    image: ImageSettings | None = None
    """Absent: the deployable has no image of its own, and none is waited for."""
    deploy: DeploySettings
    hostname: str
    """One label under the zone, with {number} and perhaps {project}."""
    hostname_suffix: bool = False
    """Whether each host ends in eight characters that nobody can guess."""
    services: Annotated[list[str], Field(max_length=20)] = []
    """Parts of the application that get a host each, `pr-7-api` beside `pr-7`."""
    egress: list[EgressSettings] = []
    """What its previews reach beside the Internet: private networks are closed to them."""
    probe: ProbeSettings = ProbeSettings()
    """What must answer before the preview is live, and while it is."""
    policy: PolicySettings = PolicySettings()
    """Which pull requests get a preview."""
    lifetime: LifetimeSettings = LifetimeSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    limits: CapsSettings = CapsSettings()
    database: ProjectDatabaseSettings | None = None
    """Absent: its previews have none that the manager knows of."""
    secrets: list[SecretSetSettings] = []
    """Its own ones, for its previews and nothing else."""

    def secret_sets(self) -> tuple[SecretSet, ...]:
        """Its own secrets, and the one that its images are pulled with."""
        return secret_sets(self.secrets, self.image.pull_secret if self.image else None)

    def host_rule(self, key: bytes) -> HostRule:
        return HostRule(
            project=self.name,
            pattern=self.hostname,
            services=tuple(self.services),
            key=key if self.hostname_suffix else b"",
        )


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
    probe_interval: Span = timedelta(seconds=60)
    """How often each live preview is asked at its URL."""
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
    dns: DNSSettings = DNSSettings()
    projects: Annotated[list[ProjectSettings], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_projects(self) -> "Settings":
        _checked("domain.hostname_key_file", self.domain.hostname_key)
        _checked("dns", partial(check_dns, self.dns, self.domain.zone))
        rules = [project.host_rule(self.domain.hostname_key()) for project in self.projects]
        for index, project in enumerate(self.projects):
            where = f"projects.{index}"
            self._check_hosts(where, project, rules[index])
            if project.image:
                _checked(f"{where}.image.tag", partial(naming.check_image_tag, project.image.tag))
            for name, pattern in project.deploy.helm.parameters.items():
                _checked(
                    f"{where}.deploy.helm.parameters.{name}",
                    partial(naming.check_parameter, pattern, project.services),
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
            _checked(f"{where}.secrets", partial(self._check_secrets, project))
            for other, its_rule in zip(self.projects[:index], rules, strict=False):
                _refuse_clash(where, project, other)
                _refuse_one_host(where, rules[index], its_rule)
        return self

    def _check_secrets(self, project: ProjectSettings) -> None:
        taken = project.database.secret.name if project.database else None
        check_secret_sets(project.secret_sets(), taken, self.secrets)
        check_not_ours(project.secret_sets(), self, self.data_directory)

    def _check_hosts(self, where: str, project: ProjectSettings, rule: HostRule) -> None:
        if project.hostname_suffix and not self.domain.hostname_key_file:
            raise _KeyError(f"{where}.hostname_suffix: needs domain.hostname_key_file")
        _checked(f"{where}.hostname", partial(rule.check, self.domain.zone))
        if rule.number_in(self.server.public_host or "") is not None:
            raise _KeyError(
                f"server.public_host: {self.server.public_host!r} would be the host of a preview "
                f"of project {project.name!r}"
            )

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
                image_platform=(project.image.platform or "") if project.image else "",
                host_pattern=project.hostname,
                services=tuple(project.services),
                egress=tuple(each.opening() for each in project.egress),
                host_key=self.domain.hostname_key() if project.hostname_suffix else b"",
                helm=Helm(**project.deploy.helm.model_dump()),
                url_pattern=f"{self.domain.scheme}://{{host}}{port}/",
                probe=project.probe.policy(),
                policy=project.policy.policy(),
                lifetime=project.lifetime.policy(),
                comment_mode=project.feedback.comment,
                caps=project.limits.caps(),
                database=project.database.policy(project.name) if project.database else None,
                secrets=project.secret_sets(),
            )
            for project in self.projects
        }


class _KeyError(ValueError):
    """A mistake found by comparing keys; its text starts with the key."""


def _checked(key: str, check: Callable[[], object]) -> None:
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


def _refuse_one_host(where: str, rule: HostRule, other: HostRule) -> None:
    if rule.may_meet(other):
        raise _KeyError(
            f"{where}.hostname: {rule.pattern!r} and {other.pattern!r} of project "
            f"{other.project!r} could yield one host: put {{project}} into both"
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
