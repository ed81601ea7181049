"""The command line: `python -m tests.soak [--lives N] [--abreast N] [--seed N] [--no-faults]`, and what lives there
besides: `[--databases] [--dns] [--github]`.

Exit codes: 0 nothing is left and everything converged, 1 not so, 3 this machine cannot run the cluster.
"""

import argparse
import secrets
import signal
import sys
from collections.abc import Iterable

from tests import bind
from tests.cluster import preflight, running
from tests.cluster.progress import Progress
from tests.soak.run import Size, soak
from tests.soak.verdict import FILE, Outcome, save
from tests.world.database import missing_server
from tests.world.exclusive import alone_on

CANNOT_RUN = 3
INTERRUPTED = 130
LIVES = 1000
ABREAST = 35
SHOWN_MAX = 50


def main() -> int:
    size = _parse_arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    cluster = running()
    if cluster is None:
        print(preflight() or "the cluster is down: make cluster-up", file=sys.stderr)
        return CANNOT_RUN
    if size.databases and (missing := missing_server()):
        print(missing, file=sys.stderr)
        return CANNOT_RUN
    if size.dns and (missing := bind.missing()):
        print(missing, file=sys.stderr)
        return CANNOT_RUN
    progress = Progress()
    try:
        with alone_on(cluster.directory, "the soak"):
            outcome = soak(cluster, size, progress.say)
    except KeyboardInterrupt:
        progress.say("interrupted; everything that was made is taken back")
        return INTERRUPTED
    save(outcome.figures(), kind=size.kind)
    _report(outcome)
    return 0 if outcome.is_clean else 1


def _interrupt(*_: object) -> None:
    """As Ctrl-C does it: every `with` takes back what it made, however often it is asked for."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parse_arguments() -> Size:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--lives", type=int, default=LIVES, help="pull requests (%(default)s)")
    parser.add_argument("--abreast", type=int, default=ABREAST, help="at once (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run, to repeat it")
    parser.add_argument("--no-faults", action="store_true", help="nothing is lost or killed")
    parser.add_argument(
        "--databases", action="store_true", help="each preview has a database and a sealed secret"
    )
    parser.add_argument(
        "--dns", action="store_true", help="each preview has a record of its own at a name server"
    )
    parser.add_argument(
        "--github", action="store_true", help="at the stand-in GitHub, as an App, instead of Gitea"
    )
    given = parser.parse_args()
    return Size(
        lives=given.lives,
        abreast=given.abreast,
        seed=secrets.randbelow(10**6) if given.seed is None else given.seed,
        with_faults=not given.no_faults,
        databases=given.databases,
        dns=given.dns,
        github=given.github,
    )


def _report(outcome: Outcome) -> None:
    _print_some(
        "seen although the manager had said that nothing is left", outcome.seen_after_receipt
    )
    _print_some("left over at the end", outcome.left)
    _print_some("twice", outcome.duplicates)
    _print_some("not converged", outcome.unconverged)
    print()
    for name, value in outcome.figures().items():
        if isinstance(value, dict):
            print(f"{name}:")
            for kind, times in value.items():
                print(f"  {kind:<34} {times}")
        else:
            print(f"{name:<36} {value}")
    print(f"\n{FILE}\n{'nothing is left' if outcome.is_clean else 'FAILED: see above'}")


def _print_some(title: str, lines: Iterable[str]) -> None:
    listed = list(lines)
    if listed:
        print(f"\n{title} ({len(listed)}):", *listed[:SHOWN_MAX], sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
