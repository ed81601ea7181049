"""Webhooks as GitHub sends them: signed, with a GUID that stays the same when a delivery is repeated."""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

ANSWER_WITHIN_SECONDS = 10
"""GitHub counts a later answer as a failure."""
PAYLOADS = Path(__file__).parent / "webhooks"


@dataclass(frozen=True, slots=True)
class Hook:
    """Where deliveries go, and what they are signed with."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDelivery:
    """One attempt to deliver."""

    guid: str
    event: str
    body: bytes
    hook: Hook
    status: int | None
    """Of the receiver's answer; None when there was none."""


def example(name: str) -> bytes:
    """One of GitHub's own example payloads, such as `pull_request.opened`."""
    return (PAYLOADS / f"{name}.json").read_bytes()


def signed_headers(event: str, body: bytes, secret: str, *, guid: str = "") -> dict[str, str]:
    """The headers that GitHub sends with a payload. A GUID is made up unless one is given."""
    key = secret.encode()
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": guid or str(uuid4()),
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": "292430182",
        "X-GitHub-Hook-Installation-Target-ID": "79929171",
        "X-GitHub-Hook-Installation-Target-Type": "repository",
        "X-Hub-Signature": "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(),
    }


def payload_bytes(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def send(hook: Hook, event: str, body: bytes, *, guid: str = "") -> SentDelivery:
    """Deliver once. GitHub does not try again by itself, so neither does this."""
    guid = guid or str(uuid4())
    headers = signed_headers(event, body, hook.secret, guid=guid)
    request = urllib.request.Request(hook.url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_SECONDS) as answer:
            status = answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            status = refused.code
    except OSError:
        status = None
    return SentDelivery(guid=guid, event=event, body=body, hook=hook, status=status)


def undelivered(hook: Hook, event: str, body: bytes, *, guid: str = "") -> SentDelivery:
    """What becomes of a delivery when nobody answers."""
    return SentDelivery(guid=guid or str(uuid4()), event=event, body=body, hook=hook, status=None)
