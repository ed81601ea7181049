"""One pull request of each poisonous kind among fifty healthy ones: these go live as ever, those say why."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from structlog.testing import capture_logs

from previews.domain.ports import Registry, Renderer, Store
from previews.domain.preview import (
    Grant,
    Image,
    Manifests,
    Mode,
    Parcel,
    Phase,
    PreviewKey,
    PullRequest,
)
from previews.errors import StalledError, TransientError
from previews.reconcile.world import World
from tests.fakes.forge import REFUSED
from tests.fakes.town import REPOSITORY, Town
from tests.unit.lives import key_of

HEALTHY = 50
HUGE = "x" * 60_000
ODD = "\u202e\x1b[31m'\"; DROP TABLE preview; --\n---\n{{.x}} <script>@everyone</script>"
DEADLINE_SECONDS = 700.0
"""Longer than a deployment may take."""


class PoisonedRenderer:
    """Has a bug that only some pull requests meet."""

    def __init__(self, renderer: Renderer, poisoned: set[int]) -> None:
        self._renderer = renderer
        self._poisoned = poisoned

    def render_preview(
        self,
        pull_request: PullRequest,
        key: PreviewKey,
        *,
        mode: Mode = Mode.AWAKE,
        redeployed_at: str = "",
        annotations: Mapping[str, str] | None = None,
        grant: Grant | None = None,
        image: Image | None = None,
        parcels: Sequence[Parcel] = (),
    ) -> Manifests:
        if key.number in self._poisoned:
            raise KeyError("rendering")
        return self._renderer.render_preview(
            pull_request,
            key,
            mode=mode,
            redeployed_at=redeployed_at,
            annotations=annotations,
            grant=grant,
            image=image,
            parcels=parcels,
        )

    def read_annotations(self, namespace_file: str) -> Mapping[str, str]:
        return self._renderer.read_annotations(namespace_file)

    def render_shard(self, shard: str) -> Mapping[str, str]:
        return self._renderer.render_shard(shard)


class PickyRegistry:
    """Refuses, or cannot tell, about the images of some pull requests."""

    def __init__(self, registry: Registry, errors: Mapping[int, Exception]) -> None:
        self._registry = registry
        self._errors = errors

    def find_image(self, repository: str, tag: str, platform: str = "") -> Image | None:
        error = self._errors.get(int(tag.split("-")[1]))
        if error is not None:
            raise error
        return self._registry.find_image(repository, tag, platform)


class PoisonedTown(Town):
    """Its renderer and its registry have favourites."""

    def __init__(self) -> None:
        self.unrenderable: set[int] = set()
        self.refused: dict[int, Exception] = {}
        super().__init__()

    def world(self, store: Store) -> World:
        world = super().world(store)
        return replace(
            world,
            renderer=PoisonedRenderer(world.renderer, self.unrenderable),
            registry=PickyRegistry(world.registry, self.refused),
        )

    def poison(self, *, title: str = "A change", branch: str = "feature") -> int:
        """A pull request of which nobody has told the manager yet."""
        number = self.forge.open_pull_request(REPOSITORY, branch, title)
        self.push_image(number)
        return number


@dataclass(frozen=True)
class Kind:
    """A way to be poisonous."""

    prepare: Callable[[PoisonedTown], int]
    phase: Phase | None
    """What is shown in the end; None if the forge never let the manager see it."""
    words: str
    """In its message."""


def rendering_raises(town: PoisonedTown) -> int:
    number = town.poison()
    town.unrenderable.add(number)
    return number


def the_registry_refuses(town: PoisonedTown) -> int:
    number = town.poison()
    town.refused[number] = StalledError("RegistryDenied", "the image is not for us to see")
    return number


def the_registry_cannot_tell(town: PoisonedTown) -> int:
    number = town.poison()
    town.refused[number] = TransientError("RegistryUnreachable", "the registry says 500")
    return number


def the_namespace_is_somebody_elses(town: PoisonedTown) -> int:
    number = town.poison()
    town.cluster.put_namespace(f"preview-shop-pr-{number}", instance="other")
    return number


def the_application_is_somebody_elses(town: PoisonedTown) -> int:
    number = town.poison()
    town.cluster.put_application(f"shop-pr-{number}", instance="other")
    return number


def the_forge_knows_no_such_pull_request(town: PoisonedTown) -> int:
    number = town.poison()
    del town.forge._repository(REPOSITORY).pull_requests[number]
    return number


def the_forge_refuses_to_show_it(town: PoisonedTown) -> int:
    number = town.poison()
    error = StalledError("ForgeAnswer", "its author is not what the description says")
    town.forge.fail(error, on=f"fetch_pull_request {REPOSITORY}#{number}")
    return number


def showing_it_meets_a_bug(town: PoisonedTown) -> int:
    number = town.poison()
    town.forge.fail(ValueError("no such field"), on=f"fetch_pull_request {REPOSITORY}#{number}")
    return number


def its_removal_is_stuck(town: PoisonedTown) -> int:
    number = town.open()
    town.settle()
    town.cluster.hold(f"preview-shop-pr-{number}", "SomeFinalizersRemain: example.org/never")
    town.forge.close(REPOSITORY, number)
    return number


def its_operation_never_ends(town: PoisonedTown) -> int:
    number = town.open()
    town.settle()
    town.cluster.ends_operations = False
    town.cluster.put_application(f"shop-pr-{number}", operation_phase="Running")
    town.forge.close(REPOSITORY, number)
    return number


def its_annotations_are_garbage(town: PoisonedTown) -> int:
    number = town.poison()
    folder = f"shop/0/pr-{number}"
    text = (
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  annotations:\n"
        "    previews.dev/created-at: yesterday\n    previews.dev/pinned: [1, {2: 3}]\n"
        "    previews.dev/expires-at: 9999-12-31T23:59:59Z\n    previews.dev/removal: ''\n"
    )
    town.gitops.commit_as_another({f"{folder}/namespace.yaml": text})
    return number


def its_files_are_no_yaml(town: PoisonedTown) -> int:
    number = town.poison()
    text = "{{ ][ \u202e &a *a"
    town.gitops.commit_as_another({f"shop/0/pr-{number}/namespace.yaml": text})
    return number


def its_labels_are_garbage(town: PoisonedTown) -> int:
    number = town.poison()
    labels = (
        "preview-ttl: 99999999999999999999d",
        "preview-ttl:",
        "preview-ttl: ²h",
        f"preview-ttl: {ODD}",
        HUGE,
    )
    town.forge.set_labels(REPOSITORY, number, *labels)
    return number


def its_texts_are_huge_and_odd(town: PoisonedTown) -> int:
    return town.poison(title=ODD + HUGE, branch=HUGE)


def argo_cd_refuses_its_manifests(town: PoisonedTown) -> int:
    number = town.open()
    town.settle()
    problem = "ClusterRole evil: not permitted in its project"
    town.cluster.put_application(f"shop-pr-{number}", problems=(problem,))
    return number


def it_never_answers(town: PoisonedTown) -> int:
    number = town.poison()
    town.prober.says(f"shop-pr-{number}.preview.example", "502 Bad Gateway")
    return number


def its_comment_is_refused(town: PoisonedTown) -> int:
    number = town.poison()
    town.forge.fail(REFUSED, on=f"ensure_comment {REPOSITORY}#{number}")
    return number


def its_status_is_refused(town: PoisonedTown) -> int:
    number = town.poison()
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    town.forge.fail(REFUSED, on=f"set_commit_status {REPOSITORY} {head_sha}")
    return number


KINDS = (
    Kind(argo_cd_refuses_its_manifests, Phase.DEGRADED, "ClusterRole evil"),
    Kind(rendering_raises, Phase.PROVISIONING, "KeyError('rendering')"),
    Kind(the_registry_refuses, Phase.WAITING_FOR_IMAGE, "not for us to see"),
    Kind(the_registry_cannot_tell, Phase.WAITING_FOR_IMAGE, "the registry says 500"),
    Kind(the_namespace_is_somebody_elses, Phase.BLOCKED, "exists already"),
    Kind(the_application_is_somebody_elses, Phase.BLOCKED, "exists already"),
    Kind(the_forge_knows_no_such_pull_request, None, "the forge knows no pull request"),
    Kind(the_forge_refuses_to_show_it, None, "not what the description says"),
    Kind(showing_it_meets_a_bug, None, "ValueError('no such field')"),
    Kind(its_removal_is_stuck, Phase.REMOVING, "example.org/never"),
    Kind(its_operation_never_ends, Phase.REMOVING, "pull request closed"),
    Kind(its_annotations_are_garbage, Phase.LIVE, "200 OK"),
    Kind(its_files_are_no_yaml, Phase.LIVE, "200 OK"),
    Kind(its_labels_are_garbage, Phase.LIVE, "200 OK"),
    Kind(its_texts_are_huge_and_odd, Phase.LIVE, "200 OK"),
    Kind(it_never_answers, Phase.DEGRADED, "502 Bad Gateway"),
    Kind(its_comment_is_refused, Phase.LIVE, "200 OK"),
    Kind(its_status_is_refused, Phase.LIVE, "200 OK"),
)


def seconds_until_live(town: Town) -> float:
    """Fifty pull requests are opened: how long until all are live, on the town's clock."""
    begin = town.clock.seconds
    numbers = [town.open() for _ in range(HEALTHY)]
    while {town.phase(number) for number in numbers if town.store.load(key_of(number))} != {
        Phase.LIVE
    }:
        town.settle(1)
        assert town.clock.seconds - begin < DEADLINE_SECONDS
    return town.clock.seconds - begin


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Tracebacks with every local variable, drawn for people, would take most of the time."""
    with capture_logs():
        yield


@pytest.mark.fault(15)
def test_one_of_each_kind_holds_up_none_of_fifty_and_shows_why() -> None:
    usual_seconds = seconds_until_live(PoisonedTown())
    town = PoisonedTown()
    poisoned = {kind.prepare(town): kind for kind in KINDS}
    for number in poisoned:
        town.deliver(number)
    manager = town.manager
    assert seconds_until_live(town) <= usual_seconds
    town.loop.enqueue([key_of(number) for number in poisoned])
    town.settle(DEADLINE_SECONDS)
    shown = {number: town.record(number) for number in poisoned}
    for number, kind in poisoned.items():
        assert kind.words in shown[number].message, kind.prepare.__name__
        assert kind.phase in {None, shown[number].phase}, kind.prepare.__name__
    assert town.manager is manager
    assert all(town.loop.readiness()[part] is None for part in ("git", "cluster"))


@pytest.mark.fault(15)
def test_poison_survives_no_restart_as_a_crash() -> None:
    town = PoisonedTown()
    for kind in KINDS:
        town.deliver(kind.prepare(town))
    town.settle()
    town.start()
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
