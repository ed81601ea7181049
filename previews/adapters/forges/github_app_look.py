"""What GitHub says of an App itself, for `previews doctor`: what it hears of, where to, and whether it arrives."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from previews.adapters.forges.answers import Request, malformed, text, whole_number
from previews.adapters.forges.github_connection import GitHubConnection
from previews.adapters.one_line import one_line

DELIVERIES_READ = 30
URL_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSeen:
    """An App as its own page shows it."""

    name: str
    granted: Mapping[str, str]
    """What it asks every installation for."""
    events: frozenset[str]
    webhook_url: str
    """Empty: it has none."""
    deliveries: int
    """Of the last few, how many there were."""
    failed: int
    """How many of these did not arrive."""
    last_status: str
    """What the newest of them came to, in GitHub's words; empty without one."""


def look_at_app(connection: GitHubConnection) -> AppSeen:
    """Three requests, signed by the App. Raises TransientError."""
    asked = Request("GET", "/app")
    _, app = connection.ask("GET", "/app", wants=dict)
    _, hook = connection.ask("GET", "/app/hook/config", wants=dict)
    _, deliveries = connection.ask(
        "GET", "/app/hook/deliveries", wants=list, parameters={"per_page": DELIVERIES_READ}
    )
    try:
        arrived = [_has_arrived(whole_number(each["status_code"])) for each in deliveries]
        return AppSeen(
            name=one_line(text(app["name"]), URL_LENGTH_MAX),
            granted={str(name): str(access) for name, access in app["permissions"].items()},
            events=frozenset(map(text, app["events"])),
            webhook_url=one_line(text(hook.get("url") or ""), URL_LENGTH_MAX),
            deliveries=len(arrived),
            failed=arrived.count(False),
            last_status=one_line(text(deliveries[0]["status"]), 80) if deliveries else "",
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise malformed(asked, f"an incomplete App ({error!r})") from error


def _has_arrived(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
