"""What the core needs of the world, by role. Adapters implement these; fakes in tests/fakes do as well.

All of them raise TransientError when the outside system cannot be asked now, and StalledError when it refuses in a
way that asking again will not change. None ever stands for "I could not find out": it means a proven absence.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Protocol

from previews.domain.images import NamedImage
from previews.domain.inventory import OwnedObject
from previews.domain.lifetime import Wishes
from previews.domain.preview import (
    Application,
    Grant,
    HeadSha,
    Image,
    Manifests,
    Mode,
    Namespace,
    Parcel,
    PreviewKey,
    ProbeResult,
    PullRequest,
)
from previews.domain.probing import ProbePolicy
from previews.domain.record import Delivery, HistoryEntry, PreviewRecord
from previews.domain.workload import Workload
from previews.errors import TransientError


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Tree:
    """Our folder of the GitOps repository at one commit."""

    commit: str
    blobs: Mapping[str, str]
    """Git's blob id by path, relative to our folder."""


class PushRejectedError(TransientError):
    """Somebody else pushed first: fetch and compute again."""


class GitOpsRepository(Protocol):
    """One branch of the GitOps repository. Used by one thread, but for `files_at` and `read_file`."""

    def fetch(self) -> Tree:
        """The branch's tip as the server has it now."""
        ...

    def push(self, base: Tree, changes: Mapping[str, str | None], message: str) -> Tree:
        """Commit `changes` (a file's text by path, None removes it) on top of `base`, and push it.

        Never forces. Raises PushRejectedError when the branch has moved on.
        """
        ...

    def files_at(self, commit: str, folder: str) -> frozenset[str]:
        """The names of the files in a folder below ours at an earlier commit. Safe from any thread.

        Raises TransientError for a commit that the server does not know.
        """
        ...

    def read_file(self, commit: str, path: str) -> str | None:
        """The text of a file below our folder; None when that commit has no such file. Safe from any thread.

        Raises TransientError for a commit that the server does not know, StalledError for what is no text.
        """
        ...

    def blob_id(self, text: str) -> str:
        """The id that Git gives a file of this text."""
        ...


class Cluster(Protocol):
    """Kubernetes and Argo CD. The manager reads; it makes two requests of Argo CD, and deletes what was left behind."""

    def watch(self, on_change: Callable[[PreviewKey], None], stop: Event) -> None:
        """Keep what follows up to date until `stop` is set, calling back for each preview that changed. Blocks."""
        ...

    def application(self, name: str) -> Application | None:
        """From the watch. Raises TransientError until the first listing is complete."""
        ...

    def namespace(self, name: str) -> Namespace | None:
        """From the watch. Raises TransientError until the first listing is complete."""
        ...

    def owned_keys(self) -> set[PreviewKey]:
        """Every preview of ours that has an object in the cluster, from the watch."""
        ...

    def problem(self) -> str | None:
        """Why what the watch knows may be out of date; None while it is open."""
        ...

    def fetch_application(self, name: str) -> Application | None:
        """Read now, whoever owns it."""
        ...

    def fetch_namespace(self, name: str) -> Namespace | None:
        """Read now, whoever owns it."""
        ...

    def app_project_exists(self, name: str) -> bool:
        """Read now."""
        ...

    def refresh_application(self, name: str) -> bool:
        """Ask Argo CD to compare it with Git at once. False when there is no such Application."""
        ...

    def end_operation(self, application: Application) -> None:
        """End a sync that is running or being retried: Argo CD deletes nothing while it retries."""
        ...

    def owned_objects(self) -> list[OwnedObject]:
        """Everything in the cluster that carries our instance's label, read now, by lists that are complete."""
        ...

    def delete_object(self, found: OwnedObject) -> bool:
        """Delete this very object, if it is still the one that was found: same UID, same labels, not being deleted.

        False, and nothing happens, if it is not. What holds it, a finalizer above all, goes on holding it.
        """
        ...

    def job_log(self, namespace: str, lines: int) -> str:
        """The last lines that the newest failed pod of a namespace's migrations wrote, with no password in them.

        Empty if none failed, or it wrote nothing.
        """
        ...

    def workload(self, namespace: str) -> Workload:
        """The pods of a namespace, the warnings about what is in it, and why a container crashed. Read now."""
        ...


class Registry(Protocol):
    def find_image(self, repository: str, tag: str, platform: str = "") -> Image | None:
        """The image of this tag or digest, with its digest; None when the registry itself says that there is none.

        Raises StalledError("WrongPlatform") for one that was not built for `platform`, such as `linux/amd64`. An empty
        platform is not looked at.
        """
        ...


