"""Whether CAA records let an authority issue the wildcard's certificate (RFC 8659). Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from previews.domain.findings import Finding, Level

_WILDCARD_METHOD = "dns-01"
"""The only way in which authorities prove a wildcard by ACME."""
_SAID_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class CAARecord:
    """One CAA record."""

    is_critical: bool
    tag: str
    value: str


def judge_caa(
    records: Sequence[CAARecord], zone: str, issuer: str, *, where: str, trouble: str
) -> Finding:
    """`where`: the name that has them. `trouble`: why they cannot be read."""
    if trouble:
        return _finding(
            Level.PROBLEM,
            f"the CAA records of {zone} cannot be read ({trouble}): no authority may issue then",
            "have the name servers answer questions for CAA, if only with an empty answer",
        )
    if not records:
        return _finding(Level.FINE, "every authority may issue: there is no CAA record")
    if not issuer:
        said = ", ".join(sorted({f"{each.tag} {each.value}" for each in records}))
        return _finding(
            Level.UNKNOWN,
            f"{where} has CAA records: {_short(said)}; nobody said who issues",
            "set dns.issuer",
        )
    if why := why_forbidden(records, issuer):
        return _finding(
            Level.PROBLEM,
            f"the CAA records of {where} do not let {issuer} issue *.{zone}: {_short(why)}",
            f'add `{zone} CAA 0 issuewild "{issuer}"`',
        )
    return _finding(Level.FINE, f"the CAA records of {where} let {issuer} issue")


def why_forbidden(records: Sequence[CAARecord], issuer: str) -> str:
    """Why an authority may not issue a wildcard; empty if it may."""
    unknown = [
        each.tag
        for each in records
        if each.is_critical and each.tag not in {"issue", "issuewild", "iodef"}
    ]
    if unknown:
        return f"the critical property {unknown[0]} is known to nobody"
    wild = [each.value for each in records if each.tag == "issuewild"]
    values = wild or [each.value for each in records if each.tag == "issue"]
    ours = [value for value in values if value.partition(";")[0].strip().lower() == issuer]
    if values and not ours:
        named = ", ".join(sorted({value.strip() or ";" for value in values}))
        return f"{'issuewild' if wild else 'issue'} names {named}"
    if ours and all(_excludes_wildcards(value) for value in ours):
        return f"it may only prove in another way than {_WILDCARD_METHOD}"
    return ""


def _excludes_wildcards(value: str) -> bool:
    methods = re.search(r"validationmethods\s*=\s*([^\s;]+)", value)
    return methods is not None and _WILDCARD_METHOD not in methods[1].lower().split(",")


def _finding(level: Level, message: str, remedy: str = "") -> Finding:
    return Finding(check="dns caa", level=level, message=message, remedy=remedy)


def _short(text: str) -> str:
    return text if len(text) <= _SAID_MAX else f"{text[:_SAID_MAX]}…"
