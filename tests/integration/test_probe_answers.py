"""The prober against servers that answer well, badly, slowly, endlessly and not at all."""

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from previews.adapters.probe import REDIRECTS_MAX, HTTPProber
from previews.adapters.probe_request import BODY_BYTES_MAX
from previews.domain.preview import ProbeResult
from previews.domain.probing import ProbePolicy
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

ZONE = "preview.localhost"
HOST = f"pr-42.{ZONE}"


POLICY = ProbePolicy(timeout=timedelta(seconds=10))
HASTY = ProbePolicy(timeout=timedelta(seconds=0.3))
"""For what is to time out."""


@pytest.fixture
def prober() -> HTTPProber:
    return HTTPProber(zone=ZONE)


def probe(prober: HTTPProber, script: Script, policy: ProbePolicy = POLICY) -> ProbeResult:
    with ScriptedServer(script) as server:
        return prober.probe(f"http://{HOST}:{server.port}/health?deep=1", policy)


def answering(status: int, **headers: str) -> Script:
    return lambda _asked, reply: reply.send(status, b"hello", **headers)


def sending(*parts: bytes, then: Callable[[Reply], None] = Reply.break_off) -> Script:
    def script(_asked: Asked, reply: Reply) -> None:
        for part in parts:
            reply.raw(part)
        then(reply)

    return script


def test_a_name_under_localhost_is_asked_on_loopback_under_its_own_name(prober: HTTPProber) -> None:
    with ScriptedServer(answering(200)) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/health?deep=1", POLICY)
        assert result == ProbeResult(answered=True, detail="200 OK")
        asked = server.next_request()
    assert asked.method == "GET"
    assert asked.path == "/health"
    assert asked.query == {"deep": "1"}
    assert asked.headers["host"] == f"{HOST}:{server.port}"
    assert asked.headers["user-agent"].startswith("previews-probe/")
    assert asked.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("status", "answered", "detail"),
    [
        (204, True, "204 No Content"),
        (299, True, "299"),
        (304, True, "304 Not Modified"),
        (401, False, "401 Unauthorized"),
        (404, False, "404 Not Found"),
        (502, False, "502 Bad Gateway"),
        (503, False, "503 Service Unavailable"),
        (799, False, "799"),
    ],
)
def test_the_status_decides(
    prober: HTTPProber, status: int, *, answered: bool, detail: str
) -> None:
    assert probe(prober, answering(status)) == ProbeResult(answered=answered, detail=detail)


def test_redirects_are_followed_within_the_zone_and_counted(prober: HTTPProber) -> None:
    asked: list[str] = []

    def script(request: Asked, reply: Reply) -> None:
        port = request.headers["host"].partition(":")[2]
        onward = {
            "/": "login?from=home#top",
            "/login": f"//other.{ZONE}:{port}/elsewhere",
            "/elsewhere": f"http://{HOST}:{port}/caf\u00e9 au lait",
        }.get(request.path)
        if onward is None:
            reply.send(200, X_Head_Sha="0123abc")
        else:
            reply.send(302, Location=onward)

    with ScriptedServer(script) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/", POLICY, on_request=asked.append)
        paths = [each.path for each in server.asked]
    assert result == ProbeResult(answered=True, detail="200 OK", head_sha="0123abc")
    assert paths == ["/", "/login", "/elsewhere", "/caf%E9%20au%20lait"]
    assert asked == [HOST, HOST, f"other.{ZONE}", HOST]


@pytest.mark.parametrize(
    "location",
    [
        "https://login.example/",
        f"https://{HOST}@evil.example/",
        f"https://evil{ZONE}/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://[",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        f"https://{HOST}:99999/",
        f"https://\u00e9.{ZONE}/",
        "/" + "z" * 5000,
    ],
)
def test_a_redirect_out_of_the_zone_is_no_answer_and_is_not_followed(
    prober: HTTPProber, location: str
) -> None:
    with ScriptedServer(answering(302, Location=location)) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/", POLICY)
        assert len(server.asked) == 1
    detail = "302 Found to another site"
    assert result == ProbeResult(answered=False, detail=detail, reason="RedirectsAway")


def test_a_redirect_that_leads_nowhere_is_an_answer_of_its_own(prober: HTTPProber) -> None:
    assert probe(prober, answering(302)) == ProbeResult(answered=True, detail="302 Found")
    assert probe(prober, answering(304, Location="/")).answered


