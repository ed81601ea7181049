"""Faults of clocks, stores, clusters and people, on fakes: what is there in the end, and what was never deleted."""

from collections import Counter
from datetime import timedelta

import pytest

from previews.domain.preview import Phase
from tests.fakes.store import InMemoryStore
from tests.fakes.town import REPOSITORY, Town
from tests.faults.town_life import LONG, argo_cd_looks, come_to_rest, live
from tests.unit.lives import DAY, DAYS_3, HOUR, key_of, town_of

DAY_AHEAD, DAY_BEHIND = timedelta(days=1), timedelta(days=-1)


# 13: the store is out of order now and then.


@pytest.mark.fault(13)
def test_a_store_that_comes_and_goes_loses_nothing_and_leaves_nothing_stuck() -> None:
    town = Town()
    stays, closes = live(town, 2)
    for _ in range(20):
        town.store.unavailable = True
        town.loop.enqueue([key_of(stays), key_of(closes)])
        town.settle(2)
        town.store.unavailable = False
        town.settle(10)
    town.store.unavailable = True
    town.forge.close(REPOSITORY, closes)
    town.forge.push(REPOSITORY, stays)
    town.push_image(stays)
    town.resync()
    town.settle(LONG)
    town.store.unavailable = False
    come_to_rest(town)
    assert (town.phase(stays), town.phase(closes)) == (Phase.LIVE, Phase.REMOVED)
    assert town.left_of(closes) == set()
    assert town.cluster.deleted[f"Application shop-pr-{stays}"] == 0


# 17: clocks.


@pytest.mark.fault(17)
def test_a_clock_that_jumps_back_keeps_everybody_and_delays_no_expiry_for_good() -> None:
    town = town_of(DAYS_3)
    (number,) = live(town, 1)
    town.clock.wrong_by = DAY_BEHIND
    come_to_rest(town)
    assert town.phase(number) is Phase.LIVE
    opened = town.open()
    town.settle()
    assert town.phase(opened) is Phase.LIVE
    town.close(opened)
    town.settle()
    assert town.left_of(opened) == set()
    town.clock.wrong_by = timedelta()
    town.settle(3 * DAY + HOUR)
    assert town.phase(number) is Phase.EXPIRED
    assert town.left_of(number) == set()


# 24: history rewritten.


@pytest.mark.fault(24)
def test_a_rewritten_history_is_made_good_without_a_deletion() -> None:
    town = Town()
    numbers = live(town, 3)
    begin = town.gitops.history[0].id
    files = dict(town.gitops.files)
    town.gitops.set_back_to(begin)
    town.gitops.commit_as_another({"notes.md": "a new history"})
    town.resync()
    town.settle()
    argo_cd_looks(town)
    assert town.gitops.files == {**files, "notes.md": "a new history"}
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    assert town.cluster.deleted == Counter()


def waiting_for_an_image(town: Town) -> tuple[int, dict[str, str]]:
    """A live preview whose pull request has a new head without an image, and what is in Git meanwhile."""
    (number,) = live(town, 1)
    town.push(number, image=False)
    town.settle()
    return number, dict(town.gitops.files)


def files_of(town: Town, number: int) -> list[str]:
    return [path for path in town.gitops.files if f"/pr-{number}/" in path]


@pytest.mark.fault(21)
def test_what_waits_for_an_image_is_mended_too_after_a_restart() -> None:
    town = Town()
    number, files = waiting_for_an_image(town)
    town.start()
    town.settle()
    town.gitops.commit_as_another(dict.fromkeys(files_of(town, number)))
    come_to_rest(town)
    argo_cd_looks(town)
    assert town.gitops.files == files
    assert town.cluster.deleted == Counter()


@pytest.mark.fault(21)
def test_what_was_taken_out_of_git_while_the_manager_was_down_comes_back_without_its_image() -> (
    None
):
    town = Town()
    number, files = waiting_for_an_image(town)
    town.gitops.commit_as_another(dict.fromkeys(files_of(town, number)))
    # Argo CD has not looked at Git since.
    town.cluster.on_refresh = lambda _: None
    town.start()
    come_to_rest(town)
    argo_cd_looks(town)
    assert town.gitops.files == files
    assert town.cluster.deleted == Counter()


@pytest.mark.fault(21)
def test_a_namespace_that_argo_cd_took_away_meanwhile_comes_back_without_its_image() -> None:
    town = Town()
    number, files = waiting_for_an_image(town)
    (path,) = (path for path in files_of(town, number) if path.endswith("namespace.yaml"))
    town.gitops.commit_as_another({path: None})
    argo_cd_looks(town)
    town.start()
    come_to_rest(town)
    assert town.gitops.files == files
    assert f"preview-shop-pr-{number}" in town.cluster.namespaces


