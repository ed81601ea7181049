"""What a decision about a preview rests on, and what a decision is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from previews.domain.caps import Place
from previews.domain.database import Trouble
from previews.domain.diagnosis import Cause
from previews.domain.lifetime import Said
from previews.domain.preview import (
    Application,
    CIRun,
    Condition,
    Grant,
    Image,
    Manifests,
    Mode,
    Namespace,
    Parcel,
    Phase,
    PreviewKey,
    Stage,
)
from previews.domain.probing import ProbeVerdict

APPLICATION_FILE = "application.yaml"
"""The file of a preview's folder that Stage.NAMESPACE leaves out."""
NAMESPACE_FILE = "namespace.yaml"
DATABASE_FILE = "database.yaml"
"""The secret of its database, if one lies in Git."""
SECRETS_FILE = "secrets.yaml"
"""The project's own secrets, if they lie in Git."""
LOOK_AGAIN_SECONDS = 1.0
"""While something is under way that no watch reports: an image, an answer of the URL."""
LOOK_AGAIN_SLOWLY_SECONDS = 30.0
"""When it has been under way for longer than it should."""
IMAGE_AGAIN_SECONDS = 8.0
"""An image that is not late is looked for at least this often."""
DIAGNOSE_SECONDS = 3.0
"""While a workload does not come up, its pods are looked at again this often, and seldomer later."""
PROBE_AGAIN_SECONDS = 0.2
"""When the last answer of the URL was another than the ones before: a second one says which is right."""
PROBE_SOON_SECONDS = 0.3
"""When the pods are up and the ingress has to take up their host, which it does within a second or so."""
SILENT_AGAIN_SECONDS = 5.0
"""When a live URL did not answer: whoever only restarts is back before it has been silent several times."""
NUDGE_AFTER_SECONDS = 10.0
"""When Argo CD has nothing under way for an Application, and it is not as it should be."""
NUDGES_END_AFTER_SECONDS = 300.0
"""By then Argo CD has looked by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a preview may take before its pending status becomes a failure. It is still waited for."""

    image: timedelta
    deploy: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The facts that a decision rests on, all read after the event that asked for it."""

    key: PreviewKey
    image: Image | None
    """Of this head_sha, if the registry has it; unused for a project without an image."""
    needs_image: bool
    image_name: str
    """What is looked for: `repository:tag`, `repository@digest`, or all three."""
    manifests: Manifests | None
    """What was last decided to be in Git."""
    manifests_since: datetime | None
    """When that was last something else to deploy."""
    pushed: bool
    """Whether Git has what `manifests` deploy."""
    git_problem: str
    """Why nothing can be written to Git at present."""
    files_in_git: frozenset[str]
    """The names of the preview's files at the branch's tip."""
    files_in_use: frozenset[str]
    """The preview's files in commits that Argo CD still works from: it may yet create what Git no longer has."""
    root: Application | None
    """The shard root before it."""
    application: Application | None
    namespace: Namespace | None
    app_project_exists: bool
    probe: ProbeVerdict | None
    """Of these manifests, since Argo CD finished with them."""
    head_since: datetime
    conditions: tuple[Condition, ...]
    is_held: bool
    """Whether the brake holds its removal."""
    place: Place | None
    """In the queue for what it needs next: to be there, or to be awake."""
    sleep: Said | None
    """Why it is to sleep."""
    was: Phase
    needs_database: bool = False
    grant: Grant | None = None
    """Its database is ready, and this secret opens it; None while that is not so."""
    database_left: bool | None = None
    """Whether anything of its database or role is there; None for one that never had any."""
    is_server_unknown: bool = False
    """Whether it may have another on a server that is not configured, where nobody can look."""
    secret_left: bool | None = None
    """Whether its database's secret may still lie in a store; None for one that never put any there."""
    migration_log: str = ""
    """The last lines of a migration that failed, while a sync has failed."""
    secret_problem: str = ""
    """Why the database's secret has not arrived, while the workload is not healthy."""
    trouble: Trouble | None = None
    """Why the database could last not be made, or dropped."""
    parcels: tuple[Parcel, ...] | None = ()
    """The project's own secrets; None while they are not on their way as they should be now."""
    parcel_trouble: Trouble | None = None
    """Why these could last not be sent, or taken back."""
    needs_record: bool = False
    has_record: bool | None = None
    """Whether the name server has its host's record; None for one that needs none, and never had one."""
    record_trouble: Trouble | None = None
    """Why that record could last not be made, or removed."""
    deployments_left: bool | None = None
    """Whether the forge may still show any of its deployments; None for one that never had any."""
    deployment_trouble: Trouble | None = None
    """Why these could last not be removed."""
    cause: Cause | None = None
    """Why its workload does not come up, as Kubernetes tells it; looked for only while it does not."""
    image_trouble: Trouble | None = None
    """Why nobody could say now whether there is the image, or why the one that there is will not do."""
    run: CIRun | None = None
    """What CI says of this commit; asked for only when its image is late."""
    is_suspected: bool = False
    """Whether it is live, and somebody found that it does not answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A condition as decided; the record adds since when."""

    type: str
    status: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to show, and what to do next."""

    phase: Phase
    reason: str
    message: str
    facts: tuple[Fact, ...]
    stage: Stage | None = None
    """What should be in Git; None leaves it as it is."""
    mode: Mode = Mode.AWAKE
    """What a whole preview should run."""
    probe: bool = False
    bring_parcels: bool = False
    bring_record: bool = False
    drop_record: bool = False
    drop_deployments: bool = False
    bring_database: bool = False
    withdraw_secret: bool = False
    drop_database: bool = False
    end_operation: bool = False
    refresh: bool = False
    """Whether Argo CD should look at the Application again: it may have lost what it found out last."""
    refresh_root: bool = False
    """The same of the shard root, when what should come of it does not come."""
    failed: bool = False
    """Whether the commit status should say failure rather than pending."""
    look_again_after_seconds: float | None = None
