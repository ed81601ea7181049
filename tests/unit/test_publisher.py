"""What is written to the forge, how often, and how it is found again."""

from dataclasses import replace

import pytest

from previews.domain.feedback import CheckState, CommentMode
from previews.domain.naming import names_of
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import StatusState
from previews.reconcile.effects import Effect
from previews.reconcile.published import Doubt
from tests.fakes.forge import REFUSED, UNREACHABLE
from tests.fakes.forge_things import DEVELOPER, HeldCheck
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project

HOST = "shop-pr-1.preview.example"
KINDS = ("set_commit_status", "ensure_check", "ensure_comment")


def our_comment(town: Town, number: int) -> str:
    (found,) = town.forge.comments(REPOSITORY, number)
    return found.body


def asked(town: Town) -> list[str]:
    """What was asked of the forge for the sake of what it shows, by name."""
    return [call.split()[0] for call in town.forge.calls if call.startswith(KINDS)]


def checks_of(town: Town, number: int, name: str = "preview/shop") -> list[HeldCheck]:
    """Those of all commits, the oldest first."""
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    return [c for c in town.forge.check_runs(REPOSITORY, head_sha) if c.check.name == name]


def states_of(town: Town, number: int, name: str) -> list[StatusState]:
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    found = town.forge.statuses(REPOSITORY, head_sha)
    return [each.state for each in found if each.context == f"preview/{name}"]


def noted(town: Town) -> int:
    """How often it was noted what was published."""
    assert isinstance(town.witness, CountingWitness)
    return town.witness.counts[Effect.RECORD_PUBLISHED]


def two_projects(api: CommentMode, shop: CommentMode) -> Town:
    return Town(
        [
            replace(project("api"), comment_mode=api),
            replace(project("shop"), comment_mode=shop),
        ]
    )


def open_both(town: Town) -> int:
    number = town.forge.open_pull_request(REPOSITORY)
    for name in ("api", "shop"):
        town.push_image(number, name)
        town.deliver(number, name)
    return number


# How often.


@pytest.mark.parametrize("beside", ["set_commit_status", "ensure_check"])
def test_a_commit_costs_few_requests_from_opened_to_live_and_on_close(beside: str) -> None:
    town = Town(is_app=beside == "ensure_check")
    town.prober.says(HOST, "503 Service Unavailable")
    number = town.open(image=False)
    town.settle()
    town.push_image(number)
    town.settle(90)
    town.prober.says(HOST, "200 OK", answered=True)
    town.settle(120)
    assert town.phase(number) is Phase.LIVE
    assert asked(town).count(beside) <= 4, (
        "it waits, is deployed, is deployed for a minute, is live"
    )
    assert asked(town).count("ensure_comment") <= 4
    assert set(asked(town)) == {beside, "ensure_comment"}, "never both"
    town.forge.calls.clear()
    town.close(number)
    town.settle(600)
    assert town.phase(number) is Phase.REMOVED
    assert sorted(asked(town)) == sorted([beside, "ensure_comment"])


def test_a_quick_preview_costs_two_writes_and_its_removal_two_more() -> None:
    town = Town()
    number = town.open()
    town.settle()
    assert asked(town) == ["set_commit_status", "ensure_comment"]
    town.close(number)
    town.settle()
    assert asked(town) == ["set_commit_status", "ensure_comment"] * 2


def test_a_project_that_is_live_takes_along_nothing_that_another_passes_through() -> None:
    town = two_projects(CommentMode.ALWAYS, CommentMode.ALWAYS)
    number = open_both(town)
    town.settle()
    assert town.phase(number, "api") is Phase.LIVE
    assert states_of(town, number, "api") == [StatusState.SUCCESS]
    assert states_of(town, number, "shop") == [StatusState.SUCCESS]
    assert asked(town).count("ensure_comment") <= 2


def test_one_that_takes_longer_is_told_for_itself_once_it_has_lasted() -> None:
    town = two_projects(CommentMode.ALWAYS, CommentMode.ALWAYS)
    town.prober.says(HOST, "503 Service Unavailable")
    number = open_both(town)
    town.settle()
    assert states_of(town, number, "api") == [StatusState.SUCCESS]
    assert states_of(town, number, "shop") == [StatusState.PENDING]
    assert "**Deploying**" in our_comment(town, number)


