"""What is there of ours, in the cluster, in Git and elsewhere; and what of it nobody wants any more. Pure.

Nothing is an orphan for being unknown. It takes proof: the pull request itself was read and is closed, or the preview's
removal was finished; nothing of the preview is in Git, nor in a commit that Argo CD works from; and nobody is deleting
it already.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from previews.domain.memory import Memory
from previews.domain.naming import folder_of, root_file, root_name, shard_of
from previews.domain.preview import PreviewKey

_KEEP = "-keep"


class Kind(StrEnum):
    """What the inventory is of."""

    APPLICATION = "Application"
    APP_PROJECT = "AppProject"
    NAMESPACE = "Namespace"
    CONFIG_MAP = "ConfigMap"
    """The object that keeps a shard from being empty."""
    DATABASE = "Database"
    """And the role that may use it, on a server outside of the cluster."""
    RECORD = "Record"
    """The address of its host, in a zone that takes updates."""
    DEPLOYMENT = "Deployment"
    """One that the forge shows of a commit of its pull request."""
    FOLDER = "Folder"
    """A preview's files in Git."""
    ROOT_FILE = "RootFile"
    """A shard's files in Git."""


class Verdict(StrEnum):
    """What is to become of a thing."""

    WANTED = "Wanted"
    BEING_REMOVED = "BeingRemoved"
    ORPHAN = "Orphan"
    NOT_OURS = "NotOurs"
    """It carries our label, and no project in the configuration answers for it: a person decides."""
    UNKNOWN = "Unknown"
    """The forge could not say, or knows no such pull request: a person decides."""


