"""Any order of what people, other programs and misfortune do: the manager ends where it must, and rests there.

`PREVIEWS_MACHINE_EXAMPLES=500 PREVIEWS_MACHINE_STEPS=60 pytest tests/machines` looks longer than `make test` does.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.fakes.stepped_manager import SteppedManager
from tests.machines.people import LABELS, PULL_REQUESTS_MAX, WAITS, People
from tests.machines.sight import WITHOUT_IMAGE

EXAMPLES = int(os.environ.get("PREVIEWS_MACHINE_EXAMPLES", "40"))
STEPS = int(os.environ.get("PREVIEWS_MACHINE_STEPS", "25"))

TEXTS = (None, "# mine\n")
"""By hand in Git. What is no manifest blocks a removal and its shard (a strict xfail in tests/faults has that bug)."""
which = st.integers(0, PULL_REQUESTS_MAX - 1)
heard = st.booleans()
"""Whether the webhook comes."""
of_project = st.sampled_from(("shop", "docs"))


def has_any(machine: "DesiredStates") -> bool:
    return bool(machine.people.pulls)


class DesiredStates(RuleBasedStateMachine):
    """One repository, two projects, a few pull requests. Whoever acts, `People` notes it for the model."""

    @initialize(opened=st.integers(0, 2), hours=st.sampled_from((None, 24)))
    def begin(self, opened: int, hours: int | None) -> None:
        self.people = People()
        if hours is not None:
            self.people.configure_ttl(hours)
        for _ in range(opened):
            self.people.open(image=True, heard=True)
        self.people.look()

    # Authors and reviewers.

    @precondition(lambda self: len(self.people.pulls) < PULL_REQUESTS_MAX)
    @rule(image=st.booleans(), heard=heard)
    def open(self, image: bool, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.people.open(image=image, heard=heard)

    @precondition(has_any)
    @rule(which=which, image=st.booleans(), heard=heard)
    def push(self, which: int, image: bool, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.people.push(which, image=image, heard=heard)

    @precondition(has_any)
    @rule(which=which, back=st.integers(1, 3), heard=heard)
    def force_push_back(self, which: int, back: int, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.people.force_push_back(which, back, heard=heard)

    @precondition(has_any)
    @rule(which=which)
    def build_image(self, which: int) -> None:
        self.people.build_image(which)

    @precondition(has_any)
    @rule(which=which, label=st.sampled_from(("", *LABELS)), heard=heard)
    def label(self, which: int, label: str, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.people.label(which, label, heard=heard)

    @precondition(has_any)
    @rule(which=which, heard=heard)
    def close(self, which: int, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.people.close(which, heard=heard)

    @precondition(has_any)
    @rule(which=which, heard=heard)
    def reopen(self, which: int, heard: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.people.reopen(which, heard=heard)

    @rule()
    def rename_the_repository(self) -> None:
        self.people.rename()

    # Whoever asks something of the manager.

    @precondition(has_any)
    @rule(
        which=which,
        name=of_project,
        verb=st.sampled_from(("extend", "pin", "unpin", "sleep", "wake", "redeploy", "remove")),
    )
    def act(self, which: int, name: str, verb: str) -> None:
        self.people.act(which, name, verb)

    # Time, and how far the manager comes.

    @rule(seconds=st.sampled_from(WAITS))
    def time_passes(self, seconds: float) -> None:
        self.people.wait(seconds)

    @rule(steps=st.integers(1, 6))
    def the_manager_gets_a_little_further(self, steps: int) -> None:
        self.people.work(steps)

    @rule()
    def resync(self) -> None:
        self.people.town.resync()

    @rule()
    def argo_cd_looks_by_itself(self) -> None:
        self.people.argo_cd_looks()

    @rule()
    def everything_comes_to_rest(self) -> None:
        self.people.look()

    # Administrators.

    @rule(hours=st.sampled_from((None, 3, 24)))
    def change_the_time_to_live(self, hours: int | None) -> None:
        self.people.configure_ttl(hours)

    @rule(text=st.integers(1, 3))
    def change_what_is_deployed(self, text: int) -> None:
        self.people.configure_values(text)

    @precondition(lambda self: WITHOUT_IMAGE in self.people.town.projects)
    @rule()
    def take_a_project_out(self) -> None:
        self.people.take_out()

    @precondition(lambda self: WITHOUT_IMAGE not in self.people.town.projects)
    @rule(drained=st.booleans())
    def put_it_back(self, drained: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        self.people.put_back(drained=drained)

    # Hands where they do not belong.

    @precondition(has_any)
    @rule(
        which=which,
        name=of_project,
        kind=st.sampled_from(("Application", "Namespace", "AppProject")),
    )
    def delete_in_the_cluster(self, which: int, name: str, kind: str) -> None:
        self.people.delete_in_the_cluster(which, name, kind)

    @precondition(has_any)
    @rule(which=which, name=of_project)
    def keep_a_namespace_from_going(self, which: int, name: str) -> None:
        self.people.hold(which, name)

    @rule()
    def let_namespaces_go(self) -> None:
        self.people.let_go()

    @rule(file=st.integers(0, 20), text=st.sampled_from(TEXTS))
    def meddle_with_a_file(self, file: int, text: str | None) -> None:
        self.people.meddle(file, text)

    @rule(back=st.integers(1, 4))
    def set_the_branch_back(self, back: int) -> None:
        self.people.set_branch_back(back)

    # Misfortune.

    @rule()
    def restart(self) -> None:
        self.people.restart()

    @rule()
    def lose_the_store(self) -> None:
        self.people.lose_store()

    @rule()
    def back_the_store_up(self) -> None:
        self.people.back_up()

    @rule()
    def restore_the_store(self) -> None:
        self.people.restore()

    @rule(part=st.sampled_from(("forge", "git", "cluster", "registry")))
    def something_is_down(self, part: str) -> None:
        self.people.break_down(part)

    @rule(count=st.integers(1, 3), rejected=st.booleans())
    def pushes_go_wrong(self, count: int, rejected: bool) -> None:  # noqa: FBT001 drawn by hypothesis
        if rejected:
            self.people.town.gitops.reject_pushes(count)
        else:
            self.people.town.gitops.lose_answers(count)

    @rule(age=st.integers(1, 4))
    def the_forge_answers_with_an_older_list(self, age: int) -> None:
        self.people.list_as_before(age)

    @rule()
    def the_watch_lags(self) -> None:
        self.people.town.cluster.lag()

    @rule()
    def all_that_was_down_is_back(self) -> None:
        self.people.heal()

    def teardown(self) -> None:
        if hasattr(self, "people"):
            self.people.look()


class ASecondManager(DesiredStates):
    """The same, with a manager that is paused while another works, and goes on with what it knew."""

    @initialize()
    def begin_alone(self) -> None:
        self.paused: list[SteppedManager] = []

    @precondition(lambda self: not self.paused)
    @rule()
    def pause_it_and_start_another(self) -> None:
        self.paused.append(self.people.town.manager)
        self.people.restart()

    @precondition(lambda self: self.paused)
    @rule(steps=st.integers(1, 8), resyncs=st.booleans())
    def the_paused_one_goes_on_for_a_moment(self, steps: int, resyncs: bool) -> None:  # noqa: FBT001 drawn
        manager = self.paused.pop()
        if resyncs:
            manager.resync()
        self.people.work(steps, manager)


SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
DesiredStates.TestCase.settings = SETTINGS
ASecondManager.TestCase.settings = SETTINGS
TestDesiredStates = DesiredStates.TestCase
TestASecondManager = ASecondManager.TestCase
