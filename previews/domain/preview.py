"""The nouns: pull request, preview, and what was observed of each outside system."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType, Self

HeadSha = NewType("HeadSha", str)
"""The full commit id at the head of a pull request, lower-case hexadecimal."""

_HEAD_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def parse_head_sha(text: str) -> HeadSha:
    """Accept a commit id as forges give it. Raises ValueError for anything else."""
    if not _HEAD_SHA.fullmatch(text):
        raise ValueError(f"not a commit id: {text[:80]!r}")
    return HeadSha(text)


@dataclass(frozen=True, slots=True, order=True)
class PreviewKey:
    """One project at one pull request. All that an event carries."""

    project: str
    number: int

    def __str__(self) -> str:
        return f"{self.project}#{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `project#42`. Raises ValueError."""
        project, separator, number = text.rpartition("#")
        if not separator or not project or not number.isascii() or not number.isdigit():
            raise ValueError(f"a preview is written project#number, not {text!r}")
        return cls(project, int(number))


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What the forge says of a pull request. Every text in it is data from a stranger."""

    repository: str
    """`owner/name`, as the forge spells it."""
    number: int
    is_open: bool
    head_sha: HeadSha
    head_branch: str
    base_branch: str
    title: str
    author: str
    url: str
    from_fork: bool
    """Whether the head lies in another repository, or in one that is gone."""
    labels: tuple[str, ...] = ()
    """Sorted."""
    is_draft: bool = False
    author_is_bot: bool = False
    """Whether the forge itself says that no person opened it."""
    repository_id: int = 0
    """The forge's number of the repository: it stays when the repository is renamed or moved."""
    updated_at: datetime | None = field(default=None, compare=False)
    """When anything about it last changed, a comment above all. It alone makes no other pull request of it."""


class Phase(StrEnum):
    """What people see of a preview, derived from facts by `plan` and never the truth itself."""

    BLOCKED = "Blocked"
    QUEUED = "Queued"
    WAITING_FOR_IMAGE = "WaitingForImage"
    PROVISIONING = "Provisioning"
    DEPLOYING = "Deploying"
    LIVE = "Live"
    DEGRADED = "Degraded"
    ASLEEP = "Asleep"
    WAKING = "Waking"
    EXPIRED = "Expired"
    """Taken away although the pull request is open: its time was over, or somebody asked."""
    REMOVING = "Removing"
    REMOVED = "Removed"


class Stage(StrEnum):
    """How much of a preview should be in Git. Removal passes through all three, in this order."""

    WHOLE = "Whole"
    NAMESPACE = "Namespace"
    """The Application is out, so that Argo CD ends the workload while its namespace still stands."""
    NOTHING = "Nothing"


class Mode(StrEnum):
    """What a whole preview runs. It falls asleep in one step and wakes in two."""

    AWAKE = "Awake"
    WARMING = "Warming"
    """Its pods start, and its host is not claimed before they answer: visitors still see the waiting page."""
    ASLEEP = "Asleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A database that is ready, and the secret that opens it, as the preview's manifests name them."""

    server: str
    incarnation: str
    credential: str
    since: datetime
    """When that password was set; what was asked for later is still to be done."""
    secret_kind: str
    """One of `database.SecretKind`: how the secret got to the preview, and has to be taken back."""
    secret_name: str
    secret_file: str = field(default="", repr=False)
    """The manifest that brings the secret; empty if none does. Nothing in it can be read."""

    @property
    def trace(self) -> "Trace":
        """Where something of what was granted may be."""
        server = "" if self.incarnation == SHARED_INCARNATION else self.server
        return Trace(server, self.secret_kind, self.secret_name)


SHARED_INCARNATION = "shared"
"""Of a database that all previews of a project share."""


