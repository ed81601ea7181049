"""Policies in the running manager: what changes on a pull request or in its files, and what a person asks for."""

from dataclasses import replace

import pytest

from previews.domain.forge_ports import ChangedPaths
from previews.domain.lifetime import Approval, Said, Wishes
from previews.domain.policy import Forks, Policy, Trigger
from previews.domain.preview import Phase, parse_head_sha
from previews.errors import TransientError
from tests.fakes.forge import FakeForge
from tests.fakes.surroundings import REPOSITORY
from tests.fakes.town import Town, project
from tests.unit.lives import HOUR, MINUTE, deleted, expect_quiet
from tests.unit.policy_town import (
    MANY,
    asked_of,
    busy_town,
    expect_gone,
    fork,
    relabel,
    stands,
    town_of,
    wish,
)


def test_a_label_brings_a_preview_and_taking_it_off_takes_it_away() -> None:
    town = town_of(Policy(trigger=Trigger.LABEL, labels_any=("preview",)))
    number = town.open()
    town.settle(HOUR)
    expect_gone(town, number, "LabelMissing")
    status = town.status(number)
    assert status is not None
    assert "the label preview brings one" in status.description
    assert town.forge.comments(REPOSITORY, number) == []
    relabel(town, number, "preview", "size/s")
    assert stands(town, number) == (Phase.LIVE, "Live")
    relabel(town, number, "size/s")
    expect_gone(town, number, "LabelMissing")
    relabel(town, number, "preview")
    assert stands(town, number) == (Phase.LIVE, "Live")
    town.resync()
    town.settle(HOUR)
    expect_quiet(town)


def test_without_webhooks_a_resync_finds_a_label_that_was_taken_off() -> None:
    town = town_of(Policy(labels_any=("preview",)))
    number = town.open()
    relabel(town, number, "preview")
    town.forge.set_labels(REPOSITORY, number)
    town.resync()
    town.settle(HOUR)
    expect_gone(town, number, "LabelMissing")


@pytest.mark.fault(51)
def test_a_draft_gets_its_preview_when_it_is_ready_for_review() -> None:
    town = town_of()
    number = town.forge.open_pull_request(REPOSITORY, is_draft=True)
    town.push_image(number)
    town.deliver(number)
    town.settle(HOUR)
    expect_gone(town, number, "Draft")
    town.forge.set_draft(REPOSITORY, number, is_draft=False)
    town.deliver(number)
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    town.forge.set_draft(REPOSITORY, number, is_draft=True)
    town.deliver(number)
    town.settle(HOUR)
    expect_gone(town, number, "Draft")


@pytest.mark.fault(51)
def test_a_pull_request_that_goes_elsewhere_loses_its_preview_and_gets_it_back() -> None:
    town = town_of(Policy(target_branches=("main",)))
    number = town.open()
    town.settle(HOUR)
    for branch, expected in (("next", Phase.BLOCKED), ("main", Phase.LIVE)):
        town.forge.retarget(REPOSITORY, number, branch)
        town.resync()
        town.settle(HOUR)
        assert town.phase(number) is expected


def monorepo() -> Town:
    return Town(
        [
            project("order", policy=Policy(paths=("services/order/**", "!**/*.md"))),
            project("mail", policy=Policy(paths=("services/mail/**",))),
        ]
    )


def change(town: Town, number: int, *paths: str) -> None:
    town.forge.push(REPOSITORY, number, files=dict.fromkeys(paths, "changed"))
    for name in ("order", "mail"):
        town.push_image(number, name)
        town.deliver(number, name)
    town.settle(HOUR)


def test_each_project_of_a_monorepo_gets_its_own_answer() -> None:
    town = monorepo()
    number = town.forge.open_pull_request(REPOSITORY)
    change(town, number, "services/order/main.go")
    assert stands(town, number, "order") == (Phase.LIVE, "Live")
    expect_gone(town, number, "NoPathChanged", "mail")
    change(town, number, "services/mail/main.go")
    assert stands(town, number, "order") == (Phase.LIVE, "Live")
    assert stands(town, number, "mail") == (Phase.LIVE, "Live")


def test_the_files_of_a_commit_are_asked_for_once() -> None:
    town = monorepo()
    number = town.forge.open_pull_request(REPOSITORY)
    change(town, number, "services/order/main.go", "docs/x.md")
    assert asked_of(town, "list_changed_paths") == 1
    for _ in range(3):
        town.resync()
        town.manager.reconcile_all()
        town.settle(HOUR)
    reads = asked_of(town, "read_file")
    town.start()
    town.manager.reconcile_all()
    town.settle(MINUTE)
    assert asked_of(town, "list_changed_paths") == 1
    assert asked_of(town, "read_file") == reads + 1, "once in each process"
    change(town, number, "services/order/other.go")
    assert asked_of(town, "list_changed_paths") == 2


