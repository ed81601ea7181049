"""What the sweep on the cluster says of the zone after a step."""

from collections.abc import Iterator

import pytest

from previews.domain.preview import PreviewKey
from tests.bind import Record
from tests.world.records import DECOY_NUMBERS, INGRESS, PreviewZone, zone_for

HOST_PATTERN = "shop-pr-{number}.sweep.example"


@pytest.fixture
def zone() -> Iterator[PreviewZone]:
    with zone_for(HOST_PATTERN, instance="acme", project="shop") as zone:
        yield zone


def give(zone: PreviewZone, number: int) -> None:
    for each in zone.wanted(number):
        zone.zone.change(add=each)


def test_every_live_preview_has_its_record_and_mark_and_nobody_else_has_any(
    zone: PreviewZone,
) -> None:
    assert zone.problems(()) == []
    assert [it[:9] for it in zone.problems({7})] == ["no record"] * 2
    give(zone, 7)
    assert zone.problems({7}) == []
    assert len(zone.problems(())) == 2
    assert zone.left(PreviewKey("shop", 7)) == sorted(map(str, zone.wanted(7)))
    assert zone.left(PreviewKey("shop", 8)) == []


def test_a_record_without_its_mark_is_not_enough(zone: PreviewZone) -> None:
    give(zone, 7)
    [mark] = (it for it in zone.wanted(7) if it.kind == "TXT")
    zone.zone.change(remove=mark)
    assert zone.problems({7}) == [f"no record {mark}"]


def test_what_is_the_operators_is_to_stay_as_it_is(zone: PreviewZone) -> None:
    host = HOST_PATTERN.format(number=DECOY_NUMBERS[0])
    was, now = Record(host, "A", INGRESS), Record(host, "A", "192.0.2.66")
    zone.zone.change(remove=was, add=now)
    assert zone.problems(()) == [f"no record {was}", f"a record too many: {now}"]