def store_as_it_is(town: Town) -> InMemoryStore:
    """A copy to be restored later."""
    copy = InMemoryStore()
    for record in town.store.list_records():
        copy.save(record)
    return copy


@pytest.mark.fault(13)
def test_a_store_of_yesterday_overwrites_nothing_of_what_waits_for_an_image() -> None:
    town = Town()
    (number,) = live(town, 1)
    yesterday = store_as_it_is(town)
    town.push(number)
    town.settle()
    town.push(number, image=False)
    town.settle()
    files = dict(town.gitops.files)
    town.store = yesterday
    town.start()
    come_to_rest(town)
    assert town.phase(number) is Phase.WAITING_FOR_IMAGE
    assert town.gitops.files == files


@pytest.mark.fault(13)
def test_nor_does_it_bring_back_what_it_alone_believes_to_be_deployed() -> None:
    town = Town()
    (number,) = live(town, 1)
    yesterday = store_as_it_is(town)
    town.push(number)
    town.settle()
    town.push(number, image=False)
    town.settle()
    commits = len(town.gitops.history)
    town.gitops.commit_as_another(dict.fromkeys(files_of(town, number)))
    town.store = yesterday
    town.start()
    come_to_rest(town)
    assert files_of(town, number) == []
    assert len(town.gitops.history) == commits + 1


@pytest.mark.fault(21)
def test_a_namespace_file_that_is_no_manifest_blocks_neither_a_removal_nor_its_shard() -> None:
    town = Town()
    closes, stays = live(town, 2)
    town.forge.close(REPOSITORY, closes)
    town.store = type(town.store)()
    town.gitops.commit_as_another({f"shop/0/pr-{closes}/namespace.yaml": "edited: true\n"})
    town.start()
    come_to_rest(town)
    town.push(stays)
    come_to_rest(town)
    assert town.phase(stays) is Phase.LIVE
    assert town.left_of(closes) == set()


# 27-33: Argo CD and Kubernetes.


@pytest.mark.fault(27)
def test_a_stuck_namespace_is_told_in_kubernetes_words_and_holds_up_nobody_else() -> None:
    town = Town()
    stuck, other = live(town, 2)
    words = "SomeFinalizersRemain: some content has finalizers remaining: example.org/never in 1 resource"
    town.cluster.hold(f"preview-shop-pr-{stuck}", words)
    town.close(stuck)
    town.close(other)
    town.settle(HOUR)
    assert words in town.record(stuck).message
    assert town.phase(other) is Phase.REMOVED
    assert town.cluster.deleted[f"Namespace preview-shop-pr-{stuck}"] == 0
    town.reopen(stuck)
    town.settle(HOUR)
    assert words in town.record(stuck).message
    town.cluster.let_go(f"preview-shop-pr-{stuck}")
    come_to_rest(town)
    assert town.phase(stuck) is Phase.LIVE


@pytest.mark.fault(28)
def test_application_and_namespace_taken_out_in_one_commit_by_hand_come_back() -> None:
    town = Town()
    (number,) = live(town, 1)
    files = dict(town.gitops.files)
    ours = [path for path in files if f"/pr-{number}/" in path]
    town.gitops.commit_as_another(dict.fromkeys(ours))
    argo_cd_looks(town)
    come_to_rest(town)
    assert town.gitops.files == files
    assert town.phase(number) is Phase.LIVE
    assert town.cluster.created[f"Namespace preview-shop-pr-{number}"] == 2


@pytest.mark.fault(28)
def test_application_and_namespace_taken_out_in_one_commit_do_not_block_the_removal() -> None:
    town = Town()
    (number,) = live(town, 1)
    town.cluster.hold(f"shop-pr-{number}", "")
    town.gitops.commit_as_another(
        {path: None for path in town.gitops.files if f"/pr-{number}/" in path}
    )
    argo_cd_looks(town)
    town.close(number)
    town.settle(LONG)
    town.cluster.let_go(f"shop-pr-{number}")
    come_to_rest(town)
    assert town.left_of(number) == set()
    assert town.phase(number) is Phase.REMOVED


@pytest.mark.fault(29)
def test_the_namespace_goes_only_after_the_application_and_the_receipt_only_after_both() -> None:
    town = Town()
    (number,) = live(town, 1)
    town.cluster.hold(f"preview-shop-pr-{number}", "NamespaceContentRemaining: configmaps.")
    town.close(number)
    town.settle(HOUR)
    record = town.record(number)
    assert record.removal is not None
    assert record.removal.finished_at is None
    assert "Application" in {gone.kind for gone in record.removal.gone}
    town.cluster.let_go(f"preview-shop-pr-{number}")
    come_to_rest(town)
    removal = town.record(number).removal
    assert removal is not None
    assert removal.finished_at is not None


