"""What everybody who keeps records of hosts must do: the fake that stories are told on, and a real BIND."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.tsig
import dns.update
import pytest

from previews.adapters.dns.mark import preview_mark
from previews.adapters.dns.records import UpdateKey, ZoneRecords
from previews.domain.inventory import Kind
from previews.domain.preview import PreviewKey
from previews.domain.resource_ports import HostRecords
from previews.errors import StalledError, TransientError
from tests.bind import KEY, BindProcess, name_server
from tests.fakes.host_records import ADDRESS, INSTANCE, FakeHostRecords

ZONE = "preview.example"
KEY_7 = PreviewKey("shop", 7)
HOST = f"shop-pr-7.{ZONE}"
OTHER_HOST = f"shop-pr-8.{ZONE}"
EMPTY_ZONE = """$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
"""


class Surroundings(ABC):
    """The zone as others see it, and what they do in it."""

    records: HostRecords

    @abstractmethod
    def values(self, host: str) -> list[str]:
        """What a host points to."""

    @abstractmethod
    def put_foreign(self, host: str) -> None: ...

    @abstractmethod
    def put_of_another(self, instance: str, key: PreviewKey, host: str) -> None: ...

    @abstractmethod
    def put_half(self, key: PreviewKey, host: str) -> None:
        """Its mark, and no record."""

    @abstractmethod
    def be_away(self) -> None: ...


class FakeSurroundings(Surroundings):
    def __init__(self) -> None:
        self.zone = FakeHostRecords()
        self.records = self.zone

    def values(self, host: str) -> list[str]:
        return [self.zone.values[host]] if host in self.zone.values else []

    def put_foreign(self, host: str) -> None:
        self.zone.put_foreign(host)

    def put_of_another(self, instance: str, key: PreviewKey, host: str) -> None:
        self.zone.put_of_another(instance, key, host)

    def put_half(self, key: PreviewKey, host: str) -> None:
        self.zone.put_half(key, host)

    def be_away(self) -> None:
        self.zone.fail()


class BindSurroundings(Surroundings):
    def __init__(self, server: BindProcess, directory: Path) -> None:
        self.server = server
        file = directory / "key"
        file.write_text(f"{KEY.secret}\n")
        self.key = UpdateKey(name=KEY.name, algorithm=KEY.algorithm, file=file)
        self.records = self.adapter()

    def adapter(
        self,
        *,
        addresses: tuple[str, ...] = (ADDRESS,),
        target: str = "",
        key: UpdateKey | None = None,
        zone: str = ZONE,
        timeout_seconds: float = 5.0,
    ) -> ZoneRecords:
        return ZoneRecords(
            server=self.server.address,
            port=self.server.port,
            zone=zone,
            previews_zone=ZONE,
            key=key or self.key,
            addresses=addresses,
            target=target,
            ttl_seconds=60,
            instance=INSTANCE,
            timeout_seconds=timeout_seconds,
        )

    def values(self, host: str) -> list[str]:
        found = []
        for kind in ("A", "AAAA", "CNAME", "TXT"):
            question = dns.message.make_query(host, kind)
            reply = dns.query.tcp(question, self.server.address, port=self.server.port, timeout=5)
            wanted = dns.rdatatype.from_text(kind)
            found += [r.to_text() for s in reply.answer if s.rdtype == wanted for r in s]
        return found

    def put_foreign(self, host: str) -> None:
        self.add(host, "A", "192.0.2.99")

    def put_of_another(self, instance: str, key: PreviewKey, host: str) -> None:
        self.add(host, "A", ADDRESS)
        self.add(f"_previews.{host}", "TXT", f'"{preview_mark(instance, key)}"')

    def put_half(self, key: PreviewKey, host: str) -> None:
        self.add(f"_previews.{host}", "TXT", f'"{preview_mark(INSTANCE, key)}"')

    def be_away(self) -> None:
        self.server.freeze()
        self.records = self.adapter(timeout_seconds=0.1)

    def add(self, name: str, kind: str, value: str) -> None:
        """As the zone's administrator does."""
        update = dns.update.UpdateMessage(f"{ZONE}.")
        update.add(dns.name.from_text(name), 300, kind, value)
        update.use_tsig(dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm))
        dns.query.tcp(update, self.server.address, port=self.server.port, timeout=5)


@pytest.fixture(scope="module")
def bind() -> Iterator[BindProcess]:
    with name_server({f"{ZONE}.": EMPTY_ZONE}) as server:
        yield server


@pytest.fixture
def real(bind: BindProcess, tmp_path: Path) -> Iterator[BindSurroundings]:
    yield BindSurroundings(bind, tmp_path)
    bind.thaw()
    clear(bind)


