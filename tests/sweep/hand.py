"""What every step on the real cluster is made of: one pull request in hand, and a manager that strikes itself."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import httpx2
from httpx2 import HTTPError

from tests.sweep.places import RealPlan
from tests.sweep.plans import Strike
from tests.sweep.struck_manager import Order
from tests.world.database import TEMPLATE
from tests.world.pull_request import PullRequest
from tests.world.waiting import wait_until
from tests.world.world import World

QUIET_POLLS = 30
"""This many looks in a row find the manager's log unchanged: then nothing more comes. Looks are 50 ms apart."""
STRIKE_SECONDS = 60.0
ACTOR = "the sweep"


class Hand:
    """Puts one pull request after another in hand. `plan` is None for a step that is not struck."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.manager = world.manager
        self.pull_request: PullRequest | None = None
        self.count = 0
        """How many there were."""
        self._order_file: Path = world.directory / "order.json"
        program = ("tests.sweep.struck_manager", "--order", str(self._order_file))
        self.manager.program = world.records.looked_up_by(program) if world.records else program
        self._configure()

    def now(self) -> PullRequest:
        if self.pull_request is None:
            raise AssertionError("there is no pull request at the moment")
        return self.pull_request

    def open_another(self) -> None:
        self.count += 1
        self.pull_request = self.world.open_simple_pull_request(f"drill-{self.count}")

    def give(self, plan: RealPlan | None) -> None:
        """From now on the manager waits for what it is to be struck at."""
        if plan is not None:
            Order(plan.effect, plan.occurrence, plan.strike).write(self._order_file)

    def was_struck(self) -> bool:
        return not self._order_file.exists()

    def withdraw(self) -> None:
        """It is to be struck no more."""
        self._order_file.unlink(missing_ok=True)

    def survive(self, plan: RealPlan | None) -> None:
        """Wait for the strike, and start a manager that was killed, as Kubernetes does."""
        if plan is None:
            return
        wait_until(
            f"{plan.effect} is struck",
            self.was_struck,
            seconds=STRIKE_SECONDS,
            explain=self.manager.log_tail,
        )
        if plan.strike is not Strike.ANSWER_LOST:
            wait_until("the manager is dead", lambda: not self.manager.is_running)
            self.manager.start()

    def start_under_fire(self) -> None:
        """It may be struck before it ever answers."""
        with suppress(AssertionError):
            self.manager.start(until_ready=False)

    def insist(
        self, plan: RealPlan | None, path: str, said: Mapping[str, object] | None = None
    ) -> None:
        """Ask for something as people do: once more, if there was no answer."""
        said = {"actor": ACTOR} if said is None else said
        try:
            self._post(path, said)
        except HTTPError:
            if plan is None:
                raise
            self.survive(plan)
            self._post(path, said)
        else:
            self.survive(plan)

    def ask(self, path: str, **said: object) -> None:
        """One request to the API. Raises HTTPError unless it is taken."""
        self._post(path, {"actor": ACTOR, **said})

    def be_live(self) -> None:
        pull_request = self.now()
        pull_request.wait_until_live()
        pull_request.wait_until_announced()

    def be_quiet(self) -> None:
        """Wait until the manager writes nothing more to anybody: each such effect is a line in its log."""
        looks = [0, -1]

        def is_quiet() -> bool:
            size = self.manager.log.stat().st_size
            looks[0] = looks[0] + 1 if size == looks[1] else 0
            looks[1] = size
            return looks[0] >= QUIET_POLLS

        wait_until("the manager is quiet", is_quiet, explain=self.manager.log_tail)

    def sweep_until(self, what: str, is_so: Callable[[], bool]) -> None:
        """An orphan is what two sweeps have seen, with a look at Git between them."""

        def sweep_and_look() -> bool:
            if is_so():
                return True
            with suppress(HTTPError):
                self.ask("collect", dry_run=False, confirmed=True)
            return is_so()

        wait_until(what, sweep_and_look, explain=self.manager.log_tail)

    def _post(self, path: str, said: Mapping[str, object]) -> None:
        httpx2.post(
            f"{self.manager.url}/api/v1/{path}",
            json=said,
            headers={"authorization": f"Bearer {self.manager.api_token}"},
            trust_env=False,
            timeout=30,
        ).raise_for_status()

    def _configure(self) -> None:
        """A clone stands ready. What is left behind is removed as soon as two sweeps have seen it, and by no sweep that
        nobody asked for.
        """
        known = json.loads((self.manager.directory / "previews.yaml").read_text())
        [server] = known["databases"]
        warm = {**server, "templates": [{"name": TEMPLATE, "warm": 1}]}
        collecting = {"grace": "0s", "interval": "12h"}
        self.manager.configure({**known, "collect": collecting, "databases": [warm]})
