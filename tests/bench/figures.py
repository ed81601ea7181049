"""What was measured: samples by stage and place, single values, and the files that they are kept in.

build/bench.json holds flat keys that end in their unit, and nothing but numbers. build/bench-samples.json holds what
they were made of, and where. A run of some parts replaces the figures of these parts and keeps the others.
"""

import json
import math
import statistics
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[2] / "build"
FIGURES_FILE = BUILD / "bench.json"
SAMPLES_FILE = BUILD / "bench-samples.json"


@dataclass
class Part:
    """One part of a run: what it measured, when and in what company."""

    began: str = ""
    took_seconds: float = 0.0
    load_before: float = 0.0
    load_after: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    """By key, the unit at its end."""
    samples: dict[str, list[float]] = field(default_factory=dict)
    """In seconds, by `stage` or `stage_place`."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def add(self, stage: str, place: str, seconds: float) -> None:
        """One sample. Safe from any thread."""
        with self._lock:
            self.samples.setdefault(f"{stage}_{place}", []).append(round(seconds, 6))

    def add_all(self, stage: str, seconds: Iterable[float]) -> None:
        with self._lock:
            self.samples.setdefault(stage, []).extend(round(each, 6) for each in seconds)

    def set(self, key: str, value: float) -> None:
        """A single value; its key ends in its unit."""
        with self._lock:
            self.values[key] = round(value, 3)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that this share of all samples is not above."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def flat(parts: Mapping[str, Part], stages: Iterable[str]) -> dict[str, float]:
    """Every figure by its key.

    A stage that was measured in several places has a key for each of them, and one without a place: the worst of them,
    so that a target which it meets is met everywhere.
    """
    figures: dict[str, float] = {}
    for part in parts.values():
        figures |= part.values
        for name, samples in part.samples.items():
            figures[f"{name}_p50_seconds"] = round(statistics.median(samples), 4)
            figures[f"{name}_p99_seconds"] = round(percentile(samples, 99), 4)
            figures[f"{name}_max_seconds"] = round(max(samples), 4)
            figures[f"{name}_samples_count"] = len(samples)
    for stage in stages:
        for end in ("p50_seconds", "max_seconds"):
            found = [
                figures[f"{name}_{end}"]
                for part in parts.values()
                for name in part.samples
                if name.startswith(f"{stage}_")
            ]
            if found:
                figures[f"{stage}_{end}"] = max(found)
    return dict(sorted(figures.items()))


def load() -> dict[str, Part]:
    """What earlier runs measured, by part."""
    if not SAMPLES_FILE.exists():
        return {}
    kept: dict[str, Any] = json.loads(SAMPLES_FILE.read_text())
    return {name: Part(**part) for name, part in kept["parts"].items()}


def save(parts: Mapping[str, Part], stages: Iterable[str]) -> None:
    BUILD.mkdir(exist_ok=True)
    kept = {
        name: {key: value for key, value in vars(part).items() if not key.startswith("_")}
        for name, part in parts.items()
    }
    _write(SAMPLES_FILE, {"parts": kept})
    _write(FIGURES_FILE, flat(parts, stages))


def _write(file: Path, content: object) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(file)