def clear(server: BindProcess) -> None:
    update = dns.update.UpdateMessage(f"{ZONE}.")
    for host in (HOST, OTHER_HOST, f"*.{ZONE}"):
        update.delete(dns.name.from_text(host))
        update.delete(dns.name.from_text(f"_previews.{host}"))
    update.delete(dns.name.from_text(f"_previews-wildcard.{ZONE}"))
    update.use_tsig(dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm))
    dns.query.tcp(update, server.address, port=server.port, timeout=5)


@pytest.fixture(params=["fake", "bind"])
def around(request: pytest.FixtureRequest) -> Surroundings:
    if request.param == "fake":
        return FakeSurroundings()
    real: BindSurroundings = request.getfixturevalue("real")
    return real


def test_a_record_that_was_made_is_found_and_listed_as_its_previews(around: Surroundings) -> None:
    assert not around.records.find(KEY_7, HOST)
    around.records.ensure(KEY_7, HOST)
    assert around.records.find(KEY_7, HOST)
    assert around.records.is_left(KEY_7, HOST)
    assert around.values(HOST) == [ADDRESS]
    (found,) = around.records.list_records()
    assert (found.kind, found.name, found.owner) == (Kind.RECORD, HOST, KEY_7)


def test_to_make_it_twice_changes_nothing(around: Surroundings) -> None:
    around.records.ensure(KEY_7, HOST)
    around.records.ensure(KEY_7, HOST)
    assert around.values(HOST) == [ADDRESS]


def test_what_is_half_made_is_finished(around: Surroundings) -> None:
    around.put_half(KEY_7, HOST)
    assert not around.records.find(KEY_7, HOST)
    assert [each.owner for each in around.records.list_records()] == [KEY_7]
    around.records.ensure(KEY_7, HOST)
    assert around.records.find(KEY_7, HOST)


def test_what_was_removed_is_gone_and_may_be_removed_again(around: Surroundings) -> None:
    around.records.ensure(KEY_7, HOST)
    around.records.ensure(PreviewKey("shop", 8), OTHER_HOST)
    around.records.remove(KEY_7, HOST)
    around.records.remove(KEY_7, HOST)
    assert not around.records.find(KEY_7, HOST)
    assert around.values(HOST) == []
    assert [each.name for each in around.records.list_records()] == [OTHER_HOST]


def test_what_is_half_there_is_left_until_it_is_removed(around: Surroundings) -> None:
    around.put_half(KEY_7, HOST)
    assert around.records.is_left(KEY_7, HOST)
    around.records.remove(KEY_7, HOST)
    assert not around.records.is_left(KEY_7, HOST)
    assert around.records.list_records() == []


def test_what_is_somebody_elses_is_nothing_left_of_ours(around: Surroundings) -> None:
    around.put_foreign(HOST)
    around.put_of_another("other", KEY_7, OTHER_HOST)
    assert not around.records.is_left(KEY_7, HOST)
    assert not around.records.is_left(KEY_7, OTHER_HOST)


@pytest.mark.parametrize("operation", ["find", "ensure", "remove"])
def test_a_record_without_a_mark_is_somebody_elses(around: Surroundings, operation: str) -> None:
    around.put_foreign(HOST)
    with pytest.raises(StalledError) as caught:
        getattr(around.records, operation)(KEY_7, HOST)
    assert caught.value.reason == "RecordNotOurs"
    assert around.values(HOST) == ["192.0.2.99"]
    assert around.records.list_records() == []


@pytest.mark.parametrize("operation", ["find", "ensure", "remove"])
@pytest.mark.parametrize(
    ("instance", "key"), [("other", KEY_7), (INSTANCE, PreviewKey("shop", 70))]
)
def test_neither_another_manager_nor_another_preview_loses_its_record(
    around: Surroundings, operation: str, instance: str, key: PreviewKey
) -> None:
    around.put_of_another(instance, key, HOST)
    with pytest.raises(StalledError) as caught:
        getattr(around.records, operation)(KEY_7, HOST)
    assert caught.value.reason == "RecordNotOurs"
    assert around.values(HOST) == [ADDRESS]
    listed = {each.owner for each in around.records.list_records()}
    assert listed == ({key} if instance == INSTANCE else set())


@pytest.mark.parametrize(
    "operation", ["find", "is_left", "ensure", "remove", "list_records", "check"]
)
def test_a_server_that_does_not_answer_is_asked_again_later(
    around: Surroundings, operation: str
) -> None:
    around.be_away()
    arguments = () if operation in {"list_records", "check"} else (KEY_7, HOST)
    with pytest.raises(TransientError) as caught:
        getattr(around.records, operation)(*arguments)
    assert caught.value.reason == "NameServerUnreachable"


def test_a_server_that_takes_our_key_is_well(around: Surroundings) -> None:
    around.records.check()


# What only a real server has.


