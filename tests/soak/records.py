"""The records of a soak's hosts, as the zone's operator sees them: never the manager."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.rig import PROJECT
from tests.bind import NameServerAwayError, Record
from tests.soak.things import Thing
from tests.world.records import PreviewZone, zone_for

RECORDS = "records"
ZONE = "soak.example"
"""A zone of its own: hosts below localhost need no records."""
HOST_PATTERN = f"pr-{{number}}.{ZONE}"
RECEIPT_LINE = "DNS record"
"""What a receipt calls it."""
FOUND_SECONDS = 60.0
"""A server that is away for a moment is asked again."""
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class SoakRecords:
    """Safe from any thread."""

    zone: PreviewZone

    def take(self) -> list[Thing]:
        """Every record that is not the operator's. Raises NameServerAwayError."""
        found = sorted(self.zone.of_previews())
        return [Thing(RECORDS, str(it), self.zone.number_of(it)) for it in found]

    def problem(self, number: int, ended: threading.Event) -> str:
        """Empty as soon as a live preview's host has what it should; otherwise how it stood until it `ended`, or for
        long.
        """
        deadline = time.monotonic() + FOUND_SECONDS
        while True:
            try:
                problem = difference(self.zone, number, self.zone.of_previews())
            except NameServerAwayError as error:
                problem = f"{number}: the name server could not be asked: {error}"
            if not problem or time.monotonic() > deadline or ended.wait(LOOK_SECONDS):
                return problem

    def wrong(self) -> list[str]:
        """Hosts with half of what belongs to them, or with more: there is no moment when that may be, since a record
        and its mark come and go in one step. Raises NameServerAwayError.
        """
        return wrong_in(self.zone, self.zone.of_previews())


def wrong_in(zone: PreviewZone, records: frozenset[Record]) -> list[str]:
    """Of records of one moment."""
    numbers = {number for it in records if (number := zone.number_of(it)) is not None}
    nobodys = [it for it in sorted(records) if zone.number_of(it) is None]
    found = (difference(zone, number, records) for number in sorted(numbers))
    return [*(f"a record of nobody: {it}" for it in nobodys), *filter(None, found)]


def difference(zone: PreviewZone, number: int, records: frozenset[Record]) -> str:
    """Empty when among these records a preview's host has its own and no other."""
    there = {it for it in records if zone.number_of(it) == number}
    wanted = zone.wanted(number)
    if there == wanted:
        return ""
    return f"{number}: its host has {_listed(there)}, and should have {_listed(wanted)}"


def _listed(records: Iterable[Record]) -> str:
    return "; ".join(map(str, sorted(records))) or "no record"


@contextmanager
def records_for_soak(instance: str) -> Iterator[SoakRecords]:
    """Nothing of it is left afterwards."""
    with zone_for(HOST_PATTERN, instance=instance, project=PROJECT) as zone:
        yield SoakRecords(zone)