@pytest.mark.fault(30)
def test_an_app_project_deleted_first_is_made_good_and_never_hangs_a_removal() -> None:
    town = Town()
    stays, closes = live(town, 2)
    for number in (stays, closes):
        (project_name,) = (
            name for name in town.cluster.app_projects if name.endswith(f"pr-{number}")
        )
        town.cluster.delete_app_project(project_name)
    argo_cd_looks(town)
    town.close(closes)
    come_to_rest(town)
    assert "AppProject" in town.left_of(stays)
    assert town.phase(stays) is Phase.LIVE
    assert town.left_of(closes) == set()


@pytest.mark.fault(31)
@pytest.mark.parametrize("stage", ["application", "namespace"])
def test_reopened_at_any_stage_of_its_removal_a_new_preview_survives(stage: str) -> None:
    town = Town()
    (number,) = live(town, 1)
    held = f"shop-pr-{number}" if stage == "application" else f"preview-shop-pr-{number}"
    before = town.cluster.namespaces[f"preview-shop-pr-{number}"].uid
    town.cluster.hold(held, "waiting")
    town.close(number)
    town.settle(LONG)
    town.reopen(number)
    town.settle(LONG)
    town.cluster.let_go(held)
    come_to_rest(town)
    assert town.phase(number) is Phase.LIVE
    after = town.cluster.namespaces[f"preview-shop-pr-{number}"]
    assert after.uid != before
    assert not after.deleting
    assert town.cluster.deleted[f"Namespace {after.name}"] == 1


@pytest.mark.fault(33)
@pytest.mark.parametrize("kind", ["Application", "Namespace", "AppProject"])
def test_what_somebody_deletes_in_the_cluster_is_made_again_once(kind: str) -> None:
    town = Town()
    stays, deleted = live(town, 2)
    names = town.projects["shop"].names(deleted)
    thing, delete = {
        "Application": (names.application, town.cluster.delete_application),
        "Namespace": (names.namespace, town.cluster.delete_namespace),
        "AppProject": (names.app_project, town.cluster.delete_app_project),
    }[kind]
    delete(thing)
    argo_cd_looks(town)
    come_to_rest(town)
    argo_cd_looks(town)
    assert (town.phase(stays), town.phase(deleted)) == (Phase.LIVE, Phase.LIVE)
    assert town.cluster.created[f"{kind} {thing}"] == 2
    assert town.cluster.deleted == Counter({f"{kind} {thing}": 1})


@pytest.mark.fault(33)
def test_a_namespace_deleted_by_hand_that_does_not_go_is_told_and_comes_again_in_the_end() -> None:
    town = Town()
    (number,) = live(town, 1)
    name = f"preview-shop-pr-{number}"
    town.cluster.hold(name, "NamespaceContentRemaining: example.org/never remains")
    town.cluster.delete_namespace(name)
    come_to_rest(town)
    assert town.phase(number) is not Phase.LIVE
    assert "example.org/never" in town.record(number).message
    town.cluster.let_go(name)
    come_to_rest(town)
    argo_cd_looks(town)
    come_to_rest(town)
    assert town.phase(number) is Phase.LIVE
    assert town.cluster.created[f"Namespace {name}"] == 2


@pytest.mark.fault(34)
def test_a_watch_that_says_nothing_more_deletes_nothing_and_is_caught_up_with() -> None:
    town = Town()
    stays, closes = live(town, 2)
    town.cluster.lag()
    opened = town.open()
    town.push(stays)
    town.close(closes)
    come_to_rest(town)
    assert town.cluster.deleted[f"Application shop-pr-{stays}"] == 0
    assert town.cluster.deleted[f"Namespace preview-shop-pr-{opened}"] == 0
    town.cluster.catch_up()
    come_to_rest(town)
    assert (town.phase(stays), town.phase(opened)) == (Phase.LIVE, Phase.LIVE)
    assert town.phase(closes) is Phase.REMOVED
    assert town.left_of(closes) == set()


@pytest.mark.fault(35)
def test_an_api_server_that_is_away_for_minutes_takes_no_state_back() -> None:
    town = Town()
    stays, closes = live(town, 2)
    town.cluster.is_unreachable = True
    town.close(closes)
    town.push(stays)
    opened = town.open()
    for _ in range(5):
        town.resync()
        town.settle(60)
    assert town.cluster.deleted == Counter()
    assert town.phase(opened) is not Phase.LIVE
    assert "does not answer" in town.record(opened).message
    town.cluster.is_unreachable = False
    come_to_rest(town)
    assert (town.phase(stays), town.phase(opened)) == (Phase.LIVE, Phase.LIVE)
    assert town.left_of(closes) == set()
