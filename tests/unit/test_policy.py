"""Which pull requests get a preview: each rule, the order of the reasons, and that narrowing never widens."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.lifetime import Approval, Said, Wishes
from previews.domain.patterns import fits_path
from previews.domain.policy import (
    PASSIVE_REASONS,
    REASONS_OF_POLICY,
    WANTED,
    Forks,
    PathsVerdict,
    Policy,
    Trigger,
    Verdict,
    decide,
    digest_of_paths,
    touches,
)
from previews.domain.preview import PullRequest, parse_head_sha
from previews.domain.status_line import DESCRIPTION_LENGTH_MAX

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = parse_head_sha("a" * 40)
OPEN = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HEAD,
    head_branch="feature/basket",
    base_branch="main",
    title="Add a basket",
    author="octo-dev",
    url="https://forge.example/acme/shop/pull/42",
    from_fork=False,
)
NOBODY = Wishes()
ASKED = Wishes(asked=Said(NOW, "octo-lead"))
APPROVED = Wishes(approval=Approval(HEAD, NOW, "octo-lead"))


def verdict(
    policy: Policy,
    pull_request: PullRequest = OPEN,
    *,
    touched: bool | None = None,
    wishes: Wishes = NOBODY,
) -> Verdict:
    return decide((policy,), pull_request, touched=touched, wishes=wishes)


def reason(policy: Policy, pull_request: PullRequest = OPEN, wishes: Wishes = NOBODY) -> str:
    return verdict(policy, pull_request, touched=False, wishes=wishes).reason


def test_without_a_word_about_it_every_pull_request_of_a_person_gets_one() -> None:
    assert verdict(Policy()) == WANTED
    assert reason(Policy(), replace(OPEN, from_fork=True)) == "ForksAreOff"
    assert reason(Policy(), replace(OPEN, is_draft=True)) == "Draft"
    assert reason(Policy(), replace(OPEN, author_is_bot=True)) == "AuthorIsBot"


LABELLED = replace(OPEN, labels=("area/ui", "Preview", "size/s"))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(labels_any=("preview", "demo")), ""),
        (Policy(labels_any=("demo", "area/*")), ""),
        (Policy(labels_any=("demo",)), "LabelMissing"),
        (Policy(labels_all=("preview", "size/*")), ""),
        (Policy(labels_all=("preview", "demo")), "LabelMissing"),
        (Policy(labels_none=("demo",)), ""),
        (Policy(labels_none=("demo", "area/*")), "LabelForbids"),
        (Policy(titles=("add *",)), ""),
        (Policy(titles=("fix *", "!*basket*")), "TitleNotWanted"),
        (Policy(titles=("!*[skip preview]*",)), ""),
        (Policy(target_branches=("main", "release/*")), ""),
        (Policy(target_branches=("Main",)), "BranchNotWanted"),
        (Policy(source_branches=("feature/*",)), ""),
        (Policy(source_branches=("!feature/*",)), "BranchNotWanted"),
        (Policy(authors=("octo-*",)), ""),
        (Policy(authors=("!Octo-Dev",)), "AuthorNotWanted"),
        (Policy(trigger=Trigger.COMMAND), "NotAskedFor"),
        (Policy(is_off=True, said_in="in .previews.yaml"), "PreviewsAreOff"),
    ],
)
def test_each_rule_says_why(policy: Policy, expected: str) -> None:
    assert reason(policy, LABELLED) == expected


def test_the_message_says_what_would_bring_one() -> None:
    said = {
        verdict(policy).message
        for policy in (
            Policy(labels_any=("preview",)),
            Policy(labels_any=("preview", "demo")),
            Policy(labels_all=("preview", "reviewed")),
            Policy(target_branches=("main-*",)),
            Policy(trigger=Trigger.COMMAND, said_in="in .previews.yaml"),
        )
    }
    assert said == {
        "the label preview brings one, or /preview",
        "one of the labels preview, demo brings one, or /preview",
        "the labels preview, reviewed bring one, or /preview",
        "only pull requests into main-* get one",
        "/preview brings one (.previews.yaml)",
    }


EVERYTHING = Policy(
    forks=Forks.OFF,
    is_off=True,
    authors=("nobody",),
    target_branches=("nowhere",),
    labels_none=("*",),
    titles=("nothing",),
    labels_any=("demo",),
    trigger=Trigger.COMMAND,
    paths=("docs/**",),
)
WORST = replace(LABELLED, from_fork=True, is_draft=True, author_is_bot=True)
"""What each reason hides behind: without the one above it, the next is given."""
ORDER: list[tuple[str, dict[str, Any]]] = [
    ("ForksAreOff", {"forks": Forks.APPROVE}),
    ("PreviewsAreOff", {"is_off": False}),
    ("AuthorNotWanted", {"authors": ()}),
    ("BranchNotWanted", {"target_branches": ()}),
    ("LabelForbids", {"labels_none": ()}),
    ("Draft", {"drafts": True}),
    ("AuthorIsBot", {"bots": True}),
    ("TitleNotWanted", {"titles": ()}),
    ("LabelMissing", {"labels_any": ()}),
    ("NotAskedFor", {"trigger": Trigger.AUTOMATIC}),
    ("NoPathChanged", {"paths": ()}),
    ("ForkNotApproved", {}),
]


def test_the_first_reason_is_given_in_a_fixed_order() -> None:
    policy = EVERYTHING
    given_reasons = []
    for _, mended in ORDER:
        given_reasons.append(reason(policy, WORST))
        policy = replace(policy, **mended)
    assert given_reasons == [name for name, _ in ORDER]
    assert set(given_reasons) | {"RulesBroken"} == REASONS_OF_POLICY
    assert {"ForkNotApproved", "RulesBroken"} == REASONS_OF_POLICY - PASSIVE_REASONS


def test_whoever_asks_by_command_passes_what_the_command_stands_for_and_nothing_else() -> None:
    inside = replace(WORST, from_fork=False)
    policy, given_reasons = EVERYTHING, []
    for _, mended in ORDER[:6]:
        given_reasons.append(reason(policy, inside, ASKED))
        policy = replace(policy, **mended)
    assert given_reasons == [
        "PreviewsAreOff",
        "PreviewsAreOff",
        "AuthorNotWanted",
        "BranchNotWanted",
        "LabelForbids",
        "",
    ]
    assert reason(policy, WORST, ASKED) == "ForkNotApproved"


APPROVING = Policy(forks=Forks.APPROVE)
FORK = replace(OPEN, from_fork=True)


def test_an_approval_is_of_one_commit_and_of_no_other() -> None:
    assert verdict(APPROVING, FORK).reason == "ForkNotApproved"
    assert verdict(APPROVING, FORK, wishes=APPROVED) == WANTED
    pushed = replace(FORK, head_sha=parse_head_sha("b" * 40))
    assert verdict(APPROVING, pushed, wishes=APPROVED).reason == "ForkNotApproved"
    assert "bbbbbbb" in verdict(APPROVING, pushed, wishes=APPROVED).message


def test_an_approval_does_nothing_where_forks_are_off() -> None:
    assert verdict(Policy(), FORK, wishes=APPROVED).reason == "ForksAreOff"


def test_who_approves_a_fork_has_asked_for_its_preview() -> None:
    on_command = replace(APPROVING, trigger=Trigger.COMMAND)
    assert verdict(on_command, FORK, wishes=APPROVED) == WANTED
    pushed = replace(FORK, head_sha=parse_head_sha("b" * 40))
    assert verdict(on_command, pushed, wishes=APPROVED).reason == "ForkNotApproved"


def test_a_label_on_a_fork_approves_nothing() -> None:
    policy = replace(APPROVING, trigger=Trigger.LABEL, labels_any=("preview",))
    labelled = replace(FORK, labels=("preview",))
    assert verdict(policy, labelled).reason == "ForkNotApproved"


def test_files_are_asked_for_only_when_nothing_else_decides() -> None:
    policy = Policy(paths=("services/order/**",), labels_any=("preview",))
    assert not verdict(policy).needs_paths
    labelled = replace(OPEN, labels=("preview",))
    unknown = verdict(policy, labelled)
    assert (unknown.wanted, unknown.needs_paths) == (False, True)
    assert verdict(policy, labelled, touched=True) == WANTED
    assert verdict(policy, labelled, touched=False).reason == "NoPathChanged"
    assert verdict(policy, labelled, wishes=ASKED) == WANTED


def test_one_file_has_to_be_what_every_policy_waits_for() -> None:
    both = (Policy(paths=("services/**", "!**/*.md")), Policy(), Policy(paths=("**/order/**",)))
    assert touches(both, ["services/order/main.go"])
    assert not touches(both, ["services/order/README.md"])
    assert not touches(both, ["services/mail/main.go", "docs/order/x"])
    assert not touches(both, [])


def test_what_was_found_of_one_commit_says_nothing_of_another_or_of_other_patterns() -> None:
    policies = (Policy(paths=("docs/**",)),)
    known = PathsVerdict(HEAD, "main", digest_of_paths(policies), touched=True)
    assert known.answers(policies, OPEN)
    assert not known.answers(policies, replace(OPEN, head_sha=parse_head_sha("b" * 40)))
    assert not known.answers(policies, replace(OPEN, base_branch="next"))
    assert not known.answers((Policy(paths=("doc/**",)),), OPEN)
    assert not known.answers((*policies, *policies), OPEN)


def test_a_hostile_title_is_decided_at_once() -> None:
    """Every star could begin anywhere in it, which a search that goes back would try."""
    hostile = replace(OPEN, title="a" * 1_000_000)
    assert verdict(Policy(titles=("*a" * 90 + "*b",)), hostile).reason == "TitleNotWanted"
    deep = "/".join(["a"] * 2_000)
    assert not fits_path("**/" + "a/**/" * 35 + "b", deep)


TEXTS = st.text(max_size=60)
NAMES = st.sampled_from(["main", "preview", "octo-dev", "a", "*", "x*", "!a", "!*", "m*n"])
PATTERNS = st.lists(NAMES, max_size=3).map(tuple)
LABELS = st.lists(NAMES.filter(lambda name: not name.startswith("!")), max_size=2).map(tuple)
POLICIES = st.builds(
    Policy,
    is_off=st.booleans(),
    trigger=st.sampled_from(Trigger),
    labels_all=LABELS,
    labels_any=LABELS,
    labels_none=LABELS,
    source_branches=PATTERNS,
    target_branches=PATTERNS,
    titles=PATTERNS,
    authors=PATTERNS,
    paths=PATTERNS,
    drafts=st.booleans(),
    bots=st.booleans(),
    forks=st.sampled_from(Forks),
)
PULL_REQUESTS = st.builds(
    replace,
    st.just(OPEN),
    title=NAMES | TEXTS,
    author=NAMES | TEXTS,
    head_branch=NAMES | TEXTS,
    base_branch=NAMES | TEXTS,
    labels=st.lists(NAMES | TEXTS, max_size=3).map(tuple),
    is_draft=st.booleans(),
    author_is_bot=st.booleans(),
    from_fork=st.booleans(),
)
WISHES = st.sampled_from([NOBODY, ASKED, APPROVED, ASKED.merged(APPROVED)])


@given(POLICIES, POLICIES, PULL_REQUESTS, WISHES, st.lists(NAMES | TEXTS, max_size=3))
def test_narrowing_never_widens(
    server: Policy,
    repository: Policy,
    pull_request: PullRequest,
    wishes: Wishes,
    changed: list[str],
) -> None:
    def is_wanted(*policies: Policy) -> bool:
        touched = touches(policies, changed)
        return decide(policies, pull_request, touched=touched, wishes=wishes).wanted

    assert is_wanted(server, repository) <= is_wanted(server)
    assert is_wanted(server, repository) <= is_wanted(repository)
    assert is_wanted(server, server) == is_wanted(server)


@given(
    policy=POLICIES,
    pull_request=PULL_REQUESTS,
    wishes=WISHES,
    touched=st.sampled_from([True, False, None]),
)
def test_every_pull_request_gets_an_answer_that_fits_into_a_line(
    policy: Policy, pull_request: PullRequest, wishes: Wishes, *, touched: bool | None
) -> None:
    answer = decide((policy,), pull_request, touched=touched, wishes=wishes)
    assert (answer.reason == "") is (answer.message == "") is answer.wanted
    assert answer.wanted or answer.reason in REASONS_OF_POLICY
    assert len(f"No preview: {answer.message}") <= DESCRIPTION_LENGTH_MAX
    assert not answer.needs_paths or touched is None


@given(policy=POLICIES, pull_request=PULL_REQUESTS, touched=st.booleans())
def test_nothing_of_a_fork_runs_without_an_approval_of_that_commit(
    policy: Policy, pull_request: PullRequest, *, touched: bool
) -> None:
    of_another = Wishes(asked=Said(NOW, "x"), approval=Approval("b" * 40, NOW, "x"))
    for wishes in (NOBODY, ASKED, of_another):
        fork = replace(pull_request, from_fork=True)
        assert not decide((policy,), fork, touched=touched, wishes=wishes).wanted


def test_every_rule_is_in_the_properties() -> None:
    """A new field of the policy is to be drawn above as well."""
    drawn = {"is_off", "trigger", "labels_all", "labels_any", "labels_none", "source_branches"}
    drawn |= {"target_branches", "titles", "authors", "paths", "drafts", "bots", "forks", "said_in"}
    assert {each.name for each in fields(Policy)} == drawn
