"""What became of every pull request in the end, as the forge shows it, and the figures of a run."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import percentile
from tests.soak.crowd import Life
from tests.soak.forge import Checked, SoakForge

FILE = Path(__file__).parents[2] / "build" / "soak.json"
PATIENCE_SECONDS = 300.0

Object = dict[str, Any]


def check_all(forge: SoakForge, lives: Iterable[Life]) -> dict[int, Checked]:
    """Ask the forge what it shows on each pull request; again, for a while, where it is not what it should be."""
    checked: dict[int, Checked] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = [(life, life.number) for life in lives if life.number is not None]
    while left:
        checked |= {
            number: forge.check(number, life.heads, was_live=bool(life.live_seconds))
            for life, number in left
        }
        left = [(life, number) for life, number in left if checked[number].problem]
        if time.monotonic() > deadline:
            break
        time.sleep(1 if left else 0)
    return checked


@dataclass(kw_only=True)
class Outcome:
    """All that a run found out."""

    seed: int
    seconds: float
    lives: Sequence[Life]
    leftovers: Mapping[str, int]
    shards: int
    duplicates: Sequence[str]
    unconverged: Sequence[str]
    seen_after_receipt: Sequence[str]
    """Things that were there, if only for a moment, after the manager had said that nothing is left."""
    reclaimed: int
    """What the manager's own collector had to remove, since the fast path had not."""
    superseded_pending: int
    faults: Mapping[str, int]
    webhooks_lost: int
    asked: int
    answered: int
    """Of what was asked in comments: who closes before a resync may not be heard in time."""
    left: Sequence[str]
    agreed: Mapping[str, int] | None
    """Live previews whose role and secret were found to be of one password, by what was done before; None without
    databases."""
    named: Mapping[str, int] | None
    """Likewise those whose host had its record, and no other; None without records."""
    at_forge: Mapping[str, float]
    """What else was counted at the forge."""

    @property
    def is_clean(self) -> bool:
        """Nothing left behind is the only pass, and nobody was told so too early."""
        return not (
            any(self.leftovers.values())
            or self.duplicates
            or self.unconverged
            or self.seen_after_receipt
        )

    def figures(self) -> Object:
        """Flat but for what is counted by kind."""
        receipts = [seconds for it in self.lives for seconds in it.receipt_seconds]
        live = [seconds for it in self.lives for seconds in it.live_seconds]
        return {
            "seed": self.seed,
            "lives": len(self.lives),
            "leftovers": dict(self.leftovers),
            "shards": self.shards,
            "duplicates": len(self.duplicates),
            "unconverged": len(self.unconverged),
            "seen_after_receipt": len(self.seen_after_receipt),
            "reclaimed": self.reclaimed,
            "superseded_pending": self.superseded_pending,
            "never_heard_of": sum(it.unknown for it in self.lives),
            "slow_outcomes": sum(len(it.slow) for it in self.lives),
            "faults": dict(self.faults),
            "webhooks_lost": self.webhooks_lost,
            "commands_asked": self.asked,
            "commands_answered": self.answered,
            "seconds": round(self.seconds, 1),
            "lives_per_minute": round(len(self.lives) * 60 / self.seconds, 1),
            **_spread("close_to_receipt", receipts),
            **_spread("open_or_push_to_live", live),
            **self._of_databases(),
            **self.at_forge,
            **({} if self.named is None else {"records_found_right_after": dict(self.named)}),
        }

    def _of_databases(self) -> Object:
        if self.agreed is None:
            return {}
        ordered = [seconds for it in self.lives for seconds in it.order_seconds]
        return {
            "databases_found_right_after": dict(self.agreed),
            **_spread("order_to_live", ordered),
        }


def _spread(name: str, seconds: Sequence[float]) -> Object:
    if not seconds:
        return {}
    percents = {"p50": 50, "p95": 95, "max": 100}
    return {
        f"{name}_{label}": round(percentile(seconds, percent), 2)
        for label, percent in percents.items()
    }


def save(figures: Object, *, kind: str, file: Path = FILE) -> None:
    """All kinds of run live in one file: the usual one's figures at the top, each other kind's under its name."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    if kind:
        kept[kind] = figures
    else:
        kept = {**figures, **{name: each for name, each in kept.items() if _is_a_run(each)}}
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(kept, indent=1) + "\n")
    partial.replace(file)


def _is_a_run(kept: object) -> bool:
    return isinstance(kept, dict) and "lives" in kept