OPERATIONS = ("ensure", "remove", "list_records", "check", "find", "is_left")


def expect_refusal(records: ZoneRecords, word: str, operations: Sequence[str] = OPERATIONS) -> None:
    """Every operation says why, names the reason, and shows no secret."""
    for operation in operations:
        arguments = () if operation in {"list_records", "check"} else (KEY_7, HOST)
        with pytest.raises(StalledError) as caught:
            getattr(records, operation)(*arguments)
        assert caught.value.reason == "NameServerRefused", operation
        assert word in caught.value.message, operation
        assert KEY.secret not in caught.value.message


def test_a_key_with_another_secret_is_refused(real: BindSurroundings, tmp_path: Path) -> None:
    file = tmp_path / "wrong"
    file.write_text("d3Jvbmc=")
    key = UpdateKey(name=KEY.name, algorithm=KEY.algorithm, file=file)
    expect_refusal(real.adapter(key=key), "refused the key previews")


def test_a_key_that_the_server_does_not_know_is_refused(real: BindSurroundings) -> None:
    key = UpdateKey(name="unknown", algorithm=KEY.algorithm, file=real.key.file)
    expect_refusal(real.adapter(key=key), "refused the key unknown")


def test_another_algorithm_than_the_servers_is_refused(real: BindSurroundings) -> None:
    key = UpdateKey(name=KEY.name, algorithm="hmac-sha512", file=real.key.file)
    expect_refusal(real.adapter(key=key), "refused the key previews")


def test_a_key_file_that_is_no_key_is_said_to_be_none(
    real: BindSurroundings, tmp_path: Path
) -> None:
    file = tmp_path / "clause"
    file.write_text(KEY.clause())
    key = UpdateKey(name=KEY.name, algorithm=KEY.algorithm, file=file)
    expect_refusal(real.adapter(key=key), "does not hold a key in base64")


def test_a_key_file_that_is_gone_may_come_back(real: BindSurroundings, tmp_path: Path) -> None:
    key = UpdateKey(name=KEY.name, algorithm=KEY.algorithm, file=tmp_path / "none")
    with pytest.raises(TransientError) as caught:
        real.adapter(key=key).ensure(KEY_7, HOST)
    assert caught.value.reason == "SecretUnreadable"


def test_a_zone_that_the_server_does_not_have_is_refused(real: BindSurroundings) -> None:
    # What a host has is asked for by its name, whatever the zone.
    expect_refusal(real.adapter(zone="example"), "example", OPERATIONS[:-2])


def test_a_server_that_is_not_there_is_unreachable(real: BindSurroundings) -> None:
    gone = ZoneRecords(
        server="no-such-server.invalid",
        zone=ZONE,
        previews_zone=ZONE,
        key=real.key,
        addresses=(ADDRESS,),
        ttl_seconds=60,
        instance=INSTANCE,
    )
    with pytest.raises(TransientError) as caught:
        gone.find(KEY_7, HOST)
    assert caught.value.reason == "NameServerUnreachable"


def test_hosts_may_have_several_addresses_of_both_kinds(real: BindSurroundings) -> None:
    records = real.adapter(addresses=(ADDRESS, "192.0.2.11", "2001:db8::0:10"))
    records.ensure(KEY_7, HOST)
    assert records.find(KEY_7, HOST)
    assert set(real.values(HOST)) == {ADDRESS, "192.0.2.11", "2001:db8::10"}


def test_a_host_may_be_an_alias_with_its_mark_below_it(real: BindSurroundings) -> None:
    records = real.adapter(addresses=(), target="lb.example.net")
    records.ensure(KEY_7, HOST)
    assert records.find(KEY_7, HOST)
    assert set(real.values(HOST)) == {"lb.example.net."}
    records.remove(KEY_7, HOST)
    assert real.values(HOST) == []


def test_a_record_follows_a_changed_configuration(real: BindSurroundings) -> None:
    real.records.ensure(KEY_7, HOST)
    alias = real.adapter(addresses=(), target="lb.example.net")
    assert not alias.find(KEY_7, HOST)
    alias.ensure(KEY_7, HOST)
    assert set(real.values(HOST)) == {"lb.example.net."}


def test_an_alias_that_cannot_stand_beside_a_foreign_text_is_told(real: BindSurroundings) -> None:
    real.records.ensure(KEY_7, HOST)
    real.add(HOST, "TXT", '"somebody was here"')
    with pytest.raises(StalledError) as caught:
        real.adapter(addresses=(), target="lb.example.net").ensure(KEY_7, HOST)
    assert caught.value.reason == "RecordNotOurs"


