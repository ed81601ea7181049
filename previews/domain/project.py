"""One configured deployable: which repository, which image, and how it is deployed. Built from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from previews.domain.caps import Caps
from previews.domain.database import DatabasePolicy
from previews.domain.lifetime import LifetimePolicy
from previews.domain.naming import Names, fill, names_of
from previews.domain.preview import HeadSha, PreviewKey

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
    """Further Helm parameters; each value is a pattern with {number}, {head_sha}, {short_sha}, {host}, {project}."""
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
    probe_path: str = "/"
    """What the probe asks for, below the address."""
    lifetime: LifetimePolicy = field(default_factory=LifetimePolicy)
    caps: Caps = field(default_factory=Caps)
    database: DatabasePolicy | None = None

    def names(self, number: int) -> Names:
        return names_of(PreviewKey(self.name, number), host_pattern=self.host_pattern)

    def url(self, number: int) -> str:
        """The preview's public address."""
        return self.url_pattern.format(host=self.names(number).host)

    def probe_url(self, number: int) -> str:
        """What the probe asks for."""
        return self.url(number).rstrip("/") + self.probe_path

    def tag(self, number: int, head_sha: HeadSha) -> str:
        """The image tag of one commit."""
        key = PreviewKey(self.name, number)
        return fill(self.image_tag, key=key, head_sha=head_sha, host=self.names(number).host)
