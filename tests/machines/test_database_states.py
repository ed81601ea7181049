"""Any order of what befalls databases: who is open gets into its own in the end, and nothing is left of who is closed.

`PREVIEWS_MACHINE_EXAMPLES=500 PREVIEWS_MACHINE_STEPS=60 pytest tests/machines` looks longer than `make test` does.
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.machines.owners import PULL_REQUESTS_MAX, Owners
from tests.machines.test_desired_states import SETTINGS

which = st.integers(0, PULL_REQUESTS_MAX - 1)


def has_any(machine: "DatabaseStates") -> bool:
    return bool(machine.owners.is_open)


class DatabaseStates(RuleBasedStateMachine):
    """One project whose previews have databases, a warm pool, and decoys beside them."""

    @initialize(in_git=st.booleans(), warm=st.integers(0, 2))
    def begin(self, in_git: bool, warm: int) -> None:  # noqa: FBT001 drawn by hypothesis
        self.owners = Owners(in_git=in_git, warm=warm)
        self.owners.open()
        self.owners.look()

    # Authors, and whoever asks something of the manager.

    @precondition(lambda self: len(self.owners.is_open) < PULL_REQUESTS_MAX)
    @rule()
    def open(self) -> None:
        self.owners.open()

    @precondition(has_any)
    @rule(which=which)
    def push(self, which: int) -> None:
        self.owners.push(which)

    @precondition(has_any)
    @rule(which=which, heard=st.booleans())
    def close(self, which: int, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.owners.close(which, heard=heard)

    @precondition(has_any)
    @rule(which=which, heard=st.booleans())
    def reopen(self, which: int, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.owners.reopen(which, heard=heard)

    @precondition(has_any)
    @rule(
        which=which,
        verb=st.sampled_from(("reset_database", "rotate_password", "sleep", "wake", "redeploy")),
    )
    def act(self, which: int, verb: str) -> None:
        self.owners.act(which, verb)

    # Hands on the server and elsewhere.

    @precondition(has_any)
    @rule(
        which=which,
        how=st.sampled_from(("drop", "drop database", "lose role", "half made", "foreign")),
    )
    def meddle_on_the_server(self, which: int, how: str) -> None:
        self.owners.meddle(which, how)

    @precondition(has_any)
    @rule(which=which)
    def use_it_so_that_no_force_ends_it(self, which: int) -> None:
        self.owners.hold(which)

    @precondition(has_any)
    @rule(which=which)
    def delete_a_namespace(self, which: int) -> None:
        self.owners.delete_namespace(which)

    @rule()
    def build_the_template_anew(self) -> None:
        self.owners.build_template()

    @rule()
    def renew_the_certificate(self) -> None:
        self.owners.renew_certificate()

    # Misfortune, and how far the manager comes.

    @rule(part=st.sampled_from(("server", "secrets", "template", "git", "cluster", "forge")))
    def something_is_down(self, part: str) -> None:
        self.owners.break_down(part)

    @rule(operation=st.sampled_from(("create", "set_credential", "drop", "note_migrated")))
    def an_answer_of_the_server_is_lost(self, operation: str) -> None:
        self.owners.lose_answer(operation)

    @rule()
    def all_that_was_down_is_back(self) -> None:
        self.owners.heal()

    @rule()
    def restart(self) -> None:
        self.owners.restart()

    @rule()
    def lose_the_store(self) -> None:
        self.owners.lose_store()

    @rule(seconds=st.sampled_from((5.0, 60.0, 7200.0)))
    def time_passes(self, seconds: float) -> None:
        self.owners.wait(seconds)

    @rule(steps=st.integers(1, 8))
    def the_manager_gets_a_little_further(self, steps: int) -> None:
        self.owners.work(steps)

    @rule()
    def resync(self) -> None:
        self.owners.town.resync()

    @rule()
    def everything_comes_to_rest(self) -> None:
        self.owners.look()

    def teardown(self) -> None:
        if hasattr(self, "owners"):
            self.owners.look()


DatabaseStates.TestCase.settings = SETTINGS
TestDatabaseStates = DatabaseStates.TestCase
