"""Reads the YAML of strangers into a tree of texts with their lines: no tags, no aliases, no depth, nothing built."""

from collections.abc import Iterator

import yaml

from previews.domain.repository_rules import LENGTH_MAX, Node, RulesError

DEPTH_MAX = 5
_SPECIAL = ("an alias", "an anchor", "a tag", "next token")
"""What YAML took for one, where a pattern was meant."""
_QUOTE = "a text that begins with one of * & ! % @ ` must stand in quotes"


def read_yaml(text: str) -> Node:
    """The one document. Raises RulesError."""
    if len(text) > LENGTH_MAX:
        raise RulesError(1, f"the file has more than {LENGTH_MAX} characters")
    try:
        return _document(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        if (error.context or "").endswith(_SPECIAL):
            raise RulesError(line, _QUOTE) from error
        raise RulesError(line, f"this is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise RulesError(1, "the file has characters that YAML does not allow") from error


def _document(events: Iterator[yaml.Event]) -> Node:
    found: Node | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if found is not None:
                raise RulesError(_line(event), "there is a second document")
            found = _node(next(events), events, 1)
    if found is None:
        return Node(1, {})
    # A file of comments alone reads as an empty text.
    return Node(1, {}) if found.value == "" else found


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    line = _line(event)
    # An alias names an anchor as well.
    tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
    if anchor is not None or tag not in {None, "!"}:
        raise RulesError(line, _QUOTE)
    if isinstance(event, yaml.ScalarEvent):
        return Node(line, str(event.value))
    if depth > DEPTH_MAX:
        raise RulesError(line, "nothing in this file lies so deep")
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(_node(inner, events, depth + 1))
        return Node(line, items)
    return Node(line, _keys(events, depth))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _keys(events: Iterator[yaml.Event], depth: int) -> dict[str, Node]:
    found: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, depth + 1)
        if not isinstance(key.value, str):
            raise RulesError(key.line, "a key must be one text")
        if key.value in found:
            raise RulesError(key.line, f"the key {key.value[:40]!r} stands twice")
        value = _node(next(events), events, depth + 1)
        # The key's own line: that is where a wrong one is looked for.
        found[key.value] = Node(key.line, value.value)
    return found
