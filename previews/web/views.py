"""What /api/v1 shows, as JSON. Texts of strangers are passed on as they are, but for what no JSON document may hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator

from previews.domain.caps import Place
from previews.domain.lifetime import Expiry, Said, Until, Wishes
from previews.domain.naming import Names, database_name
from previews.domain.ports import Clock, Store
from previews.domain.preview import Condition, Image, Phase, PreviewKey, Stage
from previews.domain.reasons import remedy_of
from previews.domain.record import Gone, HistoryEntry, PreviewRecord, Removal
from previews.errors import ActionRefusedError

PAGE_LENGTH_MAX = 500
"""Previews that one answer may hold."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a preview is."""

    names: Names
    url: str


def _well_formed(value: str | None) -> str | None:
    """Text of strangers may hold half of a UTF-16 pair, which no JSON document may."""
    return None if value is None else value.encode(errors="replace").decode()


Text = Annotated[str, BeforeValidator(_well_formed)]


class Refusal(BaseModel):
    """Why a request was not answered as was wished."""

    reason: str
    message: str


class ConditionView(BaseModel):
    """One fact about a preview, and since when it has been so."""

    type: Text
    status: bool
    reason: Text
    message: Text
    since: AwareDatetime

    @classmethod
    def of(cls, condition: Condition) -> Self:
        return cls(
            type=condition.type,
            status=condition.status,
            reason=condition.reason,
            message=condition.message,
            since=condition.since,
        )


class ExpiryView(BaseModel):
    """When a preview goes by itself, and what that is counted from."""

    at: AwareDatetime
    anchor: str
    anchored_at: AwareDatetime
    ttl_seconds: int
    extended_by: Text | None
    is_near: bool

    @classmethod
    def of(cls, expiry: Expiry) -> Self:
        return cls(
            at=expiry.at,
            anchor=expiry.anchor,
            anchored_at=expiry.anchored_at,
            ttl_seconds=int(expiry.ttl.total_seconds()),
            extended_by=expiry.extended_by or None,
            is_near=expiry.is_near,
        )


class PinView(BaseModel):
    """Until when a preview neither expires nor makes room, and who wanted that."""

    until: AwareDatetime
    at: AwareDatetime
    by: Text

    @classmethod
    def of(cls, pin: Until | None, now: datetime) -> Self | None:
        return cls(until=pin.until, at=pin.at, by=pin.by) if pin and pin.until > now else None


class SleepView(BaseModel):
    """Since when a preview is to sleep, and who wanted that, or why it is so."""

    since: AwareDatetime
    by: Text

    @classmethod
    def of(cls, asleep: Said) -> Self:
        return cls(since=asleep.at, by=asleep.by)


class QueueView(BaseModel):
    """Where a preview stands that waits for a place."""

    number: int
    full: Text

    @classmethod
    def of(cls, place: Place) -> Self:
        return cls(number=place.number, full=place.full)


class GoneView(BaseModel):
    """A thing, and when a look at it found nothing."""

    kind: str
    name: Text
    at: AwareDatetime

    @classmethod
    def of(cls, gone: Gone) -> Self:
        return cls(kind=gone.kind, name=gone.name, at=gone.at)


class RemovalView(BaseModel):
    """A removal. It is a receipt when it is finished: then a last look at everything found nothing."""

    cause: str
    by: Text
    started_at: AwareDatetime
    finished_at: AwareDatetime | None
    gone: list[GoneView]

    @classmethod
    def of(cls, removal: Removal) -> Self:
        return cls(
            cause=removal.cause,
            by=removal.by,
            started_at=removal.started_at,
            finished_at=removal.finished_at,
            gone=[GoneView.of(gone) for gone in removal.gone],
        )


class DatabaseView(BaseModel):
    """The database that a preview was given. Nothing here opens it."""

    server: Text
    name: str
    incarnation: str
    """Another one each time that it is made."""
    password_since: AwareDatetime
    warnings: list[Text]
    """What its owner should know: migrations that were edited after they ran, its size."""

    @classmethod
    def of(cls, record: PreviewRecord) -> Self | None:
        grant = record.grant
        if grant is None or record.is_gone:
            return None
        said = (record.edited_migrations, record.storage_warning)
        return cls(
            server=grant.server,
            name=database_name(record.key),
            incarnation=grant.incarnation,
            password_since=grant.since,
            warnings=[each for each in said if each],
        )


class ImageView(BaseModel):
    """The image that a preview deploys, as its registry had it."""

    reference: Text
    digest: str | None
    """Null for one that was deployed before digests were kept."""

    @classmethod
    def of(cls, image: Image) -> Self:
        return cls(reference=image.reference, digest=image.digest or None)


