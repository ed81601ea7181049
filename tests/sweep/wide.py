"""The wide sweep on fakes: every effect of every workload, in each of three ways."""

import gc
import shutil
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from previews.reconcile.effects import Effect
from tests.fakes.surroundings import TownClock
from tests.sweep.manager_process import open_store
from tests.sweep.oracles import Kind, Outcome, Problem, judge, outcome_of
from tests.sweep.plans import Plan, Strike
from tests.sweep.struck_town import Strikes, StruckTown
from tests.sweep.workloads import ABOUT, MAY_NEVER_BEGIN, WORKLOADS, Workload

MEMORY = Path("/dev/shm")
"""A killed process loses nothing that it wrote to a file, so the store need not lie on a slow disk."""

BY_NAME = {str(workload.__name__): workload for workload in WORKLOADS}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one plan."""

    plan: Plan
    effect: Effect
    subject: str
    problems: Sequence[Problem]


def undisturbed(workload: Workload) -> Outcome:
    """A run without a fault. Raises AssertionError if even that is not as it should be."""
    outcome = _run(workload, None)
    if outcome.bugs or outcome.restless or outcome.flaws:
        raise AssertionError(
            f"{workload.__name__}: {outcome.restless} {outcome.bugs} {outcome.flaws}"
        )
    return outcome


def warm_up() -> None:
    """Have everything imported, joined and compiled that every manager would else do for itself."""
    _run(lambda _town: None, None)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder, "previews.sqlite3"), TownClock())
        store.list_records()
        store.close()
    gc.collect()
    gc.freeze()


def plans_of(workload: Workload, outcome: Outcome) -> list[Plan]:
    """Every effect of the undisturbed run that the workload is about, in every way."""
    name, about = str(workload.__name__), ABOUT.get(workload)
    return [
        Plan(name, nth, strike)
        for nth, (effect, _) in enumerate(outcome.effects)
        if about is None or {effect, effect.partition(".")[0]} & about
        for strike in Strike
    ]


def few_plans(outcomes: dict[str, Outcome]) -> list[Plan]:
    """One plan for each effect and strike, each from another occurrence, so that all workloads have their turn."""
    chosen: list[Plan] = []
    for effect in Effect:
        places = [
            (name, nth)
            for name, outcome in outcomes.items()
            for nth, (seen, _) in enumerate(outcome.effects)
            if seen is effect
        ]
        for index, strike in enumerate(Strike):
            if places:
                name, nth = places[(len(places) * (2 * index + 1)) // (2 * len(Strike))]
                chosen.append(Plan(name, nth, strike))
    return chosen


def carry_out(plans: Sequence[Plan], expected: Outcome) -> Iterator[Result]:
    """Run each of them, all of one workload, and judge it by the undisturbed run."""
    for plan in plans:
        effect, subject = expected.effects[plan.nth]
        yield Result(plan, effect, subject, _problems(plan, expected))


def _problems(plan: Plan, expected: Outcome) -> list[Problem]:
    workload = BY_NAME[plan.workload]
    try:
        found = _run(workload, plan)
    except Exception:  # noqa: BLE001 - whatever it is, it is this plan's, and the others go on
        return [Problem(Kind.DIVERGED, traceback.format_exc())]
    problems = judge(expected, found, may_never_begin=workload in MAY_NEVER_BEGIN)
    if found.effects[: plan.nth + 1] != expected.effects[: plan.nth + 1]:
        text = "up to the strike the run was another one: its plan cannot be trusted"
        problems.append(Problem(Kind.DIVERGED, text))
    return problems


def _run(workload: Workload, plan: Plan | None) -> Outcome:
    memory = MEMORY if MEMORY.is_dir() else None
    directory = Path(tempfile.mkdtemp(prefix="previews-sweep-", dir=memory))
    strikes = Strikes(plan)
    try:
        town = StruckTown(directory, strikes)
        try:
            strikes.begin()
            workload(town)
            town.come_to_rest()
            return outcome_of(town)
        finally:
            town.end()
    finally:
        shutil.rmtree(directory)
