"""The steps of a pull request's life on the real cluster, each of which may be struck: one function for each."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from previews.app import SystemClock
from previews.domain.labels import ownership
from previews.reconcile.resync import RECEIPTS_KEPT
from tests.sweep.hand import Hand
from tests.sweep.manager_process import open_store
from tests.sweep.places import RealPlan
from tests.world.pull_request import Page, PullRequest
from tests.world.visitor import SEE_OTHER
from tests.world.waiting import NotSeenError, wait_until

FINALIZER = "example.org/not-yet"
NOWHERE = "0" * 40
"""A revision that no repository has."""
LONG_AGO = RECEIPTS_KEPT + timedelta(days=1)
IN_TEMPLATE = ["Two tea towels", "A blue mug"]
"""What tests/demo/template.sql puts into every new database, the newest first."""

Step = Callable[[Hand, RealPlan | None], None]


def open_one(hand: Hand, plan: RealPlan | None) -> None:
    hand.give(plan)
    hand.open_another()
    hand.survive(plan)
    hand.be_live()


def open_unheard(hand: Hand, plan: RealPlan | None) -> None:
    hand.manager.stop()
    hand.open_another()
    hand.give(plan)
    hand.start_under_fire()
    hand.survive(plan)
    hand.be_live()


def push(hand: Hand, plan: RealPlan | None) -> None:
    pull_request = hand.now()
    hand.give(plan)
    pull_request.push(Page(f"Pushed {hand.count}", "Once more."), image=False)
    pull_request.borrow_image()
    hand.survive(plan)
    hand.be_live()


def name(hand: Hand, plan: RealPlan | None) -> None:
    """Push, and have CI say what its image is called."""
    pull_request = hand.now()
    pull_request.push(Page(f"Named {hand.count}", "Once more."), image=False)
    pull_request.borrow_image()
    said = {
        "project": pull_request.key.project,
        "head_sha": pull_request.head_sha,
        "tag": pull_request.tag,
    }
    hand.give(plan)
    hand.insist(plan, "images", said)
    hand.be_live()


def close(hand: Hand, plan: RealPlan | None) -> None:
    pull_request = hand.now()
    hand.give(plan)
    pull_request.close()
    hand.survive(plan)
    pull_request.wait_until_removed()
    wait_until(
        "status and comment say so",
        pull_request.is_said_to_be_removed,
        explain=pull_request.explain,
    )


def reopen(hand: Hand, plan: RealPlan | None) -> None:
    """While it is being removed: what is struck is what brings it back."""
    pull_request = hand.now()
    first = pull_request.namespace() or {"metadata": {}}
    pull_request.hold_namespace(FINALIZER)
    pull_request.close()
    wait_until(
        "Kubernetes says why the removal waits",
        lambda: FINALIZER in pull_request.preview().get("message", ""),
        explain=pull_request.explain,
    )
    hand.be_quiet()
    hand.give(plan)
    pull_request.reopen()
    pull_request.let_namespace_go()
    hand.survive(plan)
    hand.be_live()
    second = pull_request.namespace() or {"metadata": {}}
    if first["metadata"].get("uid") == second["metadata"].get("uid"):
        raise NotSeenError("the preview that was reopened lives in the namespace of the old one")


def sleep(hand: Hand, plan: RealPlan | None) -> None:
    """And wake up again, unstruck."""
    pull_request = hand.now()
    path = f"previews/{pull_request.key.project}/{pull_request.number}"
    hand.give(plan)
    hand.insist(plan, f"{path}/sleep")
    pull_request.wait_until_phase("Asleep")
    hand.be_quiet()
    hand.ask(f"{path}/wake")
    hand.be_live()


def say(hand: Hand, plan: RealPlan | None) -> None:
    """A command that is answered once, one that puts it to sleep, and one that wakes it up again."""
    pull_request = hand.now()
    answered = len(pull_request.replies())
    hand.give(plan)
    pull_request.say("/preview help")
    hand.survive(plan)
    wait_until("a reply", lambda: len(pull_request.replies()) > answered)
    pull_request.say("/preview sleep")
    pull_request.wait_until_phase("Asleep")
    hand.be_quiet()
    pull_request.say("/preview wake")
    hand.be_live()
    if len(pull_request.replies()) != answered + 1:
        raise NotSeenError(f"replies: {pull_request.replies()[answered:]}")


def reset(hand: Hand, plan: RealPlan | None) -> None:
    """What somebody ordered is gone afterwards, and the application gets in with its new password."""
    pull_request = hand.now()
    ordered = f"Order {hand.count}"
    wait_until(
        "the order is taken",
        lambda: pull_request.order(ordered).status == SEE_OTHER,
        explain=pull_request.explain,
    )
    hand.give(plan)
    hand.insist(plan, f"previews/{pull_request.key.project}/{pull_request.number}/reset-database")
    wait_until(
        "the database is as its template is",
        lambda: pull_request.orders() == IN_TEMPLATE,
        explain=pull_request.explain,
    )
    hand.be_live()


def close_at_work(hand: Hand, plan: RealPlan | None) -> None:
    """While Argo CD waits for the next attempt of a sync: it deletes nothing before that is over."""
    pull_request, kubernetes = hand.now(), hand.world.kubernetes
    backoff = {"duration": "10m", "factor": 1, "maxDuration": "1h"}
    operation = {"sync": {"revision": NOWHERE}, "retry": {"limit": 5, "backoff": backoff}}
    path = kubernetes.application_path(pull_request.names.application)
    kubernetes.patch(path, {"operation": operation})
    wait_until(
        "Argo CD waits for the next attempt",
        lambda: "etry" in _operation_message(pull_request),
        explain=pull_request.explain,
    )
    hand.be_quiet()
    close(hand, plan)


def collect(hand: Hand, plan: RealPlan | None) -> None:
    """A namespace of a preview that is over, left behind by nobody knows whom."""
    pull_request, namespace = hand.now(), hand.now().names.namespace
    # The fence without which the cluster takes no namespace with these labels.
    labels = {
        **ownership(hand.world.options.name, pull_request.key),
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    body = {"metadata": {"name": namespace, "labels": labels}}
    hand.world.kubernetes.create("/api/v1/namespaces", body)
    hand.be_quiet()
    hand.give(plan)
    hand.sweep_until(
        "a sweep removes it, or is struck",
        lambda: pull_request.namespace() is None or (plan is not None and hand.was_struck()),
    )
    hand.survive(plan)
    hand.sweep_until("it is gone", lambda: pull_request.namespace() is None)
    pull_request.wait_until_removed()


def forget(hand: Hand, plan: RealPlan | None) -> None:
    """A receipt that nobody will ask for any more."""
    pull_request = hand.now()
    hand.manager.stop()
    with closing(open_store(hand.manager.data / "previews.sqlite3", SystemClock())) as store:
        record = store.load(pull_request.key)
        if record is None or record.removal is None or record.removal.finished_at is None:
            raise NotSeenError(f"{pull_request.key} has no receipt")
        ended = record.removal.finished_at - LONG_AGO
        store.save(replace(record, removal=replace(record.removal, finished_at=ended)))
    hand.give(plan)
    hand.start_under_fire()
    hand.survive(plan)
    wait_until("it is forgotten", lambda: pull_request.preview() == {})


def _operation_message(pull_request: PullRequest) -> str:
    """What Argo CD says of what it is at."""
    status = (pull_request.application() or {}).get("status", {})
    return str(status.get("operationState", {}).get("message", ""))


STEPS: Mapping[str, Step] = {
    "open": open_one,
    "open_unheard": open_unheard,
    "push": push,
    "close": close,
    "reopen": reopen,
    "name": name,
    "sleep": sleep,
    "say": say,
    "reset": reset,
    "close_at_work": close_at_work,
    "collect": collect,
    "forget": forget,
}
"""By the name of their workload."""