def test_redirects_in_a_loop_are_told_as_such(prober: HTTPProber) -> None:
    def back_and_forth(asked: Asked, reply: Reply) -> None:
        reply.send(307, Location="/b" if asked.path == "/a" else "/a")

    with ScriptedServer(back_and_forth) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/", POLICY)
        assert len(server.asked) == 3
    assert result == ProbeResult(answered=False, detail="redirects in a loop")


def test_redirects_without_end_are_followed_five_times(prober: HTTPProber) -> None:
    with ScriptedServer(lambda asked, reply: reply.send(301, Location=asked.path + "z")) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/", POLICY)
        assert len(server.asked) == 1 + REDIRECTS_MAX
    assert result == ProbeResult(answered=False, detail="redirects more than 5 times")


def test_the_time_is_that_of_all_redirects_together(prober: HTTPProber) -> None:
    def slow(asked: Asked, reply: Reply) -> None:
        reply.closing.wait(0.2)
        reply.send(302, Location=asked.path + "z")

    assert probe(prober, slow, HASTY).detail == "timed out after 0.3 s"


def test_what_a_project_says_to_its_own_host_is_not_for_others(prober: HTTPProber) -> None:
    policy = replace(POLICY, headers={"X-Preview-Check": "yes", "User-Agent": "shop-check"})

    def script(asked: Asked, reply: Reply) -> None:
        host, _, port = asked.headers["host"].partition(":")
        if host == HOST:
            reply.send(302, Location=f"http://pr-43.{ZONE}:{port}/")
        else:
            reply.send(200)

    with ScriptedServer(script) as server:
        assert prober.probe(f"http://{HOST}:{server.port}/", policy).answered
        own, other = server.asked
    assert (own.headers["x-preview-check"], own.headers["user-agent"]) == ("yes", "shop-check")
    assert "x-preview-check" not in other.headers
    assert other.headers["user-agent"].startswith("previews-probe/")


def test_other_statuses_may_be_expected(prober: HTTPProber) -> None:
    policy = replace(POLICY, statuses=((200, 200), (401, 403)))
    assert probe(prober, answering(401), policy).answered
    assert not probe(prober, answering(204), policy).answered


def test_a_text_may_be_expected_in_the_first_64_kib(prober: HTTPProber) -> None:
    policy = replace(POLICY, text="Willkommen \u00fcberall")

    def page(body: bytes) -> Script:
        return lambda _asked, reply: reply.send(200, body)

    wanted = policy.text.encode()
    assert probe(prober, page(b"<h1>" + wanted + b"</h1>"), policy).answered
    edge = b"z" * (BODY_BYTES_MAX - len(wanted))
    assert probe(prober, page(edge + wanted), policy).answered
    too_late = ProbeResult(answered=False, detail="200 OK, without the text that it should have")
    assert probe(prober, page(b"z" + edge + wanted), policy) == too_late
    assert probe(prober, page(b"<h1>default backend</h1>"), policy) == too_late


@pytest.mark.parametrize(
    ("header", "head_sha"),
    [
        ("0123ABCDEF", "0123abcdef"),
        ("0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef01234567"),
        ("012345", ""),
        ("main", ""),
        ("0123abc<script>", ""),
        ("0" * 65, ""),
    ],
)
def test_the_commit_that_an_application_says_it_is(
    prober: HTTPProber, header: str, head_sha: str
) -> None:
    policy = replace(POLICY, head_sha_header="X-Commit")
    assert probe(prober, answering(200, X_Commit=header), policy).head_sha == head_sha


def test_the_managers_own_page_is_no_answer_of_the_application(prober: HTTPProber) -> None:
    policy = replace(POLICY, statuses=((200, 599),))
    assert probe(prober, answering(503, X_Previews_Page="waiting"), policy) == ProbeResult(
        answered=False, detail="the manager answers, not the application"
    )


def test_nothing_listens(prober: HTTPProber) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        result = prober.probe(f"http://{HOST}:{port}/", POLICY)
    assert result == ProbeResult(answered=False, detail="connection refused")


def test_a_name_that_is_not_there(prober: HTTPProber) -> None:
    result = prober.probe("http://pr-42.preview.invalid/", POLICY)
    assert not result.answered
    # A machine without a network has no name server that could say so.
    assert result.detail in {"host name not found", "the name server does not answer"}
    assert result.reason == "HostNotFound"


