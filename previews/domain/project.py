"""One configured deployable: which repository, which image, and how it is deployed. Built from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from previews.domain.caps import Caps
from previews.domain.database import DatabasePolicy
from previews.domain.egress import Opening
from previews.domain.feedback import CommentMode
from previews.domain.hosts import HostRule
from previews.domain.lifetime import LifetimePolicy
from previews.domain.naming import Names, fill, names_of
from previews.domain.policy import Policy
from previews.domain.preview import HeadSha, PreviewKey
from previews.domain.probing import ProbePolicy
from previews.domain.secret_set import SecretSet

DATABASE_PARAMETERS: Mapping[str, str] = {
    "database.secret": "{secret}",
    "database.credential": "{credential}",
    "database.incarnation": "{incarnation}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """A Helm chart in a Git repository. None of this ever comes from a pull request."""

    repository_url: str
    path: str
    revision: str
    values: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Further Helm parameters; each value is a pattern with {number}, {head_sha}, {short_sha}, {host}, {project}, and
    {host_NAME} for each service."""
    sleep_parameters: Mapping[str, str] = field(default_factory=lambda: {"replicas": "0"})
    """What makes the chart run no pod, as Helm's `--set` reads it."""
    hide_parameters: Mapping[str, str] = field(default_factory=lambda: {"ingress.enabled": "false"})
    """What makes the chart claim no host."""
    database_parameters: Mapping[str, str] = field(default_factory=lambda: DATABASE_PARAMETERS)
    """What tells the chart of a database; values are patterns with {secret}, {credential}, {incarnation}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What stays the same for every preview of a project."""

    name: str
    repository: str
    """`owner/name` at the forge."""
    image_repository: str | None
    """None when the deployable has no image of its own: then none is waited for."""
    image_tag: str
    """A pattern, such as `pr-{number}-{short_sha}`."""
    host_pattern: str
    helm: Helm
    url_pattern: str
    """The public address with only {host} left open: `https://{host}/`."""
    probe: ProbePolicy = field(default_factory=ProbePolicy)
    policy: Policy = field(default_factory=Policy)
    """Which pull requests get a preview."""
    lifetime: LifetimePolicy = field(default_factory=LifetimePolicy)
    caps: Caps = field(default_factory=Caps)
    database: DatabasePolicy | None = None
    secrets: tuple[SecretSet, ...] = ()
    """By name; the one that its images are pulled with is among them."""
    services: tuple[str, ...] = ()
    """Parts of the application that get a host each, beside the preview's own."""
    egress: tuple[Opening, ...] = ()
    """What its previews reach beside their own namespace and the Internet."""
    host_key: bytes = field(default=b"", repr=False)
    """Of the suffix that makes hosts unguessable; empty: they have none."""
    comment_mode: CommentMode = CommentMode.ALWAYS
    image_platform: str = ""
    """What the image must have been built for, such as `linux/amd64`; empty: nobody looks."""

    def names(self, number: int) -> Names:
        return names_of(
            PreviewKey(self.name, number),
            host_pattern=self.host_pattern,
            services=self.services,
            host_key=self.host_key,
        )

    def host_rule(self) -> HostRule:
        """How its hosts are made, and read back."""
        return HostRule(
            project=self.name, pattern=self.host_pattern, services=self.services, key=self.host_key
        )

    def service_hosts(self, number: int) -> dict[str, str]:
        """The host of each service, by its name."""
        return dict(zip(self.services, self.names(number).hosts[1:], strict=True))

    def url(self, number: int) -> str:
        """The preview's public address."""
        return self.url_pattern.format(host=self.names(number).host)

    def probe_url(self, number: int) -> str:
        """What the probe asks for."""
        return self.url(number).rstrip("/") + self.probe.path

    def tag(self, number: int, head_sha: HeadSha) -> str:
        """The image tag of one commit."""
        key = PreviewKey(self.name, number)
        return fill(self.image_tag, key=key, head_sha=head_sha, host=self.names(number).host)
