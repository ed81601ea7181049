"""One run: the rig, the crowd, the faults, and after all of it the judgement."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import httpx2
import psycopg

from previews.domain.preview import Phase
from tests.bench.rig import FOLDER, PROJECT, Rig, RigOptions
from tests.cluster import RunningCluster
from tests.cluster.layout import Layout
from tests.soak.board import Board
from tests.soak.branches import Branches
from tests.soak.census import (
    DATABASE_KINDS,
    KINDS,
    Census,
    count,
    is_shards,
    leftovers,
    too_early,
    twice,
)
from tests.soak.crowd import Crowd
from tests.soak.databases import SoakDatabases, databases_for_soak
from tests.soak.faults import Injector
from tests.soak.forge import PatientForge
from tests.soak.hearing import LossyRelay
from tests.soak.lives import RESIDENTS, script
from tests.soak.things import Thing
from tests.soak.verdict import Outcome, check_all
from tests.world.waiting import NotSeenError, wait_until

Say = Callable[[str], None]

NAME = "soak"
RESYNC = "15s"
"""Whatever webhook was lost, this is when it is made up for."""
LOST_SHARE = 0.3
RECLAIMED = "reclaimed what the fast path left behind"
"""What the manager's collector logs. It waits ten minutes, so only a long run can see it."""
LOOK_SECONDS = 5.0
CONVERGED_SECONDS = 300.0
SHOWN_MAX = 3
SHOWN_LENGTH = 120
HOLD_SECONDS = 20.0
"""More than a resync: what comes back after the end is seen."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of it."""

    lives: int
    abreast: int
    seed: int
    with_faults: bool
    databases: bool
    """Whether each preview has one of its own."""


def soak(cluster: RunningCluster, size: Size, say: Say) -> Outcome:
    """Live all lives, wait until everything has settled, and say how it stands."""
    say(f"seed {size.seed}")
    options = RigOptions(name=NAME, gitops_at_forge=True, resync=RESYNC)
    with ExitStack() as stack:
        # Whoever uses the server ends before it.
        databases = (
            stack.enter_context(databases_for_soak(cluster, NAME)) if size.databases else None
        )
        rig = stack.enter_context(Rig(cluster, options))
        return Soak(rig, size, databases, say).run()