def drip(data: bytes, forever: bytes) -> Script:
    """Send `data`, and then a byte now and then, so that no single read ever times out."""

    def script(_asked: Asked, reply: Reply) -> None:
        reply.raw(data)
        while not reply.closing.wait(0.02):
            reply.raw(forever)

    return script


@pytest.mark.parametrize(
    "script",
    [
        lambda _asked, reply: reply.hang(),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"z"),
        drip(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"z"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"z"),
    ],
    ids=["silent", "endless header", "always about to answer", "endless body", "no length"],
)
def test_the_whole_answer_has_to_come_in_time(prober: HTTPProber, script: Script) -> None:
    assert probe(prober, script, HASTY) == ProbeResult(
        answered=False, detail="timed out after 0.3 s"
    )


def test_a_server_that_takes_no_connection_times_out_as_well(prober: HTTPProber) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        # The queue of connections that nobody accepts is full with these.
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)  # noqa: FBT003 the library takes it by position
            each.connect_ex(("127.0.0.1", port))
        result = prober.probe(f"https://{HOST}:{port}/", HASTY)
        for each in waiting:
            each.close()
    assert result == ProbeResult(answered=False, detail="timed out after 0.3 s")


def test_a_server_that_never_greets_back_times_out_as_well(prober: HTTPProber) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = prober.probe(f"https://{HOST}:{silent.getsockname()[1]}/", HASTY)
    assert result == ProbeResult(answered=False, detail="timed out after 0.3 s")


def test_an_endless_body_is_read_no_further_than_needed(prober: HTTPProber) -> None:
    sent = []

    def endless(_asked: Asked, reply: Reply) -> None:
        reply.begin()
        while True:
            # Ends with an OSError, when the prober hangs up.
            reply.chunk(b"z" * 16384)
            sent.append(16384)

    with ScriptedServer(endless) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/", POLICY)
    assert result == ProbeResult(answered=True, detail="200 OK")
    # What the two sockets hold between them comes on top.
    assert sum(sent) < BODY_BYTES_MAX + 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "no valid HTTP answer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"], "no valid HTTP answer"),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
            "no valid HTTP answer",
        ),
        ([b"HTTP/1.1 200 OK\r\nA: " + b"z" * 300_000], "no valid HTTP answer"),
        ([b"HTTP/1.1 102 Processing\r\n\r\n" * 20_000], "no valid HTTP answer"),
        ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"], "no valid HTTP answer"),
        ([], "no valid HTTP answer"),
        (
            [b"HTTP/1.1 500 \x1b[31m<script>\r\nContent-Length: 0\r\n\r\n"],
            "500 Internal Server Error",
        ),
    ],
    ids=[
        "another protocol",
        "half a body",
        "half of the chunks",
        "a giant header",
        "no end of forerunners",
        "another protocol from now on",
        "nothing",
        "words of its own",
    ],
)
def test_what_is_no_answer_is_told_in_our_own_words(
    prober: HTTPProber, parts: list[bytes], detail: str
) -> None:
    assert probe(prober, sending(*parts)) == ProbeResult(answered=False, detail=detail)


def test_a_body_may_end_with_its_connection(prober: HTTPProber) -> None:
    policy = replace(POLICY, text="hello")
    script = sending(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    assert probe(prober, script, policy).answered


def test_what_comes_after_a_whole_answer_is_nobodys_business(prober: HTTPProber) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert probe(prober, sending(answer + b"\0\1\2 garbage" * 100)).answered


@pytest.mark.parametrize("zone", ["preview.example", "localhost.example"])
def test_this_machine_is_asked_only_for_a_zone_that_says_so(zone: str) -> None:
    prober = HTTPProber(zone=zone)
    with ScriptedServer(answering(200)) as server:
        result = prober.probe(f"http://{HOST}:{server.port}/", POLICY)
        assert not server.asked
        assert result == ProbeResult(
            answered=False,
            detail="the host leads to 127.0.0.1, which is not asked",
            reason="AddressNotAllowed",
        )
        allowed = HTTPProber(zone=zone, private_addresses=True)
        assert allowed.probe(f"http://{HOST}:{server.port}/", POLICY).answered


def test_a_connection_that_is_reset(prober: HTTPProber) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reset() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            # Linger for no time: the kernel answers with RST.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        result = prober.probe(f"http://{HOST}:{server.getsockname()[1]}/", POLICY)
        thread.join()
    assert result == ProbeResult(answered=False, detail="connection reset by peer")
