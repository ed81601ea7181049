"""Takes one pull request after another through its life on the real cluster, a strike at a time."""

import json
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta

import httpx2
from httpx2 import HTTPError

from previews.app import SystemClock
from previews.domain.labels import ownership
from previews.reconcile.resync import RECEIPTS_KEPT
from tests.sweep.manager_process import open_store
from tests.sweep.oracles import Kind
from tests.sweep.places import AFTERWARDS, OPENINGS, Costs, RealPlan
from tests.sweep.plans import Strike
from tests.sweep.struck_manager import Order
from tests.world.database import TEMPLATE
from tests.world.pull_request import Page, PullRequest
from tests.world.visitor import SEE_OTHER
from tests.world.waiting import NotSeenError, wait_until
from tests.world.world import World

QUIET_POLLS = 30
"""This many looks in a row find the manager's log unchanged: then nothing more comes. Looks are 50 ms apart."""
STRIKE_SECONDS = 60.0
FINALIZER = "example.org/not-yet"
ASIDE_MAX = 6
"""Live previews that stay behind while another is opened, and then go together: a removal is mostly waiting."""
NOWHERE = "0" * 40
"""A revision that no repository has."""
LONG_AGO = RECEIPTS_KEPT + timedelta(days=1)
ACTOR = "the sweep"
IN_TEMPLATE = ["Two tea towels", "A blue mug"]
"""What tests/demo/template.sql puts into every new database, the newest first."""


