"""The command line: `python -m tests.cluster up|down|status|restart|stop|start|logs`.

Exit codes: 0 done, 1 failed (or, for status, not all is ready), 3 this machine cannot run the cluster.
"""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster import preflight
from tests.cluster.components import components
from tests.cluster.credentials import ensure_secrets
from tests.cluster.down import down
from tests.cluster.layout import Layout, configured_layout
from tests.cluster.prerequisites import occupied_cgroup, unsuitable_machine
from tests.cluster.processes import running_pid
from tests.cluster.progress import CannotRunError, Progress, StepError
from tests.cluster.single import component_named, start_component, stop_component
from tests.cluster.up import up

CANNOT_RUN = 3


def main() -> int:
    arguments = parser().parse_args()
    layout = configured_layout()
    try:
        return run(layout, arguments)
    except CannotRunError as error:
        print(error, file=sys.stderr)
        return CANNOT_RUN
    except StepError as error:
        sys.stdout.flush()
        print(error.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run `up` again to go on, or `down`", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up", help="start what is missing; build it first if need be")
    up_parser.add_argument(
        "--isolated", action="store_true", help="one that enforces NetworkPolicies (Calico)"
    )
    commands.add_parser("down", help="stop it, remove its state, and check that nothing is left")
    commands.add_parser("status", help="one line for each component")
    for name in ("restart", "stop", "start"):
        commands.add_parser(name, help=f"{name} one component").add_argument("component")
    logs = commands.add_parser("logs", help="the end of a component's log")
    logs.add_argument("component")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it grows")
    return made


def run(layout: Layout, arguments: argparse.Namespace) -> int:
    if missing := unsuitable_machine(layout):
        raise CannotRunError(missing)
    if arguments.command == "up":
        return bring_up(layout, is_isolated=arguments.isolated)
    if arguments.command == "down":
        return bring_down(layout)
    if not layout.secrets_file.exists():
        print("the cluster is down", file=sys.stderr)
        return 1
    if arguments.command == "status":
        return status(layout)
    if arguments.command == "logs":
        return logs(layout, arguments.component, follow=arguments.follow)
    with locked(layout):
        if arguments.command in {"stop", "restart"}:
            stop_component(layout, arguments.component)
        if arguments.command in {"start", "restart"}:
            start_component(layout, arguments.component)
    return 0


def bring_up(layout: Layout, *, is_isolated: bool) -> int:
    if missing := preflight(is_isolated=is_isolated):
        raise CannotRunError(missing)
    with locked(layout):
        up(layout, Progress(), is_isolated=is_isolated)
    return 0


def bring_down(layout: Layout) -> int:
    # What `up` needs is not asked of `down`, except that it may not end somebody else's cluster.
    if missing := occupied_cgroup(layout):
        raise CannotRunError(missing)
    with locked(layout):
        down(layout, Progress())
    return 0


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """One command at a time. The lock is on the folder above the state, which no command removes."""
    layout.root.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(layout.root.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another `python -m tests.cluster` to end", flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def status(layout: Layout) -> int:
    everything_ready = True
    for component in components(layout, ensure_secrets(layout)).values():
        pid = running_pid(layout.pids / f"{component.name}.pid")
        is_ready = pid is not None and component.is_ready()
        everything_ready = everything_ready and is_ready
        state = "ready" if is_ready else "not ready" if pid else "stopped"
        print(f"{component.name:32}{state:12}{pid or '-':<10}{layout.log(component.name)}")
    return 0 if everything_ready else 1


def logs(layout: Layout, component: str, *, follow: bool) -> int:
    log = layout.log(component_named(layout, component).name)
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-n", "200", *(["-f"] if follow else []), str(log)])


if __name__ == "__main__":
    sys.exit(main())