@pytest.mark.parametrize("is_app", [True, False])
def test_nothing_changing_twenty_more_looks_write_nothing(*, is_app: bool) -> None:
    town = Town(is_app=is_app)
    live, closed = town.open(), town.open()
    town.settle()
    town.close(closed)
    town.settle(7200)
    assert town.phase(live) is Phase.LIVE
    writes, notes = list(town.forge.writes), noted(town)
    for _ in range(20):
        town.resync()
        town.manager.reconcile_all()
        town.settle(1)
    town.start()
    town.settle(7200)
    assert town.forge.writes == writes, "nor does a new process"
    assert noted(town) == notes


# Check runs.


def test_under_an_app_a_check_run_says_how_it_stands_and_no_status_is_set() -> None:
    town = Town(is_app=True)
    number = town.open()
    town.settle()
    (found,) = checks_of(town, number)
    assert found.check.state is CheckState.SUCCESS
    assert found.check.title == "Live"
    assert "✅ The URL answers" in found.check.summary
    assert town.status(number) is None


def test_a_check_run_that_fails_with_the_same_words_is_said_to_fail() -> None:
    town = Town(is_app=True)
    town.prober.says(HOST, "503 Service Unavailable")
    number = town.open()
    town.settle(5)
    record = town.record(number)
    (before,) = checks_of(town, number)
    town.store.save(replace(record, failed=True))
    town.loop.remember()
    town.settle(0.5)
    (after,) = checks_of(town, number)
    assert (before.check.state, after.check.state) == (CheckState.IN_PROGRESS, CheckState.FAILURE)


def test_a_commit_that_is_overtaken_is_not_left_in_progress() -> None:
    town = Town(is_app=True)
    number = town.open(image=False)
    town.settle()
    (first,) = checks_of(town, number)
    assert not first.check.state.is_final
    town.push(number)
    town.settle()
    (ended,) = town.forge.check_runs(REPOSITORY, first.check.head_sha)
    assert (ended.id, ended.check.state) == (first.id, CheckState.NEUTRAL)
    assert [c.check.state for c in checks_of(town, number)] == [CheckState.SUCCESS]


def test_a_check_run_whose_answer_was_lost_is_found_again() -> None:
    town = Town(is_app=True)
    town.forge.fail(UNREACHABLE, on="ensure_check", times=1)
    number = town.open()
    town.settle()
    assert len(checks_of(town, number)) == 1
    town.store = type(town.store)()
    town.start()
    town.settle()
    assert len(checks_of(town, number)) == 1


def test_somebody_runs_a_check_again_and_it_is_said_again() -> None:
    town = Town(is_app=True)
    number = town.open()
    town.settle()
    (before,) = checks_of(town, number)
    reset = replace(before.check, state=CheckState.QUEUED)
    town.forge.put_check(REPOSITORY, reset, before.id)
    town.loop.look_at_again((REPOSITORY, number), Doubt.CHECK)
    town.settle(1)
    assert [c.check for c in checks_of(town, number)] == [before.check]
    calls = len(asked(town))
    town.settle()
    assert len(asked(town)) == calls, "once"


# One that is refused.


@pytest.mark.fault(41)
def test_a_status_that_is_refused_holds_up_no_comment() -> None:
    """As the thousandth of a context is."""
    town = Town()
    town.forge.fail(REFUSED, on="set_commit_status")
    number = town.open()
    town.settle()
    assert town.status(number) is None
    assert "**Live**" in our_comment(town, number)


def test_a_status_of_one_project_that_is_refused_holds_up_no_other() -> None:
    town = two_projects(CommentMode.ALWAYS, CommentMode.ALWAYS)
    town.forge.fail(REFUSED, on="preview/api")
    number = open_both(town)
    town.settle()
    assert states_of(town, number, "shop") == [StatusState.SUCCESS]


def test_a_commit_that_the_forge_knows_no_more_holds_up_nothing() -> None:
    town = Town()
    number = town.open(image=False)
    town.settle()
    old = town.forge.pull_request(REPOSITORY, number).head_sha
    town.forge.fail(REFUSED, on=f"{old} preview/shop failure")
    town.push(number)
    town.settle()
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.SUCCESS


# The comment.


def test_a_comment_whose_answer_was_lost_is_found_by_its_marker() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.store = type(town.store)()
    town.start()
    town.settle()
    assert "**Live**" in our_comment(town, number)


