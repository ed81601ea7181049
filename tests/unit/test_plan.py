"""The decision table, row by row as a preview lives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from previews.domain import policy
from previews.domain.caps import Place
from previews.domain.lifetime import End, EndCause, Said, Wishes
from previews.domain.observation import (
    LOOK_AGAIN_SECONDS,
    PROBE_AGAIN_SECONDS,
    SILENT_AGAIN_SECONDS,
    Deadlines,
    Observation,
    Plan,
)
from previews.domain.plan import plan
from previews.domain.preview import (
    Application,
    Condition,
    Image,
    Manifests,
    Mode,
    Namespace,
    Phase,
    PreviewKey,
    PullRequest,
    Stage,
    parse_head_sha,
)
from previews.domain.probing import ProbeVerdict
from previews.domain.removal import departure

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
WHOLE = Manifests(
    Stage.WHOLE, "digest", HEAD, {"application.yaml": "", "namespace.yaml": ""}, image=IMAGE
)
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
    image_name=IMAGE.reference,
    manifests=None,
    manifests_since=None,
    pushed=False,
    git_problem="",
    files_in_git=frozenset(),
    files_in_use=frozenset(),
    root=None,
    application=None,
    namespace=None,
    app_project_exists=False,
    probe=None,
    head_since=NOW,
    conditions=(),
    is_held=False,
    place=None,
    sleep=None,
    was=Phase.PROVISIONING,
)
LIVE = replace(
    FRESH,
    image=IMAGE,
    manifests=WHOLE,
    manifests_since=NOW,
    pushed=True,
    files_in_git=frozenset(WHOLE.files),
    application=APPLICATION,
    namespace=THE_NAMESPACE,
    probe=ProbeVerdict(answered=True, detail="200 OK"),
)


def condition(name: str, since: datetime, *, status: bool) -> Condition:
    return Condition(type=name, status=status, reason="", message="", since=since)


def decide(seen: Observation, pull_request: PullRequest = OPEN, now: datetime = NOW) -> Plan:
    verdict = policy.decide((policy.Policy(),), pull_request, touched=None, wishes=Wishes())
    return plan(departure(pull_request, verdict, None), pull_request, seen, now, DEADLINES)


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
    "nobody asked the URL": replace(LIVE, probe=None),
    "the URL did not answer": replace(LIVE, probe=ProbeVerdict(answered=False, detail="502")),
}


@pytest.mark.parametrize("seen", NOT_YET.values(), ids=NOT_YET.keys())
def test_is_not_live_while(seen: Observation) -> None:
    decision = decide(seen)
    assert decision.phase is not Phase.LIVE
    assert decision.reason
    assert not decision.facts[-1].status


def test_the_url_is_asked_only_when_everything_else_is_proven() -> None:
    assert decide(replace(LIVE, probe=None)).probe
    assert not decide(replace(LIVE, probe=None, pushed=False)).probe


def test_a_refused_manifest_is_a_failure_in_argo_cds_words() -> None:
    refused = replace(APPLICATION, problems=("ClusterRole x: not permitted",))
    decision = decide(replace(LIVE, application=refused))
    assert decision.failed
    assert "ClusterRole x: not permitted" in decision.message


def test_a_deployment_that_never_answers_ends_in_a_failure() -> None:
    seen = replace(LIVE, probe=ProbeVerdict(answered=False, detail="502 Bad Gateway"))
    assert not decide(seen, now=NOW + timedelta(minutes=9)).failed
    decision = decide(seen, now=NOW + timedelta(minutes=11))
    assert decision.failed
    assert decision.phase is Phase.DEGRADED
    assert "502 Bad Gateway" in decision.message


def test_the_deadline_of_a_new_commit_starts_with_that_commit() -> None:
    found_long_ago = condition("ImageFound", NOW - timedelta(days=1), status=True)
    seen = replace(LIVE, probe=None, conditions=(found_long_ago,))
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


@pytest.mark.fault(27)
def test_a_stuck_namespace_is_reported_in_kubernetes_words() -> None:
    stuck = replace(
        THE_NAMESPACE, deleting=True, problems=("example.org/never in 1 resource instances",)
    )
    assert "example.org/never" in decide(replace(GONE, namespace=stuck), CLOSED).message


def test_a_reopened_pull_request_waits_for_the_removal_and_then_starts_anew() -> None:
    decision = decide(REMOVING)
    assert (decision.phase, decision.stage) == (Phase.REMOVING, Stage.NAMESPACE)
    assert decide(replace(GONE, image=IMAGE)).stage is Stage.WHOLE


def test_a_removal_that_is_in_git_goes_on_although_argo_cd_has_not_begun_with_it() -> None:
    decision = decide(replace(REMOVING, application=APPLICATION))
    assert (decision.phase, decision.stage) == (Phase.REMOVING, Stage.NAMESPACE)


def test_a_fork_gets_no_preview() -> None:
    fork = replace(OPEN, from_fork=True)
    decision = decide(FRESH, fork)
    assert (decision.phase, decision.stage) == (Phase.BLOCKED, None)
    assert decide(LIVE, fork).phase is Phase.REMOVING


@pytest.mark.parametrize("pull_request", [OPEN, CLOSED])
@pytest.mark.fault(32)
def test_what_is_not_ours_is_never_touched(pull_request: PullRequest) -> None:
    for seen in (
        replace(LIVE, application=replace(APPLICATION, owner=None)),
        replace(LIVE, namespace=replace(THE_NAMESPACE, owner=PreviewKey("shop", 41))),
    ):
        decision = decide(seen, pull_request)
        assert (decision.phase, decision.stage) == (Phase.BLOCKED, None)
        assert decision.failed


# Sleep and waking


NIGHT = Said(NOW, "sleeping hours")
PLACE = Place(2, "5 awake previews of project shop")


def in_mode(mode: Mode, **fields: object) -> Observation:
    """A preview whose manifests in Git are of this mode, and applied."""
    seen = replace(LIVE, manifests=replace(WHOLE, mode=mode), probe=None)
    return replace(seen, **fields)  # type: ignore[arg-type]  # those of Observation


def test_it_falls_asleep_in_one_step_whatever_state_it_was_in() -> None:
    for seen in (LIVE, in_mode(Mode.WARMING), *NOT_YET.values()):
        decision = decide(replace(seen, sleep=NIGHT))
        assert (decision.stage, decision.mode) == (Stage.WHOLE, Mode.ASLEEP)


def test_asleep_it_is_asked_for_nothing_more_than_to_be_synced() -> None:
    unhealthy = replace(APPLICATION, health="Missing", images=frozenset())
    decision = decide(in_mode(Mode.ASLEEP, sleep=NIGHT, application=unhealthy))
    assert (decision.phase, decision.reason, decision.message) == (
        Phase.ASLEEP,
        "Asleep",
        "sleeping hours",
    )
    assert (decision.probe, decision.look_again_after_seconds) == (False, None)


def test_it_is_asleep_while_argo_cd_is_still_at_it() -> None:
    syncing = replace(APPLICATION, operation_phase="Running")
    decision = decide(in_mode(Mode.ASLEEP, sleep=NIGHT, application=syncing))
    assert decision.phase is Phase.ASLEEP
    assert decision.reason != "Asleep"


def test_it_wakes_in_two_steps_and_is_probed_only_after_the_second() -> None:
    first = decide(in_mode(Mode.ASLEEP))
    assert (first.phase, first.stage, first.mode) == (Phase.WAKING, Stage.WHOLE, Mode.WARMING)
    progressing = replace(APPLICATION, health="Progressing")
    meanwhile = decide(in_mode(Mode.WARMING, application=progressing))
    assert (meanwhile.phase, meanwhile.mode, meanwhile.probe) == (
        Phase.WAKING,
        Mode.WARMING,
        False,
    )
    second = decide(in_mode(Mode.WARMING))
    assert (second.phase, second.mode, second.probe) == (Phase.WAKING, Mode.AWAKE, False)
    last = decide(in_mode(Mode.AWAKE, was=Phase.WAKING))
    assert (last.phase, last.mode, last.probe) == (Phase.WAKING, Mode.AWAKE, True)
    assert decide(replace(LIVE, was=Phase.WAKING)).phase is Phase.LIVE


def test_it_does_not_wake_before_there_is_room() -> None:
    decision = decide(in_mode(Mode.ASLEEP, place=PLACE))
    assert (decision.phase, decision.reason, decision.mode) == (
        Phase.ASLEEP,
        "Queued",
        Mode.ASLEEP,
    )
    assert "number 2 in the queue" in decision.message
    assert decision.look_again_after_seconds is not None


def test_one_that_does_not_wake_up_in_time_is_a_failure() -> None:
    progressing = replace(APPLICATION, health="Progressing")
    seen = in_mode(Mode.WARMING, application=progressing)
    late = decide(seen, now=NOW + timedelta(minutes=11))
    assert (late.phase, late.failed, late.mode) == (Phase.DEGRADED, True, Mode.WARMING)


# Places


def test_without_a_place_nothing_is_written_not_even_for_an_image_that_is_there() -> None:
    decision = decide(replace(FRESH, image=IMAGE, place=Place(3, "5 previews of project shop")))
    assert (decision.phase, decision.reason, decision.stage) == (Phase.QUEUED, "Queued", None)
    assert decision.message == (
        "number 3 in the queue: there are 5 previews of project shop already"
    )
    assert decision.look_again_after_seconds is not None


# Ends, the brake, and who is not configured any more


def leave(seen: Observation, end: End | None = None, pull_request: PullRequest = OPEN) -> Plan:
    leaving = departure(pull_request, policy.WANTED, end)
    return plan(leaving, pull_request, seen, NOW, DEADLINES)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (EndCause.EXPIRED, "its time was over"),
        (EndCause.EVICTED, "it slept, and made room: shop#9 needed its place"),
        (EndCause.REMOVED, "removed by shop#9 needed its place"),
    ],
)
def test_an_ended_preview_goes_as_any_other_and_says_why(cause: EndCause, words: str) -> None:
    end = End(cause, NOW, "shop#9 needed its place")
    assert leave(LIVE, end).stage is Stage.NAMESPACE
    gone = leave(GONE, end)
    assert (gone.phase, gone.reason, gone.stage) == (Phase.EXPIRED, cause, Stage.NOTHING)
    assert gone.message == words
    assert not gone.failed
    assert gone.look_again_after_seconds is None


def test_closing_comes_before_any_other_end() -> None:
    end = End(EndCause.EXPIRED, NOW, "previews")
    assert leave(GONE, end, CLOSED).phase is Phase.REMOVED


def test_what_the_brake_holds_stays_as_it_is_and_says_so() -> None:
    held = leave(replace(LIVE, is_held=True, was=Phase.ASLEEP), pull_request=CLOSED)
    assert (held.phase, held.reason, held.stage) == (Phase.ASLEEP, "BrakeHolds", None)
    assert not held.end_operation
    assert "a person has to confirm it" in held.message
    assert held.look_again_after_seconds is not None


def test_a_deadline_counts_from_when_it_was_decided_what_to_deploy() -> None:
    redeployed = replace(LIVE, probe=None, head_since=NOW - timedelta(days=5), manifests_since=NOW)
    assert not decide(redeployed, now=NOW + timedelta(minutes=9)).failed
    assert decide(redeployed, now=NOW + timedelta(minutes=11)).failed


def test_a_live_preview_is_asked_only_when_somebody_doubts_it() -> None:
    steady = decide(LIVE)
    assert (steady.phase, steady.probe, steady.look_again_after_seconds) == (
        Phase.LIVE,
        False,
        None,
    )
    doubted = decide(replace(LIVE, is_suspected=True))
    assert (doubted.phase, doubted.probe) == (Phase.LIVE, True)
    assert doubted.message == steady.message
    assert doubted.look_again_after_seconds == SILENT_AGAIN_SECONDS


def test_a_live_preview_that_fell_silent_is_degraded_at_once_and_asked_again() -> None:
    silent = ProbeVerdict(
        answered=False,
        detail="certificate: expired",
        reason="CertificateInvalid",
        has_answered=True,
    )
    decision = decide(replace(LIVE, probe=silent))
    assert (decision.phase, decision.reason) == (Phase.DEGRADED, "CertificateInvalid")
    assert decision.message == "certificate: expired"
    assert decision.failed
    assert decision.probe
    first_answer = decide(replace(LIVE, probe=replace(silent, doubts=1)))
    assert first_answer.look_again_after_seconds == PROBE_AGAIN_SECONDS


def test_one_that_never_answered_is_waited_for() -> None:
    silent = ProbeVerdict(answered=False, detail="host name not found", reason="HostNotFound")
    decision = decide(replace(LIVE, probe=silent))
    assert (decision.phase, decision.reason) == (Phase.DEPLOYING, "HostNotFound")
    assert not decision.failed


def test_the_address_is_asked_soon_however_long_the_pods_took() -> None:
    began = NOW - timedelta(minutes=5)
    silent = replace(LIVE, probe=None, manifests_since=began, head_since=began)
    soon = decide(silent).look_again_after_seconds
    assert soon is not None
    assert soon < LOOK_AGAIN_SECONDS
    since = condition("Answering", NOW - timedelta(minutes=1), status=False)
    later = decide(replace(silent, conditions=(since,))).look_again_after_seconds
    assert later is not None
    assert later > LOOK_AGAIN_SECONDS
