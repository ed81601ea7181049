"""`python -m tests.bench`: measure, print beside the targets, and keep the figures in build/.

It ends with 1 only if something did not happen at all, and with 3 where the parts that need a cluster have none.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from subprocess import SubprocessError

from httpx2 import HTTPError

from tests.bench.burst import measure_burst
from tests.bench.collect import measure_collect
from tests.bench.databases import measure_databases, measure_large_databases
from tests.bench.document import write_document
from tests.bench.door import measure_door
from tests.bench.figures import FIGURES_FILE, SAMPLES_FILE, Part, flat, load, save
from tests.bench.forge_requests import measure_forge_requests
from tests.bench.gate import measure_gate
from tests.bench.machine import load_average, versions
from tests.bench.pulsing import measure_pulse
from tests.bench.sleeping import measure_sleep
from tests.bench.targets import (
    STAGES,
    missing_samples,
    other_rows,
    stage_rows,
    target_rows,
    text_table,
)
from tests.bench.told import measure_told
from tests.bench.whole_path import measure_among, measure_forge_git, measure_pods
from tests.cluster import RunningCluster, preflight, running
from tests.cluster.progress import Progress
from tests.world.exclusive import alone_on

SAMPLES = 20
CANNOT_RUN = 3

OnCluster = Callable[[RunningCluster, Part, Callable[[str], None], int], None]
ALONE: dict[str, Callable[[Part, Callable[[str], None], int], None]] = {
    "door": lambda part, say, _samples: measure_door(part, say),
    "collect": measure_collect,
    "databases": measure_databases,
    "large-databases": measure_large_databases,
    "pulse": measure_pulse,
    "forge-requests": measure_forge_requests,
}
"""What needs no cluster."""
PARTS: dict[str, OnCluster | None] = {
    **dict.fromkeys(ALONE),
    "burst": measure_burst,
    "pods": measure_pods,
    "sleep": measure_sleep,
    "gate": measure_gate,
    "told": measure_told,
    "gitea": measure_forge_git,
    "50": partial(measure_among, size=50, beside_stuck=True),
    "300": partial(measure_among, size=300, beside_stuck=False),
}
"""In this order."""


def main() -> int:
    arguments = _parser().parse_args()
    parts = load()
    if arguments.write_docs:
        write_document(parts)
        return 0
    # As Ctrl-C does it: every `with` takes back what it made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = [name for name in PARTS if name in arguments.only]
    progress = Progress()
    failed: list[str] = []
    try:
        cluster = running()
        for name in chosen:
            if PARTS[name] and cluster is None:
                why = preflight() or "the cluster is down: make cluster-up"
                progress.say(f"{name}: not measured; {why}")
                failed.append(name)
                continue
            if not _measure(name, cluster, parts, progress, arguments.samples):
                failed.append(name)
    except KeyboardInterrupt:
        progress.say("interrupted; everything that was made is taken back")
        return 130
    _report(parts, arguments.samples)
    if failed and cluster is None:
        return CANNOT_RUN
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    made.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(PARTS),
        metavar="PART,...",
        help=f"measure these parts, and keep what is known of the others: {', '.join(PARTS)}",
    )
    made.add_argument(
        "--samples",
        type=int,
        default=SAMPLES,
        help="of each stage (%(default)s); fewer are a trial",
    )
    made.add_argument(
        "--write-docs", action="store_true", help="put what was measured into docs/performance.md"
    )
    return made


def _measure(
    name: str,
    cluster: RunningCluster | None,
    parts: dict[str, Part],
    progress: Progress,
    samples: int,
) -> bool:
    """One part. Its figures count only if it came to its end."""
    measure = PARTS[name]
    part = Part(
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        load_before=load_average(),
        versions=versions(),
    )
    began = time.monotonic()

    def say(text: str) -> None:
        progress.say(f"{name}: {text}")

    try:
        if measure is None:
            ALONE[name](part, say, samples)
        elif cluster is not None:
            with alone_on(cluster.directory, "a measurement"):
                measure(cluster, part, say, samples)
    except (AssertionError, RuntimeError, OSError, SubprocessError, HTTPError) as error:
        say(f"FAILED: {error}")
        return False
    part.took_seconds = round(time.monotonic() - began, 1)
    part.load_after = load_average()
    say(f"took {part.took_seconds:.0f} s; load average {part.load_before} → {part.load_after}")
    parts[name] = part
    save(parts, STAGES)
    return True


def _report(parts: dict[str, Part], samples: int) -> None:
    figures = flat(parts, STAGES)
    _print_table("targets", [("", "measured", "target", ""), *target_rows(figures)])
    _print_table("stages by the number of open pull requests", list(stage_rows(figures)))
    _print_table("beside them", list(other_rows(figures)))
    if few := missing_samples(figures, samples):
        print(f"\nfewer than {samples} samples: {', '.join(few)}")
    print(f"\n{FIGURES_FILE} and {SAMPLES_FILE} hold all of it")


def _print_table(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    print("", title, "-" * len(title), *text_table(rows), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
