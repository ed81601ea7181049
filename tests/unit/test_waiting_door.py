"""What a visitor gets under the host of a preview that does not answer itself, and whose visit wakes it."""

import asyncio
import re
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.types import Message, Receive, Scope, Send

from previews.domain.preview import PreviewKey
from previews.domain.probing import PAGE_HEADER
from previews.errors import TransientError
from previews.web import create_web
from previews.web.waiting import Standing, State, WaitingDoor, hosts_of_previews

ZONE = "preview.example"
HOST = f"pr-42.{ZONE}"
KEY = PreviewKey("shop", 42)
PULL_REQUEST = "https://forge.example/acme/shop/pulls/42"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BROWSER = {"User-Agent": FIREFOX, "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<script>alert(1)</script>\"'&\ud83d{x} $heading"

OWN = APIRouter()
"""What the manager shows under its own host."""
for path in ("/livez", "/readyz", "/api/v1/previews"):
    OWN.add_api_route(path, lambda: {"live": True})


class Town:
    """A manager with its own routes, one preview, and a door for visitors of the zone."""

    def __init__(self, *, public_host: str | None = None) -> None:
        self.standings = {HOST: standing(State.ASLEEP)}
        self.asked: list[str] = []
        self.woken: list[PreviewKey] = []
        self.delivered = 0
        self.problem: TransientError | None = None
        web = create_web(
            door=self.take_delivery,
            routers=[OWN],
            waiting=WaitingDoor(self.find, self.woken.append),
            is_preview=hosts_of_previews(ZONE, public_host),
        )
        self.client = TestClient(web, base_url="http://manager.example")

    def find(self, host: str) -> Standing | None:
        assert threading.current_thread().name.startswith("waiting"), "strangers hold up the loop"
        self.asked.append(host)
        if self.problem:
            raise self.problem
        return self.standings.get(host)

    async def take_delivery(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.delivered += 1
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body"})

    def visit(
        self, path: str = "/", *, host: str = HOST, method: str = "GET", **headers: str
    ) -> Response:
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.client.request(method, path, headers={**BROWSER, "Host": host, **given})


def standing(
    state: State,
    *,
    message: str = "Nobody looked at it for an hour.",
    pull_request_url: str = PULL_REQUEST,
) -> Standing:
    return Standing(key=KEY, state=state, message=message, pull_request_url=pull_request_url)


@pytest.fixture
def town() -> Town:
    return Town()


class Page(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def first(self, tag: str) -> dict[str, str | None]:
        return next((attributes for name, attributes in self.elements if name == tag), {})

    @property
    def refresh(self) -> str | None:
        metas = [attributes for tag, attributes in self.elements if tag == "meta"]
        return next((m["content"] for m in metas if m.get("http-equiv") == "refresh"), None)


# What is said


def test_a_visitor_of_a_sleeping_preview_wakes_it_and_gets_a_page_that_waits(town: Town) -> None:
    answer = town.visit()

    assert answer.status_code == 503
    assert town.woken == [KEY]
    page = Page(answer)
    assert page.refresh == answer.headers["retry-after"] == "2"
    assert "shop #42" in page.text
    assert "Waking up" in page.text
    assert "Nobody looked at it for an hour." in page.text
    assert page.first("a")["href"] == PULL_REQUEST


@pytest.mark.parametrize(
    ("state", "status", "retry_after"),
    [
        (State.WAKING, 503, "2"),
        (State.STARTING, 503, "2"),
        (State.QUEUED, 503, "10"),
        (State.CLOSED, 404, None),
        (State.EXPIRED, 404, None),
        (State.REMOVED, 404, None),
        (State.BLOCKED, 404, None),
        (State.PROBLEM, 503, None),
    ],
)
def test_only_who_sleeps_is_woken_and_only_what_will_come_is_waited_for(
    town: Town, state: State, status: int, retry_after: str | None
) -> None:
    town.standings[HOST] = standing(state, message="This is how it stands.")

    answer = town.visit()

    assert answer.status_code == status
    assert answer.headers.get("retry-after") == Page(answer).refresh == retry_after
    assert "This is how it stands." in Page(answer).text
    assert town.woken == []


@pytest.mark.parametrize("host", [HOST, f"pr-43.{ZONE}"])
def test_every_page_says_that_the_manager_made_it(town: Town, host: str) -> None:
    assert town.visit(host=host).headers[PAGE_HEADER]


@pytest.mark.parametrize(
    ("state", "page", "reason"),
    [
        (State.ASLEEP, "waiting", "Asleep"),
        (State.WAKING, "waiting", "Waking"),
        (State.STARTING, "waiting", "Starting"),
        (State.QUEUED, "waiting", "Queued"),
        (State.PROBLEM, "waiting", "Degraded"),
        (State.CLOSED, "ended", "Closed"),
        (State.EXPIRED, "ended", "Expired"),
        (State.REMOVED, "ended", "Removed"),
        (State.BLOCKED, "ended", "Blocked"),
        (None, "unknown", "Unknown"),
    ],
)
def test_every_page_says_what_it_is_and_that_it_is_ours(
    town: Town, state: State | None, page: str, reason: str
) -> None:
    town.standings = {HOST: standing(state)} if state else {}
    for accept in ("text/html", "application/json"):
        answer = town.visit(Accept=accept, Sec_Purpose="prefetch")
        assert answer.headers["x-previews-page"] == page
        assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.json()["reason"] == reason


def test_search_engines_are_told_in_the_page_as_well(town: Town) -> None:
    robots = [each for tag, each in Page(town.visit()).elements if tag == "meta"]
    assert {"name": "robots", "content": "noindex"} in robots


def test_whoever_comes_too_late_is_told_since_when(town: Town) -> None:
    went = datetime(2026, 11, 2, 13, 30, tzinfo=timezone(timedelta(hours=1)))
    town.standings[HOST] = replace(standing(State.EXPIRED, message=""), since=went)
    assert "Since 2026-11-02 12:30 UTC." in Page(town.visit()).text
    told = town.visit(Accept="application/json").json()
    assert told == {
        "reason": "Expired",
        "message": "Its time was over. A push to its pull request brings it back.",
        "since": "2026-11-02T12:30:00Z",
    }


def test_under_a_host_that_no_preview_ever_had_nothing_is_found(town: Town) -> None:
    answer = town.visit(host=f"pr-43.{ZONE}")

    assert answer.status_code == 404
    assert "no preview" in Page(answer).text
    assert "pr-43" not in answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "", "text/plain"])
def test_who_does_not_ask_for_html_gets_json(town: Town, accept: str) -> None:
    answer = town.visit(Accept=accept, User_Agent="curl/8.5.0")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "reason": "Waking",
        "message": "Nobody looked at it for an hour.",
    }
    assert town.woken == [KEY]