class Prober(Protocol):
    def probe(
        self, url: str, policy: ProbePolicy, *, on_request: Callable[[str], None] = ...
    ) -> ProbeResult:
        """Ask the public URL once, as a project wants it asked. Does not raise: no answer is a result.

        `on_request` is called with the host before each request: redirects are followed.
        """
        ...


class Traffic(Protocol):
    """What the ingress controller counts."""

    def requests(self, namespaces: Collection[str]) -> Mapping[str, int]:
        """Requests that it has served for each namespace since it started, our own probes among them.

        A namespace that it does not name has none. Counts that begin anew do so because the controller did.
        """
        ...


class Renderer(Protocol):
    """Desired files, as pure functions of the configuration and the pull request. Same input, same bytes."""

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
        """The files of a whole preview; of its secrets too, if `grant` and `parcels` say so."""
        ...

    def read_annotations(self, namespace_file: str) -> Mapping[str, str]:
        """What a namespace file in Git says of its preview's lifetime; nothing if it does not read as one."""
        ...

    def render_shard(self, shard: str) -> Mapping[str, str]:
        """The shard's root Application and its keep object, by path below our folder."""
        ...


class Store(Protocol):
    """The manager's memory. Losing it loses history and nothing else."""

    def accept(self, deliveries: Sequence[tuple[Delivery, Sequence[PreviewKey]]]) -> list[bool]:
        """Store deliveries and mark their previews for a fresh read, in one durable transaction.

        Says of each whether it was new: a GUID that is there already changes nothing.
        """
        ...

    def known_deliveries(self, guids: Sequence[str]) -> set[str]:
        """Those of them that were accepted, as far as that is still remembered."""
        ...

    def unfinished_deliveries(self) -> list[Delivery]:
        """Those that were accepted with a body, the oldest first: what they ask for is not done yet."""
        ...

    def finish_delivery(self, guid: str) -> None:
        """What it asked for is done: its body goes."""
        ...

    def load(self, key: PreviewKey) -> PreviewRecord | None: ...

    def load_pull_request(self, repository: str, number: int) -> list[PreviewRecord]:
        """The previews of all projects at one pull request."""
        ...

    def list_records(self) -> list[PreviewRecord]: ...

    def each_record(self) -> Iterator[PreviewRecord]:
        """The same, one after the other, for whoever keeps little of each."""
        ...

    def save(self, record: PreviewRecord, history: Sequence[HistoryEntry] = ()) -> None:
        """Insert or replace one preview's record, but for its mark for a fresh read, and add to its history."""
        ...

    def load_wishes(self, key: PreviewKey) -> Wishes:
        """What was asked for; nothing is known of most previews."""
        ...

    def list_wishes(self) -> Mapping[PreviewKey, Wishes]:
        """Of every preview of which anything was asked."""
        ...

    def save_wishes(
        self, key: PreviewKey, wishes: Wishes, history: Sequence[HistoryEntry] = ()
    ) -> None:
        """Keep what was asked for, and who asked, in one durable transaction."""
        ...

    def history(self, key: PreviewKey) -> list[HistoryEntry]:
        """Oldest first."""
        ...

    def forget(self, key: PreviewKey) -> None:
        """Drop everything about one preview but deliveries, in one transaction. Nothing happens if it is not known."""
        ...

    def mark_for_fetch(self, keys: Sequence[PreviewKey]) -> None:
        """Ask for a fresh read of the pull request, creating records that are missing."""
        ...

    def clear_mark(self, key: PreviewKey, seen: int) -> None:
        """The pull request was read; a mark that was set meanwhile stays."""
        ...

    def name_image(self, named: NamedImage) -> None:
        """Keep what the image of a commit is called, in place of an earlier name, in one durable transaction."""
        ...

    def named_image(self, project: str, head_sha: HeadSha) -> NamedImage | None:
        """What CI called the image of a commit; None if it said nothing."""
        ...

    def name_repository(self, repository_id: int, name: str, *, was: str) -> None:
        """What is known of pull requests in `was` is of the repository with this number, which is called `name` now.

        That is their previews, and what was published and read on them. All of it is renamed at once.
        """
        ...

    def comments_read_until(self, repository: str, number: int) -> datetime | None:
        """How far the commands on a pull request were read; None if they never were."""
        ...

    def record_comments_read(self, repository: str, number: int, until: datetime) -> None:
        """They were read until then. An earlier time than what is known changes nothing."""
        ...

    def published(self, repository: str, number: int) -> Mapping[str, str]:
        """Digests of what was last published on a pull request, by target."""
        ...

    def record_published(self, repository: str, number: int, target: str, digest: str) -> None: ...