Identity: TypeAlias = tuple[Kind, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedObject:
    """A thing that carries our instance's label, or lies in our folder in Git."""

    kind: Kind
    name: str
    uid: str = ""
    """Empty in Git; a database's incarnation."""
    owner: PreviewKey | None = None
    shard: str = ""
    """Of what belongs to a shard and not to one preview."""
    created_at: datetime | None = None
    """None in Git."""
    deleting: bool = False

    @property
    def identity(self) -> Identity:
        return self.kind, self.name, self.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A thing, and what was found out about it."""

    owned: OwnedObject
    verdict: Verdict
    cause: str = ""
    since: datetime | None = None
    """When this process first found it to be an orphan."""
    waits: str = ""
    """Why an orphan is not removed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One look at everything, and what was done about it."""

    at: datetime
    actor: str
    dry_run: bool
    found: tuple[Found, ...] = ()
    planned: tuple[Found, ...] = ()
    """What this sweep removes, in order; or would, if it were none for show."""
    removed: tuple[Found, ...] = ()
    """Of these, what was there until the end and was removed."""
    held: str = ""
    """Why nothing is removed although there are orphans, or although nobody knows."""
    needs_confirmation: bool = False
    """Whether a person can lift that."""
    problems: tuple[str, ...] = ()

    @property
    def orphans(self) -> tuple[Found, ...]:
        return tuple(found for found in self.found if found.verdict is Verdict.ORPHAN)


class ForgeAnswer(StrEnum):
    """What the forge said of one pull request when it was asked for by itself."""

    OPEN = "open"
    CLOSED = "closed"
    NOT_FOUND = "not found"
    NONE = "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """What was found out about a preview that has objects and no files in Git."""

    pull_request: str
    """`owner/name#42`"""
    answer: ForgeAnswer
    problem: str = ""
    """Why there is no answer."""
    in_use: bool = False
    """Whether Argo CD still works from a commit that has its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that is known at one moment."""

    now: datetime
    projects: Collection[str]
    """In the configuration."""
    keys_in_git: Collection[PreviewKey]
    shards_in_git: Collection[str]
    memories: Mapping[PreviewKey, Memory]
    suspicions: Mapping[PreviewKey, Suspicion]
    patience: timedelta
    """How long a removal may be under way before what it has not reached counts as left behind."""


def shard_of_keep(instance: str, name: str) -> str:
    """The shard of the ConfigMap of this name; empty if it is no shard's."""
    prefix = root_name(instance, "")
    if not (name.startswith(prefix) and name.endswith(_KEEP)):
        return ""
    return name.removeprefix(prefix).removesuffix(_KEEP)


def keep_name(instance: str, shard: str) -> str:
    """The ConfigMap that keeps a shard from being empty."""
    return f"{root_name(instance, shard)}{_KEEP}"


def in_git(keys: Iterable[PreviewKey], shards: Iterable[str]) -> list[OwnedObject]:
    """The part of the inventory that lies in Git."""
    folders = [OwnedObject(kind=Kind.FOLDER, name=folder_of(key), owner=key) for key in keys]
    roots = [OwnedObject(kind=Kind.ROOT_FILE, name=root_file(each), shard=each) for each in shards]
    return folders + roots


def suspects(
    things: Iterable[OwnedObject],
    *,
    projects: Collection[str],
    keys_in_git: Collection[PreviewKey],
    memories: Mapping[PreviewKey, Memory],
) -> list[PreviewKey]:
    """Previews of ours that have objects, and no files in Git: about these the forge has to be asked."""
    return sorted(
        {
            each.owner
            for each in things
            if each.owner is not None
            and each.owner.project in projects
            and each.owner not in keys_in_git
            and not each.deleting
            and not _is_shown(each, memories.get(each.owner, Memory()))
        }
    )


def judge(things: Sequence[OwnedObject], view: View) -> list[Found]:
    """Say of each thing what is to become of it."""
    with_objects = {each.owner for each in things if each.owner is not None}
    holding = (key for key, memory in view.memories.items() if memory.holds_shard)
    busy = {shard_of(key) for key in (*view.keys_in_git, *with_objects, *holding)}
    return [_judge(each, view, busy) for each in things]


def _judge(thing: OwnedObject, view: View, busy: Collection[str]) -> Found:
    project = thing.owner.project if thing.owner else thing.shard.rpartition("-")[0]
    if not project:
        verdict, cause = Verdict.NOT_OURS, "it has our label and belongs to no preview and no shard"
    elif project not in view.projects:
        verdict, cause = Verdict.NOT_OURS, f"no project {project!r} is in the configuration"
    elif thing.deleting:
        verdict, cause = Verdict.BEING_REMOVED, "Kubernetes is deleting it"
    elif _is_shown(thing, view.memories.get(thing.owner or PreviewKey("", 0), Memory())):
        verdict, cause = Verdict.WANTED, "its preview is on its way"
    elif thing.owner is not None:
        verdict, cause = _judge_preview(thing.owner, view)
    else:
        verdict, cause = _judge_shard(thing, view, busy)
    return Found(owned=thing, verdict=verdict, cause=cause)


def _is_shown(thing: OwnedObject, memory: Memory) -> bool:
    """Whether it shows a preview that is wanted: one that waits has a deployment, and nothing else yet."""
    return thing.kind is Kind.DEPLOYMENT and memory.is_shown


def _judge_preview(key: PreviewKey, view: View) -> tuple[Verdict, str]:
    memory = view.memories.get(key, Memory())
    if key in view.keys_in_git:
        if memory.removing_since is not None:
            return Verdict.BEING_REMOVED, "its preview is being removed"
        return Verdict.WANTED, "its files are in Git"
    suspicion = view.suspicions.get(key)
    if suspicion is None:
        return Verdict.UNKNOWN, "too many are to be asked for in one sweep"
    return _judge_suspect(suspicion, memory, view)


def _judge_suspect(suspicion: Suspicion, memory: Memory, view: View) -> tuple[Verdict, str]:
    since = memory.removing_since
    if suspicion.answer is ForgeAnswer.NONE:
        return Verdict.UNKNOWN, f"{suspicion.pull_request}: {suspicion.problem}"
    if suspicion.answer is ForgeAnswer.NOT_FOUND:
        return Verdict.UNKNOWN, (
            f"the forge knows no pull request {suspicion.pull_request}, which proves nothing: "
            "`previews remove` takes it away"
        )
    if suspicion.in_use:
        return Verdict.BEING_REMOVED, "Argo CD still works from a commit that has its files"
    if since is not None and view.now - since < view.patience:
        return Verdict.BEING_REMOVED, "its preview is being removed"
    if suspicion.answer is ForgeAnswer.CLOSED:
        why = f"{suspicion.pull_request} is closed"
    elif memory.ended:
        why = f"its preview was taken away ({memory.ended})"
    elif since is not None:
        why = f"it has been under removal since {since:%Y-%m-%d %H:%M} UTC"
    else:
        return Verdict.WANTED, f"{suspicion.pull_request} is open"
    return Verdict.ORPHAN, f"{why}, its files are out of Git, and it was left behind"


def _judge_shard(thing: OwnedObject, view: View, busy: Collection[str]) -> tuple[Verdict, str]:
    if thing.shard in busy:
        return Verdict.WANTED, "there are previews in its shard"
    if thing.kind is Kind.ROOT_FILE:
        return Verdict.ORPHAN, "no preview is in this shard any more"
    if thing.shard in view.shards_in_git:
        # As long as they are there, Argo CD would bring back what is deleted.
        return Verdict.WANTED, "its shard's files are in Git"
    return Verdict.ORPHAN, "its shard is out of Git, and it was left behind"
