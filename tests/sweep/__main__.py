"""`python -m tests.sweep`: strike every effect in every way, print what went wrong, and keep the figures in build/.

It ends with 1 when a plan went wrong or an effect was not struck, and with 3 where --real has no cluster.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence

from tests.cluster import preflight, running
from tests.cluster.progress import Progress
from tests.sweep.at_github import chosen_plans as at_github_plans
from tests.sweep.at_github import sweep_at_github
from tests.sweep.places import RealPlan, chosen_plans
from tests.sweep.real import sweep_really
from tests.sweep.report import AT_GITHUB, REAL, Figures, Finding, keep_real, keep_wide, summary
from tests.sweep.shares import Chosen, ShareError, run_shares, work_share
from tests.sweep.wide import BY_NAME
from tests.world.exclusive import alone_on

SEED = 1
CANNOT_RUN = 3


def main() -> int:
    arguments = _parser().parse_args()
    # As Ctrl-C does it: every `finally` takes back what was made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = Chosen(arguments.workloads, arguments.few, arguments.plan, arguments.in_turn)
    try:
        if arguments.share:
            share, _, shares = arguments.share.partition("/")
            work_share(chosen, int(share), int(shares))
            return 0
        if arguments.real:
            return _sweep_really(arguments.plan, at_github=arguments.github)
        return _sweep(chosen, seed=arguments.seed, processes=arguments.processes)
    except ShareError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.sweep", description=__doc__)
    made.add_argument(
        "--plan",
        default="",
        metavar="WORKLOAD:N:STRIKE",
        help="only this one, as a failure names it",
    )
    made.add_argument(
        "--workloads",
        type=_names,
        default=tuple(BY_NAME),
        metavar="NAME,...",
        help=f"only these: {', '.join(BY_NAME)}",
    )
    made.add_argument(
        "--few", action="store_true", help="one plan for each effect and strike; figures as JSON"
    )
    made.add_argument(
        "--in-turn",
        action="store_true",
        help="each place in one of the three ways, in turn: a third of the time",
    )
    made.add_argument("--seed", type=int, default=SEED, help="of the order of sets (%(default)s)")
    made.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), help="(%(default)s)"
    )
    made.add_argument(
        "--real", action="store_true", help="the chosen plans on the real cluster instead"
    )
    made.add_argument(
        "--github",
        action="store_true",
        help="with --real: what is said at GitHub alone, at the stand-in GitHub",
    )
    made.add_argument("--share", default="", help=argparse.SUPPRESS)
    return made


def _names(text: str) -> Sequence[str]:
    names = text.split(",")
    if unknown := set(names) - set(BY_NAME):
        raise argparse.ArgumentTypeError(f"there is no workload {', '.join(sorted(unknown))}")
    return names


def _sweep(chosen: Chosen, *, seed: int, processes: int) -> int:
    progress, began = Progress(), time.monotonic()
    processes = 1 if chosen.plan else processes
    progress.say(f"{processes} processes, seed {seed}")
    figures = Figures()
    for workload, findings in run_shares(chosen, processes=processes, seed=seed):
        figures.add(findings)
        _tell(progress, workload, findings, f"--seed {seed}")
    numbers = {
        **figures.numbers(),
        "seconds": round(time.monotonic() - began, 1),
        "processes": processes,
        "seed": seed,
    }
    progress.say(summary(numbers))
    whole = chosen == Chosen()
    everything = whole or (chosen.few and chosen.workloads == Chosen().workloads)
    if whole:
        keep_wide(numbers)
    if chosen.few:
        print(json.dumps(numbers))
    if everything and figures.unswept:
        progress.say(f"not in the sweep: {', '.join(figures.unswept)}")
    return 1 if figures.failures or (everything and figures.unswept) else 0


def _sweep_really(plan: str, *, at_github: bool) -> int:
    cluster = running()
    if cluster is None:
        print(preflight() or "the local cluster is down (make cluster-up)", file=sys.stderr)
        return CANNOT_RUN
    progress, began = Progress(), time.monotonic()
    everything = at_github_plans() if at_github else chosen_plans()
    sweep = sweep_at_github if at_github else sweep_really
    options = "--real --github" if at_github else "--real"
    plans = [RealPlan.parse(plan)] if plan else everything
    figures = Figures()
    with alone_on(cluster.directory, "the crash sweep"):
        for finding in sweep(cluster, plans, progress.say):
            figures.add([finding])
            _tell(progress, finding.plan, [finding], options)
    numbers = {**figures.numbers(), "seconds": round(time.monotonic() - began, 1)}
    progress.say(f"on the real cluster: {summary(numbers)}")
    if not plan:
        keep_real(numbers, AT_GITHUB if at_github else REAL)
    return 1 if figures.failures else 0


def _tell(progress: Progress, what: str, findings: Sequence[Finding], options: str) -> None:
    if not findings:
        return
    failures = [finding for finding in findings if finding.problems]
    progress.say(f"{what}: {len(findings)} plans, {len(failures)} wrong")
    for failure in failures:
        progress.say(str(failure))
        print(f"    again: python -m tests.sweep {options} --plan {failure.plan}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
