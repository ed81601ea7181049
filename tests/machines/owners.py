"""A town whose previews have databases, everybody who meddles with them, and what must be seen in the end."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace

from hypothesis import note

from previews.domain.database import Database, SecretKind
from previews.domain.naming import database_name, names_of
from previews.domain.observation import DATABASE_FILE
from previews.domain.preview import Phase, PreviewKey
from previews.errors import ActionRefusedError, TransientError
from previews.reconcile.warm_pool import Pool
from tests.fakes.forge import UNREACHABLE
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import OWN_DATABASE, SERVER, TEMPLATE
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project

PULL_REQUESTS_MAX = 3
QUIET_RECONCILES = 20
ROUNDS = 5
ROUND_SECONDS = 120.0
FOREIGN = PreviewKey("shop", 9)
"""Of no pull request: somebody else's database that bears the name of one."""
DECOY = "customers"


class Owners:
    """Acts on a town, and remembers whose data may be gone."""

    def __init__(self, *, in_git: bool, warm: int) -> None:
        kind = SecretKind.SEALED_SECRETS if in_git else SecretKind.KUBERNETES
        policy = replace(OWN_DATABASE, secret_kind=kind, migrations="migrations")
        self.witness = CountingWitness()
        self.town = Town([project("shop", database=policy)], witness=self.witness)
        self.town.secrets.in_git = in_git
        self.town.pools = (Pool(SERVER, TEMPLATE, warm),) if warm else ()
        self.warm = warm
        self.is_open: dict[int, bool] = {}
        self._incarnations: dict[int, str] = {}
        """At the last look, of those whose data must still be there at the next."""
        self._held: set[int] = set()
        self._foreign: set[int] = set()
        self._lost: set[str] = set()
        self.town.databases.put_foreign(FOREIGN)
        self.town.databases.databases[DECOY] = Database(
            name=DECOY, key=None, has_role=True, has_database=True
        )
        self.town.databases.on_operation = self._answer
        self.town.start()

    # What people do.

    def open(self) -> None:
        self.is_open[self.town.open()] = True

    def push(self, which: int) -> None:
        self.town.push(self._number(which))

    def close(self, which: int, *, heard: bool) -> None:
        number = self._number(which)
        if self.is_open[number]:
            self.is_open[number] = False
            self._incarnations.pop(number, None)
            self.town.forge.close(REPOSITORY, number)
            self._hear(number, heard=heard)

    def reopen(self, which: int, *, heard: bool) -> None:
        number = self._number(which)
        if not self.is_open[number]:
            self.is_open[number] = True
            self.town.forge.reopen(REPOSITORY, number)
            self._hear(number, heard=heard)

    def act(self, which: int, verb: str) -> None:
        number = self._number(which)
        with suppress(ActionRefusedError):
            getattr(self.town.loop.actions, verb)(key_of(number), actor="ann")
            if verb == "reset_database":
                self._incarnations.pop(number, None)

    # What is done to the server, and elsewhere.

    def meddle(self, which: int, how: str) -> None:
        number = self._number(which)
        key, server = key_of(number), self.town.databases
        found = server.databases.get(database_name(key))
        if how == "foreign" and found is None:
            server.put_foreign(key)
            self._foreign.add(number)
        if how == "half made" and found is None:
            server.put_half_made(key)
        if found is None or found.key is None:
            return
        if how in {"drop", "drop database"}:
            self._incarnations.pop(number, None)
        if how == "drop":
            del server.databases[found.name]
            server.passwords.pop(found.name, None)
        if how == "drop database":
            server.databases[found.name] = replace(
                found, has_database=False, is_ready=False, incarnation="", created_at=None
            )
        if how == "lose role":
            server.lose_role(key)

    def hold(self, which: int) -> None:
        number = self._number(which)
        self._held.add(number)
        self.town.databases.hold(key_of(number), "a prepared transaction")

    def delete_namespace(self, which: int) -> None:
        namespace = names_of(key_of(self._number(which)), host_pattern="").namespace
        if namespace in self.town.cluster.namespaces:
            self.town.cluster.delete_namespace(namespace)
        self._take_away_secrets()

    def build_template(self) -> None:
        self._tick()
        self.town.databases.put_template(TEMPLATE, self.town.clock.now())

    def renew_certificate(self) -> None:
        """Whoever is agreed with is looked at again by the next process."""
        self.town.secrets.renew_certificate()
        self.restart()

    # Misfortune.

    def break_down(self, part: str) -> None:
        town = self.town
        if part == "server":
            town.databases.fail()
        if part == "template":
            town.databases.builds.clear()
        if part == "forge":
            town.forge.fail(UNREACHABLE)
        town.secrets.unavailable |= part == "secrets"
        town.gitops.is_unreachable |= part == "git"
        town.cluster.is_unreachable |= part == "cluster"

    def lose_answer(self, operation: str) -> None:
        """The next of these is done, and nobody hears of it."""
        self._lost.add(operation)

    def _answer(self, when: str, operation: str) -> None:
        if when == "after" and operation in self._lost:
            self._lost.discard(operation)
            raise TransientError("DatabaseServerUnreachable", f"nobody heard of {operation}")

    def heal(self) -> None:
        town = self.town
        town.databases.recover()
        if TEMPLATE not in town.databases.builds:
            town.databases.put_template(TEMPLATE, town.clock.now())
        town.secrets.unavailable = False
        town.forge.heal()
        town.gitops.is_unreachable = town.cluster.is_unreachable = False
        town.cluster.catch_up()

    def restart(self) -> None:
        self._tick()
        self.town.start()

    def lose_store(self) -> None:
        self.town.store = InMemoryStore()
        self.restart()

    def wait(self, seconds: float) -> None:
        self.town.clock.seconds += seconds

    def work(self, steps: int) -> None:
        for _ in range(steps):
            self.town.manager._step()
        self._take_away_secrets()

    # What must be seen.

    def look(self) -> None:
        """Let everything come to rest, and compare."""
        self._rest()
        for number, is_open in self.is_open.items():
            if is_open:
                self._expect_own(number)
            else:
                self._expect_nothing(number)
        databases = self.town.databases.databases
        for name in (database_name(FOREIGN), DECOY):
            assert databases[name].key is None, f"{name} was touched"
        expected = {database_name(FOREIGN), DECOY} | {
            database_name(key_of(number)) for number, is_open in self.is_open.items() if is_open
        }
        assert databases.keys() == expected
        assert len(self.town.databases.pool) == self.warm
        self._expect_quiet()

    def _rest(self) -> None:
        self.heal()
        self._lost.clear()
        for number in self._held:
            self.town.databases.let_go(key_of(number))
        self._held.clear()
        for number in self._foreign:
            name = database_name(key_of(number))
            assert self.town.databases.databases[name].key is None, f"{name} was touched"
            del self.town.databases.databases[name]
        self._foreign.clear()
        for _ in range(ROUNDS):
            tip = self.town.gitops.tip
            if tip is not None:
                self.town.argocd.looks(tip.files, tip.id)
            self.town.resync()
            self.town.loop.resync.resync(everything=True)
            self._take_away_secrets()
            self.town.settle(ROUND_SECONDS)
        self._take_away_secrets()

    def _expect_own(self, number: int) -> None:
        key, town = key_of(number), self.town
        record = town.record(number)
        note(f"{key}: {record.phase} {record.reason} {record.message}")
        assert record.phase in {Phase.LIVE, Phase.ASLEEP}, f"{key} is {record.phase}"
        names = names_of(key, host_pattern="")
        town.secrets.sync(town.gitops.files.get(f"{names.folder}/{DATABASE_FILE}", ""))
        data = town.secrets.data(names.namespace, "database")
        assert data is not None, f"{key} has no secret"
        login = town.databases.login(key, data["PGPASSWORD"])
        assert town.databases.can_log_in(login), f"{key} cannot log in"
        database = town.databases.databases[names.database]
        said = town.gitops.files[f"{names.folder}/application.yaml"]
        assert database.incarnation in said
        assert database.credential in said
        before = self._incarnations.get(number, database.incarnation)
        assert before == database.incarnation, f"{key} lost its data without a cause"
        self._incarnations[number] = database.incarnation

    def _expect_nothing(self, number: int) -> None:
        name = database_name(key_of(number))
        assert name not in self.town.databases.databases, f"{name} is left"
        assert name not in self.town.databases.passwords, f"the role {name} is left"

    def _expect_quiet(self) -> None:
        town = self.town
        changes: Counter[str] = Counter()
        town.databases.on_operation = lambda when, name: changes.update(
            [name] if when == "after" else []
        )
        before = (dict(self.witness.counts), town.store.writes, town.gitops.pushes)
        for _ in range(QUIET_RECONCILES):
            town.resync()
            town.manager.reconcile_all()
            town.settle(1)
        after = (dict(self.witness.counts), town.store.writes, town.gitops.pushes)
        assert after == before, f"not at rest: {before} became {after}"
        assert changes.keys() <= {"find", "list_databases", "templates"}, f"done: {changes}"
        town.databases.on_operation = self._answer

    # What they have in common.

    def _take_away_secrets(self) -> None:
        """Those of namespaces that are gone."""
        for number in self.is_open:
            namespace = names_of(key_of(number), host_pattern="").namespace
            if namespace not in self.town.cluster.namespaces:
                self.town.secrets.remove_namespace(namespace)

    def _hear(self, number: int, *, heard: bool) -> None:
        if heard:
            self.town.deliver(number)

    def _tick(self) -> None:
        """No two things happen at the same moment."""
        self.town.clock.seconds += 1

    def _number(self, which: int) -> int:
        self._tick()
        numbers = sorted(self.is_open)
        return numbers[which % len(numbers)]


def key_of(number: int) -> PreviewKey:
    return PreviewKey("shop", number)
