"""The stand-in GitHub itself: it answers as GitHub's description says, and tells of everything that is against it."""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from previews.domain.feedback import Check, CheckState
from tests.github import hooks
from tests.github.description import description, webhook_schemas
from tests.github.server import EMPTY_LIST, SERVER_ERROR
from tests.github.standin import StandInGitHub, ViolationError
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

SHOP = "acme/shop"
SECRET = "It's a Secret to Everybody"
EXAMPLES = ("ping", "push", *(f"pull_request.{a}" for a in ("opened", "synchronize", "closed")))


@pytest.fixture
def github() -> Iterator[StandInGitHub]:
    with StandInGitHub() as standin:
        standin.add_repository(SHOP)
        yield standin


def ask(
    github: StandInGitHub, verb: str, path: str, body: object = None, *, token: str = ""
) -> tuple[int, Any, str]:
    """Status, document and links."""
    request = urllib.request.Request(
        github.url + path,
        method=verb,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token or github.token}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers.get("Link", "")
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused), ""


def test_every_endpoint_in_use_answers_as_described(github: StandInGitHub) -> None:
    number = github.open_pull_request(SHOP, from_fork=True)
    sha = github.pull_request(SHOP, number).head_sha
    comments = f"/repos/{SHOP}/issues/{number}/comments"

    assert ask(github, "GET", "/user")[0] == 200
    assert ask(github, "GET", f"/repos/{SHOP}")[0] == 200
    assert ask(github, "GET", f"/repos/{SHOP}/pulls?state=open&per_page=100")[0] == 200
    assert ask(github, "GET", f"/repos/{SHOP}/pulls/{number}")[0] == 200
    assert ask(github, "POST", f"/repos/{SHOP}/statuses/{sha}", {"state": "pending"})[0] == 201
    status, created, _ = ask(github, "POST", comments, {"body": "Live"})
    assert status == 201
    assert ask(github, "GET", comments)[1] == [created]
    path = f"/repos/{SHOP}/issues/comments/{created['id']}"
    assert ask(github, "PATCH", path, {"body": "Gone"})[1]["body"] == "Gone"

    github.delete_fork(SHOP, number)
    github.close(SHOP, number)
    closed = ask(github, "GET", f"/repos/{SHOP}/pulls/{number}")[1]
    assert closed["state"] == "closed"
    assert closed["head"]["repo"] is None
    assert {asked.method for asked in github.requests} == {"GET", "POST", "PATCH"}
    assert github.violations == []


def test_it_refuses_as_github_does(github: StandInGitHub) -> None:
    number = github.open_pull_request(SHOP)
    sha = github.pull_request(SHOP, number).head_sha
    theirs = github.comment(SHOP, number, "not yours")

    assert ask(github, "GET", "/user", token="another")[0] == 401
    assert ask(github, "GET", f"/repos/{SHOP}/pulls/99")[0] == 404
    assert ask(github, "GET", "/repos/acme/nothing/pulls")[0] == 404
    assert ask(github, "PATCH", f"/repos/{SHOP}/issues/comments/{theirs}", {"body": "x"})[0] == 403
    statuses = f"/repos/{SHOP}/statuses/{sha}"
    assert ask(github, "POST", statuses, {"state": "success", "target_url": "ftp://x"})[0] == 422
    assert github.violations == []


@pytest.mark.parametrize(
    ("verb", "path", "body", "complaint"),
    [
        ("GET", f"/repos/{SHOP}/commits/main", None, "no such endpoint"),
        ("DELETE", f"/repos/{SHOP}/pulls/1", None, "no such endpoint"),
        ("GET", f"/repos/{SHOP}/pulls?colour=red", None, "no query parameter 'colour'"),
        ("GET", f"/repos/{SHOP}/pulls?per_page=many", None, "not of type 'integer'"),
        ("POST", f"/repos/{SHOP}/issues/1/comments", {}, "'body' is a required property"),
        ("POST", f"/repos/{SHOP}/issues/1/comments", {"body": 1}, "not of type 'string'"),
        ("POST", f"/repos/{SHOP}/issues/1/comments", None, "no body"),
        ("POST", f"/repos/{SHOP}/issues/1/comments", {"body": "", "hue": 1}, "no field 'hue'"),
        ("POST", f"/repos/{SHOP}/statuses/abc", {"state": "half"}, "not one of"),
        ("GET", "/user", {"body": "x"}, "a body was sent"),
    ],
)
def test_a_request_that_is_not_described_fails_the_with_block(
    verb: str, path: str, body: object, complaint: str
) -> None:
    def ask_a_stand_in() -> None:
        with StandInGitHub() as github:
            github.open_pull_request(SHOP)
            assert ask(github, verb, path, body)[0] in {404, 422}

    with pytest.raises(ViolationError, match=complaint):
        ask_a_stand_in()


