"""The door on a real socket and a real disk: caps, slow senders, crowds, and the death of the process."""

import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from previews.web.webhooks import BODIES_MAX
from tests.github.hooks import example, signed_headers
from tests.integration.door_process import BODY_LIMIT_BYTES, REPOSITORY, SECRET

ROOT = Path(__file__).parents[2]
OPENED = example("pull_request.opened")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    document: dict[str, str]

    @property
    def verdict(self) -> str:
        return self.document["verdict"]


class DoorProcess:
    """One run of the door. It may be started again on the same database."""

    def __init__(
        self,
        database: Path,
        *,
        busy_timeout_seconds: float = 60.0,
        body_timeout_seconds: float = 60.0,
    ) -> None:
        self.database = database
        timeouts = (str(busy_timeout_seconds), str(body_timeout_seconds))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.door_process", str(database), *timeouts],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.next_word())

    def next_word(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def stop(self) -> str:
        """Ask it to end; what it complained of meanwhile."""
        self._process.send_signal(signal.SIGTERM)
        _, complaints = self._process.communicate(timeout=30)
        return complaints

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def deliver(self, guid: str, body: bytes = OPENED) -> Answer:
        headers = signed_headers("pull_request", body, SECRET, guid=guid)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request("POST", "/webhooks", body, headers)
            return read_answer(connection.getresponse())

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            yield connection

    def rows(self, question: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(question).fetchall()
        finally:
            connection.close()

    def guids(self) -> set[object]:
        return {guid for (guid,) in self.rows("SELECT guid FROM delivery")}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[DoorProcess]:
    """One that a test may kill."""
    door = DoorProcess(tmp_path / "previews.db")
    yield door
    if door.running:
        assert "Traceback" not in door.stop()


@pytest.fixture(scope="module")
def standing_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorProcess]:
    """One that serves many tests."""
    door = DoorProcess(tmp_path_factory.mktemp("door") / "previews.db")
    yield door
    assert "Traceback" not in door.stop()


def read_answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): text for name, text in response.getheaders()}
    return Answer(response.status, headers, json.loads(response.read()))


def head(*headers: str) -> bytes:
    lines = ("POST /webhooks HTTP/1.1", "Host: previews.example", *headers, "", "")
    return "\r\n".join(lines).encode()


def answer_on(connection: socket.socket) -> Answer:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return read_answer(response)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(
    standing_door: DoorProcess,
) -> None:
    with standing_door.connected() as connection:
        connection.sendall(head(f"Content-Length: {BODY_LIMIT_BYTES + 1}"))

        assert answer_on(connection).status == 413
        assert is_closed(connection)


def test_a_sender_that_asks_first_is_told_before_it_sends(standing_door: DoorProcess) -> None:
    with standing_door.connected() as connection:
        connection.sendall(head("Content-Length: 30000000", "Expect: 100-continue"))

        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_body_of_unannounced_length_is_refused_as_soon_as_it_is_too_large(
    standing_door: DoorProcess,
) -> None:
    chunk = b"x" * 10_000
    with standing_door.connected() as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        for _ in range(BODY_LIMIT_BYTES // len(chunk) + 1):
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))

        assert answer_on(connection).status == 413
        assert is_closed(connection)


@pytest.mark.fault(5)
def test_thirty_megabytes_are_not_even_received(standing_door: DoorProcess) -> None:
    body = (b"100000\r\n" + b"x" * 2**20 + b"\r\n") * 30
    with standing_door.connected() as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(body)


def test_a_body_of_exactly_the_limit_is_read(standing_door: DoorProcess) -> None:
    body = OPENED + b" " * (BODY_LIMIT_BYTES - len(OPENED))

    assert standing_door.deliver("exact", body).verdict == "accepted"
    assert standing_door.deliver("over", body + b" ").status == 413


@pytest.mark.fault(5)
def test_a_slow_sender_is_let_go(tmp_path: Path) -> None:
    door = DoorProcess(tmp_path / "previews.db", body_timeout_seconds=0.2)
    with door.connected() as connection:
        connection.sendall(head("Content-Length: 1000") + b"x")

        assert answer_on(connection).status == 408
        assert is_closed(connection)
    assert "Traceback" not in door.stop()


@pytest.mark.fault(5)
def test_a_crowd_of_slow_senders_keeps_out_nobody_but_itself(door: DoorProcess) -> None:
    with ExitStack() as held:
        slow = [held.enter_context(door.connected()) for _ in range(BODIES_MAX + 10)]
        for connection in slow:
            connection.sendall(head("Content-Length: 1000") + b"x")

        assert door.deliver("one").verdict == "accepted"
        answer = answer_on(slow[0])
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert int(answer.headers["retry-after"]) > 0
        assert is_closed(slow[0])