@dataclass(frozen=True, slots=True, order=True)
class Trace:
    """Where something of a preview's database may be that nothing else tells of."""

    server: str
    """Empty for a database that is shared: nothing of the preview's own is there."""
    secret_kind: str
    """One of `database.SecretKind`; empty when no secret is left."""
    secret_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One of the project's own secrets, as the preview's manifests bring it."""

    name: str
    """Of the Secret in the preview's namespace."""
    id: str
    """Another one whenever what is in it changes. It says nothing of what that is."""
    kind: str
    """One of `database.SecretKind`."""
    file: str = field(default="", repr=False)
    """The manifest that brings it; empty if none does. Nothing in it can be read."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that exists in its registry."""

    reference: str
    """`repository:tag`, as a pod names it; `repository@digest` for one that CI named by its digest alone."""
    digest: str
    """What the registry had for that tag when it was looked up; empty if nobody asked."""

    @property
    def repository(self) -> str:
        name = self.reference.partition("@")[0]
        return name.removesuffix(f":{self.tag}") if self.tag else name

    @property
    def tag(self) -> str:
        """Empty for one that has only a digest."""
        return "" if "@" in self.reference else self.reference.rpartition(":")[2]

    def runs_in(self, images: Collection[str]) -> bool:
        """Whether one of the images that pods name is this one: by its tag, its digest, or both."""
        pinned = {f"{self.reference}@{self.digest}", f"{self.repository}@{self.digest}"}
        return self.reference in images or bool(self.digest and pinned & set(images))


@dataclass(frozen=True, slots=True)
class Manifests:
    """The files of one preview, by path below the preview's folder, and the digest that they carry."""

    stage: Stage
    digest: str
    """Of everything that the manifests say; an annotation on the Application says which one is deployed."""
    head_sha: HeadSha | None
    """The commit whose image they deploy; None when they deploy nothing."""
    files: Mapping[str, str] = field(repr=False)
    mode: Mode = Mode.AWAKE
    redeployed_at: str = ""
    """When somebody last asked for a new rollout."""
    annotations: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What they say of the preview's lifetime. No part of the digest: to pin a preview deploys nothing."""
    grant: Grant | None = None
    """The database that they name, and the secret that opens it."""
    image: Image | None = None
    """What they deploy, as the registry had it; None without an image of its own."""
    parcels: tuple[Parcel, ...] = ()
    """The project's own secrets, which they bring along."""


@dataclass(frozen=True, slots=True)
class Application:
    """What Argo CD says of a preview's Application, reduced to what decides.

    `proven_for_spec` is the heart of it: the comparison and the last operation are about exactly the sources that the
    spec has now, or Argo CD compared these and found nothing to do. For about a second after a push everything still
    says Synced and Healthy about the old image.
    """

    name: str
    uid: str
    owner: PreviewKey | None
    """From our labels; None when they are not ours."""
    digest: str
    deleting: bool
    proven_for_spec: bool
    sync: str
    health: str
    operation_phase: str
    """Of an operation that is under way, or of the last one on these sources: empty when that was on older ones."""
    operation_message: str
    images: frozenset[str]
    revisions: frozenset[str]
    """The commits that Argo CD works from: the last comparison's, and a running operation's."""
    problems: tuple[str, ...]
    """Refused resources and error conditions, in Argo CD's words."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """What Kubernetes says of a preview's namespace."""

    name: str
    uid: str
    owner: PreviewKey | None
    deleting: bool
    problems: tuple[str, ...]
    """Why it cannot go yet, in Kubernetes' words (conditions of a terminating namespace)."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One request to the public URL through the real ingress."""

    answered: bool
    detail: str
    """The status line or the error, short enough for a commit status."""
    reason: str = "URLDoesNotAnswer"
    """Why it did not, if it did not: from the closed list of reasons."""
    head_sha: str = ""
    """The commit that the application says it is, if it does; perhaps in short."""


@dataclass(frozen=True, slots=True)
class CIRun:
    """What builds the image of a commit, as the forge shows it."""

    name: str
    state: str
    """`queued`, `running`, `succeeded`, `failed` or `cancelled`."""
    url: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact about a preview, as Kubernetes writes conditions."""

    type: str
    status: bool
    reason: str
    message: str
    since: datetime