class PreviewView(BaseModel):
    """One preview. What is null is not so, not known yet, or belongs to a project that is no longer configured."""

    project: str
    number: int
    repository: Text | None
    title: Text | None
    author: Text | None
    head_sha: str | None
    pull_request_url: Text | None
    phase: Phase
    reason: Text
    message: Text
    remedy: str
    """What to do about the reason; empty where there is nothing to do."""
    conditions: list[ConditionView]
    url: str | None
    host: str | None
    application: str | None
    namespace: str | None
    created_at: AwareDatetime | None
    expiry: ExpiryView | None
    pin: PinView | None
    mode: str | None
    asleep: SleepView | None
    queue: QueueView | None
    image: ImageView | None
    database: DatabaseView | None
    is_gone: bool
    removal: RemovalView | None
    """One that is under way."""
    receipt: RemovalView | None
    """Of the last one that was finished."""


class PreviewPage(BaseModel):
    """A page of previews, ordered by project and number."""

    previews: list[PreviewView]
    next_cursor: str | None
    """Where the next page begins; null on the last one."""


class HistoryEntryView(BaseModel):
    """One line of a preview's history."""

    at: AwareDatetime
    actor: Text
    action: str
    detail: Text

    @classmethod
    def of(cls, entry: HistoryEntry) -> Self:
        return cls(at=entry.at, actor=entry.actor, action=entry.action, detail=entry.detail)


class History(BaseModel):
    """What was asked for and what happened, oldest first."""

    history: list[HistoryEntryView]


class Keys(BaseModel):
    """Previews, written `project#number`."""

    previews: list[str]

    @classmethod
    def of(cls, keys: Sequence[PreviewKey]) -> Self:
        return cls(previews=[str(key) for key in keys])


class Previews:
    """Finds previews and shows them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        describe: Callable[[PreviewRecord], Address | None],
        place: Callable[[PreviewKey], Place | None],
    ) -> None:
        """`place` says where in a queue a preview stands."""
        self._store = store
        self._clock = clock
        self._describe = describe
        self._place = place

    def records(self) -> list[PreviewRecord]:
        """All of them, by project and number."""
        return sorted(self._store.list_records(), key=lambda record: record.key)

    def show(self, key: PreviewKey) -> PreviewView:
        """One preview as it is now. Refuses one that is not known."""
        return self._view(self._load(key), self._store.load_wishes(key))

    def show_all(self, records: Sequence[PreviewRecord]) -> list[PreviewView]:
        wishes: Mapping[PreviewKey, Wishes] = self._store.list_wishes()
        return [self._view(record, wishes.get(record.key, Wishes())) for record in records]

    def history(self, key: PreviewKey) -> History:
        self._load(key)
        return History(history=[HistoryEntryView.of(entry) for entry in self._store.history(key)])

    def _load(self, key: PreviewKey) -> PreviewRecord:
        record = self._store.load(key)
        if record is None:
            raise ActionRefusedError("UnknownPreview", f"there is no preview {key}")
        return record

    def _view(self, record: PreviewRecord, wishes: Wishes) -> PreviewView:
        pull_request, address = record.pull_request, self._describe(record)
        facts, manifests = record.facts, record.manifests
        place = self._place(record.key) if record.queued_since else None
        removal = RemovalView.of(record.removal) if record.removal else None
        is_over = removal is not None and removal.finished_at is not None
        return PreviewView(
            project=record.key.project,
            number=record.key.number,
            repository=pull_request and pull_request.repository,
            title=pull_request and pull_request.title,
            author=pull_request and pull_request.author,
            head_sha=pull_request and pull_request.head_sha,
            pull_request_url=pull_request and pull_request.url,
            phase=record.phase,
            reason=record.reason,
            message=record.message,
            remedy=remedy_of(record.reason),
            conditions=[ConditionView.of(condition) for condition in record.conditions],
            url=address and address.url,
            host=address and address.names.host,
            application=address and address.names.application,
            namespace=address and address.names.namespace,
            created_at=facts and facts.created_at,
            expiry=ExpiryView.of(record.expiry) if record.expiry else None,
            pin=PinView.of(wishes.pin, self._clock.now()),
            mode=manifests.mode if manifests and manifests.stage is Stage.WHOLE else None,
            asleep=SleepView.of(facts.asleep) if facts and facts.asleep else None,
            queue=QueueView.of(place) if place else None,
            image=ImageView.of(manifests.image) if manifests and manifests.image else None,
            database=DatabaseView.of(record),
            is_gone=record.is_gone,
            removal=None if is_over else removal,
            receipt=removal if is_over else None,
        )