def test_an_answer_that_is_not_described_is_told_of() -> None:
    found = description().find("GET", "/user")
    assert found is not None
    operation, _ = found

    assert list(description().violations_of_answer(operation, 200, {"login": "nobody"}))
    assert list(description().violations_of_answer(operation, 418, {}))
    assert list(description().violations_of_answer(operation, 404, {"message": 1}))
    assert not list(description().violations_of_answer(operation, 404, {"message": "Not Found"}))


def test_an_error_in_the_with_block_is_not_hidden_by_a_violation() -> None:
    def stumble() -> None:
        with StandInGitHub() as github:
            ask(github, "GET", "/unknown")
            raise KeyError

    with pytest.raises(KeyError):
        stumble()


def test_a_list_is_paged_with_githubs_links(github: StandInGitHub) -> None:
    for _ in range(5):
        github.open_pull_request(SHOP)
    path = f"/repos/{SHOP}/pulls?per_page=2"

    _, first, links = ask(github, "GET", path)
    assert [each["number"] for each in first] == [5, 4]
    root = f"{github.url}/repositories/1/pulls?per_page=2&page="
    assert links == f'<{root}2>; rel="next", <{root}3>; rel="last"'

    _, second, links = ask(github, "GET", path + "&page=2")
    assert [each["number"] for each in second] == [3, 2]
    assert f'<{root}3>; rel="next"' in links

    _, last, links = ask(github, "GET", path + "&page=3")
    assert [each["number"] for each in last] == [1]
    assert "next" not in links


def test_a_fault_strikes_as_often_as_asked_for_and_where(github: StandInGitHub) -> None:
    github.open_pull_request(SHOP)
    github.fail(EMPTY_LIST, on="GET .*/pulls", times=1)
    github.fail(SERVER_ERROR, on="POST")

    assert ask(github, "GET", "/user")[0] == 200
    assert ask(github, "GET", f"/repos/{SHOP}/pulls")[1] == []
    assert len(ask(github, "GET", f"/repos/{SHOP}/pulls")[1]) == 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_githubs_own_payloads_are_signed_as_githubs_deliveries_are(name: str) -> None:
    body = hooks.example(name)

    headers = hooks.signed_headers(name.partition(".")[0], body, SECRET)

    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert json.loads(body)


