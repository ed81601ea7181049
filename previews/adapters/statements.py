"""What the store says to SQLite, built once: to build a statement takes SQLAlchemy longer than to execute it."""

from sqlalchemy import (
    ColumnElement,
    Delete,
    FromClause,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlmodel import SQLModel

from previews.adapters.rows import values_of_preview
from previews.domain.preview import PreviewKey
from previews.domain.record import HISTORY_KEPT, PreviewRecord, Verdict

_DELIVERY = SQLModel.metadata.tables["delivery"]
_PREVIEW = SQLModel.metadata.tables["preview"]
_PUBLISHED = SQLModel.metadata.tables["published"]
_WISHES = SQLModel.metadata.tables["wishes"]
_HISTORY = SQLModel.metadata.tables["history"]
_NAMED_IMAGE = SQLModel.metadata.tables["named_image"]
_CONVERSATION = SQLModel.metadata.tables["conversation"]


def _save_statement(table: Table) -> sqlite.Insert:
    """Writes nothing when nothing changed, and never an existing row's mark."""
    statement = sqlite.insert(table)
    kept = {"project", "number", "fetch_mark"}
    new = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in kept}
    differs = [table.c[n].is_distinct_from(new[n]) for n in new if n != "updated_at"]
    return statement.on_conflict_do_update(
        index_elements=table.primary_key, set_=new, where=or_(*differs)
    )


def _of_preview(table: FromClause) -> ColumnElement[bool]:
    return and_(table.c.project == bindparam("of"), table.c.number == bindparam("at_number"))


def of(key: PreviewKey) -> dict[str, object]:
    """What the statements about one preview are given."""
    return {"of": key.project, "at_number": key.number}


def _prune_history_statement() -> Delete:
    newest_too_old = (
        select(_HISTORY.c.id)
        .where(_of_preview(_HISTORY))
        .order_by(_HISTORY.c.id.desc())
        .offset(HISTORY_KEPT)
        .limit(1)
        .scalar_subquery()
    )
    return delete(_HISTORY).where(_of_preview(_HISTORY), _HISTORY.c.id <= newest_too_old)


def _forget_statements() -> tuple[Delete, ...]:
    """What was said on a pull request is forgotten with the last preview that is known at it."""
    this, other = _PREVIEW.alias("this"), _PREVIEW.alias("other")
    same_pull_request = and_(
        other.c.repository == this.c.repository, other.c.number == this.c.number
    )
    alone = select(this.c.repository, this.c.number).where(
        _of_preview(this),
        ~exists().where(same_pull_request, other.c.project != this.c.project),
    )
    said = [
        delete(table).where(tuple_(table.c.repository, table.c.number).in_(alone))
        for table in (_PUBLISHED, _CONVERSATION)
    ]
    rows = [delete(table).where(_of_preview(table)) for table in (_HISTORY, _WISHES, _PREVIEW)]
    return *said, *rows


def _publish_statement() -> sqlite.Insert:
    """The same digest again writes nothing: SQLite leaves a page alone whose content would stay what it is."""
    statement = sqlite.insert(_PUBLISHED)
    return statement.on_conflict_do_update(
        index_elements=_PUBLISHED.primary_key, set_={"digest": statement.excluded["digest"]}
    )


def _comments_read_statement() -> sqlite.Insert:
    """Only ever later."""
    statement = sqlite.insert(_CONVERSATION)
    until = statement.excluded["read_until"]
    return statement.on_conflict_do_update(
        index_elements=_CONVERSATION.primary_key,
        set_={"read_until": until},
        where=until > _CONVERSATION.c.read_until,
    )


def _name_image_statement() -> sqlite.Insert:
    """The same name again changes nothing but when that was."""
    statement = sqlite.insert(_NAMED_IMAGE)
    new = {name: statement.excluded[name] for name in ("tag", "digest", "named_at")}
    return statement.on_conflict_do_update(index_elements=_NAMED_IMAGE.primary_key, set_=new)


def _name_pull_request_statement() -> Update:
    """Writes nothing when nothing changed."""
    known = bindparam("known", type_=_PREVIEW.c.pull_request.type)
    return (
        update(_PREVIEW)
        .where(_of_preview(_PREVIEW), _PREVIEW.c.pull_request.is_distinct_from(known))
        .values(repository=bindparam("name"), pull_request=known)
    )


def _rename_statements() -> tuple[Update, ...]:
    """What is known under the old name is the newer: the new one may have belonged to a repository before."""
    return tuple(
        update(table)
        .where(table.c.repository == bindparam("at"))
        .values(repository=bindparam("name"))
        .prefix_with("OR REPLACE")
        for table in (_PUBLISHED, _CONVERSATION)
    )


FRESH = values_of_preview(PreviewRecord(key=PreviewKey("", 0), fetch_mark=1))
"""The row of a preview of which nothing is known but that its pull request should be read."""

KNOWN = select(_DELIVERY.c.guid).where(_DELIVERY.c.guid.in_(bindparam("guids", expanding=True)))
ACCEPT = insert(_DELIVERY)
UNFINISHED = (
    select(_DELIVERY)
    .where(_DELIVERY.c.verdict == Verdict.ACCEPTED.value, _DELIVERY.c.body != b"")
    .order_by(_DELIVERY.c.received_at, _DELIVERY.c.guid)
)
FINISH = update(_DELIVERY).where(_DELIVERY.c.guid == bindparam("named")).values(body=b"")
PRUNE_DELIVERIES = delete(_DELIVERY).where(_DELIVERY.c.received_at < bindparam("before"))
MARK = sqlite.insert(_PREVIEW).on_conflict_do_update(
    index_elements=_PREVIEW.primary_key, set_={"fetch_mark": _PREVIEW.c.fetch_mark + 1}
)
LOAD = select(_PREVIEW).where(_of_preview(_PREVIEW))
SAVE = _save_statement(_PREVIEW)
LOAD_WISHES = select(_WISHES).where(_of_preview(_WISHES))
SAVE_WISHES = _save_statement(_WISHES)
ADD_HISTORY = insert(_HISTORY)
PRUNE_HISTORY = _prune_history_statement()
FORGET = _forget_statements()
PUBLISH = _publish_statement()
PULL_REQUESTS_AT = select(_PREVIEW.c.project, _PREVIEW.c.number, _PREVIEW.c.pull_request).where(
    _PREVIEW.c.repository == bindparam("at")
)
NAME_PULL_REQUEST = _name_pull_request_statement()
RENAME = _rename_statements()
RECORD_COMMENTS_READ = _comments_read_statement()
COMMENTS_READ = select(_CONVERSATION.c.read_until).where(
    _CONVERSATION.c.repository == bindparam("at"), _CONVERSATION.c.number == bindparam("at_number")
)
NAME_IMAGE = _name_image_statement()
NAMED_IMAGE = select(_NAMED_IMAGE).where(
    _NAMED_IMAGE.c.project == bindparam("of"), _NAMED_IMAGE.c.head_sha == bindparam("at_head")
)
PRUNE_NAMED_IMAGES = delete(_NAMED_IMAGE).where(_NAMED_IMAGE.c.named_at < bindparam("before"))