def test_a_store_that_is_out_of_order_is_no_answer_about_the_preview(town: Town) -> None:
    town.problem = TransientError("StoreUnavailable", "/var/lib/previews: disk full")

    answer = town.visit()

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "disk" not in answer.text
    assert Page(answer).refresh == "10"


def test_head_gets_the_headers_alone(town: Town) -> None:
    answer = town.visit(method="HEAD")

    assert (answer.status_code, answer.content) == (503, b"")
    assert answer.headers["content-length"] == str(len(town.visit().content))
    assert town.woken == [KEY, KEY]


# What strangers wrote


def test_the_words_of_strangers_stay_words(town: Town) -> None:
    """Of the message and of every part of the request."""
    town.standings[HOST] = standing(State.ASLEEP, message=HOSTILE, pull_request_url="")

    answer = town.visit(
        "/<script>path?<script>query",
        User_Agent=f"{FIREFOX} <script>",
        Referer="http://<script>/",
        Cookie="<script>=1",
    )

    assert {tag for tag, _ in Page(answer).elements} == {
        *("html", "head", "meta", "title", "style", "body", "main", "p", "h1"),
    }
    assert HOSTILE.replace("\ud83d", "?") in Page(answer).text
    assert "path" not in answer.text
    assert "query" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "javascript://x/%0aalert(1)",
        "data:text/html,x",
        "ftp://x/",
        "//evil.example",
        "https:",
        "https://[",
        "",
        "x",
    ],
)
def test_what_is_no_web_address_is_no_link(town: Town, url: str) -> None:
    town.standings[HOST] = standing(State.CLOSED, pull_request_url=url)

    assert Page(town.visit()).first("a") == {}