@pytest.mark.parametrize("deed", ["edited", "deleted"])
@pytest.mark.fault(43)
def test_a_comment_that_somebody_changed_is_put_right_once(deed: str) -> None:
    town = Town()
    number = town.open()
    town.settle()
    (ours,) = town.forge.comments(REPOSITORY, number)
    if deed == "edited":
        town.forge.edit_comment(ours.id, "something else")
    else:
        town.forge.delete_comment(ours.id)
    writes = len(town.forge.writes)
    town.loop.look_at_again((REPOSITORY, number), Doubt.COMMENT)
    town.settle()
    assert our_comment(town, number) == ours.body
    town.loop.look_at_again((REPOSITORY, number), Doubt.COMMENT)
    town.settle()
    assert len(town.forge.writes) == writes + 1, "one that reads as it should is left alone"
    assert len(town.forge.comments(REPOSITORY, number)) == 1


@pytest.mark.fault(43)
def test_a_comment_that_somebody_deleted_comes_back_with_the_next_news_at_the_latest() -> None:
    town = Town()
    number = town.open()
    town.settle()
    (ours,) = town.forge.comments(REPOSITORY, number)
    town.forge.delete_comment(ours.id)
    town.push(number)
    town.settle()
    assert "**Live**" in our_comment(town, number)


@pytest.mark.fault(43)
def test_what_somebody_else_writes_with_our_marker_is_left_alone() -> None:
    town = Town()
    number = town.open()
    town.settle()
    forged = our_comment(town, number)
    other = town.forge.comment(REPOSITORY, number, forged, author=DEVELOPER)
    town.push(number)
    town.settle()
    bodies = {each.id: each.body for each in town.forge.comments(REPOSITORY, number)}
    assert bodies[other] == forged
    assert len(bodies) == 2


def test_on_failure_there_is_no_comment_until_something_fails_and_it_is_kept_true() -> None:
    town = Town([replace(project("shop"), comment_mode=CommentMode.ON_FAILURE)])
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.forge.comments(REPOSITORY, number) == []
    town.prober.says(HOST, "503 Service Unavailable")
    town.push(number)
    town.settle(900)
    assert "**Not working**" in our_comment(town, number)
    town.prober.says(HOST, "200 OK", answered=True)
    town.settle(120)
    assert "**Live**" in our_comment(town, number)


def test_a_project_that_wants_no_comment_has_a_status_and_nothing_else() -> None:
    town = two_projects(CommentMode.OFF, CommentMode.OFF)
    number = open_both(town)
    town.settle()
    town.close(number)
    town.settle()
    assert states_of(town, number, "shop")[-1] is StatusState.SUCCESS
    assert town.forge.comments(REPOSITORY, number) == []


def test_a_pull_request_that_gets_no_preview_is_told_beside_the_commit_alone() -> None:
    town = Town()
    number = town.forge.open_pull_request(REPOSITORY, from_fork=True)
    town.deliver(number)
    town.settle()
    assert town.phase(number) is Phase.BLOCKED
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.SUCCESS
    assert status.description.startswith("No preview: ")
    assert town.forge.comments(REPOSITORY, number) == []
    town.close(number)
    town.settle()
    assert town.forge.comments(REPOSITORY, number) == []
    assert states_of(town, number, "shop") == [StatusState.SUCCESS]


def test_logs_lead_to_argo_cd_where_somebody_said_where_that_is() -> None:
    town = Town()
    town.applications_url = "https://argocd.example/applications/argocd"
    town.start()
    number = town.open()
    town.settle()
    name = names_of(PreviewKey("shop", number), host_pattern="").application
    assert f"[Logs](https://argocd.example/applications/argocd/{name})" in our_comment(town, number)
    assert "`/preview redeploy`" in our_comment(town, number)


def test_without_it_they_lead_to_the_check_run() -> None:
    town = Town(is_app=True)
    number = town.open()
    town.settle()
    (found,) = checks_of(town, number)
    assert f"/checks?check_run_id={found.id})" in our_comment(town, number)


def test_the_time_of_the_last_change_is_that_of_what_is_shown() -> None:
    town = Town()
    number = town.open()
    town.settle()
    shown_at = town.record(number).shown_at
    town.settle(3600)
    town.forge.edit(REPOSITORY, number, title="Another title")
    town.deliver(number)
    town.settle()
    assert town.record(number).shown_at == shown_at
    town.prober.says(HOST, "503 Service Unavailable")
    town.push(number)
    town.settle()
    assert town.record(number).shown_at != shown_at


def test_what_came_and_went_before_anybody_was_told_is_no_change() -> None:
    """As after a start, which sees what was live as under way until its page has answered again."""
    town = Town()
    number = town.open()
    town.settle()
    wrote, record = list(town.forge.writes), town.record(number)
    town.settle(3600)
    town.store.save(replace(record, shown_at=town.clock.now()))
    town.start()
    town.settle()
    assert town.forge.writes == wrote
