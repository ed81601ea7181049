"""Spreads the wide sweep over processes: each takes its share of the plans of every workload, and prints what it found.

Each is a harness of its own and starts managers of its own. The order in which Python walks through sets is part of a
run, so it is the same in every process of a sweep.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sweep.plans import Plan, Strike
from tests.sweep.report import Finding
from tests.sweep.wide import BY_NAME, Result, carry_out, few_plans, plans_of, undisturbed, warm_up

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which plans are to be carried out."""

    workloads: Sequence[str] = tuple(BY_NAME)
    few: bool = False
    """One for each effect and strike rather than all."""
    plan: str = ""
    """Only this one."""
    in_turn: bool = False
    """Each place in one way rather than in all three: in the next way at the next place."""


class ShareError(Exception):
    """A process of the sweep failed; what it printed to standard error says why."""


def work_share(chosen: Chosen, share: int, shares: int) -> None:
    """Carry out every `shares`th plan, and print a line of JSON for each workload."""
    warm_up()
    if chosen.plan:
        plan = Plan.parse(chosen.plan)
        outcomes = {plan.workload: undisturbed(BY_NAME[plan.workload])}
        plans = [plan]
    elif chosen.few:
        outcomes = {name: undisturbed(BY_NAME[name]) for name in chosen.workloads}
        plans = few_plans(outcomes)
    else:
        for name in chosen.workloads:
            outcome = undisturbed(BY_NAME[name])
            plans = plans_of(BY_NAME[name], outcome)
            if chosen.in_turn:
                ways = len(Strike)
                # A place's plans stand side by side.
                plans = [each for n, each in enumerate(plans) if n % ways == n // ways % ways]
            _tell(name, carry_out(plans[share::shares], outcome))
        return
    mine = plans[share::shares]
    for name, outcome in outcomes.items():
        _tell(name, carry_out([plan for plan in mine if plan.workload == name], outcome))


def run_shares(chosen: Chosen, *, processes: int, seed: int) -> Iterator[tuple[str, list[Finding]]]:
    """Have all plans carried out, and say of each workload what was found when its last plan is done."""
    lines: queue.Queue[str | None] = queue.Queue()
    running = [_start(chosen, share, processes, seed) for share in range(processes)]
    readers = [
        threading.Thread(target=_read, args=(process, lines), daemon=True) for process in running
    ]
    try:
        for reader in readers:
            reader.start()
        yield from _gather(lines, processes)
        if failed := [process for process in running if process.wait() != 0]:
            raise ShareError(f"{len(failed)} processes failed; what they said stands above")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _tell(workload: str, results: Iterator[Result]) -> None:
    findings = [
        asdict(
            Finding(
                workload,
                str(result.plan),
                result.plan.strike,
                result.effect,
                result.subject,
                [(problem.kind, problem.text) for problem in result.problems],
            )
        )
        for result in results
    ]
    print(json.dumps({"workload": workload, "findings": findings}), flush=True)


def _start(chosen: Chosen, share: int, shares: int, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.sweep", "--share", f"{share}/{shares}"]
    command += ["--workloads", ",".join(chosen.workloads)]
    command += ["--in-turn"] * chosen.in_turn
    command += ["--few"] * chosen.few + ["--plan", chosen.plan] * bool(chosen.plan)
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _gather(lines: queue.Queue[str | None], shares: int) -> Iterator[tuple[str, list[Finding]]]:
    found: dict[str, list[list[Finding]]] = {}
    ended = 0
    while ended < shares:
        line = lines.get()
        if line is None:
            ended += 1
            continue
        said = json.loads(line)
        parts = found.setdefault(said["workload"], [])
        parts.append([Finding(**each) for each in said["findings"]])
        if len(parts) == shares:
            yield said["workload"], [finding for part in parts for finding in part]
