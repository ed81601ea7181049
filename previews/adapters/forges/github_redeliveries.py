"""What GitHub could not deliver to a GitHub App's webhook. It tells only the App itself, and for some days."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from types import NoneType

from previews.adapters.forges.answers import (
    Json,
    Request,
    TargetGoneError,
    malformed,
    read_time,
    text,
    whole_number,
)
from previews.adapters.forges.github_connection import GitHubConnection
from previews.domain.forge_ports import FailedDelivery

PATH = "/app/hook/deliveries"


class GitHubRedeliveries:
    """Implements forge_ports.Redeliveries. Safe from any thread."""

    def __init__(self, connection: GitHubConnection) -> None:
        self._connection = connection

    def list_failed_deliveries(self, since: datetime) -> Sequence[FailedDelivery]:
        last: dict[str, tuple[FailedDelivery, bool]] = {}
        # The newest come first: what is older is asked for no further.
        for document in self._connection.each(PATH):
            attempt, has_failed = _read_attempt(Request("GET", PATH), document)
            if attempt.delivered_at < since:
                break
            last.setdefault(attempt.guid, (attempt, has_failed))
        failed = [attempt for attempt, has_failed in last.values() if has_failed]
        return sorted(failed, key=lambda each: (each.delivered_at, each.id))

    def redeliver(self, delivery_id: int) -> None:
        try:
            self._connection.ask("POST", f"{PATH}/{delivery_id}/attempts", wants=NoneType)
        except TargetGoneError:
            # It is too old by now: a resync finds what it was about.
            return


def _read_attempt(asked: Request, document: Json) -> tuple[FailedDelivery, bool]:
    """One attempt, and whether it failed."""
    try:
        status = whole_number(document["status_code"])
        attempt = FailedDelivery(
            id=whole_number(document["id"]),
            guid=text(document["guid"]),
            delivered_at=read_time(document["delivered_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise malformed(asked, f"an incomplete delivery ({error!r})") from error
    return attempt, not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
