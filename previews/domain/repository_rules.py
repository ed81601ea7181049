"""What a repository says of its own previews, in `.previews.yaml` on the base branch. Pure.

It narrows and never widens: it becomes policies that have to want a preview as well as the server's, and times that are
only ever made shorter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeAlias

from previews.domain.duration import parse_bounded_duration
from previews.domain.lifetime import LifetimePolicy
from previews.domain.patterns import PATTERNS_MAX, check_label, check_path, check_pattern
from previews.domain.policy import DEFAULT_LABEL, Forks, Policy, Trigger

RULES_FILE = ".previews.yaml"
LENGTH_MAX = 65_536
"""Characters."""
_SAID_IN = f"in {RULES_FILE}"
_NO_OBJECTION = Policy(drafts=True, bots=True, forks=Forks.APPROVE, said_in=_SAID_IN)
_SHORTEST = timedelta(minutes=5)
"""What a repository may set: much less would be a preview that nobody sees."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document, and the line that it begins in. Scalars are texts, however they are written."""

    line: int
    value: "str | Sequence[Node] | Mapping[str, Node]"


ReadYAML: TypeAlias = Callable[[str], Node]
"""Raises RulesError for what is not one plain YAML document without a key that stands twice."""


class RulesError(ValueError):
    """A mistake in a repository's rules, with its line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What is said of all projects of the repository, or of one."""

    policy: Policy = _NO_OBJECTION
    ttl: timedelta | None = None
    sleep_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The whole file. One that is not there says nothing."""

    general: Section = field(default_factory=Section)
    projects: Mapping[str, Section] = field(default_factory=dict)

    def sections(self, project: str) -> tuple[Section, ...]:
        """What is about this project: both count."""
        own = self.projects.get(project)
        return tuple(each for each in (self.general, own) if each is not None and each != Section())

    def policies(self, project: str) -> tuple[Policy, ...]:
        return tuple(each.policy for each in self.sections(project))

    def lifetime(self, project: str, policy: LifetimePolicy) -> LifetimePolicy:
        """The server's, with shorter times. Whether previews sleep for want of visitors stays the server's matter."""
        for section in self.sections(project):
            if section.ttl is not None:
                policy = replace(policy, ttl=min(section.ttl, policy.ttl or section.ttl))
            if section.sleep_after is not None and policy.sleep_after is not None:
                policy = replace(policy, sleep_after=min(section.sleep_after, policy.sleep_after))
        return policy


def parse_rules(document: Node) -> Rules:
    """Raises RulesError for anything that is not understood: nothing is left out in silence."""
    values = dict(_mapping(document))
    projects = values.pop("projects", None)
    return Rules(
        general=_section(values),
        projects={
            name: _section(_mapping(section))
            for name, section in (_mapping(projects) if projects else {}).items()
        },
    )


def _section(values: Mapping[str, Node]) -> Section:
    policy: dict[str, Any] = {}
    times: dict[str, timedelta] = {}
    for key, node in values.items():
        if key == "labels":
            policy |= _labels(node)
        elif key in _LISTS:
            policy[key] = _patterns(node, _LISTS[key])
        elif key in {"ttl", "sleep_after"}:
            times[key] = _time(node)
        elif key == "trigger":
            policy[key] = Trigger(_one_of(node, Trigger))
        elif key == "forks":
            policy[key] = Forks(_one_of(node, Forks))
        elif key in {"drafts", "bots"}:
            policy[key] = _yes(node)
        elif key == "previews":
            policy["is_off"] = not _yes(node)
        else:
            raise RulesError(node.line, f"there is no key {key[:40]!r}")
    made = replace(_NO_OBJECTION, **policy)
    if made.trigger is Trigger.LABEL and not made.labels_all + made.labels_any:
        made = replace(made, labels_any=(DEFAULT_LABEL,))
    return Section(policy=made, **times)


_LISTS: Mapping[str, Callable[[str], None]] = {
    "source_branches": check_pattern,
    "target_branches": check_pattern,
    "titles": check_pattern,
    "authors": check_pattern,
    "paths": check_path,
}


def _labels(node: Node) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, patterns in _mapping(node).items():
        if key not in {"all", "any", "none"}:
            raise RulesError(patterns.line, f"there is no key {key[:40]!r} in labels")
        found[f"labels_{key}"] = _patterns(patterns, check_label)
    return found


def _mapping(node: Node) -> Mapping[str, Node]:
    if not isinstance(node.value, Mapping):
        raise RulesError(node.line, "must hold keys and values")
    return node.value


def _patterns(node: Node, check: Callable[[str], None]) -> tuple[str, ...]:
    if isinstance(node.value, str | Mapping):
        raise RulesError(node.line, "must be a list")
    if len(node.value) > PATTERNS_MAX:
        raise RulesError(node.line, f"must have at most {PATTERNS_MAX} patterns")
    return tuple(_checked(each, check) for each in node.value)


def _checked(node: Node, check: Callable[[str], None]) -> str:
    text = _text(node)
    try:
        check(text)
    except ValueError as error:
        raise RulesError(node.line, str(error)) from error
    return text


def _text(node: Node) -> str:
    if not isinstance(node.value, str):
        raise RulesError(node.line, "must be one text")
    return node.value


def _yes(node: Node) -> bool:
    return _one_of(node, ("true", "false")) == "true"


def _one_of(node: Node, allowed: Sequence[str] | type[Trigger] | type[Forks]) -> str:
    text, names = _text(node), [str(each) for each in allowed]
    if text not in names:
        raise RulesError(node.line, f"must be {' or '.join(names)}")
    return text


def _time(node: Node) -> timedelta:
    try:
        length = parse_bounded_duration(_text(node))
    except ValueError as error:
        raise RulesError(node.line, str(error)) from error
    if length < _SHORTEST:
        raise RulesError(node.line, "must be at least 5m")
    return length