def test_the_answer_of_a_foreign_wildcard_is_no_record_of_the_host(real: BindSurroundings) -> None:
    real.add(f"*.{ZONE}", "A", "192.0.2.99")
    real.add(f"*.{ZONE}", "TXT", '"anything"')
    assert not real.records.find(KEY_7, HOST)
    real.records.ensure(KEY_7, HOST)
    assert real.records.find(KEY_7, HOST)
    real.records.remove(KEY_7, HOST)
    assert not real.records.find(KEY_7, HOST)


def test_a_record_of_ours_that_somebody_changed_is_put_right(real: BindSurroundings) -> None:
    real.records.ensure(KEY_7, HOST)
    real.add(HOST, "A", "192.0.2.66")
    assert not real.records.find(KEY_7, HOST)
    real.records.ensure(KEY_7, HOST)
    assert real.values(HOST) == [ADDRESS]


def test_the_wildcard_is_made_moved_and_removed(real: BindSurroundings) -> None:
    records = real.adapter()
    assert not records.has_wildcard()
    records.ensure_wildcard()
    records.ensure_wildcard()
    assert records.has_wildcard()
    assert real.values(f"anything.{ZONE}") == [ADDRESS]
    assert records.list_records() == []
    moved = real.adapter(addresses=("192.0.2.11",))
    assert not moved.has_wildcard()
    moved.ensure_wildcard()
    assert real.values(f"anything.{ZONE}") == ["192.0.2.11"]
    moved.remove_wildcard()
    assert real.values(f"anything.{ZONE}") == []
    moved.remove_wildcard()


def test_a_wildcard_of_somebody_else_is_left_alone(real: BindSurroundings) -> None:
    real.add(f"*.{ZONE}", "A", "192.0.2.99")
    for operation in ("has_wildcard", "ensure_wildcard", "remove_wildcard"):
        with pytest.raises(StalledError) as caught:
            getattr(real.adapter(), operation)()
        assert caught.value.reason == "RecordNotOurs"
    assert real.values(f"anything.{ZONE}") == ["192.0.2.99"]


def test_marks_that_nobody_can_read_are_nobodys(real: BindSurroundings) -> None:
    real.add(f"_previews.{HOST}", "TXT", '"previews=1,instance=acme,preview=shop#seven"')
    real.add(f"_previews.{OTHER_HOST}", "TXT", '"\\200\\000"')
    assert real.records.list_records() == []
    with pytest.raises(StalledError):
        real.records.ensure(KEY_7, HOST)


def test_names_of_the_zone_are_read_with_their_types(real: BindSurroundings) -> None:
    real.records.ensure(KEY_7, HOST)
    assert real.adapter().names() == [
        (f"_previews.{HOST}", "TXT"),
        (f"ns.{ZONE}", "A"),
        (HOST, "A"),
    ]


def documented_rights() -> str:
    """What docs/dns.md tells a BIND, for the zone of these tests."""
    page = Path(__file__).parents[2].joinpath("docs/dns.md").read_text(encoding="utf-8")
    rights = re.findall(r"^    ((?:update-policy|allow-transfer) \{.*\};)$", page, re.MULTILINE)
    assert len(rights) == 2
    return " ".join(rights).replace("preview.example.com", ZONE)


def test_the_rights_that_the_page_shows_are_enough_and_no_more(tmp_path: Path) -> None:
    with name_server({f"{ZONE}.": EMPTY_ZONE}, rights=documented_rights()) as server:
        real = BindSurroundings(server, tmp_path)
        real.records.check()
        real.records.ensure(KEY_7, HOST)
        alias = real.adapter(addresses=(), target="lb.example.net")
        alias.ensure(KEY_7, HOST)
        alias.ensure_wildcard()
        assert [each.name for each in alias.list_records()] == [HOST]
        alias.remove(KEY_7, HOST)
        alias.remove_wildcard()
        before = real.adapter().names()
        real.add(f"mail.{ZONE}", "NS", "elsewhere.example.")
        assert real.values(HOST) == []
        assert real.adapter().names() == before == [(f"ns.{ZONE}", "A")]


def test_a_key_that_may_not_transfer_the_zone_is_told(tmp_path: Path) -> None:
    rights = f'allow-update {{ key "{KEY.name}"; }}; allow-transfer {{ none; }};'
    with name_server({f"{ZONE}.": EMPTY_ZONE}, rights=rights) as server:
        expect_refusal(
            BindSurroundings(server, tmp_path).adapter(), "a transfer of", ("list_records", "check")
        )


def test_a_key_that_may_not_update_the_zone_is_told(tmp_path: Path) -> None:
    rights = f'allow-update {{ none; }}; allow-transfer {{ key "{KEY.name}"; }};'
    with name_server({f"{ZONE}.": EMPTY_ZONE}, rights=rights) as server:
        expect_refusal(
            BindSurroundings(server, tmp_path).adapter(), "REFUSED", ("ensure", "remove", "check")
        )