class Soak:
    """A rig with a crowd before it."""

    def __init__(self, rig: Rig, size: Size, databases: SoakDatabases | None, say: Say) -> None:
        self._rig = rig
        self._size = size
        self._databases = databases
        self._say = say
        self._relay = LossyRelay(
            rig.manager.port, seed=size.seed, lost_share=LOST_SHARE if size.with_faults else 0.0
        )
        self._board = Board(rig.manager, PROJECT)
        scripts = [
            *(script(size.seed, index, databases=size.databases) for index in range(size.lives)),
            *(RESIDENTS if databases else ()),
        ]
        self._residents = range(size.lives, len(scripts))
        self._branches = Branches(rig.shop, scripts)
        self._forge = PatientForge(rig.cluster, rig.repository, self._branches)
        gitops = Layout(rig.cluster.directory).data / f"gitea/repositories/{NAME}/gitops.git"
        self._census = Census(
            rig.cluster,
            instance=NAME,
            gitops_on_disk=gitops,
            folder=FOLDER,
            server=databases.census if databases else None,
        )
        self._acts = databases.acts(rig.manager, gitops) if databases else None
        self._crowd = Crowd(self._forge, self._board, scripts, self._acts, say)
        self._after_receipt: set[Thing] = set()
        self._twice: set[str] = set()
        self._strangers: set[str] = set()

    def run(self) -> Outcome:
        rig, size = self._rig, self._size
        with ExitStack() as stack:
            for client in (self._forge, self._census):
                stack.enter_context(closing(client))
            if self._acts:
                stack.enter_context(closing(self._acts.orders))
            for part in (self._relay, self._board):
                stack.callback(part.stop)
                part.start()
            if self._databases:
                self._databases.configure(rig.manager)
            self._branches.prepare()
            self._say(f"{size.lives} branches are pushed")
            rig.manager.start()
            rig.gitea.create_webhook(rig.repository, self._relay.url, rig.secret)
            began = time.monotonic()
            with self._residents_living():
                with self._faults() as counted:
                    self._live_all(counted)
                    faults = counted()
                seconds = time.monotonic() - began
            self._say(f"all {size.lives} lives were lived after {seconds:.0f} s")
            return self._judge(seconds, faults, self._settle())

    @contextmanager
    def _faults(self) -> Iterator[Callable[[], dict[str, int]]]:
        if not self._size.with_faults:
            yield dict
            return
        rig = self._rig
        with Injector(
            self._size.seed,
            rig.cluster,
            rig.manager,
            database=self._databases.process if self._databases else None,
            deaf=self._relay.deaf,
            say=self._say,
        ) as injector:
            yield lambda: {str(kind): times for kind, times in injector.counted().items()}

    @contextmanager
    def _residents_living(self) -> Iterator[None]:
        """They live from before the first fault until after the last."""
        with ThreadPoolExecutor(len(RESIDENTS)) as callers:
            living = [callers.submit(self._crowd.live, it) for it in self._residents]
            try:
                yield
            except BaseException:
                self._crowd.end()
                raise
            self._crowd.be_calm()
            for each in living:
                each.result()

    def _live_all(self, counted: Callable[[], dict[str, int]]) -> None:
        size, crowd = self._size, self._crowd
        with ThreadPoolExecutor(size.abreast) as callers:
            living: set[Future[None]] = {callers.submit(crowd.live, it) for it in range(size.lives)}
            try:
                while living:
                    done, living = wait(living, LOOK_SECONDS)
                    for each in done:
                        each.result()
                    self._look(sum(counted().values()))
            except BaseException:
                crowd.end()
                callers.shutdown(cancel_futures=True)
                raise

    def _look(self, faults: int) -> None:
        """Say how it stands. What is there although the manager said otherwise is kept for the end."""
        crowd, gone = self._crowd, self._crowd.gone()
        try:
            things = self._census.take()
            strangers = self._acts.agreement.strangers() if self._acts else []
        except (httpx2.HTTPError, psycopg.OperationalError):
            now = "?"
        else:
            gone &= crowd.gone()  # but for those that were reopened while this was looked at
            left = too_early(things, gone)
            self._after_receipt.update(left)
            self._strangers.update(strangers)
            self._twice.update(twice(things))
            now = str(len(left))
        self._say(
            f"{crowd.done} of {self._size.lives} lives done, {crowd.open_count()} under way; "
            f"{faults} faults, {self._relay.lost} webhooks lost; left over now: {now}"
        )

    def _settle(self) -> list[Thing]:
        """Wait until nothing is left and everything says so, and then whether it stays so."""
        rig, forge = self._rig, self._forge
        for number in forge.open_numbers():
            forge.set_open(number, is_open=False)
        try:
            wait_until("the manager misses nothing", lambda: rig.manager.missing() == {})
            wait_until("nothing is left", self._is_over, seconds=CONVERGED_SECONDS)
            self._say(f"nothing is left; for {HOLD_SECONDS:g} s it must stay so")
            time.sleep(HOLD_SECONDS)
        except NotSeenError as error:
            self._say(str(error))
        return self._census.take()

    def _is_over(self) -> bool:
        left, unfinished = leftovers(self._census.take()), self._unfinished()
        if left or unfinished:
            shown = "; ".join(line[:SHOWN_LENGTH] for line in unfinished[:SHOWN_MAX])
            self._say(f"left over: {len(left)}; {shown or 'all said to be removed'}")
            time.sleep(LOOK_SECONDS)
        return not (left or unfinished)

    def _unfinished(self) -> list[str]:
        """Previews whose phase says that there is more to do."""
        return [
            f"{each['number']}: {each['phase']} {each['reason']} {each['message']}"
            for each in self._rig.manager.previews()
            if each["phase"] != Phase.REMOVED
        ]

    def _without_receipt(self) -> list[str]:
        """Pull requests that had a preview, and nothing that says what became of each thing of it."""
        receipts = {each["number"]: each["receipt"] for each in self._rig.manager.previews()}
        return [
            f"{life.number}: no receipt"
            for life in self._crowd.lives
            if life.number is not None
            and life.live_seconds
            and not (receipts.get(life.number) or {}).get("gone")
        ]

    def _judge(self, seconds: float, faults: dict[str, int], things: list[Thing]) -> Outcome:
        self._say("asking the forge what it shows on each pull request")
        checked = check_all(self._rig.gitea, self._rig.repository, self._crowd.lives)
        self._twice.update(twice(things))
        databases = self._databases
        comments = [
            f"{each.comments} comments on {number}"
            for number, each in checked.items()
            if each.comments > 1
        ]
        comments += [
            f"{each.answered} answers to {each.asked} questions on {number}"
            for number, each in checked.items()
            if each.answered > each.asked
        ]
        return Outcome(
            seed=self._size.seed,
            seconds=seconds,
            lives=self._crowd.lives,
            leftovers=count(leftovers(things), (*KINDS, *(DATABASE_KINDS if databases else ()))),
            shards=sum(map(is_shards, things)),
            duplicates=[*comments, *sorted(self._twice)],
            unconverged=[
                *self._unfinished(),
                *(each.problem for each in checked.values() if each.problem),
                *self._crowd.refused,
                *self._without_receipt(),
                *self._crowd.wrong,
                *sorted(self._strangers),
                *(databases.census.touched_decoys() if databases else ()),
            ],
            seen_after_receipt=sorted(f"{it.kind} {it.name}" for it in self._after_receipt),
            reclaimed=self._rig.manager.log.read_text().count(RECLAIMED),
            superseded_pending=sum(each.superseded_pending for each in checked.values()),
            faults=faults,
            webhooks_lost=self._relay.lost,
            asked=sum(each.asked for each in checked.values()),
            answered=sum(each.answered for each in checked.values()),
            left=[f"{it.kind} {it.name}" for it in leftovers(things)],
            agreed={str(act): times for act, times in self._crowd.agreed.items()}
            if databases
            else None,
        )
