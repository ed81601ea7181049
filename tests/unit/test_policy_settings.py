"""The policy in the configuration: what it becomes, and that a pattern is checked before anything starts."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from previews.domain.comment_notes import _CAUSES as SAID_OF_CAUSES
from previews.domain.policy import REASONS_OF_POLICY, Forks, Policy, Trigger
from previews.policy_settings import PolicySettings


def policy(text: str) -> Policy:
    return PolicySettings.model_validate(yaml.safe_load(text)).policy()


def test_without_a_word_it_is_the_policy_of_the_core() -> None:
    assert policy("{}") == Policy()


def test_everything_arrives() -> None:
    said = policy("""
trigger: command
labels: {all: [a], any: ["b*"], none: [c]}
source_branches: [d]
target_branches: ["!e"]
titles: [f]
authors: ["!dependabot[bot]"]
paths: ["g/**"]
drafts: true
bots: true
forks: approve
""")
    assert said == Policy(
        trigger=Trigger.COMMAND,
        labels_all=("a",),
        labels_any=("b*",),
        labels_none=("c",),
        source_branches=("d",),
        target_branches=("!e",),
        titles=("f",),
        authors=("!dependabot[bot]",),
        paths=("g/**",),
        drafts=True,
        bots=True,
        forks=Forks.APPROVE,
    )


def test_a_label_that_triggers_has_a_name() -> None:
    assert policy("trigger: label").labels_any == ("preview",)
    assert policy("{trigger: label, labels: {all: [x]}}").labels_any == ()


def test_off_without_quotes_is_what_it_looks_like() -> None:
    assert policy("forks: off").forks is Forks.OFF


@pytest.mark.parametrize(
    "wrong",
    [
        {"paths": ["/services"]},
        {"paths": ["a/**b"]},
        {"labels": {"any": ["!x"]}},
        {"titles": [""]},
        {"authors": ["a\nb"]},
        {"authors": ["x"] * 101},
        {"forks": True},
        {"trigger": "always"},
        {"regex": "(a+)+"},
    ],
)
def test_a_mistake_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PolicySettings.model_validate(wrong)


def test_a_receipt_has_words_for_every_reason_to_go() -> None:
    """A broken file is no reason to go, and so none for a receipt."""
    assert {"RulesBroken"} == REASONS_OF_POLICY - SAID_OF_CAUSES.keys()
