"""The `previews` command as a process, asking a real web server with fakes behind it."""

import getpass
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn

from previews.cli import waiting
from previews.client import Client
from previews.domain.brake import BrakeState
from previews.domain.inventory import Found, Kind, OwnedObject, Verdict
from previews.domain.lifetime import Anchor, Expiry, LifetimePolicy, Said, Until, Wishes
from previews.domain.preview import Condition, Phase, PreviewKey
from previews.domain.record import Gone, PreviewRecord, Removal
from tests.fakes.api import TOKEN, FakeAPI
from tests.pull_requests import PULL_REQUEST

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
KEY = PreviewKey("shop", 42)
LIVE = PreviewRecord(
    key=KEY,
    pull_request=replace(PULL_REQUEST, title="Red \x1b[31m and \u202e backwards"),
    phase=Phase.LIVE,
    reason="Live",
    message="200 OK",
    expiry=Expiry(
        at=NOON + timedelta(hours=5),
        anchor=Anchor.LAST_PUSH,
        anchored_at=NOON - timedelta(hours=19),
        ttl=timedelta(days=1),
        is_near=True,
    ),
    conditions=(Condition(type="Answering", status=True, reason="Met", message="", since=NOON),),
)
GONE = Removal(
    cause="RemovedByHand",
    by="ada",
    started_at=NOON,
    gone=(Gone("Application", "shop-pr-42", NOON), Gone("Namespace", "preview-shop-pr-42", NOON)),
    finished_at=NOON,
)
ORPHAN = Found(
    owned=OwnedObject(
        kind=Kind.NAMESPACE,
        name="preview-shop-pr-7",
        owner=PreviewKey("shop", 7),
        created_at=NOON,
    ),
    verdict=Verdict.ORPHAN,
    cause="acme/shop#7 is closed",
)


class Manager(FakeAPI):
    """A manager that answers over TCP, and does nothing but what a test has it do."""

    url: str

    def __init__(self, token_file: Path) -> None:
        super().__init__()
        self.policies["shop"] = LifetimePolicy(ttl=timedelta(days=1))
        self.token_file = token_file
        token_file.write_text(f"{TOKEN}\n")
        config = uvicorn.Config(self.web, host="127.0.0.1", port=0, log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self.queued_by: Callable[[PreviewKey], None] = lambda _: None

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
            assert self._thread.is_alive()
        (server,) = self._server.servers
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        for key in keys:
            self.queued_by(key)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {"PREVIEWS_URL": self.url, "PREVIEWS_TOKEN_FILE": str(self.token_file)}
        return run(*arguments, **(known | environment))

    def says(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "previews", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | environment,
    )


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "token")
    manager.start()
    try:
        yield manager
    finally:
        manager.stop()


def test_previews_are_listed_with_what_matters_and_nothing_that_moves_the_cursor(
    manager: Manager,
) -> None:
    manager.store.save(LIVE)
    manager.store.save(replace(LIVE, key=PreviewKey("shop", 7), phase=Phase.REMOVED))
    manager.store.save(
        PreviewRecord(key=PreviewKey("shop", 100), phase=Phase.DEGRADED, reason="\x1b[2J")
    )

    heading, *lines = manager.says("list").splitlines()

    assert heading.split() == ["PREVIEW", "PHASE", "REASON", "EXPIRES", "AUTHOR", "URL"]
    assert [line.split()[:2] for line in lines] == [["shop#42", "Live"], ["shop#100", "Degraded"]]
    assert "2026-11-02 17:00 UTC (soon)" in lines[0]
    assert "https://pr-42.preview.example/" in lines[0]
    assert lines[0].index("Live") == heading.index("PHASE") == lines[1].index("Degraded")
    assert "\x1b" not in lines[1]
    assert len(manager.says("list", "--all").splitlines()) == 4
    assert len(manager.says("list", "--phase", "Removed").splitlines()) == 2


def test_a_list_longer_than_a_page_is_complete_in_json_that_is_plain_ascii(
    manager: Manager,
) -> None:
    for number in range(1, 602):
        manager.store.save(replace(LIVE, key=PreviewKey("shop", number)))

    shown = manager.says("list", "--json")

    assert shown.isascii()
    assert "\x1b" not in shown
    assert [each["number"] for each in json.loads(shown)] == list(range(1, 602))


