"""Everybody and everything around the manager in a machine's run. What they do is noted for the model."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import timedelta

from previews.domain.lifetime import Wishes
from previews.domain.preview import PreviewKey, PullRequest
from previews.errors import ActionRefusedError
from tests.fakes.forge import UNREACHABLE
from tests.fakes.stepped_manager import SteppedManager
from tests.fakes.store import InMemoryStore
from tests.fakes.town import REPOSITORY
from tests.machines.model import Did, PreviewModel
from tests.machines.sight import HOUR, TTLS, WITH_IMAGE, WITHOUT_IMAGE, Pull, Sight

PULL_REQUESTS_MAX = 3
LABELS = ("preview-ttl: soon", "preview-ttl: 0h", "bug", *TTLS)
WAITS = (60.0, 2 * HOUR, 5 * HOUR, 30 * HOUR, 80 * HOUR)
ACTOR = "ann"
VERBS = {
    "extend": Did.EXTENDED,
    "pin": Did.PINNED,
    "unpin": Did.UNPINNED,
    "sleep": Did.SLEPT,
    "wake": Did.WOKEN,
    "redeploy": Did.REDEPLOYED,
    "remove": Did.REMOVED,
}


class People(Sight):
    """Acts on a town, and keeps the model."""

    def __init__(self) -> None:
        super().__init__()
        self._lists = [self.town.forge.list_open_pull_requests(REPOSITORY)]
        self._backup = _copy_of(self.town.store)
        self._renamed = 0

    # Authors and reviewers.

    def open(self, *, image: bool, heard: bool) -> None:
        self._tick()
        number = self.town.forge.open_pull_request(REPOSITORY)
        head = self.town.forge.pull_request(REPOSITORY, number).head_sha
        pull = Pull(number, [head])
        pull.previews = {name: PreviewModel(head, self._now) for name in self._names}
        self.pulls.append(pull)
        self._note(pull, Did.PUSHED)
        self._built(pull, image=image, heard=heard)

    def push(self, which: int, *, image: bool, heard: bool) -> None:
        pull = self._pull(which)
        pull.heads.append(self.town.forge.push(REPOSITORY, pull.number))
        self._note(pull, Did.PUSHED)
        self._built(pull, image=image, heard=heard)

    def force_push_back(self, which: int, back: int, *, heard: bool) -> None:
        pull = self._pull(which)
        if back < len(pull.heads) and pull.heads[-1 - back] != pull.head:
            earlier = pull.heads[-1 - back]
            pull.heads.append(self.town.forge.push(REPOSITORY, pull.number, earlier))
            self._note(pull, Did.PUSHED)
            self._built(pull, image=False, heard=heard)

    def build_image(self, which: int) -> None:
        self._built(self._pull(which), image=True, heard=False)

    def label(self, which: int, label: str, *, heard: bool) -> None:
        pull = self._pull(which)
        if label != pull.label:
            pull.label = label
            self.town.forge.set_labels(REPOSITORY, pull.number, *([label] if label else []))
            self._note(pull, Did.LIMITS)
            self._heard(pull, heard=heard)

    def close(self, which: int, *, heard: bool) -> None:
        pull = self._pull(which)
        if pull.is_open:
            pull.is_open = False
            self.town.forge.close(REPOSITORY, pull.number)
            self._note(pull, Did.CLOSED)
            self._heard(pull, heard=heard)

    def reopen(self, which: int, *, heard: bool) -> None:
        pull = self._pull(which)
        if not pull.is_open:
            pull.is_open = True
            self.town.forge.reopen(REPOSITORY, pull.number)
            self._note(pull, Did.REOPENED)
            self._heard(pull, heard=heard)

    def rename(self) -> None:
        self._tick()
        self._renamed += 1
        self.town.forge.rename(REPOSITORY, f"{REPOSITORY}-{self._renamed}")

    # Whoever asks something of the manager.

    def act(self, which: int, name: str, verb: str) -> None:
        pull = self._pull(which)
        key = PreviewKey(name, pull.number)
        actions = self.town.loop.actions
        act: Callable[[], None] = {
            "extend": lambda: actions.extend(key, timedelta(hours=10), actor=ACTOR),
            "pin": lambda: actions.pin(key, timedelta(hours=30), actor=ACTOR),
            "unpin": lambda: actions.unpin(key, actor=ACTOR),
            "sleep": lambda: actions.sleep(key, actor=ACTOR),
            "wake": lambda: actions.wake(key, actor=ACTOR),
            "redeploy": lambda: actions.redeploy(key, actor=ACTOR),
            "remove": lambda: actions.remove(key, actor=ACTOR),
        }[verb]
        before = self.town.store.load_wishes(key)
        with suppress(ActionRefusedError):
            act()
        after = self.town.store.load_wishes(key)
        if after != before:
            self._asked(pull.previews[name], VERBS[verb], after)

    def _asked(self, model: PreviewModel, did: Did, wishes: Wishes) -> None:
        until = {
            Did.EXTENDED: wishes.extension,
            Did.PINNED: wishes.pin,
            Did.UNPINNED: wishes.pin,
        }.get(did)
        if until is None:
            model.note(self._now, did)
        else:
            begin = self.town.clock.now() - timedelta(seconds=self._now)
            model.keep_until(self._now, did, (until.until - begin).total_seconds())

    # Time, and how far the manager comes.

    def wait(self, seconds: float) -> None:
        """The clock goes on, and nobody does anything: the machine was busy, or asleep."""
        self.town.clock.seconds += seconds

    def work(self, steps: int, manager: SteppedManager | None = None) -> None:
        for _ in range(steps):
            (manager or self.town.manager)._step()

    # Administrators.

    def configure_ttl(self, hours: int | None) -> None:
        self._tick()
        self.ttl = None if hours is None else hours * HOUR
        for pull in self.pulls:
            self._note(pull, Did.LIMITS)
        self._configure()

    def configure_values(self, text: int) -> None:
        self._tick()
        for name, known in self._names.items():
            self._names[name] = replace(known, helm=replace(known.helm, values={"text": text}))
        self._configure()

    def take_out(self) -> None:
        self.look()
        del self.town.projects[WITHOUT_IMAGE]
        self.restart()

    def put_back(self, *, drained: bool) -> None:
        self._tick()
        if drained:
            self._drain()
        self.town.projects[WITHOUT_IMAGE] = self._names[WITHOUT_IMAGE]
        self._configure()

    def _drain(self) -> None:
        keys = self.town.loop.actions.drain(WITHOUT_IMAGE, actor=ACTOR)
        for pull in self.pulls:
            if PreviewKey(WITHOUT_IMAGE, pull.number) in keys:
                pull.previews[WITHOUT_IMAGE].note(self._now, Did.REMOVED)
        self._rest()
        for key in keys:
            left = self._left_of(key)
            assert left == set(), f"drained, and left of {key}: {left}"

    def _configure(self) -> None:
        ttl = None if self.ttl is None else timedelta(seconds=self.ttl)
        for name in self.town.projects:
            lifetime = replace(self._names[name].lifetime, ttl=ttl)
            self.town.projects[name] = replace(self._names[name], lifetime=lifetime)
        self.restart()

    # Hands where they do not belong.

    def delete_in_the_cluster(self, which: int, name: str, kind: str) -> None:
        pull = self._pull(which)
        if name not in self.town.projects:
            return
        names, cluster = self._names[name].names(pull.number), self.town.cluster
        self._note(pull, Did.HAND)
        if kind == "Application" and names.application in cluster.applications:
            cluster.delete_application(names.application)
        if kind == "Namespace" and names.namespace in cluster.namespaces:
            cluster.delete_namespace(names.namespace)
        if kind == "AppProject":
            cluster.delete_app_project(names.app_project)

    def hold(self, which: int, name: str) -> None:
        namespace = self._names[name].names(self._pull(which).number).namespace
        self._held.add(namespace)
        self.town.cluster.hold(namespace, "SomeFinalizersRemain: example.org/never")

    def meddle(self, file: int, text: str | None) -> None:
        files = sorted(self.town.gitops.files)
        if files and self._all_are_configured:
            self._by_hand()
            self.town.gitops.commit_as_another({files[file % len(files)]: text})

    def set_branch_back(self, back: int) -> None:
        history = self.town.gitops.history
        if self._all_are_configured:
            self._by_hand()
            self.town.gitops.set_back_to(history[max(0, len(history) - 1 - back)].id)

    # Misfortune.

    def restart(self) -> None:
        self._tick()
        self.town.cluster.catch_up()
        self.town.start()

    def lose_store(self) -> None:
        self._tick()
        self.town.store = InMemoryStore()
        self._forget(Did.LOST)

    def back_up(self) -> None:
        self._backup = _copy_of(self.town.store)

    def restore(self) -> None:
        self._tick()
        self.town.store = _copy_of(self._backup)
        self._forget(Did.RESTORED)

    def break_down(self, part: str) -> None:
        town = self.town
        if part == "forge":
            town.forge.fail(UNREACHABLE)
        town.gitops.is_unreachable |= part == "git"
        town.cluster.is_unreachable |= part == "cluster"
        town.registry.is_unreachable |= part == "registry"

    def list_as_before(self, age: int) -> None:
        self.town.forge.list_instead(REPOSITORY, self._lists[max(0, len(self._lists) - age)])

    # What they have in common.

    def _by_hand(self) -> None:
        self._tick()
        for pull in self.pulls:
            self._note(pull, Did.HAND)

    def _forget(self, did: Did) -> None:
        for pull in self.pulls:
            self._note(pull, did)
        self.restart()

    def _built(self, pull: Pull, *, image: bool, heard: bool) -> None:
        if image:
            pull.built.add(pull.head)
            self.town.push_image(pull.number, WITH_IMAGE)
        self._heard(pull, heard=heard)

    def _heard(self, pull: Pull, *, heard: bool) -> None:
        self._lists.append(list(self._seen()))
        if heard:
            for name in self.town.projects:
                self.town.deliver(pull.number, name)

    def _seen(self) -> Iterator[PullRequest]:
        return (each.seen() for each in self.town.forge.open_pull_requests(REPOSITORY))


def _copy_of(store: InMemoryStore) -> InMemoryStore:
    """As a file that is copied aside."""
    copied = InMemoryStore()
    for name in ("deliveries", "_records", "_wishes", "_history", "_published"):
        setattr(copied, name, {key: copy(value) for key, value in getattr(store, name).items()})
    return copied
