"""The decision table, row by row as a preview lives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from previews.domain.plan import Deadlines, Observation, Plan, plan
from previews.domain.preview import (
    Application,
    Condition,
    Image,
    Manifests,
    Namespace,
    Phase,
    PreviewKey,
    ProbeResult,
    PullRequest,
    Stage,
    parse_head_sha,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = PreviewKey("shop", 42)
HEAD = parse_head_sha("a" * 40)
DEADLINES = Deadlines(image=timedelta(minutes=30), deploy=timedelta(minutes=10))
OPEN = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HEAD,
    head_branch="feature",
    base_branch="main",
    title="A feature",
    author="alice",
    url="https://forge.example/acme/shop/pulls/42",
    from_fork=False,
)
CLOSED = replace(OPEN, is_open=False)
IMAGE = Image("registry.example/shop:pr-42-aaaaaaa", "sha256:1")
WHOLE = Manifests(Stage.WHOLE, "digest", HEAD, {"application.yaml": "", "namespace.yaml": ""})
NAMESPACE_ONLY = Manifests(Stage.NAMESPACE, "", None, {"namespace.yaml": ""})
NOTHING = Manifests(Stage.NOTHING, "", None, {})
APPLICATION = Application(
    name="shop-pr-42",
    uid="1",
    owner=KEY,
    digest="digest",
    deleting=False,
    proven_for_spec=True,
    sync="Synced",
    health="Healthy",
    operation_phase="Succeeded",
    operation_message="",
    images=frozenset({IMAGE.reference}),
    revisions=frozenset({"c1"}),
    problems=(),
)
THE_NAMESPACE = Namespace("preview-shop-pr-42", "2", KEY, deleting=False, problems=())
FRESH = Observation(
    key=KEY,
    image=None,
    needs_image=True,
    manifests=None,
    pushed=False,
    git_problem="",
    files_in_git=frozenset(),
    files_in_use=frozenset(),
    application=None,
    namespace=None,
    app_project_exists=False,
    probe_result=None,
    head_since=NOW,
    conditions=(),
)
LIVE = replace(
    FRESH,
    image=IMAGE,
    manifests=WHOLE,
    pushed=True,
    files_in_git=frozenset(WHOLE.files),
    application=APPLICATION,
    namespace=THE_NAMESPACE,
    probe_result=ProbeResult(answered=True, detail="200 OK"),
)


def condition(name: str, since: datetime, *, status: bool) -> Condition:
    return Condition(type=name, status=status, reason="", message="", since=since)


def decide(seen: Observation, pull_request: PullRequest = OPEN, now: datetime = NOW) -> Plan:
    return plan(pull_request, seen, now, DEADLINES)


def test_nothing_is_written_before_the_image_exists() -> None:
    decision = decide(FRESH)
    assert decision.phase is Phase.WAITING_FOR_IMAGE
    assert decision.stage is None
    assert decision.look_again_after_seconds is not None


def test_a_new_commit_without_image_leaves_the_old_version_deployed() -> None:
    pushed = replace(OPEN, head_sha=parse_head_sha("b" * 40))
    decision = decide(replace(LIVE, image=None), pushed)
    assert (decision.phase, decision.stage) == (Phase.WAITING_FOR_IMAGE, None)


def test_waiting_for_an_image_ends_in_a_failure_that_still_looks() -> None:
    decision = decide(FRESH, now=NOW + timedelta(minutes=31))
    assert decision.failed
    assert decision.phase is Phase.WAITING_FOR_IMAGE
    assert "30 min" in decision.message
    assert decision.look_again_after_seconds is not None


def test_a_project_without_image_waits_for_none() -> None:
    assert decide(replace(FRESH, needs_image=False)).stage is Stage.WHOLE


def test_with_its_image_a_preview_is_wanted_whole() -> None:
    decision = decide(replace(FRESH, image=IMAGE))
    assert (decision.phase, decision.stage) == (Phase.PROVISIONING, Stage.WHOLE)


def test_why_git_cannot_be_written_is_shown() -> None:
    seen = replace(FRESH, image=IMAGE, git_problem="the branch is protected")
    assert "the branch is protected" in decide(seen).message


def test_live_means_all_of_it() -> None:
    decision = decide(LIVE)
    assert decision.phase is Phase.LIVE
    assert all(fact.status for fact in decision.facts)
    assert decision.look_again_after_seconds is None


NOT_YET = {
    "the manifests are an older commit's": replace(
        LIVE, manifests=replace(WHOLE, head_sha=parse_head_sha("b" * 40))
    ),
    "they are not in Git": replace(LIVE, pushed=False),
    "Argo CD has no Application": replace(LIVE, application=None),
    "the Application is of older manifests": replace(
        LIVE, application=replace(APPLICATION, digest="older")
    ),
    "the comparison is about an older spec": replace(
        LIVE, application=replace(APPLICATION, proven_for_spec=False)
    ),
    "it is out of sync": replace(LIVE, application=replace(APPLICATION, sync="OutOfSync")),
    "the operation is running": replace(
        LIVE, application=replace(APPLICATION, operation_phase="Running")
    ),
    "it is not healthy": replace(LIVE, application=replace(APPLICATION, health="Progressing")),
    "no pod runs our image": replace(
        LIVE, application=replace(APPLICATION, images=frozenset({"registry.example/shop:old"}))
    ),
    "a resource was refused": replace(
        LIVE, application=replace(APPLICATION, problems=("ClusterRole x: not permitted",))
    ),
    "nobody asked the URL": replace(LIVE, probe_result=None),
    "the URL did not answer": replace(LIVE, probe_result=ProbeResult(answered=False, detail="502")),
}


@pytest.mark.parametrize("seen", NOT_YET.values(), ids=NOT_YET.keys())
def test_is_not_live_while(seen: Observation) -> None:
    decision = decide(seen)
    assert decision.phase is not Phase.LIVE
    assert decision.reason
    assert not decision.facts[-1].status


def test_the_url_is_asked_only_when_everything_else_is_proven() -> None:
    assert decide(replace(LIVE, probe_result=None)).probe
    assert not decide(replace(LIVE, probe_result=None, pushed=False)).probe


def test_a_refused_manifest_is_a_failure_in_argo_cds_words() -> None:
    refused = replace(APPLICATION, problems=("ClusterRole x: not permitted",))
    decision = decide(replace(LIVE, application=refused))
    assert decision.failed
    assert "ClusterRole x: not permitted" in decision.message


def test_a_deployment_that_never_answers_ends_in_a_failure() -> None:
    seen = replace(LIVE, probe_result=ProbeResult(answered=False, detail="502 Bad Gateway"))
    assert not decide(seen, now=NOW + timedelta(minutes=9)).failed
    decision = decide(seen, now=NOW + timedelta(minutes=11))
    assert decision.failed
    assert decision.phase is Phase.DEGRADED
    assert "502 Bad Gateway" in decision.message


def test_the_deadline_of_a_new_commit_starts_with_that_commit() -> None:
    found_long_ago = condition("ImageFound", NOW - timedelta(days=1), status=True)
    seen = replace(LIVE, probe_result=None, conditions=(found_long_ago,))
    assert not decide(seen).failed


def test_a_preview_that_was_live_gets_the_whole_deadline_to_recover() -> None:
    hurt = replace(LIVE, application=replace(APPLICATION, health="Progressing"))
    next_day = NOW + timedelta(days=1)
    assert not decide(hurt, now=next_day).failed
    since = condition("Healthy", next_day, status=False)
    hurt = replace(hurt, conditions=(since,))
    assert decide(hurt, now=next_day + timedelta(minutes=11)).failed


def test_a_closed_pull_request_first_loses_only_its_application() -> None:
    decision = decide(LIVE, CLOSED)
    assert (decision.phase, decision.stage) == (Phase.REMOVING, Stage.NAMESPACE)


REMOVING = replace(
    LIVE,
    manifests=NAMESPACE_ONLY,
    files_in_git=frozenset({"namespace.yaml"}),
    application=replace(APPLICATION, deleting=True),
)


def test_the_namespace_stays_until_the_application_is_proven_gone() -> None:
    assert decide(REMOVING, CLOSED).stage is Stage.NAMESPACE
    assert decide(replace(REMOVING, application=None), CLOSED).stage is Stage.NOTHING


def test_the_namespace_stays_while_argo_cd_may_still_create_the_application() -> None:
    seen = replace(
        REMOVING, application=None, files_in_use=frozenset({"application.yaml", "namespace.yaml"})
    )
    assert decide(seen, CLOSED).stage is Stage.NAMESPACE
    not_pushed_yet = replace(
        REMOVING, application=None, files_in_git=frozenset({"application.yaml", "namespace.yaml"})
    )
    assert decide(not_pushed_yet, CLOSED).stage is Stage.NAMESPACE


def test_an_operation_that_keeps_retrying_is_ended_so_that_argo_cd_can_delete() -> None:
    retrying = replace(APPLICATION, deleting=True, operation_phase="Running")
    assert decide(replace(REMOVING, application=retrying), CLOSED).end_operation
    assert not decide(REMOVING, CLOSED).end_operation
    not_deleting = replace(retrying, deleting=False)
    assert not decide(replace(REMOVING, application=not_deleting), CLOSED).end_operation


GONE = replace(FRESH, manifests=NOTHING, pushed=True)
LEFT_BEHIND = {
    "the namespace": replace(GONE, namespace=replace(THE_NAMESPACE, deleting=True)),
    "the AppProject": replace(GONE, app_project_exists=True),
    "a file in Git": replace(GONE, files_in_git=frozenset({"namespace.yaml"})),
    "a file in a commit that Argo CD still works from": replace(
        GONE, files_in_use=frozenset({"namespace.yaml"})
    ),
    "the Application": replace(GONE, application=replace(APPLICATION, deleting=True)),
}


@pytest.mark.parametrize("seen", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
def test_is_not_removed_while_there_is(seen: Observation) -> None:
    decision = decide(seen, CLOSED)
    assert decision.phase is Phase.REMOVING
    assert decision.look_again_after_seconds is not None


def test_removed_means_that_nothing_is_left() -> None:
    decision = decide(GONE, CLOSED)
    assert (decision.phase, decision.stage) == (Phase.REMOVED, Stage.NOTHING)
    assert decision.look_again_after_seconds is None


def test_a_stuck_namespace_is_reported_in_kubernetes_words() -> None:
    stuck = replace(
        THE_NAMESPACE, deleting=True, problems=("example.org/never in 1 resource instances",)
    )
    assert "example.org/never" in decide(replace(GONE, namespace=stuck), CLOSED).message


def test_a_reopened_pull_request_waits_for_the_removal_and_then_starts_anew() -> None:
    decision = decide(REMOVING)
    assert (decision.phase, decision.stage) == (Phase.REMOVING, Stage.NAMESPACE)
    assert decide(replace(GONE, image=IMAGE)).stage is Stage.WHOLE


def test_a_fork_gets_no_preview() -> None:
    fork = replace(OPEN, from_fork=True)
    decision = decide(FRESH, fork)
    assert (decision.phase, decision.stage) == (Phase.BLOCKED, None)
    assert decide(LIVE, fork).phase is Phase.REMOVING


@pytest.mark.parametrize("pull_request", [OPEN, CLOSED])
def test_what_is_not_ours_is_never_touched(pull_request: PullRequest) -> None:
    for seen in (
        replace(LIVE, application=replace(APPLICATION, owner=None)),
        replace(LIVE, namespace=replace(THE_NAMESPACE, owner=PreviewKey("shop", 41))),
    ):
        decision = decide(seen, pull_request)
        assert (decision.phase, decision.stage) == (Phase.BLOCKED, None)
        assert decision.failed