class Drill:
    """Has one pull request at a time in hand; others may be live beside it, and are left alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._manager = world.manager
        self._order_file = world.directory / "order.json"
        self._manager.program = (
            "tests.sweep.struck_manager",
            *("--order", str(self._order_file)),
        )
        self._pull_request: PullRequest | None = None
        self._aside: list[PullRequest] = []
        self._count = 0
        self._steps = {
            "open": self._open,
            "open_unheard": self._open_unheard,
            "push": self._push,
            "close": self._close,
            "reopen": self._reopen,
            "name": self._name,
            "sleep": self._sleep,
            "say": self._say,
            "reset": self._reset,
            "close_at_work": self._close_at_work,
            "collect": self._collect,
            "forget": self._forget,
        }
        self._configure()
        self._manager.start()
        self._be_quiet()

    @property
    def key(self) -> object:
        """Of the preview of the moment."""
        return self._pull_request.key if self._pull_request else None

    def carry_out(self, plan: RealPlan, usual: Costs) -> list[tuple[str, str]]:
        """One struck step. Returns kinds and texts of what was wrong with it."""
        try:
            costs = self.step(plan.workload, plan)
        except (AssertionError, HTTPError, RuntimeError) as error:
            self._order_file.unlink(missing_ok=True)
            if not self._manager.is_running:
                self._manager.start()
            with suppress(NotSeenError):
                self._be_quiet()
            return [(Kind.DIVERGED, f"{type(error).__name__}: {error}")]
        problems: list[tuple[str, str]] = [(Kind.DUPLICATED, text) for text in costs.excess(usual)]
        pull_request = self._now()
        if len(pull_request.comments()) != 1:
            problems.append((Kind.DUPLICATED, f"comments: {pull_request.comments()}"))
        return problems

    def step(self, workload: str, plan: RealPlan | None) -> Costs:
        """From rest to rest. Raises NotSeenError if it does not come to the end that it should."""
        if workload in OPENINGS:
            self._set_aside()
        else:
            self._bring_about("Removed" if workload in AFTERWARDS else "Live")
        commits = len(self._commits())
        said = len(self._statuses()) if self._pull_request and workload != "push" else 0
        self._steps[workload](plan)
        self._be_quiet()
        return Costs(len(self._commits()) - commits, len(self._statuses()) - said)

    def be_without(self) -> None:
        """Close what there is, and wait for its end."""
        going = [*self._aside, *([self._pull_request] if self._pull_request else [])]
        going = [each for each in going if self._world.gitea.is_open(each.opened)]
        self._aside, self._pull_request = [], None
        for each in going:
            each.close()
        for each in going:
            each.wait_until_removed()
        self._be_quiet()

    def _set_aside(self) -> None:
        """Have nothing in hand."""
        if self._pull_request and self._world.gitea.is_open(self._pull_request.opened):
            self._aside.append(self._pull_request)
        self._pull_request = None
        if len(self._aside) >= ASIDE_MAX:
            self.be_without()

    def _bring_about(self, phase: str) -> None:
        """Have one in hand that is in this phase, Live or Removed."""
        if self._pull_request is None or self._pull_request.phase() != phase:
            self.step("close" if phase == "Removed" else "open", None)

    def _open(self, plan: RealPlan | None) -> None:
        self._give(plan)
        self._count += 1
        self._pull_request = self._world.open_simple_pull_request(f"drill-{self._count}")
        self._survive(plan)
        self._be_live()

    def _open_unheard(self, plan: RealPlan | None) -> None:
        self._manager.stop()
        self._count += 1
        self._pull_request = self._world.open_simple_pull_request(f"drill-{self._count}")
        self._give(plan)
        self._start_under_fire()
        self._survive(plan)
        self._be_live()

    def _push(self, plan: RealPlan | None) -> None:
        pull_request = self._now()
        self._give(plan)
        pull_request.push(Page(f"Pushed {self._count}", "Once more."), image=False)
        pull_request.borrow_image()
        self._survive(plan)
        self._be_live()

    def _name(self, plan: RealPlan | None) -> None:
        """Push, and have CI say what its image is called."""
        pull_request = self._now()
        pull_request.push(Page(f"Named {self._count}", "Once more."), image=False)
        pull_request.borrow_image()
        said = {
            "project": pull_request.key.project,
            "head_sha": pull_request.head_sha,
            "tag": pull_request.tag,
        }
        self._give(plan)
        self._insist(plan, "images", said)
        self._be_live()

    def _close(self, plan: RealPlan | None) -> None:
        pull_request = self._now()
        self._give(plan)
        pull_request.close()
        self._survive(plan)
        pull_request.wait_until_removed()
        wait_until(
            "status and comment say so",
            pull_request.is_said_to_be_removed,
            explain=pull_request.explain,
        )

    def _reopen(self, plan: RealPlan | None) -> None:
        """While it is being removed: what is struck is what brings it back."""
        pull_request = self._now()
        first = pull_request.namespace() or {"metadata": {}}
        pull_request.hold_namespace(FINALIZER)
        pull_request.close()
        wait_until(
            "Kubernetes says why the removal waits",
            lambda: FINALIZER in pull_request.preview().get("message", ""),
            explain=pull_request.explain,
        )
        self._be_quiet()
        self._give(plan)
        pull_request.reopen()
        pull_request.let_namespace_go()
        self._survive(plan)
        self._be_live()
        second = pull_request.namespace() or {"metadata": {}}
        if first["metadata"].get("uid") == second["metadata"].get("uid"):
            raise NotSeenError(
                "the preview that was reopened lives in the namespace of the old one"
            )

    def _sleep(self, plan: RealPlan | None) -> None:
        """And wake up again, unstruck."""
        pull_request = self._now()
        path = f"previews/{pull_request.key.project}/{pull_request.number}"
        self._give(plan)
        self._insist(plan, f"{path}/sleep")
        pull_request.wait_until_phase("Asleep")
        self._be_quiet()
        self._ask(f"{path}/wake")
        self._be_live()

    def _say(self, plan: RealPlan | None) -> None:
        """A command that is answered once, one that puts it to sleep, and one that wakes it up again."""
        pull_request = self._now()
        answered = len(pull_request.replies())
        self._give(plan)
        pull_request.say("/preview help")
        self._survive(plan)
        wait_until("a reply", lambda: len(pull_request.replies()) > answered)
        pull_request.say("/preview sleep")
        pull_request.wait_until_phase("Asleep")
        self._be_quiet()
        pull_request.say("/preview wake")
        self._be_live()
        if len(pull_request.replies()) != answered + 1:
            raise NotSeenError(f"replies: {pull_request.replies()[answered:]}")

    def _reset(self, plan: RealPlan | None) -> None:
        """What somebody ordered is gone afterwards, and the application gets in with its new password."""
        pull_request = self._now()
        ordered = f"Order {self._count}"
        wait_until(
            "the order is taken",
            lambda: pull_request.order(ordered).status == SEE_OTHER,
            explain=pull_request.explain,
        )
        self._give(plan)
        self._insist(
            plan, f"previews/{pull_request.key.project}/{pull_request.number}/reset-database"
        )
        wait_until(
            "the database is as its template is",
            lambda: pull_request.orders() == IN_TEMPLATE,
            explain=pull_request.explain,
        )
        self._be_live()

    def _close_at_work(self, plan: RealPlan | None) -> None:
        """While Argo CD waits for the next attempt of a sync: it deletes nothing before that is over."""
        pull_request, kubernetes = self._now(), self._world.kubernetes
        backoff = {"duration": "10m", "factor": 1, "maxDuration": "1h"}
        operation = {"sync": {"revision": NOWHERE}, "retry": {"limit": 5, "backoff": backoff}}
        path = kubernetes.application_path(pull_request.names.application)
        kubernetes.patch(path, {"operation": operation})
        wait_until(
            "Argo CD waits for the next attempt",
            lambda: "etry" in _operation_message(pull_request),
            explain=pull_request.explain,
        )
        self._be_quiet()
        self._close(plan)

    def _collect(self, plan: RealPlan | None) -> None:
        """A namespace of a preview that is over, left behind by nobody knows whom."""
        pull_request, name = self._now(), self._now().names.namespace
        # The fence without which the cluster takes no namespace with these labels.
        labels = {
            **ownership(self._world.options.name, pull_request.key),
            "pod-security.kubernetes.io/enforce": "restricted",
        }
        body = {"metadata": {"name": name, "labels": labels}}
        self._world.kubernetes.create("/api/v1/namespaces", body)
        self._be_quiet()
        self._give(plan)
        self._sweep_until(
            "a sweep removes it, or is struck",
            lambda: (
                pull_request.namespace() is None
                or (plan is not None and not self._order_file.exists())
            ),
        )
        self._survive(plan)
        self._sweep_until("it is gone", lambda: pull_request.namespace() is None)
        pull_request.wait_until_removed()

    def _sweep_until(self, what: str, is_so: Callable[[], bool]) -> None:
        """An orphan is what two sweeps have seen, with a look at Git between them."""

        def sweep_and_look() -> bool:
            if is_so():
                return True
            with suppress(HTTPError):
                self._ask("collect", dry_run=False, confirmed=True)
            return is_so()

        wait_until(what, sweep_and_look, explain=self._manager.log_tail)

    def _forget(self, plan: RealPlan | None) -> None:
        """A receipt that nobody will ask for any more."""
        pull_request = self._now()
        self._manager.stop()
        with closing(open_store(self._manager.data / "previews.sqlite3", SystemClock())) as store:
            record = store.load(pull_request.key)
            if record is None or record.removal is None or record.removal.finished_at is None:
                raise NotSeenError(f"{pull_request.key} has no receipt")
            ended = record.removal.finished_at - LONG_AGO
            store.save(replace(record, removal=replace(record.removal, finished_at=ended)))
        self._give(plan)
        self._start_under_fire()
        self._survive(plan)
        wait_until("it is forgotten", lambda: pull_request.preview() == {})

    def _start_under_fire(self) -> None:
        """It may be struck before it ever answers."""
        with suppress(AssertionError):
            self._manager.start(until_ready=False)

    def _insist(
        self, plan: RealPlan | None, path: str, said: Mapping[str, object] | None = None
    ) -> None:
        """Ask for something as people do: once more, if there was no answer."""
        said = {"actor": ACTOR} if said is None else said
        try:
            self._post(path, said)
        except HTTPError:
            if plan is None:
                raise
            self._survive(plan)
            self._post(path, said)
        else:
            self._survive(plan)

    def _ask(self, path: str, **said: object) -> None:
        """One request to the API. Raises HTTPError unless it is taken."""
        self._post(path, {"actor": ACTOR, **said})

    def _post(self, path: str, said: Mapping[str, object]) -> None:
        httpx2.post(
            f"{self._manager.url}/api/v1/{path}",
            json=said,
            headers={"authorization": f"Bearer {self._manager.api_token}"},
            trust_env=False,
            timeout=30,
        ).raise_for_status()

    def _configure(self) -> None:
        """A clone stands ready. What is left behind is removed as soon as two sweeps have seen it, and by no sweep that
        nobody asked for.
        """
        known = json.loads((self._manager.directory / "previews.yaml").read_text())
        [server] = known["databases"]
        warm = {**server, "templates": [{"name": TEMPLATE, "warm": 1}]}
        collecting = {"grace": "0s", "interval": "12h"}
        self._manager.configure({**known, "collect": collecting, "databases": [warm]})

    def _give(self, plan: RealPlan | None) -> None:
        if plan is not None:
            Order(plan.effect, plan.occurrence, plan.strike).write(self._order_file)

    def _survive(self, plan: RealPlan | None) -> None:
        """Wait for the strike, and start a manager that was killed, as Kubernetes does."""
        if plan is None:
            return
        wait_until(
            f"{plan.effect} is struck",
            lambda: not self._order_file.exists(),
            seconds=STRIKE_SECONDS,
            explain=self._manager.log_tail,
        )
        if plan.strike is not Strike.ANSWER_LOST:
            wait_until("the manager is dead", lambda: not self._manager.is_running)
            self._manager.start()

    def _be_live(self) -> None:
        pull_request = self._now()
        pull_request.wait_until_live()
        pull_request.wait_until_announced()

    def _be_quiet(self) -> None:
        """Wait until the manager writes nothing more to anybody: each such effect is a line in its log."""
        looks = [0, -1]

        def is_quiet() -> bool:
            size = self._manager.log.stat().st_size
            looks[0] = looks[0] + 1 if size == looks[1] else 0
            looks[1] = size
            return looks[0] >= QUIET_POLLS

        wait_until("the manager is quiet", is_quiet, explain=self._manager.log_tail)

    def _now(self) -> PullRequest:
        if self._pull_request is None:
            raise AssertionError("there is no pull request at the moment")
        return self._pull_request

    def _commits(self) -> list[str]:
        return self._world.gitops.git("rev-list", self._fetched()).split()

    def _fetched(self) -> str:
        self._world.gitops.git("fetch", "--quiet", "origin", "main")
        return "FETCH_HEAD"

    def _statuses(self) -> list[object]:
        """Of the head of the pull request."""
        pull_request = self._now()
        return list(
            self._world.gitea.statuses(pull_request.opened.repository, pull_request.head_sha)
        )


def _operation_message(pull_request: PullRequest) -> str:
    """What Argo CD says of what it is at."""
    status = (pull_request.application() or {}).get("status", {})
    return str(status.get("operationState", {}).get("message", ""))