@pytest.mark.parametrize("path", ["/livez", "/nowhere"])
def test_an_answer_before_the_body_ends_the_connection(
    standing_door: DoorProcess, path: str
) -> None:
    with standing_door.connected() as connection:
        request = head("Content-Length: 100000000") + b"{"
        connection.sendall(request.replace(b"/webhooks", path.encode()))

        assert answer_on(connection).headers["connection"] == "close"
        assert is_closed(connection)


def test_a_sender_that_leaves_disturbs_nobody(standing_door: DoorProcess) -> None:
    with standing_door.connected() as connection:
        connection.sendall(head("Content-Length: 1000") + b"x")

    assert standing_door.deliver("next").verdict == "accepted"


def test_a_refused_delivery_leaves_the_connection_to_the_next(standing_door: DoorProcess) -> None:
    signed = [f"{k}: {v}" for k, v in signed_headers("pull_request", OPENED, SECRET).items()]
    length = f"Content-Length: {len(OPENED)}"
    with standing_door.connected() as connection:
        connection.sendall(head(length) + OPENED)
        assert answer_on(connection).status == 401

        connection.sendall(head(length, *signed) + OPENED)
        assert answer_on(connection).verdict == "accepted"


@pytest.mark.fault(1)
def test_what_was_answered_with_2xx_survives_a_kill(door: DoorProcess) -> None:
    assert door.deliver("one").verdict == "accepted"
    door.kill()

    assert door.guids() == {"one"}
    again = DoorProcess(door.database)
    assert again.deliver("one").verdict == "duplicate"
    again.stop()
    assert door.rows("SELECT project, number, fetch_mark FROM preview") == [("hello", 2, 1)]


@pytest.mark.fault(2)
def test_what_was_killed_before_it_was_stored_is_taken_when_it_comes_again(
    door: DoorProcess,
) -> None:
    other = sqlite3.connect(door.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        unanswered = pool.submit(door.deliver, "one")
        assert door.next_word() == "storing"
        door.kill()
        assert isinstance(unanswered.exception(), (ConnectionError, http.client.HTTPException))
    other.close()

    again = DoorProcess(door.database)
    assert again.deliver("one").verdict == "accepted"
    again.stop()


def crowd(count: int) -> list[tuple[str, bytes]]:
    document = json.loads(OPENED)
    document["repository"]["full_name"] = REPOSITORY
    deliveries = []
    for number in range(1, count + 1):
        document["pull_request"]["number"] = number % 50 + 1
        deliveries.append((f"crowd-{number}", json.dumps(document).encode()))
    return deliveries


@pytest.mark.fault(10)
def test_every_delivery_of_a_crowd_is_stored_before_its_answer(door: DoorProcess) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda sent: door.deliver(*sent), crowd(500)))

    assert {answer.verdict for answer in answers} == {"accepted"}
    assert len(door.guids()) == 500
    assert door.rows("SELECT count(*), sum(fetch_mark) FROM preview") == [(50, 500)]


@pytest.mark.fault(10)
def test_a_kill_in_the_middle_of_a_crowd_loses_nothing_that_was_answered(
    door: DoorProcess,
) -> None:
    answered: set[str] = set()

    def send(sent: tuple[str, bytes]) -> None:
        guid, body = sent
        try:
            if door.deliver(guid, body).status == 202:
                answered.add(guid)
        except (ConnectionError, http.client.HTTPException):
            return
        if len(answered) == 100:
            door.kill()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(send, crowd(300)))

    assert 100 <= len(answered) < 300
    assert answered <= door.guids()
    marks = door.rows("SELECT sum(fetch_mark) FROM preview")
    assert marks == [(len(door.guids()),)]


@pytest.mark.fault(16)
def test_a_store_that_cannot_be_written_asks_the_sender_to_come_again(tmp_path: Path) -> None:
    door = DoorProcess(tmp_path / "previews.db", busy_timeout_seconds=0.05)
    other = sqlite3.connect(door.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    answer = door.deliver("one")

    assert (answer.status, answer.document["reason"]) == (503, "StoreUnavailable")
    assert int(answer.headers["retry-after"]) > 0
    other.close()
    assert door.deliver("one").verdict == "accepted"
    assert "Traceback" not in door.stop()
