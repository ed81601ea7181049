"""What the loop is given: every outside system behind its port, and what the configuration says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from previews.domain.brake import BrakeLimits
from previews.domain.caps import Caps
from previews.domain.database import SecretKind
from previews.domain.forge_ports import Forge
from previews.domain.observation import Deadlines
from previews.domain.orphans import (
    Limits,
)
from previews.domain.ports import (
    Clock,
    Cluster,
    GitOpsRepository,
    Prober,
    Registry,
    Renderer,
    Store,
    Traffic,
)
from previews.domain.project import Project
from previews.domain.repository_rules import ReadYAML
from previews.domain.resource_ports import DatabaseServer, HostRecords, SecretDelivery, SecretSource
from previews.reconcile.warm_pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every outside system, behind its port."""

    forge: Forge
    gitops: GitOpsRepository
    cluster: Cluster
    registry: Registry
    prober: Prober
    renderer: Renderer
    store: Store
    clock: Clock
    secret_source: SecretSource
    read_yaml: ReadYAML
    """Of what repositories say of their own previews."""
    traffic: Traffic | None = None
    """None: requests are not counted, and nothing falls asleep for want of them."""
    databases: Mapping[str, DatabaseServer] = field(default_factory=dict)
    """By the name that the configuration gives them."""
    deliveries: Mapping[SecretKind, SecretDelivery] = field(default_factory=dict)
    host_records: HostRecords | None = None
    """None: hosts need no records of their own, since a wildcard answers for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the configuration says about the loop."""

    instance: str
    projects: Mapping[str, Project]
    deadlines: Deadlines
    resync_seconds: float
    probe_seconds: float = 60.0
    """How often each live preview is asked at its URL."""
    pushes_per_minute: float | None
    caps: Caps = field(default_factory=Caps)
    """Of the whole server; each project has its own."""
    evicts: bool = False
    brake: BrakeLimits = field(default_factory=BrakeLimits)
    rewrites_at_most: int = 5
    collecting: Limits = field(default_factory=Limits)
    collect_seconds: float = 300.0
    pools: Sequence[Pool] = ()
    """Of clones that stand ready."""
    applications_url: str = ""
    """Under which Argo CD's own pages show each Application by its name; empty: nowhere that is known."""
    reconcile_threads: int = 8
    publish_threads: int = 2
