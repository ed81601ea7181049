"""The webhooks of the stand-in: what happens in the world, sent as GitHub sends it, and what it remembers of that."""

import json
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from tests.fakes.forge_things import Comment, HeldCheck, RefusedError, Repository, WorldPullRequest
from tests.github.description import webhook_schemas
from tests.github.desk import Desk, Routes, page_size
from tests.github.hooks import Hook, SentDelivery, example, payload_bytes, send, undelivered
from tests.github.rendering import at
from tests.github.server import Answer, Asked


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver, as GitHub lists it."""

    id: int
    sent: SentDelivery
    at: datetime
    is_redelivery: bool


class WebhookSender(Desk, ABC):
    """Every event goes to every hook, at once."""

    def __init__(self) -> None:
        super().__init__()
        self._hooks: list[Hook] = []
        self.attempts: list[Attempt] = []
        self.loses_deliveries = False
        """Whether what is sent from now on does not arrive: GitHub knows, and remembers it as failed."""

    @property
    def deliveries(self) -> list[SentDelivery]:
        """Every attempt to deliver a webhook, in order."""
        return [each.sent for each in self.attempts]

    def hook(self, url: str, secret: str) -> SentDelivery:
        """Deliver every event of a pull request to `url` from now on, at once. Returns the ping."""
        hook = Hook(url, secret)
        self._hooks.append(hook)
        return self._deliver(hook, "ping", example("ping"))

    def unhook(self) -> None:
        """Send no webhook from now on."""
        self._hooks.clear()

    def redeliver(self, delivery: SentDelivery) -> SentDelivery:
        """Send it again with the same GUID, as the button on GitHub's page does."""
        return self._deliver(delivery.hook, delivery.event, delivery.body, guid=delivery.guid)

    def payload(
        self, action: str, pull_request: WorldPullRequest, **details: object
    ) -> dict[str, Any]:
        """What GitHub would send about a pull request of this stand-in."""
        held = self.repository_of(pull_request.repository_id)
        return {
            "action": action,
            "number": pull_request.number,
            "pull_request": self.render.pull_request(pull_request, held.id),
            **self._around(held, pull_request.author),
            **details,
        }

    def happened(self, action: str, pull_request: WorldPullRequest, **details: object) -> None:
        if not self._hooks:
            return
        if isinstance(label := details.get("label"), str):
            details["label"] = self.render.label(label, pull_request.repository)
        self._send("pull_request", self.payload(action, pull_request, **details))

    def comment_happened(self, action: str, comment: Comment, **details: object) -> None:
        if not self._hooks:
            return
        held = self.repository_of(comment.repository_id)
        about = self.pull_request(held.name, comment.number)
        payload = {
            "action": action,
            "issue": self.render.issue(about),
            "comment": self.render.hooked_comment(comment, held.name),
            **self._around(held, comment.author),
            **details,
        }
        self._send("issue_comment", payload)

    def check_happened(self, action: str, repository: Repository, check: HeldCheck) -> None:
        if not self._hooks:
            return
        payload = {
            "action": action,
            "check_run": self.render.hooked_check_run(check, repository),
            **self._around(repository, "octo-dev"),
        }
        self._send("check_run", payload)

    def branch_happened(self, repository: Repository, branch: str) -> None:
        if not self._hooks:
            return
        # GitHub's own example, of another repository: nothing of its commits is read.
        about = {"ref": f"refs/heads/{branch}", **self._around(repository, "octo-dev")}
        self._send("push", json.loads(example("push")) | about)

    def _around(self, held: Repository, sender: str) -> dict[str, Any]:
        return {
            "repository": self.render.repository(held.name, held.id),
            "sender": self.render.user(sender),
        }

    def _send(self, event: str, payload: Mapping[str, Any]) -> None:
        self.violations.extend(webhook_schemas().violations(event, payload))
        for hook in self._hooks:
            self._deliver(hook, event, payload_bytes(payload))

    def _deliver(self, hook: Hook, event: str, body: bytes, *, guid: str = "") -> SentDelivery:
        make = undelivered if self.loses_deliveries else send
        sent = make(hook, event, body, guid=guid)
        with self._lock:
            now = datetime.now(UTC)
            self.attempts.append(Attempt(next(self._ids), sent, now, is_redelivery=bool(guid)))
        return sent


def _list_deliveries(desk: Desk, asked: Asked, _: Mapping[str, str]) -> Answer:
    sender = _sender(desk, asked)
    size = page_size(asked)
    found = list(reversed(sender.attempts))
    if "cursor" in asked.query:
        before = int(asked.query["cursor"][0].removeprefix("v1_"))
        found = [each for each in found if each.id < before]
    listed = [_rendered(each) for each in found[:size]]
    if len(found) <= size:
        return Answer(200, listed)
    following = f"{desk.url}/app/hook/deliveries?per_page={size}&cursor=v1_{found[size - 1].id}"
    return Answer(200, listed, {"Link": f'<{following}>; rel="next"'})


def _rendered(attempt: Attempt) -> dict[str, Any]:
    status = attempt.sent.status
    said = (
        "failed to connect to host"
        if status is None
        else "OK"
        if status < 300
        else "Invalid HTTP Response"
    )
    action = json.loads(attempt.sent.body).get("action")
    return {
        "id": attempt.id,
        "guid": attempt.sent.guid,
        "delivered_at": at(attempt.at),
        "redelivery": attempt.is_redelivery,
        "duration": 0.1,
        "status": said,
        "status_code": status or 0,
        "event": attempt.sent.event,
        "action": action,
        "installation_id": None,
        "repository_id": None,
        "throttled_at": None,
    }


def _redeliver(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    sender = _sender(desk, asked)
    wanted = int(in_path["delivery_id"])
    found = next((each for each in sender.attempts if each.id == wanted), None)
    if found is None:
        raise RefusedError(404, "Not Found")
    sender.redeliver(found.sent)
    return Answer(202, {})


def _sender(desk: Desk, asked: Asked) -> WebhookSender:
    if not isinstance(desk, WebhookSender) or not desk.is_app(asked):
        raise RefusedError(401, "A JSON web token could not be decoded")
    return desk


ROUTES: Routes = MappingProxyType(
    {
        ("GET", "/app/hook/deliveries"): _list_deliveries,
        ("POST", "/app/hook/deliveries/{delivery_id}/attempts"): _redeliver,
    }
)
