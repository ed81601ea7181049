"""Makes a GitHub App from a manifest: GitHub asks a person, and gives its credentials for a code, once.

The code comes back to a page on this machine alone. Nothing is taken from whoever does not know the page's address and
the state that went to GitHub with the manifest; what GitHub gives is never shown.
"""

import hmac
import html
import json
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx2

from previews.adapters.forges.github_permissions import EVENTS, wanted
from previews.adapters.one_line import one_line
from previews.errors import PreviewsError, StalledError, TransientError

LOOPBACK = "127.0.0.1"
GITHUB = "https://github.com"
GITHUB_API = "https://api.github.com"
NAME_LENGTH_MAX = 34
"""GitHub's."""
WORDS_LENGTH_MAX = 300
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>{content}</body></html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApp:
    """What GitHub says of an App that was just made."""

    id: int
    name: str
    html_url: str
    """Its page, from which it is installed."""
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


def api_url_of(github_url: str) -> str:
    """Where the API of a GitHub is: GitHub Enterprise Server has it below its own address."""
    base = github_url.rstrip("/")
    return GITHUB_API if base == GITHUB else f"{base}/api/v3"


def form_url(github_url: str, organization: str) -> str:
    """Where GitHub takes manifests: of an organization's App, or of one's own."""
    owner = f"/organizations/{quote(organization, safe='')}" if organization else ""
    return f"{github_url.rstrip('/')}{owner}/settings/apps/new"


def manifest_of(
    *, name: str, url: str, webhook_url: str, redirect_url: str, environments: bool
) -> dict[str, Any]:
    """What GitHub is asked for: exactly what previews needs, for this one account, and nothing besides."""
    return {
        "name": name,
        "url": url,
        "description": "A live URL for every pull request.",
        "hook_attributes": {"url": webhook_url, "active": True},
        "redirect_url": redirect_url,
        "public": False,
        "default_permissions": wanted(environments=environments),
        "default_events": list(EVENTS),
    }


def exchange(api_url: str, code: str, *, timeout_seconds: float = 30.0) -> NewApp:
    """The App that a code stands for. GitHub gives it once, within an hour.

    Raises TransientError when it may be tried again, and StalledError when another App has to be made.
    """
    path = f"/app-manifests/{quote(code, safe='')}/conversions"
    headers = {"Accept": "application/vnd.github+json", "User-Agent": "previews"}
    try:
        with httpx2.Client(timeout=timeout_seconds) as client:
            answer = client.post(f"{api_url}{path}", headers=headers)
    except httpx2.HTTPError as error:
        raise TransientError(
            "AppNotCreated",
            f"GitHub did not answer when its code was to be exchanged: {_words(error)}; reload the page",
        ) from error
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        said = f"GitHub answered its own code with {answer.status_code}; reload the page"
        raise TransientError("AppNotCreated", said)
    if answer.status_code != HTTPStatus.CREATED:
        raise StalledError(
            "AppNotCreated",
            f"GitHub does not take its code any more ({answer.status_code}): it is good for one use within an hour; "
            "delete the App at GitHub if it is there, and begin again",
        )
    return _read(answer)