def test_an_address_cannot_leave_its_quotes(town: Town) -> None:
    url = 'https://forge.example/"><script>alert(1)</script>'
    town.standings[HOST] = standing(State.CLOSED, pull_request_url=url)

    page = Page(town.visit())

    assert page.first("a")["href"] == url
    assert page.first("script") == {}


def test_the_page_may_load_and_run_nothing(town: Town) -> None:
    answer = town.visit()

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"src=|url\(|@import|<script| style=| on[a-z]+=", answer.text)
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


# Whose visit wakes


@pytest.mark.parametrize(
    "user_agent",
    [
        FIREFOX,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Slack/4.43 Chrome/134.0 Electron/35.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Teams/25.1 Chrome/134.0 Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/130.0.0.0 Safari/537.36",
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)",
        "curl/8.5.0",
        "Wget/1.24.5",
        "python-requests/2.32.3",
        "Go-http-client/1.1",
        "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
        "k6/1.0.0 (https://k6.io/)",
        "PostmanRuntime/7.43.0",
    ],
)
def test_people_and_their_tests_wake_a_preview(town: Town, user_agent: str) -> None:
    town.visit(User_Agent=user_agent)

    assert town.woken == [KEY]


@pytest.mark.parametrize(
    "user_agent",
    [
        "previews-probe/0.1.0",
        "",
        " ",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (Linux; Android 6.0.1) Safari/537.36 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Slack-ImgProxy (+https://api.slack.com/robots)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "TelegramBot (like TwitterBot)",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
        "WhatsApp/2.24.1.78 A",
        "Mattermost-Bot/1.1",
        "Synapse (bot; +https://github.com/matrix-org/synapse)",
        "Iframely/1.3.1 (+https://iframely.com/docs/about)",
        "github-camo (4f8a1c2d)",
        "GitHub-Hookshot/044aadd",
        "GitLab/18.0.1",
        "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        "Blackbox Exporter/0.26.0",
        "kube-probe/1.34",
        "ELB-HealthChecker/2.0",
        "GoogleHC/1.0",
        "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
        "Expanse, a Palo Alto Networks company, searches across the global IPv4 space",
        "W3C_Validator/1.3 http://validator.w3.org/services",
    ],
)
def test_robots_wake_nothing(town: Town, user_agent: str) -> None:
    answer = town.visit(User_Agent=user_agent)

    assert answer.status_code == 503
    assert "Asleep" in answer.text
    assert town.woken == []


def test_who_does_not_say_who_he_is_wakes_nothing(town: Town) -> None:
    del town.client.headers["user-agent"]

    answer = town.client.get("/", headers={"Host": HOST})

    assert "user-agent" not in answer.request.headers
    assert (answer.status_code, town.woken) == (503, [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Purpose": "prefetch"},
        {"Sec_Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X_Moz": "prefetch"},
        {"X_Purpose": "preview"},
    ],
)
def test_a_browser_that_guesses_wakes_nothing(town: Town, headers: dict[str, str]) -> None:
    answer = town.visit(**headers)

    # When it is shown after all, it asks again by itself, and that wakes.
    assert (answer.status_code, Page(answer).refresh, town.woken) == (503, "2", [])


@pytest.mark.parametrize(
    ("headers", "woken"),
    [
        ({"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Site": "same-origin"}, [KEY]),
        ({"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Site": "cross-site"}, [KEY]),
        ({"Sec_Fetch_Mode": "cors", "Sec_Fetch_Site": "same-site"}, [KEY]),
        ({"Sec_Fetch_Mode": "cors", "Sec_Fetch_Site": "same-origin"}, []),
        ({"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Site": "same-origin"}, []),
        ({"Sec_Fetch_Mode": "websocket", "Sec_Fetch_Site": "same-site"}, []),
        ({"Upgrade": "websocket", "Connection": "upgrade"}, []),
    ],
    ids=[
        "a form",
        "a link",
        "another preview",
        "a script",
        "a picture",
        "a socket",
        "an old socket",
    ],
)
def test_a_tab_that_was_forgotten_wakes_nothing_and_another_preview_does(
    town: Town, headers: dict[str, str], woken: list[PreviewKey]
) -> None:
    town.visit(**headers)

    assert town.woken == woken


@pytest.mark.parametrize(
    ("method", "woken"),
    [
        ("GET", [KEY]),
        ("HEAD", [KEY]),
        ("POST", [KEY]),
        ("PUT", []),
        ("DELETE", []),
        ("OPTIONS", []),
        ("TRACE", []),
        ("BREW", []),
    ],
)
def test_looking_and_sending_wake_and_other_methods_do_not(
    town: Town, method: str, woken: list[PreviewKey]
) -> None:
    assert town.visit(method=method).status_code == 503
    assert town.woken == woken


# Which hosts


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/previews", "/webhooks", "/livez", "/readyz", "/api/openapi.json", "//x"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_of_the_manager_is_shown_under_the_host_of_a_preview(
    town: Town, path: str, method: str
) -> None:
    answer = town.visit(path, method=method, Authorization="Bearer token")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert town.delivered == 0


