"""Starts and stops one server: on its own, or as a step of `up`."""

import time

from tests.cluster.components import Component, components, server_environment
from tests.cluster.credentials import ensure_secrets
from tests.cluster.layout import Layout
from tests.cluster.machine import add_to_cgroup
from tests.cluster.processes import (
    POLL_SECONDS,
    command,
    kill_all,
    marked,
    running_pid,
    start,
    stop,
)
from tests.cluster.progress import StepError


def start_component(layout: Layout, name: str) -> None:
    bring_up(layout, component_named(layout, name))


def stop_component(layout: Layout, name: str) -> None:
    stop(layout.pids / f"{component_named(layout, name).name}.pid")


def component_named(layout: Layout, name: str) -> Component:
    known = components(layout, ensure_secrets(layout))
    if name not in known:
        raise StepError(f"there is no component {name}; there are {', '.join(known)}")
    return known[name]


def bring_up(layout: Layout, component: Component) -> bool:
    """Start the server unless it runs, and wait until it is ready. Whether it was started."""
    pid_file = layout.pids / f"{component.name}.pid"
    log = layout.log(component.name)
    started = running_pid(pid_file) is None
    if started:
        kill_all(unrecorded(layout, component))
        environment = server_environment(layout, component)
        pid = start(component.argv, environment=environment, log=log, pid_file=pid_file)
        add_to_cgroup(pid)
    deadline = time.monotonic() + component.ready_seconds
    while not component.is_ready():
        if running_pid(pid_file) is None:
            raise StepError(f"{component.name} ended while it was starting", log)
        if time.monotonic() > deadline:
            seconds = f"{component.ready_seconds:.0f} s"
            raise StepError(f"{component.name} did not become ready within {seconds}", log)
        time.sleep(POLL_SECONDS)
    return started


def unrecorded(layout: Layout, component: Component) -> list[int]:
    """The same server, left by an `up` that was killed between starting it and writing that down."""
    pids = marked(layout.root, component.name)
    # Not its first word alone: some are started by another program, which becomes them.
    return [pid for pid in pids if set(command(pid)[:1]) & set(component.argv)]