def test_a_commit_whose_files_cannot_be_listed_is_not_deployed_until_they_can() -> None:
    town = monorepo()
    number = town.forge.open_pull_request(REPOSITORY)
    town.forge.fail(TransientError("ForgeUnreachable", "no answer"), on="list_changed_paths")
    change(town, number, "services/order/main.go")
    assert town.left_of(number, "order") == set()
    town.forge.heal()
    town.settle(HOUR)
    assert town.phase(number, "order") is Phase.LIVE


class TerseForge(FakeForge):
    """It tells no changed file of a pull request that changes too many."""

    def changed_paths(self, repository: str, number: int) -> ChangedPaths:
        return replace(super().changed_paths(repository, number), paths=frozenset(), is_whole=False)


def test_where_the_forge_does_not_tell_every_file_any_may_have_changed() -> None:
    town = monorepo()
    town.forge = TerseForge(now=town.clock.now)
    town.start()
    number = town.forge.open_pull_request(REPOSITORY)
    change(town, number, "docs/x.md")
    assert town.phase(number, "order") is Phase.LIVE
    assert town.phase(number, "mail") is Phase.LIVE


def approve(town: Town, number: int) -> None:
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    town.settle(1)
    wish(town, number, Wishes(approval=Approval(head_sha, town.clock.now(), "octo-lead")))
    town.settle(HOUR)


@pytest.mark.fault(51)
def test_a_fork_runs_one_approved_commit_and_never_the_next() -> None:
    """Approve, then push: what nobody has read is deployed at no time, also not for a moment."""
    town = town_of(Policy(forks=Forks.APPROVE))
    number = fork(town)
    expect_gone(town, number, "ForkNotApproved")
    approve(town, number)
    assert stands(town, number) == (Phase.LIVE, "Live")
    town.push(number)
    unread = town.forge.pull_request(REPOSITORY, number).head_sha
    town.settle(HOUR)
    expect_gone(town, number, "ForkNotApproved")
    town.start()
    town.resync()
    town.settle(HOUR)
    expect_gone(town, number, "ForkNotApproved")
    deployed = "\n".join(text for tip in town.gitops.history for text in tip.files.values())
    assert unread not in deployed
    approve(town, number)
    assert stands(town, number) == (Phase.LIVE, "Live")
    assert unread in "\n".join(town.gitops.files.values())


@pytest.mark.fault(51)
def test_an_approval_that_the_push_overtook_is_of_the_commit_that_was_read() -> None:
    town = town_of(Policy(forks=Forks.APPROVE))
    number = fork(town)
    read = town.forge.pull_request(REPOSITORY, number).head_sha
    town.push(number)
    town.settle(1)
    wish(town, number, Wishes(approval=Approval(read, town.clock.now(), "octo-lead")))
    town.settle(HOUR)
    expect_gone(town, number, "ForkNotApproved")


@pytest.mark.fault(51)
def test_a_label_and_a_command_bring_nothing_to_a_fork() -> None:
    """Labels may be set by whoever opened it, or by a workflow for them."""
    policy = Policy(trigger=Trigger.LABEL, labels_any=("preview",), forks=Forks.APPROVE)
    town = town_of(policy)
    number = fork(town)
    relabel(town, number, "preview")
    expect_gone(town, number, "ForkNotApproved")
    wish(town, number, Wishes(asked=Said(town.clock.now(), "octo-lead")))
    town.settle(HOUR)
    expect_gone(town, number, "ForkNotApproved")


def test_a_command_brings_what_no_trigger_does_and_a_push_does_not_take_it_back() -> None:
    town = town_of(Policy(trigger=Trigger.COMMAND))
    number = town.open()
    town.settle(HOUR)
    expect_gone(town, number, "NotAskedFor")
    wish(town, number, Wishes(asked=Said(town.clock.now(), "octo-lead")))
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    town.push(number)
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    town.store = type(town.store)()
    town.start()
    town.settle(HOUR)
    assert stands(town, number) == (Phase.LIVE, "Live"), "it stands in Git"


@pytest.mark.parametrize("policy", [Policy(labels_any=("preview",)), Policy(paths=("docs/**",))])
def test_a_new_policy_that_wants_none_of_them_meets_the_brake(policy: Policy) -> None:
    town, numbers = busy_town()
    town.projects["shop"] = replace(town.projects["shop"], policy=policy)
    town.start()
    town.settle(HOUR)
    assert deleted(town) == 0
    assert len(town.loop.brake_state().held) == MANY
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    town.confirm_brake("octo-lead")
    town.settle(HOUR)
    assert {town.phase(number) for number in numbers} == {Phase.BLOCKED}


def test_a_commit_is_named_by_its_whole_id_in_an_approval() -> None:
    town = town_of(Policy(forks=Forks.APPROVE))
    number = fork(town)
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    town.settle(1)
    for wrong in (head_sha[:7], "", parse_head_sha("0" * 40)):
        wish(town, number, Wishes(approval=Approval(wrong, town.clock.now(), "octo-lead")))
        town.settle(MINUTE)
    expect_gone(town, number, "ForkNotApproved")
