"""The stand-in's manifest flow: the page that takes an App's manifest, and the endpoint that gives its credentials.

A person's browser is played by `browse`: it opens the page of the command, sends its form, and follows GitHub back.
"""

import html
import json
import re
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from tests.github.app_tokens import APP_ID, CLIENT_ID, NEEDS, pem, private_key
from tests.github.description import description
from tests.github.rendering import Renderer, node_id

WEBHOOK_SECRET = "canary-webhook-secret"
CLIENT_SECRET = "canary-client-secret"
API_PREFIX = "/api/v3"
EVENT_PERMISSIONS = {
    "pull_request": "pull_requests",
    "issue_comment": "issues",
    "check_run": "checks",
    "check_suite": "checks",
    "workflow_run": "actions",
    "push": "contents",
    "deployment": "deployments",
    "status": "statuses",
}
"""GitHub refuses a manifest with an event that its permissions do not cover, or that comes by itself."""
_FORM = re.compile(
    r'<form action="([^"]+)" method="post">.*name="manifest" value="([^"]*)"', re.DOTALL
)


class ManifestGitHub(ThreadingHTTPServer):
    """A GitHub Enterprise Server, as far as making an App goes. Its codes are good for one use."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manifests: list[dict[str, Any]] = []
        """Every one that was taken."""
        self.owners: list[str] = []
        """For whom; empty for the person's own account."""
        self.violations: list[str] = []
        self.broken_answers: list[tuple[int, bytes]] = []
        """Given in place of the next ones, when a code is exchanged."""
        self._codes: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def private_key(self) -> str:
        return pem(private_key("made from a manifest"))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        assert not self.violations, self.violations

    def create(self, owner: str, manifest: dict[str, Any], state: str) -> str:
        """A person agrees. Where GitHub leads them to."""
        self.violations += _refused(manifest)
        self.manifests.append(manifest)
        self.owners.append(owner)
        self._codes.append(f"code-{len(self.manifests)}")
        query = urlencode({"code": self._codes[-1], "state": state})
        return f"{manifest['redirect_url']}?{query}"

    def convert(self, code: str) -> tuple[int, bytes]:
        """What the endpoint answers, held to GitHub's description."""
        if self.broken_answers:
            return self.broken_answers.pop(0)
        path = f"/app-manifests/{quote(code)}/conversions"
        found = description().find("POST", path)
        assert found is not None
        operation, in_path = found
        self.violations += description().violations_of_request(operation, in_path, {}, None)
        status, answer = 404, {"message": "Not Found", "documentation_url": ""}
        if code in self._codes:
            self._codes.remove(code)
            status, answer = 201, self._app(self.manifests[-1])
        self.violations += description().violations_of_answer(operation, status, answer)
        return status, json.dumps(answer).encode()

    def _app(self, manifest: dict[str, Any]) -> dict[str, Any]:
        slug = manifest["name"].lower().replace(" ", "-")
        moment = "2026-03-02T09:00:00Z"
        return {
            "id": APP_ID,
            "slug": slug,
            "node_id": node_id("Integration", APP_ID),
            "owner": Renderer(self.url).user(self.owners[-1] or "octo-dev"),
            "name": manifest["name"],
            "description": manifest["description"],
            "external_url": manifest["url"],
            "html_url": f"{self.url}/github-apps/{slug}",
            "created_at": moment,
            "updated_at": moment,
            "permissions": manifest["default_permissions"],
            "events": manifest["default_events"],
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "webhook_secret": WEBHOOK_SECRET,
            "pem": self.private_key,
        }


def browse(page: str, *, state: str | None = None) -> tuple[int, str]:
    """What a person sees in the end who goes through all of it. `state` instead of the one that was given."""
    status, shown = visit(page)
    found = _FORM.search(shown)
    if found is None:
        return status, shown
    action, manifest = (html.unescape(each) for each in found.groups())
    form = urlencode({"manifest": manifest}).encode()
    with urllib.request.urlopen(urllib.request.Request(action, data=form)) as answer:
        back = answer.headers["X-Back"]
    if state is not None:
        code = parse_qs(urlsplit(back).query)["code"][0]
        back = f"{back.partition('?')[0]}?{urlencode({'code': code, 'state': state})}"
    return visit(back)


def visit(address: str, **headers: str) -> tuple[int, str]:
    """One page."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def _refused(manifest: dict[str, Any]) -> list[str]:
    granted = manifest["default_permissions"]
    known = {name for name, _ in NEEDS.values()} | set(EVENT_PERMISSIONS.values())
    wrong = [f"no permission {name!r} is known" for name in granted if name not in known]
    for event in manifest["default_events"]:
        if event not in EVENT_PERMISSIONS:
            wrong.append(f"Default events unsupported: {event}")
        elif EVENT_PERMISSIONS[event] not in granted:
            wrong.append(f"Default events are not supported by permissions: {event}")
    return wrong


class _Handler(BaseHTTPRequestHandler):
    server: ManifestGitHub

    def do_POST(self) -> None:
        asked = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        match asked.path.split("/"):
            case ["", "settings", "apps", "new"]:
                self._take_manifest("", asked.query, body)
            case ["", "organizations", owner, "settings", "apps", "new"]:
                self._take_manifest(owner, asked.query, body)
            case ["", "api", "v3", "app-manifests", code, "conversions"] if not body:
                self._answer(*self.server.convert(code))
            case _:
                self.server.violations.append(f"POST {asked.path} is nothing that GitHub knows")
                self._answer(404, b"{}")

    def log_message(self, *_: object) -> None:
        pass

    def _take_manifest(self, owner: str, query: str, body: str) -> None:
        manifest = json.loads(parse_qs(body)["manifest"][0])
        state = parse_qs(query)["state"][0]
        back = self.server.create(owner, manifest, state)
        self._answer(200, b"{}", back)

    def _answer(self, status: int, body: bytes, back: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if back:
            # A real one shows a page with a button; whoever plays the browser follows this.
            self.send_header("X-Back", back)
        self.end_headers()
        self.wfile.write(body)
