"""Which pull requests get a preview, and why the others do not. Pure: one function decides, for any text of strangers.

Several policies may be about one pull request, the server's and those of its repository: all of them have to want it,
so that each can only take away from what the others allow.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from previews.domain.lifetime import Wishes
from previews.domain.naming import short_sha
from previews.domain.patterns import among, branch_among, path_among
from previews.domain.preview import PullRequest


class Trigger(StrEnum):
    """What brings a preview."""

    AUTOMATIC = "automatic"
    """That there is a pull request."""
    LABEL = "label"
    """One of its labels."""
    COMMAND = "command"
    """A person's `/preview` on it."""


class Forks(StrEnum):
    """What is done with a pull request whose commits lie in another repository."""

    OFF = "off"
    APPROVE = "approve"
    """A person who may write lets each commit run."""


DEFAULT_LABEL = "preview"
"""With the trigger `label`, when no other is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one side wants. The lists hold patterns; an empty one does not care."""

    is_off: bool = False
    """Whether nothing gets a preview at all."""
    trigger: Trigger = Trigger.AUTOMATIC
    labels_all: tuple[str, ...] = ()
    labels_any: tuple[str, ...] = ()
    labels_none: tuple[str, ...] = ()
    source_branches: tuple[str, ...] = ()
    target_branches: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    """Of files; a pull request that changes none of them gets no preview."""
    drafts: bool = False
    bots: bool = False
    forks: Forks = Forks.OFF
    said_in: str = ""
    """Where it stands, if not in the server's configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a pull request gets a preview."""

    wanted: bool
    reason: str = ""
    """CamelCase; empty if it does."""
    message: str = ""
    """What would bring one, for the people on the pull request."""
    needs_paths: bool = False
    """Whether only the changed files are left to decide: it is not wanted before they are known."""


WANTED = Verdict(wanted=True)


@dataclass(frozen=True, slots=True)
class PathsVerdict:
    """Whether a pull request changes what policies name, as it was found at one commit."""

    head_sha: str
    base_branch: str
    asked: str
    """A digest of the patterns."""
    touched: bool

    def answers(self, policies: Sequence[Policy], pull_request: PullRequest) -> bool:
        """Whether it is about this commit and these policies."""
        about = (pull_request.head_sha, pull_request.base_branch, digest_of_paths(policies))
        return about == (self.head_sha, self.base_branch, self.asked)


def decide(
    policies: Sequence[Policy],
    pull_request: PullRequest,
    *,
    touched: bool | None,
    wishes: Wishes,
) -> Verdict:
    """The first reason, in a fixed order, why an open pull request gets no preview; or that it gets one.

    What nobody can ask for comes first, then what a person's `/preview` stands for, and an approval last: nobody is
    asked to read a commit that would bring nothing. `touched`: what `touches` said; None while that is not known.
    """
    asked = wishes.asked is not None or wishes.approval is not None
    rules = _FIXED if asked else _FIXED + _ASKED_FOR
    for rule in rules:
        for policy in policies:
            verdict = rule(policy, pull_request)
            if verdict is not None:
                return verdict
    if not asked and not touched and (patterns := _paths(policies)):
        only = _spelled([each for one in patterns for each in one])
        return Verdict(
            wanted=False,
            reason="NoPathChanged",
            message=f"it changes nothing of {only}; /preview brings one all the same",
            needs_paths=touched is None,
        )
    if pull_request.from_fork and not _is_approved(pull_request, wishes):
        return Verdict(
            wanted=False,
            reason="ForkNotApproved",
            message=(
                f"it comes from a fork: a person who may write has to read {short_sha(pull_request.head_sha)} "
                "and say /preview approve"
            ),
        )
    return WANTED


def touches(policies: Sequence[Policy], paths: Iterable[str]) -> bool:
    """Whether one of these files is among the paths of every policy that has any."""
    wanted = _paths(policies)
    return any(all(path_among(one, path) for one in wanted) for path in paths)


def digest_of_paths(policies: Sequence[Policy]) -> str:
    """Another one for other patterns; empty where no policy has any."""
    patterns = _paths(policies)
    return hashlib.sha256(json.dumps(patterns).encode()).hexdigest() if patterns else ""


def _paths(policies: Sequence[Policy]) -> list[tuple[str, ...]]:
    return [policy.paths for policy in policies if policy.paths]


def _is_approved(pull_request: PullRequest, wishes: Wishes) -> bool:
    return wishes.approval is not None and wishes.approval.head_sha == pull_request.head_sha


