"""Whose turn it is when there are too few places."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.caps import Caps, Holder, Place, Waiting, place_of
from previews.domain.preview import PreviewKey

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NO_CAPS = Caps()


def holder(
    number: int,
    *,
    author: str = "alice",
    project: str = "shop",
    awake: bool = True,
    pinned: bool = False,
    used: int = 0,
) -> Holder:
    return Holder(
        key=PreviewKey(project, number),
        author=author,
        is_awake=awake,
        is_pinned=pinned,
        last_use=NOON + timedelta(minutes=used),
    )


def waiting(
    number: int,
    *,
    since: int | None = None,
    author: str = "alice",
    project: str = "shop",
    sleeps: bool = False,
) -> Waiting:
    return Waiting(
        key=PreviewKey(project, number),
        author=author,
        since=NOON + timedelta(minutes=number if since is None else since),
        is_there=sleeps,
    )


def place(
    asking: Waiting,
    queue: list[Waiting],
    holders: list[Holder],
    project: Caps = NO_CAPS,
    server: Caps = NO_CAPS,
) -> Place | None:
    return place_of(asking, queue, holders, server, {"shop": project})


def test_there_is_room_until_the_limit() -> None:
    two = Caps(previews=2)
    assert place(waiting(2), [], [holder(1)], two) is None
    found = place(waiting(3), [], [holder(1), holder(2)], two)
    assert found == Place(1, "2 previews of project shop")


def test_the_longest_wait_comes_first_and_of_equals_the_smaller_number() -> None:
    one = Caps(previews=1)
    queue = [waiting(5, since=1), waiting(3, since=2), waiting(4, since=2)]
    found = {each.key.number: place(each, queue, [holder(1)], one) for each in queue}
    assert {number: at.number for number, at in found.items() if at} == {5: 1, 3: 2, 4: 3}
    free = {each.key.number: place(each, queue, [], one) for each in queue}
    assert [number for number, at in free.items() if at is None] == [5]


def test_nobody_waits_for_a_limit_that_is_not_theirs() -> None:
    caps = Caps(per_author=1)
    queue = [waiting(2), waiting(3)]
    assert place(queue[1], queue, [holder(1)], caps) == Place(
        2, "1 previews of alice in project shop"
    )
    assert place(waiting(4, author="bob"), queue, [holder(1)], caps) is None
    assert place(waiting(4, project="api"), queue, [holder(1)], caps) is None


def test_the_server_counts_every_project() -> None:
    server = Caps(previews=1)
    assert place(waiting(2), [], [holder(1, project="api")], server=server) == Place(
        1, "1 previews of this server"
    )


def test_a_sleeping_preview_needs_a_place_among_the_awake_alone() -> None:
    caps = Caps(previews=1, awake=1)
    asleep = holder(1, awake=False)
    assert place(waiting(1, sleeps=True), [], [asleep], caps) is None
    other = holder(2)
    assert place(waiting(1, sleeps=True), [], [asleep, other], caps) == Place(
        1, "1 awake previews of project shop"
    )


def test_a_new_preview_needs_both_and_whoever_sleeps_takes_no_place_among_the_awake() -> None:
    assert place(waiting(2), [], [holder(1, awake=False)], Caps(awake=1)) is None
    assert place(waiting(2), [], [holder(1)], Caps(previews=5, awake=1)) == Place(
        1, "1 awake previews of project shop"
    )


@pytest.mark.parametrize(
    ("holders", "evicted"),
    [
        ([holder(1), holder(2)], None),
        ([holder(1, awake=False, used=5), holder(2, awake=False, used=1)], 2),
        ([holder(1, awake=False, used=5), holder(2, awake=False, used=1, pinned=True)], 1),
        ([holder(1), holder(2, awake=False, pinned=True)], None),
    ],
)
def test_the_longest_unused_that_sleeps_and_is_not_pinned_makes_room(
    holders: list[Holder], evicted: int | None
) -> None:
    found = place(waiting(9), [], holders, Caps(previews=2))
    assert found is not None
    assert found.to_evict == (PreviewKey("shop", evicted) if evicted else None)


def test_only_the_first_has_somebody_make_room_and_only_in_what_is_full() -> None:
    holders = [holder(1, awake=False), holder(2, awake=False)]
    queue = [waiting(8), waiting(9)]
    found = place(queue[1], queue, holders, Caps(previews=2))
    assert found is not None
    assert found.to_evict is None
    mine = Caps(per_author=1)
    found = place(
        waiting(9, author="bob"), [], [holder(1, awake=False), holder(2, author="bob")], mine
    )
    assert found is not None
    assert found.to_evict is None, "alice's going would not help bob"


def test_whoever_sleeps_makes_no_room_among_the_awake() -> None:
    found = place(waiting(9), [], [holder(1), holder(2, awake=False)], Caps(awake=1))
    assert found is not None
    assert found.to_evict is None


AUTHORS, PROJECTS = st.sampled_from(["alice", "bob", "eve"]), st.sampled_from(["shop", "api"])
LIMITS = st.none() | st.integers(1, 4)
CAPS = st.builds(Caps, previews=LIMITS, per_author=LIMITS, awake=LIMITS)


@st.composite
def crowds(draw: st.DrawFn) -> list[Waiting]:
    count = draw(st.integers(1, 12))
    return [
        waiting(
            number,
            since=draw(st.integers(0, 5)),
            author=draw(AUTHORS),
            project=draw(PROJECTS),
        )
        for number in range(count)
    ]


def counts(holders: list[Holder], server: Caps, projects: dict[str, Caps]) -> list[tuple[int, int]]:
    """Of every limit that there is: how many it counts, and how many it allows."""
    found = []
    for caps, inside in [
        (server, holders),
        *(
            (caps, [each for each in holders if each.key.project == name])
            for name, caps in projects.items()
        ),
    ]:
        authors = {each.author for each in inside}
        if caps.previews is not None:
            found.append((len(inside), caps.previews))
        if caps.awake is not None:
            found.append((sum(each.is_awake for each in inside), caps.awake))
        if caps.per_author is not None:
            found += [
                (sum(each.author == author for each in inside), caps.per_author)
                for author in authors
            ]
    return found


@given(crowds(), CAPS, st.fixed_dictionaries({"shop": CAPS, "api": CAPS}), st.randoms())
def test_never_more_than_any_limit_and_nobody_waits_while_there_is_room(
    crowd: list[Waiting], server: Caps, projects: dict[str, Caps], chance: object
) -> None:
    """Whoever asks, in whatever order, again and again: in the end every limit holds, and none is wasted."""
    shuffle = getattr(chance, "shuffle")  # noqa: B009 - hypothesis has no type for it
    queue, holders = list(crowd), list[Holder]()
    for _ in range(len(crowd) + 1):
        asking = list(queue)
        shuffle(asking)
        for each in asking:
            if place_of(each, queue, holders, server, projects) is None:
                queue.remove(each)
                holders.append(
                    Holder(
                        key=each.key,
                        author=each.author,
                        is_awake=True,
                        is_pinned=False,
                        last_use=NOON,
                    )
                )
            assert all(taken <= limit for taken, limit in counts(holders, server, projects))
    for each in queue:
        entering = Holder(
            key=each.key, author=each.author, is_awake=True, is_pinned=False, last_use=NOON
        )
        assert any(
            taken > limit for taken, limit in counts([*holders, entering], server, projects)
        ), f"{each} waits for nothing"


@given(crowds(), st.integers(1, 4))
def test_first_come_first_served_within_one_limit(crowd: list[Waiting], limit: int) -> None:
    server = Caps(previews=limit)
    order = sorted(crowd, key=lambda each: (each.since, each.key))
    found = [place_of(each, crowd, [], server, {}) for each in order]
    assert found[:limit] == [None] * min(limit, len(crowd))
    assert [at.number for at in found[limit:] if at] == list(range(1, len(crowd) - limit + 1))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "number 1"),
        (5, "number 5"),
        (6, "among the first 10"),
        (10, "among the first 10"),
        (11, "among the first 20"),
        (21, "among the first 50"),
        (100, "among the first 100"),
        (199, "among the first 200"),
    ],
)
def test_a_place_far_back_is_told_roughly(number: int, said: str) -> None:
    assert Place(number, "5 previews of this server").standing == f"{said} in the queue"


def test_one_free_place_is_news_for_few_of_a_long_queue() -> None:
    before = [Place(number, "room").standing for number in range(1, 201)]

    moved = [said for said, next_said in zip(before[1:], before, strict=False) if said != next_said]

    assert len(moved) == 9
