"""The hosts of previews: how they are made, read back and kept apart. Pure.

A host is one label under the zone: what the project's pattern makes of the number, then a service's name, then a suffix
that nobody guesses without its key. All but the number and the suffix is fixed text, so that whether two rules could
ever make one host is decided exactly, before there is any preview.
"""

import base64
import hashlib
import hmac
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

LABEL_LENGTH_MAX = 63
HOST_LENGTH_MAX = 253
NUMBER_DIGITS_MAX = 10
SUFFIX_LENGTH = 8
"""40 bits: nobody tries them all through an ingress."""
KEY_BYTES_MIN = 16

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(rf"[1-9][0-9]{{0,{NUMBER_DIGITS_MAX - 1}}}")
_ENCODED_UNICODE = "xn--"
_SUFFIX_LETTERS = frozenset(string.ascii_lowercase + "234567")
_DIGITS = frozenset(string.digits)

_Places = Sequence[tuple[frozenset[str], bool]]
"""Which characters may stand in each place of a label, and whether the place may be left out."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Of the labels of one service: fixed text around any number, and then perhaps any suffix."""

    before: str
    after: str
    suffixed: bool

    def places(self) -> _Places:
        return [
            *_fixed(self.before),
            (_DIGITS - {"0"}, False),
            *[(_DIGITS, True)] * (NUMBER_DIGITS_MAX - 1),
            *_fixed(self.after),
            *([*_fixed("-"), *[(_SUFFIX_LETTERS, False)] * SUFFIX_LENGTH] if self.suffixed else []),
        ]


def _fixed(text: str) -> _Places:
    return [(frozenset(character), False) for character in text]


def is_dns_label(text: str) -> bool:
    """Whether Kubernetes and DNS take it as one label."""
    return _DNS_LABEL.fullmatch(text) is not None


def fold_host(text: str) -> str:
    """A host as somebody asked for it, as we would have written it: lower case, no port, no final dot.

    Empty for what is no host of ours in any spelling: another script's letters are never taken for ours.
    """
    host = text.strip(" \t").partition(":")[0]
    return host.lower().removesuffix(".") if host.isascii() else ""


def placeholders(pattern: str) -> list[str]:
    """The names in braces. Raises ValueError for a pattern that is more than text and plain names."""
    found = []
    for _, name, format_spec, conversion in string.Formatter().parse(pattern):
        if name is None:
            continue
        if format_spec or conversion or not name.isidentifier():
            raise ValueError(f"only plain {{names}} may stand in {pattern!r}")
        found.append(name)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRule:
    """How one project's hosts are made. `check` says whether they can be."""

    project: str
    pattern: str
    services: tuple[str, ...] = ()
    """Each gets a host of its own beside the project's: `pr-7-api` beside `pr-7`."""
    key: bytes = field(default=b"", repr=False)
    """Of the suffix; empty: none. The same key makes the same hosts, whatever else was lost."""

    def host(self, number: int, service: str = "") -> str:
        """The host of one service, or the preview's own."""
        label, dot, zone = self._filled(str(number)).partition(".")
        suffix = _suffix(self.key, f"{self.project}#{number}") if self.key else ""
        return "-".join(part for part in (label, service, suffix) if part) + dot + zone

    def hosts(self, number: int) -> tuple[str, ...]:
        """All hosts of a preview, its own first."""
        return tuple(self.host(number, service) for service in ("", *self.services))

    def number_in(self, host: str) -> int | None:
        """The pull request's number in a host, as `fold_host` gives it; None if this rule makes no such host."""
        label, _, zone = host.partition(".")
        before, _, after = self._filled("\0").partition("\0")
        fixed, _, own_zone = after.partition(".")
        if zone != own_zone or not label.startswith(before):
            return None
        rest = label.removeprefix(before)
        if self.key:
            rest = rest.rpartition("-")[0]
        for service in ("", *self.services):
            number = rest.removesuffix(f"{fixed}-{service}" if service else fixed)
            # The suffix is held against the one that the number gets, in a time that does not tell how much of it fits.
            if _NUMBER.fullmatch(number) and hmac.compare_digest(
                self.host(int(number), service).encode(), host.encode()
            ):
                return int(number)
        return None

    def may_meet(self, other: "HostRule") -> bool:
        """Whether some hosts of two projects could be one."""
        theirs = _shapes(other)
        return any(_meet(one, another) for one in _shapes(self) for another in theirs)

    def check(self, zone: str) -> None:
        """Raises ValueError unless every host is one label under the zone, and no two are one."""
        found = placeholders(self.pattern)
        if found.count("number") != 1 or not set(found) <= {"number", "project"}:
            raise ValueError(
                f"{self.pattern!r} must contain {{number}} once, and besides it only {{project}}"
            )
        self._check_services()
        longest = max(self.hosts(10**NUMBER_DIGITS_MAX - 1), key=len)
        label, _, parent = longest.partition(".")
        if parent != zone:
            raise ValueError(f"{self.pattern!r} must be one label under the zone {zone!r}")
        if not is_dns_label(label) or label.startswith(_ENCODED_UNICODE):
            raise ValueError(
                f"{self.pattern!r} makes {label!r}: not a DNS label of at most {LABEL_LENGTH_MAX} characters"
            )
        if len(longest) > HOST_LENGTH_MAX:
            raise ValueError(f"{longest!r} has more than {HOST_LENGTH_MAX} characters")
        if any(_meet(one, other) for one, other in combinations(_shapes(self), 2)):
            raise ValueError(
                f"{self.pattern!r} makes one host for two services: choose other names"
            )

    def _check_services(self) -> None:
        for service in self.services:
            if not is_dns_label(service):
                raise ValueError(f"{service!r} must be lower-case letters, digits and '-'")
            if self.services.count(service) > 1:
                raise ValueError(f"the service {service!r} is there twice")

    def _filled(self, number: str) -> str:
        return self.pattern.format(project=self.project, number=number)


@lru_cache(maxsize=1024)
def _shapes(rule: HostRule) -> Sequence[_Shape]:
    """The zone is the same for all rules, and left out."""
    label = rule.pattern.format(project=rule.project, number="\0").partition(".")[0]
    before, _, after = label.partition("\0")
    afters = [f"{after}-{service}" if service else after for service in ("", *rule.services)]
    return [_Shape(before, each, bool(rule.key)) for each in afters]


def _suffix(key: bytes, preview: str) -> str:
    digest = hmac.new(key, preview.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest)[:SUFFIX_LENGTH].decode().lower()


def _meet(one: _Shape, other: _Shape) -> bool:
    """Whether some label is of both shapes."""
    # Most differ in what both must begin or end with, and a large configuration has many pairs.
    if not (one.before.startswith(other.before) or other.before.startswith(one.before)):
        return False
    if one.suffixed is other.suffixed and not (
        one.after.endswith(other.after) or other.after.endswith(one.after)
    ):
        return False
    return _walk(one.places(), other.places())


def _walk(one: _Places, other: _Places) -> bool:
    """Through both at once, along all ways that they leave open; whether any leads to both ends."""
    ends = (len(one), len(other))
    seen: set[tuple[int, int]] = set()
    ways = [(0, 0)]
    while ways:
        way = ways.pop()
        if way == ends:
            return True
        if way in seen:
            continue
        seen.add(way)
        here, there = way
        mine = one[here] if here < ends[0] else None
        theirs = other[there] if there < ends[1] else None
        if mine and theirs and mine[0] & theirs[0]:
            ways.append((here + 1, there + 1))
        if mine and mine[1]:
            ways.append((here + 1, there))
        if theirs and theirs[1]:
            ways.append((here, there + 1))
    return False
