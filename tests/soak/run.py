"""One run: the rig, the crowd, the faults, and after all of it the judgement."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass

import httpx2
import psycopg

from previews.domain.preview import Phase
from tests.bench.rig import FOLDER, PROJECT, Rig, RigOptions
from tests.bind import NameServerAwayError
from tests.cluster import RunningCluster
from tests.cluster.layout import Layout
from tests.soak.board import Board
from tests.soak.census import (
    Census,
    count,
    is_shards,
    leftovers,
    too_early,
    twice,
)
from tests.soak.crowd import Crowd
from tests.soak.databases import SoakDatabases, databases_for_soak
from tests.soak.drain import drain
from tests.soak.faults import Injector
from tests.soak.forge import SoakForge
from tests.soak.gitea_forge import gitea_for_soak
from tests.soak.github_forge import github_for_soak
from tests.soak.hearing import LossyRelay
from tests.soak.lives import RESIDENTS, Step, script
from tests.soak.records import RECEIPT_LINE, ZONE, SoakRecords, records_for_soak
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
CONVERGED_SECONDS = 900.0
"""Many times what it takes. It bounds a wait; it measures nothing."""
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
    dns: bool
    """Whether each preview's host has a record of its own."""
    github: bool
    """Whether the forge is the stand-in GitHub, and the manager a GitHub App there."""

    @property
    def kind(self) -> str:
        """What its figures are kept under; empty for the usual one."""
        parts = {
            "databases": self.databases,
            "dns": self.dns,
            "github": self.github,
            "without_faults": not self.with_faults,
        }
        return "_".join(name for name, is_so in parts.items() if is_so)


def soak(cluster: RunningCluster, size: Size, say: Say) -> Outcome:
    """Live all lives, wait until everything has settled, and say how it stands."""
    say(f"seed {size.seed}")
    zone = ZONE if size.dns else None
    options = RigOptions(name=NAME, gitops_at_forge=True, resync=RESYNC, zone=zone)
    with ExitStack() as stack:
        # Whoever uses the server ends before it.
        databases = (
            stack.enter_context(databases_for_soak(cluster, NAME)) if size.databases else None
        )
        records = stack.enter_context(records_for_soak(NAME)) if size.dns else None
        rig = stack.enter_context(Rig(cluster, options))
        scripts = [
            *(script(size.seed, index, databases=size.databases) for index in range(size.lives)),
            *(RESIDENTS if databases else ()),
        ]
        forge = stack.enter_context(_forge_for(size, rig, scripts))
        made = Soak(rig, forge, scripts, size=size, databases=databases, records=records, say=say)
        return made.run()


def _forge_for(
    size: Size, rig: Rig, scripts: Sequence[Sequence[Step]]
) -> AbstractContextManager[SoakForge]:
    return github_for_soak(rig, scripts) if size.github else gitea_for_soak(rig, scripts)


class Soak:
    """A rig with a crowd before it."""

    def __init__(
        self,
        rig: Rig,
        forge: SoakForge,
        scripts: Sequence[Sequence[Step]],
        *,
        size: Size,
        databases: SoakDatabases | None,
        records: SoakRecords | None,
        say: Say,
    ) -> None:
        self._rig = rig
        self._forge = forge
        self._size = size
        self._databases = databases
        self._records = records
        self._say = say
        self._relay = LossyRelay(
            rig.manager.port, seed=size.seed, lost_share=LOST_SHARE if size.with_faults else 0.0
        )
        self._board = Board(rig.manager, PROJECT)
        self._residents = range(size.lives, len(scripts))
        gitops = Layout(rig.cluster.directory).data / f"gitea/repositories/{NAME}/gitops.git"
        self._census = Census(
            rig.cluster,
            instance=NAME,
            gitops_on_disk=gitops,
            folder=FOLDER,
            server=databases.census if databases else None,
            records=records,
            forge=forge,
        )
        self._acts = databases.acts(rig.manager, gitops) if databases else None
        self._crowd = Crowd(
            forge, self._board, scripts, databases=self._acts, records=records, say=say
        )
        self._after_receipt: set[Thing] = set()
        self._twice: set[str] = set()
        self._strangers: set[str] = set()

    def run(self) -> Outcome:
        rig, size = self._rig, self._size
        with ExitStack() as stack:
            stack.enter_context(closing(self._census))
            if self._acts:
                stack.enter_context(closing(self._acts.orders))
            for part in (self._relay, self._board):
                stack.callback(part.stop)
                part.start()
            if self._databases:
                self._databases.configure(rig.manager)
            if self._records:
                self._records.zone.configure(rig.manager)
            self._forge.prepare()
            self._say(f"{size.lives} branches are there")
            rig.manager.start()
            self._forge.connect(self._relay.url)
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
            name_server=self._records.zone.server if self._records else None,
            forge=self._forge.outages(),
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
            strangers += self._records.wrong() if self._records else []
        except (httpx2.HTTPError, psycopg.OperationalError, NameServerAwayError):
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
            ready = "the manager misses nothing"
            wait_until(ready, lambda: rig.manager.missing() == {}, seconds=CONVERGED_SECONDS)
            wait_until("nothing is left", self._is_over, seconds=CONVERGED_SECONDS)
            if forge.forget_project():
                self._say("nothing is left; now the project goes, with one more preview")
                drain(rig, forge, self._residents.stop)
            self._say(f"nothing is left; for {HOLD_SECONDS:g} s it must stay so")
            time.sleep(HOLD_SECONDS)
        except (NotSeenError, httpx2.HTTPError) as error:
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
        wanted = {RECEIPT_LINE} if self._records else set()
        problems = []
        for life in self._crowd.lives:
            if life.number is None or not life.live_seconds:
                continue
            gone = {it["kind"] for it in (receipts.get(life.number) or {}).get("gone", ())}
            if not gone:
                problems.append(f"{life.number}: no receipt")
            elif wanted - gone:
                problems.append(f"{life.number}: its receipt names no {', '.join(wanted - gone)}")
        return problems

    def _judge(self, seconds: float, faults: dict[str, int], things: list[Thing]) -> Outcome:
        self._say("asking the forge what it shows on each pull request")
        checked = check_all(self._forge, self._crowd.lives)
        self._twice.update(twice(things))
        databases, records = self._databases, self._records
        return Outcome(
            seed=self._size.seed,
            seconds=seconds,
            lives=self._crowd.lives,
            leftovers=count(leftovers(things), self._census.kinds),
            shards=sum(map(is_shards, things)),
            duplicates=[
                *(text for number, each in checked.items() for text in each.duplicates(number)),
                *sorted(self._twice),
            ],
            unconverged=[
                *self._unfinished(),
                *(each.problem for each in checked.values() if each.problem),
                *self._crowd.refused,
                *self._without_receipt(),
                *self._crowd.wrong,
                *sorted(self._strangers),
                *(databases.census.touched_decoys() if databases else ()),
                *(records.zone.touched() if records else ()),
                *self._forge.wrong(),
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
            at_forge=self._forge.figures(),
            named={str(act): times for act, times in self._crowd.named.items()}
            if records
            else None,
        )
