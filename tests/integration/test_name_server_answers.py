"""What a name server may answer to an update: nobody's word counts without the key's signature."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import dns.tsig
import pytest

from previews.adapters.dns.records import UpdateKey, ZoneRecords
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError
from tests.bind import KEY
from tests.bind.datagrams import datagrams

ZONE = "preview.example"
KEY_7 = PreviewKey("shop", 7)
HOST = f"shop-pr-7.{ZONE}"
TSIG = dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm)

Answer = Callable[[bytes], bytes]


@contextmanager
def tcp_server(answer: Answer) -> Iterator[int]:
    """Answers each connection's first question, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    head = connection.recv(2, socket.MSG_WAITALL)
                    if not head:
                        return
                    (length,) = struct.unpack("!H", head)
                    connection.sendall(answer(connection.recv(length, socket.MSG_WAITALL)))

        thread = threading.Thread(target=serve)
        thread.start()
        port: int = listener.getsockname()[1]
        try:
            yield port
        finally:
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


def reply(question: bytes, rcode: int = 0, *, signed: bool = True, tsig_error: int = 0) -> bytes:
    asked = dns.message.from_wire(question, keyring=TSIG)
    made = dns.message.make_response(asked, tsig_error=tsig_error)
    made.set_rcode(dns.rcode.Rcode.make(rcode))
    if not signed:
        made.tsig = None
    wire = made.to_wire()
    return struct.pack("!H", len(wire)) + wire


def cut(question: bytes) -> bytes:
    return reply(question)[:-5]


def altered(question: bytes) -> bytes:
    """Somebody on the way changed a signed refusal into consent."""
    changed = bytearray(reply(question, dns.rcode.NXRRSET))
    changed[5] &= 0xF0
    return bytes(changed)


REFUSED: list[tuple[str, Answer, type[PreviewsError], str]] = [
    ("unsigned consent", lambda q: reply(q, signed=False), TransientError, "requires a TSIG"),
    (
        "unsigned news of a foreign record",
        lambda q: reply(q, dns.rcode.YXDOMAIN, signed=False),
        TransientError,
        "requires a TSIG",
    ),
    ("altered on the way", altered, TransientError, "could not be asked"),
    ("cut short", cut, TransientError, "could not be asked"),
    ("nothing", lambda _: b"", TransientError, "could not be asked"),
    ("garbage", lambda _: b"\0\x10" + bytes(range(16)), TransientError, "could not be asked"),
    ("failure", lambda q: reply(q, dns.rcode.SERVFAIL), TransientError, "SERVFAIL"),
    ("refusal", lambda q: reply(q, dns.rcode.REFUSED), StalledError, "REFUSED"),
    ("not its zone", lambda q: reply(q, dns.rcode.NOTAUTH), StalledError, "NOTAUTH"),
    ("no such operation", lambda q: reply(q, dns.rcode.NOTIMP), StalledError, "NOTIMP"),
    (
        "another time",
        lambda q: reply(q, dns.rcode.NOTAUTH, tsig_error=dns.rcode.BADTIME),
        StalledError,
        "clocks of both sides",
    ),
]


@pytest.fixture
def key(tmp_path: Path) -> UpdateKey:
    file = tmp_path / "key"
    file.write_text(KEY.secret)
    return UpdateKey(name=KEY.name, algorithm=KEY.algorithm, file=file)


def records(key: UpdateKey, port: int) -> ZoneRecords:
    return ZoneRecords(
        server="127.0.0.1",
        port=port,
        zone=ZONE,
        previews_zone=ZONE,
        key=key,
        addresses=("192.0.2.10",),
        ttl_seconds=60,
        instance="acme",
        timeout_seconds=1.0,
    )


@pytest.mark.parametrize(
    ("answer", "kind", "words"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
)
def test_an_update_is_done_only_when_the_key_says_so(
    key: UpdateKey, answer: Answer, kind: type[PreviewsError], words: str
) -> None:
    with tcp_server(answer) as port, pytest.raises(kind) as caught:
        records(key, port).ensure(KEY_7, HOST)
    assert words in caught.value.message
    expected = "NameServerRefused" if kind is StalledError else "NameServerUnreachable"
    assert caught.value.reason == expected
    assert KEY.secret not in caught.value.message
    assert caught.value.message.isprintable()


def test_an_absence_is_proven_only_when_the_key_says_so(key: UpdateKey) -> None:
    def deny(question: bytes) -> Iterator[bytes]:
        yield reply(question, dns.rcode.NXDOMAIN, signed=False)[2:]

    with datagrams(deny) as liar, pytest.raises(TransientError) as caught:
        records(key, liar.port).is_left(KEY_7, HOST)
    assert caught.value.reason == "NameServerUnreachable"


def test_a_zone_that_does_not_end_is_no_list(key: UpdateKey) -> None:
    """A transfer ends with the record that it begins with."""

    def half(question: bytes) -> bytes:
        asked = dns.message.from_wire(question, keyring=TSIG)
        made = dns.message.make_response(asked)
        soa = dns.rrset.from_text(f"{ZONE}.", 60, "IN", "SOA", "ns. host. 1 2 3 4 5")
        made.answer.append(soa)
        wire = made.to_wire()
        return struct.pack("!H", len(wire)) + wire

    with tcp_server(half) as port, pytest.raises(TransientError) as caught:
        records(key, port).list_records()
    assert caught.value.reason == "NameServerUnreachable"
