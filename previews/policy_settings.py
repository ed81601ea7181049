"""The part of the configuration that says which pull requests get a preview."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from previews.domain.patterns import PATTERNS_MAX, check_label, check_path, check_pattern
from previews.domain.policy import DEFAULT_LABEL, Forks, Policy, Trigger
from previews.setting_types import Section, checked_by

Patterns = Annotated[
    list[Annotated[str, checked_by(check_pattern)]], Field(max_length=PATTERNS_MAX)
]
Labels = Annotated[list[Annotated[str, checked_by(check_label)]], Field(max_length=PATTERNS_MAX)]
Paths = Annotated[list[Annotated[str, checked_by(check_path)]], Field(max_length=PATTERNS_MAX)]


def _off(value: object) -> object:
    """YAML reads `off` without quotes as false."""
    return Forks.OFF if value is False else value


class LabelSettings(Section):
    """What a pull request's labels must be, as patterns."""

    all: Labels = []
    any: Labels = []
    none: Labels = []


class PolicySettings(Section):
    """Which pull requests get a preview. Lists hold patterns; an empty one does not care."""

    trigger: Trigger = Trigger.AUTOMATIC
    """What brings a preview: the pull request itself, a label, or `/preview`."""
    labels: LabelSettings = LabelSettings()
    source_branches: Patterns = []
    target_branches: Patterns = []
    titles: Patterns = []
    authors: Patterns = []
    paths: Paths = []
    """Files of which a pull request must change one."""
    drafts: bool = False
    bots: bool = False
    forks: Annotated[Forks, BeforeValidator(_off)] = Forks.OFF
    """`approve`: a person who may write lets each commit of a fork run."""

    def policy(self) -> Policy:
        any_of = tuple(self.labels.any)
        if self.trigger is Trigger.LABEL and not self.labels.all and not any_of:
            any_of = (DEFAULT_LABEL,)
        return Policy(
            trigger=self.trigger,
            labels_all=tuple(self.labels.all),
            labels_any=any_of,
            labels_none=tuple(self.labels.none),
            source_branches=tuple(self.source_branches),
            target_branches=tuple(self.target_branches),
            titles=tuple(self.titles),
            authors=tuple(self.authors),
            paths=tuple(self.paths),
            drafts=self.drafts,
            bots=self.bots,
            forks=self.forks,
        )
