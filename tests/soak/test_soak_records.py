"""What counts as left behind in a zone, what a live preview's host must have there, and who finds it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from previews.adapters.dns.records import UpdateKey, ZoneRecords
from previews.domain.preview import PreviewKey
from tests.bind import KEY, NameServerAwayError, Record
from tests.bind.resolving import finding
from tests.soak.census import count, leftovers, too_early
from tests.soak.records import HOST_PATTERN, RECORDS, ZONE, SoakRecords, records_for_soak, wrong_in
from tests.soak.things import Thing
from tests.world.records import DECOY_NUMBERS, INGRESS, MARK

INSTANCE = "acme"
SHOP_7 = PreviewKey("shop", 7)
HOST_7 = HOST_PATTERN.format(number=7)


@pytest.fixture
def records() -> Iterator[SoakRecords]:
    with records_for_soak(INSTANCE) as records:
        yield records


@pytest.fixture
def manager(records: SoakRecords, tmp_path: Path) -> ZoneRecords:
    """What the real manager writes with."""
    file = tmp_path / "key"
    file.write_text(KEY.secret)
    server = records.zone.server
    return ZoneRecords(
        server=server.address,
        port=server.port,
        zone=ZONE,
        previews_zone=ZONE,
        key=UpdateKey(name=KEY.name, algorithm=KEY.algorithm, file=file),
        addresses=[INGRESS],
        ttl_seconds=60,
        instance=INSTANCE,
    )


def test_the_zone_itself_says_what_a_preview_has_and_that_nothing_is_left(
    records: SoakRecords, manager: ZoneRecords
) -> None:
    assert records.take() == []
    manager.ensure(SHOP_7, HOST_7)
    there = records.take()
    assert count(leftovers(there), (RECORDS,)) == {RECORDS: 2}
    assert [it.number for it in there] == [7, 7]
    assert too_early(there, {7}) == there
    assert too_early(there, {8}) == []
    assert records.problem(7, threading.Event()) == ""
    assert records.wrong() == []

    manager.remove(SHOP_7, HOST_7)
    assert records.take() == []
    assert records.zone.touched() == []


def test_what_was_taken_by_the_name_server_is_there_after_it_was_killed(
    records: SoakRecords, manager: ZoneRecords
) -> None:
    server = records.zone.server
    for number in range(1, 6):
        manager.ensure(PreviewKey("shop", number), HOST_PATTERN.format(number=number))
    server.stop()
    with pytest.raises(NameServerAwayError):
        records.take()
    server.start()
    assert {it.number for it in records.take()} == set(range(1, 6))
    assert records.zone.touched() == []


def test_a_host_without_its_record_or_with_another_is_wrong(records: SoakRecords) -> None:
    zone, ended = records.zone, threading.Event()
    ended.set()
    assert "no record" in records.problem(7, ended)
    for it in zone.wanted(7):
        zone.zone.change(add=it)
    assert records.problem(7, ended) == ""

    elsewhere = Record(HOST_7, "A", "192.0.2.66")
    zone.zone.change(add=elsewhere)
    assert "192.0.2.66" in records.problem(7, ended)
    assert len(records.wrong()) == 1
    zone.zone.change(remove=elsewhere)
    zone.zone.change(remove=Record(HOST_7, "A", INGRESS))
    assert len(records.wrong()) == 1


def test_a_record_of_nobody_is_left_over_and_wrong_at_once(records: SoakRecords) -> None:
    odd = Record(f"odd.{ZONE}", "A", INGRESS)
    assert wrong_in(records.zone, frozenset({odd})) == [f"a record of nobody: {odd}"]
    records.zone.zone.change(add=odd)
    assert too_early(records.take(), ()) == [Thing(RECORDS, str(odd), None)]


@pytest.mark.parametrize("number", DECOY_NUMBERS)
def test_a_decoy_that_is_touched_is_said(records: SoakRecords, number: int) -> None:
    host = HOST_PATTERN.format(number=number)
    records.zone.zone.change(remove=Record(host, "A", INGRESS))
    assert records.zone.touched() == [f"a decoy was touched: {host} A {INGRESS}"]


def test_a_mark_put_beside_a_decoy_is_left_over_and_said(records: SoakRecords) -> None:
    mark = Record(f"{MARK}.mail.{ZONE}", "TXT", '"previews=1,instance=acme,preview=shop#9"')
    records.zone.zone.change(add=mark)
    assert records.zone.touched() == [f"a decoy was touched: {mark}"]
    assert [it.name for it in records.take()] == [str(mark)]


def test_hosts_of_the_zone_are_found_at_its_server_and_all_others_as_ever(
    records: SoakRecords, manager: ZoneRecords
) -> None:
    manager.ensure(SHOP_7, HOST_7)
    server = records.zone.server
    look_up = finding(ZONE, server.address, server.port, socket.getaddrinfo)
    [answer] = look_up(HOST_7, 8080, type=socket.SOCK_STREAM)
    assert answer[4] == (INGRESS, 8080)
    assert look_up("127.0.0.9", 80, type=socket.SOCK_STREAM)[0][4] == ("127.0.0.9", 80)
    with pytest.raises(socket.gaierror) as unknown:
        look_up(HOST_PATTERN.format(number=8), 80)
    assert unknown.value.errno == socket.EAI_NONAME
    server.stop()
    with pytest.raises(socket.gaierror) as away:
        look_up(HOST_7, 80)
    assert away.value.errno == socket.EAI_AGAIN


def test_a_program_that_is_looked_up_for_finds_the_host_and_gets_its_own_arguments(
    records: SoakRecords, manager: ZoneRecords
) -> None:
    manager.ensure(SHOP_7, HOST_7)
    program = records.zone.looked_up_by(("timeit", "-n", "1", "-r", "1", "-s"))
    lookup = f"import socket; print(socket.getaddrinfo({HOST_7!r}, 80)[0][4][0])"
    found = subprocess.run(
        [sys.executable, "-m", *program, lookup],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert found.stdout.splitlines()[0] == INGRESS