def _read(answer: httpx2.Response) -> NewApp:
    try:
        document = json.loads(answer.content)
        app = NewApp(
            id=int(document["id"]),
            name=one_line(str(document["name"]), NAME_LENGTH_MAX),
            html_url=_web_address(document["html_url"]),
            private_key=_text(document["pem"]),
            webhook_secret=_text(document["webhook_secret"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        # What it did say may be a secret: it is not repeated.
        raise StalledError(
            "AppNotCreated",
            "GitHub made an App and did not say all of it; delete it there, and begin again",
        ) from error
    return app


class ManifestDesk(ThreadingHTTPServer):
    """Sends a browser to GitHub with the manifest, and waits for it to come back with the code.

    with ManifestDesk(...) as desk:
        print(desk.url)
        app = desk.wait(900)
    """

    daemon_threads = True

    def __init__(
        self,
        *,
        action: str,
        manifest: Callable[[str], Mapping[str, Any]],
        take: Callable[[str], NewApp],
        port: int = 0,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`action` takes the form; `manifest` is given the address to come back to, and `take` the code.

        `tell` hears what went wrong, and may go better the next time. Raises StalledError for a port that is taken.
        """
        try:
            super().__init__(server_address=(LOOPBACK, port), RequestHandlerClass=_Handler)
        except OSError as error:
            raise StalledError(
                "AppNotCreated", f"{LOOPBACK}:{port} cannot be used: {error.strerror}"
            ) from error
        self.state = secrets.token_urlsafe(32)
        self.path = f"/{secrets.token_urlsafe(24)}"
        """What else runs on this machine does not know it, and so cannot answer for GitHub."""
        self.action = action
        self._take = take
        self._tell = tell
        self._manifest = manifest(f"{self.url}/created")
        self._made: Future[NewApp] = Future()
        self._outcome: NewApp | PreviewsError | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def origin(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """What is to be opened in a browser."""
        return self.origin + self.path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def wait(self, seconds: float) -> NewApp:
        """The App, once it is made. Raises PreviewsError."""
        try:
            return self._made.result(seconds)
        except TimeoutError:
            raise StalledError(
                "AppNotCreated",
                f"nobody came back from GitHub within {seconds / 60:g} minutes; begin again, with more --minutes",
            ) from None

    def form(self) -> str:
        """The page that a browser is to open."""
        address = f"{self.action}?{urlencode({'state': self.state})}"
        said = html.escape(json.dumps(self._manifest))
        return page(
            "Create the GitHub App",
            f'<form action="{html.escape(address)}" method="post">'
            f'<input type="hidden" name="manifest" value="{said}">'
            "<p>GitHub shows what is going to be made, asks for its name, and comes back here.</p>"
            '<button type="submit">Go on to GitHub</button></form>'
            f"<pre>{html.escape(json.dumps(self._manifest, indent=2))}</pre>",
        )

    def come_back(self, state: str, code: str) -> tuple[HTTPStatus, str]:
        """GitHub sent the browser back with this. The page to show."""
        if not hmac.compare_digest(state.encode(), self.state.encode()):
            self._tell(
                "somebody came back with another state than this command gave: not from here"
            )
            said = "This is not the answer to what this command asked. Open its first page again."
            return HTTPStatus.FORBIDDEN, page("Not from here", f"<p>{said}</p>")
        if not code:
            self._tell("GitHub came back without a code")
            return HTTPStatus.BAD_REQUEST, page("No code", "<p>GitHub came back without one.</p>")
        with self._lock:
            if self._outcome is not None:
                said = "Its code was used already. See the command that waits for it."
                return HTTPStatus.CONFLICT, page("Once only", f"<p>{said}</p>")
            try:
                app = self._take(code)
            except TransientError as error:
                self._tell(error.message)
                shown = html.escape(error.message)
                return HTTPStatus.BAD_GATEWAY, page("Not yet", f"<p>{shown}</p>")
            except PreviewsError as error:
                self._outcome = error
                shown = html.escape(error.message)
                return HTTPStatus.CONFLICT, page("No App", f"<p>{shown}</p>")
            self._outcome = app
        link = html.escape(install_url(app))
        content = f'<p>Its credentials are stored. <a href="{link}">Install it</a> where previews are wanted.</p>'
        return HTTPStatus.OK, page("The App is made", content)

    def page_was_sent(self) -> None:
        """Whoever waits goes on only now: with the process, this page would end in its middle."""
        with self._lock:
            if self._outcome is None or self._made.done():
                return
            if isinstance(self._outcome, NewApp):
                self._made.set_result(self._outcome)
            else:
                self._made.set_exception(self._outcome)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's signature
        """A browser that hangs up is nothing to tell."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self._tell(f"a bug in previews: {type(error).__name__}")


def install_url(app: NewApp) -> str:
    """Where people choose the repositories of an App."""
    return f"{app.html_url}/installations/new"


def page(title: str, content: str) -> str:
    return _PAGE.format(title=html.escape(title), content=content)


class _Handler(BaseHTTPRequestHandler):
    server: ManifestDesk
    timeout = 10
    """In seconds, for a client that says nothing."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        # A name of somebody else that leads here is a trick of a page that is open in the same browser.
        if f"http://{self.headers.get('Host', '')}" != self.server.origin:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, page("Not here", ""))
        elif asked.path == self.server.path:
            self._answer(HTTPStatus.OK, self.server.form())
        elif asked.path == f"{self.server.path}/created":
            state, code = (query.get(name, [""])[0] for name in ("state", "code"))
            try:
                self._answer(*self.server.come_back(state, code))
            finally:
                self.server.page_was_sent()
        else:
            self._answer(HTTPStatus.NOT_FOUND, page("Not found", ""))

    def log_message(self, *_: object) -> None:
        """Nothing: what is asked for holds the state and the code."""

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        target = urlsplit(self.server.action)
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header(
            "Content-Security-Policy",
            f"default-src 'none'; form-action {target.scheme}://{target.netloc}; frame-ancestors 'none'",
        )
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError("text expected")
    return value


def _web_address(value: object) -> str:
    address = _text(value)
    if urlsplit(address).scheme not in {"http", "https"} or one_line(address, 300) != address:
        raise ValueError("an address expected")
    return address


def _words(error: Exception) -> str:
    return one_line(str(error), WORDS_LENGTH_MAX) or type(error).__name__
