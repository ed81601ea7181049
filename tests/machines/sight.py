"""The town of a machine's run as it is looked at now and then: at rest, and compared with the model."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import note

from previews.domain.naming import names_of
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import PreviewRecord, StatusState
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project
from tests.machines.model import Did, Fate, Look, PreviewModel

HOUR = 3600.0
TTLS = {"preview-ttl: 4h": 4 * HOUR, "preview-ttl:2d": 48 * HOUR}
WITH_IMAGE, WITHOUT_IMAGE = "shop", "docs"
QUIET_RECONCILES = 20
NEAR_SECONDS = 120.0
"""What is to happen by itself within this time may happen while quiet is looked for."""
ROUNDS = 4
"""Of time and a resync, until everything that was lost is found."""
ROUND_SECONDS = 120.0


@dataclass(slots=True)
class Pull:
    """One pull request, as its author knows it."""

    number: int
    heads: list[str]
    is_open: bool = True
    label: str = ""
    previews: dict[str, PreviewModel] = field(default_factory=dict)
    built: set[str] = field(default_factory=set)

    @property
    def head(self) -> str:
        return self.heads[-1]


class Sight:
    """Looks, and knows what must be seen. Whoever acts builds on it."""

    def __init__(self) -> None:
        self.witness = CountingWitness()
        self.town = Town(
            [project(WITH_IMAGE), project(WITHOUT_IMAGE, image=False)], witness=self.witness
        )
        self.pulls: list[Pull] = []
        self.ttl: float | None = None
        self._names = dict(self.town.projects)
        self._held: set[str] = set()
        self._deleted: Counter[str] = Counter()

    def look(self) -> None:
        """Let everything come to rest, and compare it with the model."""
        self._rest()
        for pull in self.pulls:
            for name in pull.previews:
                self._look_at(pull, name)
            comments = self.town.forge.comments(REPOSITORY, pull.number)
            assert len(comments) <= 1, f"{len(comments)} comments on {pull.number}"
        self._expect_nothing_else()
        self._deleted = Counter(self.town.cluster.deleted)
        self._expect_quiet()

    def _rest(self) -> None:
        self.heal()
        self.let_go()
        for _ in range(ROUNDS):
            self.argo_cd_looks()
            self.town.loop.resync.resync(everything=True)
            self.town.settle(ROUND_SECONDS)

    def _look_at(self, pull: Pull, name: str) -> None:
        model, key = pull.previews[name], PreviewKey(name, pull.number)
        record = self.town.store.load(key)
        left = self._left_of(key)
        note(f"{key}: {record and (record.phase, record.reason, record.message)}, left {left}")
        is_there = any(each.startswith("Application") for each in left)
        waits = record is not None and record.phase is Phase.WAITING_FOR_IMAGE
        assert len(left) in {0, 5} or waits, f"{key} is there in part: {left}"
        if name not in self.town.projects:
            assert is_there == model.last.is_there, f"{key} of no project changed"
            self._expect_nothing_deleted(key)
            return
        fate = self._fate(pull, name, model)
        expected = {Fate.THERE: {True}, Fate.GONE: {False}, Fate.EITHER: {True, False}}[fate]
        note(f"{key} must be {fate}; {model.did}")
        assert is_there in expected, f"{key} must be {fate}: {left}"
        # The store was lost, and nothing was left that it could be rebuilt from.
        if record is None:
            assert not is_there
            assert not pull.is_open
            record = PreviewRecord(key=key, phase=Phase.REMOVED)
        self._look_at_phase(pull, record, model, is_there=is_there)
        if is_there and record.manifests is not None and not waits:
            files = self._files_of(key)
            assert files == record.manifests.files, f"{key} is not mended in Git"
        if fate is Fate.THERE and not model.may_have_gone():
            self._expect_nothing_deleted(key)
        look = Look(
            self._now,
            is_there=is_there,
            is_ended=record.phase is Phase.EXPIRED,
            is_asleep=record.phase is Phase.ASLEEP,
        )
        model.looked(look, pull.head)

    def _left_of(self, key: PreviewKey) -> set[str]:
        """Whether its project is configured or not."""
        names, cluster = names_of(key, host_pattern=""), self.town.cluster
        left = {path for path in self.town.gitops.files if path.startswith(f"{names.folder}/")}
        left |= {f"Application {names.application}"} & {
            f"Application {n}" for n in cluster.applications
        }
        left |= {f"Namespace {names.namespace}"} & {f"Namespace {n}" for n in cluster.namespaces}
        left |= {f"AppProject {names.app_project}"} & {
            f"AppProject {n}" for n in cluster.app_projects
        }
        return left

    def _files_of(self, key: PreviewKey) -> dict[str, str]:
        folder = f"{names_of(key, host_pattern='').folder}/"
        files = self.town.gitops.files
        return {path[len(folder) :]: files[path] for path in files if path.startswith(folder)}

    def _fate(self, pull: Pull, name: str, model: PreviewModel) -> Fate:
        ttl = TTLS.get(pull.label, self.ttl)
        fate = model.fate(self._now, is_open=pull.is_open, head=pull.head, ttl=ttl)
        waits = name == WITH_IMAGE and pull.head not in pull.built and pull.is_open
        return Fate.EITHER if waits else fate

    def _look_at_phase(
        self, pull: Pull, record: PreviewRecord, model: PreviewModel, *, is_there: bool
    ) -> None:
        phase, key = record.phase, record.key
        if not is_there:
            usual = {Phase.EXPIRED, Phase.WAITING_FOR_IMAGE} if pull.is_open else {Phase.REMOVED}
            assert phase in usual, f"{key} is gone, and {phase}"
            return
        if key.project == WITH_IMAGE and pull.head not in pull.built:
            assert phase in {Phase.WAITING_FOR_IMAGE, Phase.ASLEEP}, f"{key} is {phase}"
            return
        sleeps = model.sleeps(pull.head)
        usual = {None: {Phase.LIVE, Phase.ASLEEP}, True: {Phase.ASLEEP}, False: {Phase.LIVE}}[
            sleeps
        ]
        assert phase in usual, f"{key} is {phase} ({record.reason}), and must sleep: {sleeps}"
        status = self.town.status(pull.number, key.project)
        said = status and (status.state, status.description)
        assert phase is not Phase.LIVE or (status and status.state is StatusState.SUCCESS), said

    def _expect_nothing_deleted(self, key: PreviewKey) -> None:
        names = self._names[key.project].names(key.number)
        for thing in (
            f"Application {names.application}",
            f"Namespace {names.namespace}",
            f"AppProject {names.app_project}",
        ):
            before, now = self._deleted[thing], self.town.cluster.deleted[thing]
            assert now == before, f"{thing} was deleted without a cause"

    def _expect_nothing_else(self) -> None:
        known: set[str] = set()
        for pull in self.pulls:
            for each in self._names.values():
                names = each.names(pull.number)
                known |= {names.application, names.namespace, names.app_project}
        cluster = self.town.cluster
        there = {*cluster.namespaces, *cluster.app_projects}
        there |= {name for name, each in cluster.applications.items() if each.owner is not None}
        assert there <= known, f"nobody's: {there - known}"

    def _expect_quiet(self) -> None:
        town = self.town
        if any(self._is_near(record) for record in town.store.list_records()):
            return
        before = (dict(self.witness.counts), town.store.writes, town.gitops.pushes)
        for _ in range(QUIET_RECONCILES):
            town.resync()
            town.manager.reconcile_all()
            town.settle(1)
        after = (dict(self.witness.counts), town.store.writes, town.gitops.pushes)
        assert after == before, f"not at rest: {before} became {after}"

    def _is_near(self, record: PreviewRecord) -> bool:
        """Whether something is to happen by itself while quiet is looked for."""
        if record.phase is Phase.WAITING_FOR_IMAGE:
            return True
        if record.expiry is None:
            return False
        left = (record.expiry.at - self.town.clock.now()).total_seconds()
        warning = left - timedelta(hours=6).total_seconds()
        return abs(left) < NEAR_SECONDS or abs(warning) < NEAR_SECONDS

    def argo_cd_looks(self) -> None:
        """All roots, as it does every few minutes and after each deletion that it sees."""
        tip = self.town.gitops.tip
        assert tip is not None
        self.town.argocd.looks(tip.files, tip.id)

    def let_go(self) -> None:
        for namespace in sorted(self._held):
            self.town.cluster.let_go(namespace)
        self._held.clear()

    def heal(self) -> None:
        town = self.town
        town.forge.heal()
        town.gitops.is_unreachable = town.cluster.is_unreachable = False
        town.registry.is_unreachable = False
        town.cluster.catch_up()

    @property
    def _now(self) -> float:
        return self.town.clock.seconds

    @property
    def _all_are_configured(self) -> bool:
        return self._names.keys() == self.town.projects.keys()

    def _tick(self) -> None:
        """No two things happen at the same moment."""
        self.town.clock.seconds += 1

    def _pull(self, which: int) -> Pull:
        self._tick()
        return self.pulls[which % len(self.pulls)]

    def _note(self, pull: Pull, did: Did) -> None:
        for model in pull.previews.values():
            model.note(self._now, did)