def test_the_signature_is_the_one_that_github_documents() -> None:
    headers = hooks.signed_headers("ping", b"Hello, World!", SECRET)

    assert headers["X-Hub-Signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_every_change_is_delivered_as_githubs_schemas_describe_it(github: StandInGitHub) -> None:
    received: list[Asked] = []

    def receive(asked: Asked, reply: Reply) -> None:
        received.append(asked)
        reply.send(202)

    with ScriptedServer(receive) as receiver:
        ping = github.hook(f"{receiver.url}/webhooks/github", SECRET)
        number = github.open_pull_request(SHOP, title="Ünïcode \u202e")
        pushed = github.push(SHOP, number)
        github.edit(SHOP, number, title="Another")
        github.set_labels(SHOP, number, "preview-ttl: 24h")
        github.set_labels(SHOP, number)
        github.close(SHOP, number)
        github.reopen(SHOP, number)

    assert (ping.event, ping.status) == ("ping", 202)
    payloads = [json.loads(asked.body) for asked in received]
    actions = [payload.get("action") for payload in payloads]
    assert actions == [
        None,
        "opened",
        "synchronize",
        "edited",
        "labeled",
        "unlabeled",
        "closed",
        "reopened",
    ]
    assert [each["name"] for each in payloads[4]["pull_request"]["labels"]] == ["preview-ttl: 24h"]
    assert payloads[5]["label"]["name"] == "preview-ttl: 24h"
    assert payloads[5]["pull_request"]["labels"] == []
    assert payloads[2]["after"] == pushed == payloads[2]["pull_request"]["head"]["sha"]
    for asked in received:
        signature = hmac.new(SECRET.encode(), asked.body, hashlib.sha256).hexdigest()
        assert asked.headers["x-hub-signature-256"] == f"sha256={signature}"
        assert asked.headers["user-agent"].startswith("GitHub-Hookshot/")
    assert len({asked.headers["x-github-delivery"] for asked in received}) == len(received)
    assert github.violations == []


def test_what_people_say_is_delivered_as_githubs_schemas_describe_it(
    github: StandInGitHub,
) -> None:
    received: list[tuple[str, Any]] = []

    def receive(asked: Asked, reply: Reply) -> None:
        received.append((asked.headers["x-github-event"], json.loads(asked.body)))
        reply.send(202)

    with ScriptedServer(receive) as receiver:
        number = github.open_pull_request(SHOP, is_draft=True, author="renovate[bot]")
        head_sha = github.pull_request(SHOP, number).head_sha
        run = Check(
            name="preview/shop",
            external_id="acme/shop#1",
            head_sha=head_sha,
            state=CheckState.FAILURE,
            title="CrashLooping",
            summary="",
            text="",
            details_url="",
        )
        check_id = github.put_check(SHOP, run).id
        github.hook(receiver.url, SECRET)
        github.set_draft(SHOP, number, is_draft=False)
        github.set_draft(SHOP, number, is_draft=True)
        github.retarget(SHOP, number, "release/1.x")
        comment = github.comment(SHOP, number, "/preview \u202e")
        github.edit_comment(comment, "/preview sleep")
        github.delete_comment(comment)
        github.rerun_check(SHOP, check_id)
        github.write_file(SHOP, ".previews.yaml", "drafts: true", branch="release/1.x")

    assert [(event, payload.get("action")) for event, payload in received] == [
        ("ping", None),
        ("pull_request", "ready_for_review"),
        ("pull_request", "converted_to_draft"),
        ("pull_request", "edited"),
        ("issue_comment", "created"),
        ("issue_comment", "edited"),
        ("issue_comment", "deleted"),
        ("check_run", "rerequested"),
        ("push", None),
    ]
    said = received[4][1]
    assert said["issue"]["number"] == number
    assert said["issue"]["pull_request"]["url"].endswith(f"/pulls/{number}")
    assert said["comment"]["body"] == "/preview \u202e"
    assert said["repository"]["full_name"] == SHOP
    assert received[5][1]["changes"] == {"body": {"from": "/preview \u202e"}}
    assert received[7][1]["check_run"]["head_sha"] == head_sha
    assert received[8][1]["ref"] == "refs/heads/release/1.x"
    assert received[8][1]["repository"]["full_name"] == SHOP
    assert received[1][1]["pull_request"]["user"]["type"] == "Bot"
    assert github.violations == []


def test_requests_are_counted_by_kind_and_by_what_became_of_them(github: StandInGitHub) -> None:
    ask(github, "GET", f"/repos/{SHOP}/pulls/1")
    github.open_pull_request(SHOP)
    ask(github, "GET", f"/repos/{SHOP}/pulls/1")
    ask(github, "GET", "/user")

    kind = "GET /repos/{owner}/{repo}/pulls/{pull_number}"
    assert github.counts() == {kind: 2, "GET /user": 1}
    assert github.counts(404) == {kind: 1}


def test_a_delivery_is_repeated_with_the_same_guid_and_bytes(github: StandInGitHub) -> None:
    with ScriptedServer(lambda _, reply: reply.send(500)) as receiver:
        github.hook(receiver.url, SECRET)
        github.open_pull_request(SHOP)
        first = github.deliveries[-1]
        again = github.redeliver(first)

        assert first.status == again.status == 500
        assert (again.guid, again.body) == (first.guid, first.body)
        guids = [asked.headers["x-github-delivery"] for asked in receiver.asked]
        assert guids[-1] == guids[-2] == first.guid


def test_a_lost_delivery_is_not_tried_again(github: StandInGitHub) -> None:
    with ScriptedServer(lambda _, reply: reply.break_off()) as receiver:
        github.hook(receiver.url, SECRET)
        github.open_pull_request(SHOP)

        assert [delivery.status for delivery in github.deliveries] == [None, None]
        assert len(receiver.asked) == 2
        github.unhook()
        github.open_pull_request(SHOP)
        assert len(receiver.asked) == 2


def test_a_payload_that_is_not_described_is_told_of() -> None:
    assert webhook_schemas().violations("pull_request", {"action": "opened", "number": "1"})
    assert webhook_schemas().violations("pull_request", {"action": "exploded"})
    assert not webhook_schemas().violations("ping", json.loads(hooks.example("ping")))
