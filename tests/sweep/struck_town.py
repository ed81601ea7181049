"""The surroundings, with the manager in a process that is struck as planned and started again when it died."""

import os
import signal
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from previews.domain.preview import PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import TransientError
from previews.reconcile.effects import Effect
from tests.fakes.forge import FakeForge
from tests.fakes.forge_things import DEVELOPER
from tests.fakes.surroundings import REPOSITORY, Surroundings
from tests.sweep.manager_process import remote_systems, run_manager
from tests.sweep.peer import GoneError, Peer
from tests.sweep.plans import Plan, Strike

SETTLE_SECONDS = 60.0
CHANGES = ("create", "drop", "set_credential", "note_migrated", "ensure", "remove")
"""What is done to a preview's database and its host's record. A pool is filled as often as somebody looks at it."""


class KilledError(Exception):
    """The manager is dead, as planned."""


class Strikes:
    """Sees every effect of a run, whichever process does it, and strikes one as planned."""

    def __init__(self, plan: Plan | None = None) -> None:
        self._plan = plan
        self._counts = False
        self.seen: list[tuple[Effect, str]] = []
        """Effect and subject, from `begin` on."""
        self.struck = False
        self.bugs: list[str] = []

    def begin(self) -> None:
        """Count from here on."""
        self._counts = True

    def before(self, effect: Effect, subject: str) -> bool:
        """Whether the manager must die instead."""
        if self._counts:
            self.seen.append((effect, subject))
        return self._is_due(Strike.KILLED_BEFORE)

    def after(self, effect: Effect, subject: str) -> bool:
        """Whether the manager must die now. An answer that is lost is raised."""
        if self._is_due(Strike.ANSWER_LOST):
            raise TransientError("AnswerLost", f"{effect} of {subject} was done; nobody heard")
        return self._is_due(Strike.KILLED_AFTER)

    def found_bug(self, text: str) -> None:
        """The manager met a bug of its own, and went on."""
        self.bugs.append(text)

    def _is_due(self, strike: Strike) -> bool:
        plan = self._plan
        due = bool(
            plan and not self.struck and (plan.nth, plan.strike) == (len(self.seen) - 1, strike)
        )
        self.struck |= due
        return due


class StruckTown(Surroundings):
    """Workloads drive it; whatever they do, the manager is alive again afterwards."""

    def __init__(self, directory: Path, strikes: Strikes, projects: Sequence[Project] = ()) -> None:
        super().__init__(projects)
        self.strikes = strikes
        self.store_file = directory / "previews.sqlite3"
        self._peer: Peer | None = None
        self._pid = 0
        self.changes: Counter[str] = Counter()
        """Of the database server and the zone, by operation."""
        self.databases.on_operation = self._count
        self.host_records.on_operation = self._count
        self.start()

    def _count(self, when: str, operation: str) -> None:
        if when == "after" and operation in CHANGES:
            self.changes[operation] += 1

    def start(self) -> None:
        """A new process, configured as the surroundings are now. It may be struck while it starts."""
        while True:
            try:
                self._launch()
            except KilledError:
                continue
            return

    def become_app(self) -> None:
        """From here on the forge knows the manager as a GitHub App; nothing was said to it before."""
        self.forge = FakeForge(is_app=True, now=self.clock.now)
        for each in self.projects.values():
            self.forge.add_repository(each.repository)
        self.restart()

    def restart(self) -> None:
        """End the process, and start another."""
        self.end()
        self.start()

    def end(self) -> None:
        """Kill the process, wherever it is."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._bury()

    def deliver(self, number: int, project_name: str = "shop", *, guid: str | None = None) -> None:
        """A webhook. One that found nobody, or was answered 503, does not come again: a resync makes up for it."""
        keys = [PreviewKey(project_name, number)]
        try:
            self._ask("deliver", self.delivery(guid), keys)
        except KilledError:
            self.start()
        except TransientError:
            self.resync()

    def say(self, number: int, body: str, *, author: str = DEVELOPER) -> None:
        """Somebody writes a comment, and the webhook comes. If nobody hears it, a resync makes up for it."""
        self.forge.comment(REPOSITORY, number, body, author=author)
        try:
            self._ask("hear", (REPOSITORY, number))
        except KilledError:
            self.start()

    def press_the_button(self, number: int) -> None:
        """Somebody wants a check run again. The forge has it delivered until there is an answer."""
        self._ask_again("press", self.pressed(number, by=DEVELOPER))

    def lose_a_delivery(self) -> None:
        """The forge could not bring a webhook, and says so in its list."""
        assert self.forge.redeliveries is not None
        self.forge.redeliveries.lose()

    def act(self, action: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - those of each action
        """A person asks for something, and asks again until there is an answer."""
        return self._ask_again("act", action, *arguments, **named)

    def name_image(self, project_name: str, number: int, **named: str) -> None:
        """CI says what it called the image of a head, and says it again until there is an answer."""
        head_sha = self.forge.pull_request(self.projects[project_name].repository, number).head_sha
        self._ask_again("name_image", project_name, head_sha, **named)

    def collect(self) -> None:
        """What happens every five minutes; a sweep that was struck comes again."""
        self._ask_again("collect")

    def restart_with(self, *projects: Project) -> None:
        """The configuration is changed, and the manager started with it."""
        self.projects = {each.name: each for each in projects}
        self.restart()

    def resync(self) -> None:
        """What happens every minute; a manager that is started does the same."""
        try:
            self._ask("resync")
        except KilledError:
            self.start()

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Let everything work for so long, a fault or not. What a killed one had still to do may have to wait."""
        end = self.clock.seconds + seconds
        while True:
            try:
                self._ask("settle_until", end)
            except KilledError:
                self.start()
                if self.clock.seconds < end:
                    continue
            return

    def come_to_rest(self) -> None:
        """Time passes, and a resync comes: whatever was lost is found."""
        self.settle()
        self.resync()
        self.settle(180)

    def reconcile_all(self) -> None:
        """Look at everything that is known once more."""
        self._ask("reconcile_all")

    def records(self) -> list[PreviewRecord]:
        """What the manager has stored."""
        found: list[PreviewRecord] = self._ask("records")
        return found

    def _ask_again(self, method: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it returns
        while True:
            try:
                return self._ask(method, *arguments, **named)
            except KilledError:
                self.start()
            except TransientError:
                continue

    def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it returns
        if self._peer is None:
            raise AssertionError("there is no manager")
        try:
            return self._peer.call("manager", method, *arguments, **named)
        except GoneError:
            self._bury()
            raise KilledError from None

    def _launch(self) -> None:
        # What every process would make anew, they inherit.
        self.renderer()
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if not self._pid:
            self._be_the_manager(ours, theirs)
        theirs.close()
        self._peer = peer = Peer(ours, {**remote_systems(self), "strikes": self.strikes})
        # What the watch reports.
        self.cluster.listeners[:] = [lambda key: peer.call("keys", "add", key)]
        self._ask("start")

    def _be_the_manager(self, harness_end: socket.socket, own_end: socket.socket) -> None:
        """Never returns: nothing of the harness may be run to its end twice."""
        code = 1
        try:
            # Ctrl-C and SIGTERM are for the harness, which ends its manager itself.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            harness_end.close()
            run_manager(own_end, self, self.store_file)
            code = 0
        except BaseException:  # noqa: BLE001 - the end of the process follows
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _bury(self) -> None:
        """It ended: by SIGKILL, or there is a bug."""
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        self.cluster.listeners.clear()
        if self._peer:
            self._peer.close()
            self._peer = None
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise AssertionError(f"the manager ended by itself, with wait status {status}")