@pytest.mark.parametrize(
    "host",
    [HOST, HOST.upper(), f"{HOST}.", f"{HOST}..", f"{HOST}:8088", f"{HOST}.:443", f" {HOST} "],
)
def test_a_host_is_the_same_however_it_is_spelled(town: Town, host: str) -> None:
    assert town.visit("/livez", host=host).status_code == 503
    assert town.asked == [HOST]


@pytest.mark.parametrize(
    "host", [f"a.b.{ZONE}", f"-.{ZONE}", f"x@{HOST}", f"\xe9.{ZONE}", f"..{ZONE}", f"'.{ZONE}"]
)
def test_whatever_is_below_the_zone_is_no_host_of_the_manager(town: Town, host: str) -> None:
    answer = town.client.get("/livez", headers=[(b"host", host.encode("latin-1"))])

    assert answer.status_code == 404
    assert "live" not in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "manager.example",
        ZONE,
        f"evil{ZONE}",
        f"{HOST}.evil.example",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[",
        "",
    ],
)
def test_other_hosts_are_the_managers(town: Town, host: str) -> None:
    assert town.visit("/livez", host=host).json() == {"live": True}
    assert town.visit("/webhooks", host=host, method="POST").status_code == 202
    assert town.asked == []


def test_the_manager_may_live_in_the_zone_itself() -> None:
    town = Town(public_host=f"Manager.{ZONE}")

    assert town.visit("/livez", host=f"manager.{ZONE}:443").json() == {"live": True}
    assert town.visit("/livez").status_code == 503


def test_without_a_waiting_door_every_host_is_the_managers(town: Town) -> None:
    client = TestClient(create_web(door=town.take_delivery, routers=[OWN]))

    assert client.get("/livez", headers={"Host": HOST}).json() == {"live": True}


def ask(town: Town, *headers: tuple[bytes, bytes], method: str = "GET") -> list[Message]:
    """One request with exactly these headers, whose body is never there to be read."""
    said: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": "http", "method": method, "path": "/livez", "headers": headers}

    async def run() -> None:
        await town.client.app(scope, receive, send)

    asyncio.run(run())
    return said


def test_two_hosts_in_one_request_are_nobody(town: Town) -> None:
    for hosts in ([HOST, "manager.example"], ["manager.example", HOST], [HOST, HOST]):
        begun, _ = ask(town, *((b"host", host.encode()) for host in hosts))
        assert begun["status"] == 404
    assert (town.asked, town.woken) == ([], [])


def test_a_body_is_not_read_and_does_not_stand_before_the_next_request(town: Town) -> None:
    host = (b"host", HOST.encode())
    for headers in ([(b"content-length", b"99")], [(b"transfer-encoding", b"chunked")]):
        begun, _ = ask(town, host, *headers, method="POST")
        assert (b"connection", b"close") in begun["headers"]
    begun, _ = ask(town, host, (b"content-length", b"0"), method="POST")
    assert b"connection" not in dict(begun["headers"])
