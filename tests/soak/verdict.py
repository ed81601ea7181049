"""What became of every pull request in the end, as the forge shows it, and the figures of a run."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import percentile
from tests.soak.crowd import QUESTION, Life
from tests.world.gitea import Gitea, OpenedPullRequest

FILE = Path(__file__).parents[2] / "build" / "soak.json"
WITHOUT_FAULTS = "without_faults"
WITH_DATABASES = "databases"
MARKER = "<!-- previews:"
REPLY = ":reply:"
"""In the marker of an answer."""
STATUS_PREFIX = "preview/"
PATIENCE_SECONDS = 60.0

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """One pull request as it is shown at the forge."""

    problem: str
    """Empty when its last status is a success that says that the preview was removed."""
    comments: int
    """The manager's own, which it keeps up to date."""
    asked: int
    """Questions to the manager."""
    answered: int
    """Its replies."""
    superseded_pending: int
    """Commits before the last whose status never came to an end."""


def check_all(gitea: Gitea, repository: str, lives: Iterable[Life]) -> dict[int, Checked]:
    """Ask the forge what it shows on each pull request; again, for a while, where it is not what it should be."""
    checked: dict[int, Checked] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = [(life, life.number) for life in lives if life.number is not None]
    while left:
        checked |= {number: _check(gitea, repository, life, number) for life, number in left}
        left = [(life, number) for life, number in left if checked[number].problem]
        if time.monotonic() > deadline:
            break
        time.sleep(1 if left else 0)
    return checked


def _check(gitea: Gitea, repository: str, life: Life, number: int) -> Checked:
    opened = OpenedPullRequest(repository, number, "", "")
    found = gitea.comments(opened)
    replies = [it for it in found if REPLY in it["body"]]
    comments = [it for it in found if MARKER in it["body"] and it not in replies]
    *before, last = [_status(gitea, repository, head_sha) for head_sha in life.heads]
    superseded = sum(1 for status in before if status and status["status"] == "pending")
    said = any(before) or last or comments
    # Who closes before anything is there is told nothing.
    problem = _problem(number, last, comments) if said or life.live_seconds else ""
    asked = sum(it["body"].strip() == QUESTION for it in found)
    return Checked(problem, len(comments), asked, len(replies), superseded)


def _status(gitea: Gitea, repository: str, head_sha: str) -> Object | None:
    """The newest one of the manager on a commit."""
    found = gitea.statuses(repository, head_sha)
    return next((it for it in found if it["context"].startswith(STATUS_PREFIX)), None)


def _problem(number: int, status: Object | None, comments: Sequence[Object]) -> str:
    if status is None:
        return f"{number}: no status"
    if status["status"] != "success" or "removed" not in status["description"].lower():
        return f"{number}: {status['status']} {status['description']!r}"
    if not comments:
        return f"{number}: no comment"
    return ""


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


def save(figures: Object, *, with_faults: bool, databases: bool, file: Path = FILE) -> None:
    """All kinds of run live in one file; those without faults, and those with databases, under keys of their own."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    own = {
        (False, False): WITHOUT_FAULTS,
        (True, True): WITH_DATABASES,
        (False, True): f"{WITH_DATABASES}_{WITHOUT_FAULTS}",
    }
    name = own.get((with_faults, databases))
    if name is None:
        kept = {**figures, **{key: kept[key] for key in own.values() if key in kept}}
    else:
        kept[name] = figures
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(kept, indent=1) + "\n")
    partial.replace(file)