def _no_fork(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    if not pull_request.from_fork or policy.forks is Forks.APPROVE:
        return None
    where = policy.said_in or "on this server"
    return Verdict(wanted=False, reason="ForksAreOff", message=f"previews of forks are off {where}")


def _not_off(policy: Policy, _: PullRequest) -> Verdict | None:
    if not policy.is_off:
        return None
    message = f"previews are off {policy.said_in}"
    return Verdict(wanted=False, reason="PreviewsAreOff", message=message)


def _author(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    if among(policy.authors, pull_request.author):
        return None
    message = _with_place("pull requests of this author get none", policy)
    return Verdict(wanted=False, reason="AuthorNotWanted", message=message)


def _branches(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    if not branch_among(policy.target_branches, pull_request.base_branch):
        only = f"only pull requests into {_spelled(policy.target_branches)} get one"
    elif not branch_among(policy.source_branches, pull_request.head_branch):
        only = f"only pull requests from {_spelled(policy.source_branches)} get one"
    else:
        return None
    return Verdict(wanted=False, reason="BranchNotWanted", message=_with_place(only, policy))


def _forbidding_label(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    for pattern in policy.labels_none:
        if _has(pull_request, pattern):
            message = _with_place(f"the label {pattern} forbids one: take it off", policy)
            return Verdict(wanted=False, reason="LabelForbids", message=message)
    return None


def _draft(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    if policy.drafts or not pull_request.is_draft:
        return None
    message = _with_place("a draft gets one when it is ready for review, or by /preview", policy)
    return Verdict(wanted=False, reason="Draft", message=message)


def _bot(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    if policy.bots or not pull_request.author_is_bot:
        return None
    message = _with_place("pull requests of bots get none; /preview brings one", policy)
    return Verdict(wanted=False, reason="AuthorIsBot", message=message)


def _title(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    if among(policy.titles, pull_request.title):
        return None
    only = f"a title like {_spelled(policy.titles)} brings one, or /preview"
    return Verdict(wanted=False, reason="TitleNotWanted", message=_with_place(only, policy))


def _label(policy: Policy, pull_request: PullRequest) -> Verdict | None:
    missing = [each for each in policy.labels_all if not _has(pull_request, each)]
    has_any = any(_has(pull_request, each) for each in policy.labels_any)
    if not missing and (has_any or not policy.labels_any):
        return None
    if missing[1:]:
        brings = f"the labels {_spelled(missing)} bring one"
    elif missing or not policy.labels_any[1:]:
        brings = f"the label {(missing or policy.labels_any)[0]} brings one"
    else:
        brings = f"one of the labels {_spelled(policy.labels_any)} brings one"
    message = _with_place(f"{brings}, or /preview", policy)
    return Verdict(wanted=False, reason="LabelMissing", message=message)


def _command(policy: Policy, _: PullRequest) -> Verdict | None:
    if policy.trigger is not Trigger.COMMAND:
        return None
    message = _with_place("/preview brings one", policy)
    return Verdict(wanted=False, reason="NotAskedFor", message=message)


def _has(pull_request: PullRequest, label: str) -> bool:
    return any(among([label], each) for each in pull_request.labels)


def _with_place(text: str, policy: Policy) -> str:
    return f"{text} ({policy.said_in.removeprefix('in ')})" if policy.said_in else text


_SPELLED_MAX = 3
"""Of the patterns that a message names: it has to fit into one line."""


def _spelled(patterns: Sequence[str]) -> str:
    """As in "a, b or more"; the messages are one line of a commit status."""
    shown = ", ".join(patterns[:_SPELLED_MAX])
    return f"{shown} and others" if len(patterns) > _SPELLED_MAX else shown


_Rule = Callable[[Policy, PullRequest], Verdict | None]
_FIXED: tuple[_Rule, ...] = (_no_fork, _not_off, _author, _branches, _forbidding_label)
_ASKED_FOR: tuple[_Rule, ...] = (_draft, _bot, _title, _label, _command)
"""What a person's `/preview` stands for; the changed files are as well."""

NEEDS_A_PERSON = frozenset({"ForkNotApproved", "RulesBroken"})
PASSIVE_REASONS = frozenset(
    {
        "ForksAreOff",
        "PreviewsAreOff",
        "AuthorNotWanted",
        "BranchNotWanted",
        "LabelForbids",
        "Draft",
        "AuthorIsBot",
        "TitleNotWanted",
        "LabelMissing",
        "NotAskedFor",
        "NoPathChanged",
    }
)
"""Nobody has to do anything about these: no comment is made for one alone."""
REASONS_OF_POLICY = PASSIVE_REASONS | NEEDS_A_PERSON
"""Every reason of a verdict. A preview that is blocked for one is not there."""
