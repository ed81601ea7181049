"""The figures of a sweep, as build/sweep.json keeps them: the wide one's at the top, the real ones' under names."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from previews.reconcile.effects import Effect
from tests.sweep.oracles import Kind

FIGURES_FILE = Path(__file__).parents[2] / "build" / "sweep.json"
REAL = "real"
AT_GITHUB = "real_at_github"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one plan, in words that travel."""

    workload: str
    plan: str
    strike: str
    effect: str
    subject: str
    problems: list[tuple[str, str]]
    """Kind and text."""

    def __str__(self) -> str:
        said = "\n".join(f"    {kind}: {text}" for kind, text in self.problems)
        return f"{self.plan} ({self.effect} of {self.subject})\n{said}"


@dataclass(slots=True)
class Figures:
    """Counts over all plans."""

    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        self.findings += findings

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.problems]

    @property
    def unswept(self) -> list[str]:
        """Effects that no plan struck."""
        return sorted(set(Effect) - {Effect(finding.effect) for finding in self.findings})

    def numbers(self) -> Object:
        """What is compared and kept. A plan counts once for each kind of trouble that it has."""
        kinds = Counter(
            kind for finding in self.findings for kind in {kind for kind, _ in finding.problems}
        )
        return {
            "plans": len(self.findings),
            "effects": len({finding.effect for finding in self.findings}),
            **{kind.value: kinds[kind] for kind in Kind},
            "unswept": self.unswept,
            "by_workload": Counter(finding.workload for finding in self.findings),
            "by_strike": Counter(finding.strike for finding in self.findings),
            "by_effect": Counter(finding.effect for finding in self.findings),
            "failures": [str(finding) for finding in self.failures],
        }


def summary(numbers: Object) -> str:
    """One line with the figures that count."""
    wrong = ", ".join(f"{numbers[kind.value]} {kind}" for kind in Kind)
    return f"{numbers['plans']} plans over {numbers['effects']} effects: {wrong}"


def keep_wide(numbers: Object) -> None:
    """Write the wide sweep's figures, and keep the real ones'."""
    kept = {name: value for name, value in _read().items() if name in {REAL, AT_GITHUB}}
    _write({**numbers, **kept})


def keep_real(numbers: Object, name: str) -> None:
    """Write a real sweep's figures beside the others."""
    _write({**_read(), name: numbers})


def _read() -> Object:
    try:
        known: Object = json.loads(FIGURES_FILE.read_text())
    except FileNotFoundError:
        return {}
    return known


def _write(numbers: Object) -> None:
    FIGURES_FILE.parent.mkdir(exist_ok=True)
    FIGURES_FILE.write_text(json.dumps(numbers, indent=2) + "\n")