def test_one_preview_is_shown_with_its_expiry_its_pin_its_receipt_and_its_history(
    manager: Manager,
) -> None:
    manager.store.save(replace(LIVE, removal=GONE))
    now = manager.clock.now()
    manager.store.save_wishes(KEY, Wishes(pin=Until(now + timedelta(days=2), now, "grace")))
    manager.actions.redeploy(KEY, actor="ada")

    shown = manager.says("show", "shop#42")

    for text in (
        "shop#42  Live",
        "Live: 200 OK",
        "2026-11-02 17:00 UTC (1d from last push, 2026-11-01 17:00 UTC)",
        "until 2026-11-04 08:30 UTC by grace",
        "Answering",
        "nothing was left at 2026-11-02 12:00 UTC",
        "preview-shop-pr-42",
        "Redeploy",
    ):
        assert text in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown

    document = json.loads(manager.says("show", "shop#42", "--json"))
    assert document["receipt"]["cause"] == "RemovedByHand"
    assert document["history"][0]["actor"] == "ada"


def test_one_that_does_not_work_is_shown_with_what_to_do(manager: Manager) -> None:
    broken = replace(LIVE, phase=Phase.DEGRADED, reason="OutOfMemory", message="app was killed")
    manager.store.save(broken)
    shown = manager.says("show", "shop#42")
    assert "OutOfMemory: app was killed" in shown
    assert "what to do" in shown
    assert "Raise its memory limit in the project's values" in shown


def test_a_commit_of_a_fork_is_approved_by_its_whole_id(manager: Manager) -> None:
    pull_request = LIVE.pull_request
    assert pull_request is not None
    manager.store.save(replace(LIVE, pull_request=replace(pull_request, from_fork=True)))
    said = manager.says("approve", "shop#42", pull_request.head_sha, "--actor", "ada")
    assert said == f"shop#42: {pull_request.head_sha} is approved\n"
    approval = manager.store.load_wishes(LIVE.key).approval
    assert approval is not None
    assert (approval.head_sha, approval.by) == (pull_request.head_sha, "ada")


def test_what_is_asked_for_is_kept_with_the_name_of_who_asks(manager: Manager) -> None:
    manager.store.save(LIVE)

    said = manager.says("extend", "shop#42", "24h", "--actor", "ada")
    assert said == "shop#42: extend by 1d, until 2026-11-03 17:00 UTC\n"
    said = manager.says("pin", "shop#42", "7d", "--actor", "ada")
    assert said == "shop#42: pin until 2026-11-09 08:30 UTC\n"
    assert manager.says("pin", "shop#42") == "shop#42: pin until 2026-12-02 08:30 UTC\n"
    for verb in ("ask", "unpin", "sleep", "wake", "redeploy", "remove"):
        assert manager.says(verb, "shop#42") == f"shop#42: {verb}\n"

    me = getpass.getuser()
    assert [(entry.actor, entry.action) for entry in manager.store.history(KEY)] == [
        ("ada", "Extend"),
        ("ada", "Pin"),
        (me, "Pin"),
        (me, "Ask"),
        (me, "Unpin"),
        (me, "Sleep"),
        (me, "Wake"),
        (me, "Redeploy"),
        (me, "Remove"),
    ]


@pytest.mark.parametrize("verb", ["reset-database", "rotate-password"])
def test_what_is_asked_of_a_database_is_said_to_be_kept(manager: Manager, verb: str) -> None:
    manager.store.save(LIVE)
    manager.with_databases.add("shop")
    said = manager.says(verb, "shop#42", "--actor", "ada")
    assert said.startswith(f"shop#42: {verb}")
    assert "nothing had to be asked for" not in said


def test_what_was_asked_for_earlier_is_not_shown_as_this_time_s(manager: Manager) -> None:
    pull_request = LIVE.pull_request
    assert pull_request is not None
    manager.store.save(LIVE)
    assert manager.says("remove", "shop#42", "--actor", "ada") == "shop#42: remove\n"
    manager.store.save(replace(LIVE, pull_request=replace(pull_request, is_open=False)))

    said = manager.says("remove", "shop#42", "--actor", "ada")

    assert said == "shop#42: remove: nothing had to be asked for\n"


