"""The manager without threads: the real loop, driven one step at a time on a clock that only a test moves.

It knows the world through ports alone, so it runs beside the fakes (Town) and in a process of its own (tests/sweep).
"""

import random
from collections.abc import Sequence
from typing import Any, Protocol

from previews.app_news import hear, take_up
from previews.domain.inventory import Sweep
from previews.domain.preview import HeadSha, PreviewKey
from previews.domain.record import Delivery, PreviewRecord
from previews.reconcile.assembly import join_loop
from previews.reconcile.effects import Effect, Witness
from previews.reconcile.published import PullRequestKey
from previews.reconcile.world import Options, World
from previews.web.talk import recall_rerun

STEPS_MAX = 20_000
JITTER_SEED = 1
"""Retries are spread by chance, but by the same chance in every run."""


class SteppedClock(Protocol):
    """Seconds since the town began, for whoever moves them and whoever reads them."""

    seconds: float

    def monotonic(self) -> float: ...


class SteppedManager:
    """One process of the manager, from its start to its end."""

    def __init__(
        self, world: World, options: Options, witness: Witness, clock: SteppedClock
    ) -> None:
        self._store = world.store
        self._instance = options.instance
        self._clock = clock
        self.loop = join_loop(
            world,
            options,
            witness,
            monotonic=clock.monotonic,
            jitter=random.Random(JITTER_SEED),
        )

    def start(self) -> None:
        """What a new process does first."""
        self.loop.remember()
        self.loop.writer.write_due()
        self.loop.servers.look()
        self.loop.resync.resync(everything=True)
        take_up(self.loop, self._instance, self._store)

    def resync(self) -> None:
        """What happens every minute."""
        self.loop.servers.look()
        self.loop.storage.look()
        self.loop.warm_pool.fill()
        self.loop.parcels.look()
        self.loop.resync.resync(everything=False)
        self.loop.redelivery.look()

    def deliver(self, delivery: Delivery, keys: Sequence[PreviewKey]) -> None:
        """A webhook, as the door stores it."""
        new = self.loop.effects.perform(
            Effect.ACCEPT, delivery.guid, lambda: self._store.accept([(delivery, keys)])
        )
        if new[0]:
            self.loop.enqueue(keys)

    def press(self, delivery: Delivery) -> None:
        """A webhook about the button beside a check, as the door stores and tells it."""
        self.loop.effects.perform(
            Effect.ACCEPT, delivery.guid, lambda: self._store.accept([(delivery, [])])
        )
        news = recall_rerun(delivery.event, delivery.body)
        if news is not None:
            hear(self.loop, self._instance, news, delivery)

    def hear(self, pull_request: PullRequestKey) -> None:
        """A webhook about a comment."""
        self.loop.conversation.hear(pull_request)

    def act(self, action: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - those of each action
        """What somebody asks for: a method of Actions."""
        return getattr(self.loop.actions, action)(*arguments, **named)

    def name_image(self, project: str, head_sha: HeadSha, **named: str) -> list[PreviewKey]:
        """What CI says of a commit's image: its tag, its digest, or both."""
        return self.loop.images.name(project, head_sha, **named)

    def collect(self) -> Sweep:
        """What happens every five minutes."""
        return self.loop.collector.collect(dry_run=False)

    def reconcile_all(self) -> None:
        """Look at every preview that is known, due or not."""
        self.loop.enqueue([record.key for record in self.records()])

    def records(self) -> list[PreviewRecord]:
        return self._store.list_records()

    def settle_until(self, end: float) -> None:
        """Work until nothing is due before `end`, and let it become that late."""
        for _ in range(STEPS_MAX):
            if not self._step():
                waits = [
                    self.loop.writer.seconds_to_next(),
                    self.loop.queues.previews.seconds_to_next(),
                    self.loop.queues.pull_requests.seconds_to_next(),
                    self.loop.queues.conversations.seconds_to_next(),
                    self.loop.queues.rules.seconds_to_next(),
                ]
                wait = min((each for each in waits if each is not None), default=None)
                if wait is None or self._clock.seconds + wait > end:
                    self._clock.seconds = max(end, self._clock.seconds)
                    return
                self._clock.seconds += max(wait, 0.001)
        raise AssertionError("the manager never comes to rest")

    def _step(self) -> bool:
        progressed = self.loop.writer.write_due()
        if (key := self.loop.queues.previews.take_due()) is not None:
            self.loop.workers.work_one(key)
            progressed = True
        if (pull_request := self.loop.queues.pull_requests.take_due()) is not None:
            self.loop.publishers.work_one(pull_request)
            progressed = True
        if (pull_request := self.loop.queues.conversations.take_due()) is not None:
            self.loop.listeners.work_one(pull_request)
            progressed = True
        if (place := self.loop.queues.rules.take_due()) is not None:
            self.loop.rule_readers.work_one(place)
            progressed = True
        return progressed