def test_a_refusal_is_one_line_and_code_1(manager: Manager) -> None:
    manager.store.save(LIVE)

    for arguments, line in (
        (("wake", "shop#7"), "previews: there is no preview shop#7\n"),
        (
            ("pin", "shop#42", "31d"),
            "previews: shop#42 may be kept for at most 30d from now on; a pin is counted from now\n",
        ),
    ):
        done = manager.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "shop"),
        ("extend", "shop#42", "soon"),
        ("remove",),
        ("remove", "shop#42", "--all"),
        ("remove", "shop#42", "--wait", "--timeout", "soon"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_code_2_and_asks_nobody(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    done = run(*arguments, PREVIEWS_URL="http://127.0.0.1:1", PREVIEWS_TOKEN_FILE=str(token_file))

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_whoever_waits_for_a_removal_sees_it_go_on_and_gets_the_receipt(manager: Manager) -> None:
    manager.store.save(LIVE)
    manager.queued_by = lambda key: manager.store.save(
        replace(LIVE, key=key, phase=Phase.REMOVING, reason="EndingTheWorkload", message="")
    )
    known = {"PREVIEWS_URL": manager.url, "PREVIEWS_TOKEN_FILE": str(manager.token_file)}

    with subprocess.Popen(
        [sys.executable, "-m", "previews", "remove", "shop#42", "--wait", "--actor", "ada"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | known | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shop#42: remove\n"
        assert process.stdout.readline() == "shop#42: Removing EndingTheWorkload\n"
        manager.store.unavailable = True
        assert "the store is out of order; asking again" in process.stdout.readline()
        manager.store.unavailable = False
        manager.store.save(replace(LIVE, phase=Phase.EXPIRED, removal=GONE))
        rest = [line for line in process.stdout if "asking again" not in line]

    assert process.returncode == 0
    assert rest[0].startswith("shop#42 is gone: removal (RemovedByHand, by ada)")
    assert [line.split()[0] for line in rest[1:]] == ["GONE", "Application", "Namespace"]


def test_what_does_not_go_in_time_is_named_with_its_reason_and_code_1(manager: Manager) -> None:
    manager.store.save(LIVE)
    stuck = replace(LIVE, phase=Phase.REMOVING, reason="RemovingTheNamespace", message="finalizer")
    manager.queued_by = lambda key: manager.store.save(replace(stuck, key=key))

    done = manager.run("remove", "--all", "--wait", "--timeout", "0s", "--actor", "ada")

    assert done.returncode == 1
    assert "asked for the removal of shop#42" in done.stdout
    assert done.stderr == (
        "previews: not gone after 0 s: shop#42: Removing RemovingTheNamespace finalizer\n"
    )


def test_everything_is_removed_and_it_is_said_what_is_left(manager: Manager) -> None:
    manager.store.save(LIVE)
    manager.store.save(replace(LIVE, key=PreviewKey("forgotten", 1)))
    manager.queued_by = lambda key: manager.store.save(
        replace(LIVE, key=key, phase=Phase.EXPIRED, removal=GONE)
    )

    done = manager.run("remove", "--all", "--wait", "--actor", "ada")

    assert done.returncode == 0
    assert "shop#42 is gone: removal (RemovedByHand" in done.stdout
    assert "previews of forgotten are left: `previews drain forgotten`" in done.stderr
    assert manager.store.load_wishes(KEY).removal == Said(manager.clock.now(), "ada")

    done = manager.run("drain", "forgotten", "--wait", "--actor", "ada")
    assert done.returncode == 0
    assert "asked for the removal of forgotten#1" in done.stdout
    assert "forgotten#1 is gone" in done.stdout


def test_a_sweep_is_for_show_unless_it_is_said_that_it_is_not(manager: Manager) -> None:
    manager.collector.found = [ORPHAN]

    shown = manager.says("collect")
    assert "shop#7" in shown
    assert "would be removed" in shown
    assert "acme/shop#7 is closed" in shown
    assert manager.collector.found == [ORPHAN]

    document = json.loads(manager.says("collect", "--json"))
    assert [each["name"] for each in document["planned"]] == ["preview-shop-pr-7"]

    manager.collector.held = "1 of 1 are orphans at once"
    held = manager.run("collect", "--no-dry-run")
    assert held.returncode == 1
    assert "1 of 1 are orphans at once: see what it is, then --confirm" in held.stderr
    assert manager.collector.found == [ORPHAN]

    assert "removed" in manager.says("collect", "--no-dry-run", "--confirm")
    manager.collector.held = ""
    assert manager.says("collect") == "nothing was left behind\n"

    manager.collector.held = "the cluster could not be read"
    assert "nothing" not in manager.run("collect").stdout


def test_the_brake_is_shown_and_exactly_what_was_shown_is_confirmed(manager: Manager) -> None:
    manager.store.save(LIVE)
    assert manager.says("brake").startswith("the brake holds nothing\n")
    assert manager.says("confirm-brake").startswith("the brake holds nothing\n")

    manager.brake = BrakeState(
        holds=True, held=((KEY, "Expired"),), begun=10, allowed=10, window_seconds=600
    )
    shown = manager.says("brake")
    assert "the brake holds 1 removals" in shown
    assert "10 of at most 10 removals that nobody asked for began within 10m" in shown
    assert json.loads(manager.says("brake", "--json"))["held"][0]["preview"] == "shop#42"

    assert "confirmed shop#42" in manager.says("confirm-brake", "--actor", "ada")
    assert manager.store.load_wishes(KEY).confirmation == Said(manager.clock.now(), "ada")


def test_nobody_there_is_one_line(manager: Manager) -> None:
    manager.stop()

    done = manager.run("list")

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"previews: the manager does not answer at {manager.url}: ")


def test_a_wrong_token_is_one_line_and_never_shown(manager: Manager) -> None:
    manager.token_file.write_text("canary\n")

    done = manager.run("list")

    assert done.returncode == 1
    assert done.stderr == f"previews: the manager at {manager.url} refuses this token\n"


def test_a_token_that_is_none_is_one_line_and_code_2(manager: Manager) -> None:
    for wrong in (b"", b"canary\nsecond line\n", b"canary\xff"):
        manager.token_file.write_bytes(wrong)
        done = manager.run("list")
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"{manager.token_file}: ")
        assert "canary" not in line


def test_whoever_does_not_say_where_the_manager_is_is_asked(manager: Manager) -> None:
    done = manager.run("list", PREVIEWS_URL="", PREVIEWS_TOKEN_FILE="")

    assert done.returncode == 2
    assert done.stderr.startswith("where is the manager? Give --config, or --url and --token-file")


def test_the_managers_own_configuration_says_where_it_is_and_with_which_token(
    manager: Manager, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    helm = {"repository_url": "https://git.example/charts.git", "path": "app"}
    configuration = {
        "instance": "here",
        "data_directory": str(tmp_path / "data"),
        "forge": {"kind": "gitea", "api_url": "https://forge.example", "token_file": str(secret)},
        "gitops": {"url": "https://git.example/gitops.git"},
        "domain": {"zone": "preview.example"},
        "server": {"host": "0.0.0.0", "port": int(manager.url.rpartition(":")[2])},
        "projects": [
            {
                "name": "shop",
                "repository": "acme/shop",
                "deploy": {"helm": helm},
                "hostname": "pr-{number}.preview.example",
            }
        ],
    }
    file = tmp_path / "previews.yaml"
    file.write_text(json.dumps(configuration))
    here = {"PREVIEWS_URL": "", "PREVIEWS_TOKEN_FILE": "", "PREVIEWS_CONFIG": str(file)}

    done = manager.run("list", **here)
    assert done.returncode == 2
    assert "server.api_token_file: must be given, since without it there is no API" in done.stderr

    configuration["server"] |= {"api_token_file": str(manager.token_file)}  # type: ignore[operator] # a mapping
    file.write_text(json.dumps(configuration))
    done = manager.run("list", **here)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no previews\n")


class Stranger(http.server.BaseHTTPRequestHandler):
    """Some other web server."""

    def do_GET(self) -> None:
        body = b"<h1>Welcome</h1>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def test_an_address_where_something_else_answers_is_one_line(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            done = run("list", "--url", url, "--token-file", str(token_file))
        finally:
            server.shutdown()

    assert done.returncode == 1
    assert done.stderr.startswith(f"previews: {url} answers 200, but not as a manager")


class Restarting(http.server.BaseHTTPRequestHandler):
    """An ingress that finds its manager only the second time."""

    answers: Iterator[tuple[int, bytes]]

    def do_GET(self) -> None:
        status, body = next(self.answers)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_manager_that_restarts_behind_an_ingress_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 0)
    none_left = json.dumps({"previews": [], "next_cursor": None}).encode()
    Restarting.answers = iter([(status, b"<h1>One moment</h1>"), (200, none_left)])
    said: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Restarting) as server:
        threading.Thread(target=server.serve_forever).start()
        client = Client(f"http://127.0.0.1:{server.server_address[1]}", TOKEN)
        try:
            waiting.wait_until_gone(client, [KEY], timeout_seconds=60, say=said.append)
        finally:
            server.shutdown()

    assert "does not answer" in said[0]
    assert said[1:] == ["shop#42 is gone"]
