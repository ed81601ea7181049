"""The examination of a zone: BIND as its parent, as its servers and as a validating resolver, and servers that lie."""

import random
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from previews.adapters.dns.inspection import inspect_zone
from previews.adapters.dns.lookups import Endpoint, Lookups
from previews.domain.findings import Finding, Level
from previews.domain.zone import Expectation
from tests.bind import Internet, internet
from tests.bind.datagrams import datagrams
from tests.bind.internet import DELEGATION, FIRST, INGRESS, SERVERS, WILDCARD

ZONE = "preview.example"
EXPECTED = Expectation(
    zone=ZONE,
    leads_to=(INGRESS,),
    issuer="letsencrypt.org",
    is_previews_host=lambda host: host.startswith("shop-pr-"),
    names=(),
)


def examine(
    net: Internet,
    expected: Expectation = EXPECTED,
    *,
    timeout_seconds: float = 3.0,
    questions_max: int = 500,
) -> dict[str, Finding]:
    """The worst finding of each check."""
    resolver = Endpoint(net.resolver.address, net.resolver.port)
    lookups = Lookups(
        resolvers=[resolver],
        port=net.port,
        timeout_seconds=timeout_seconds,
        questions_max=questions_max,
    )
    order = [Level.FINE, Level.UNKNOWN, Level.WARNING, Level.PROBLEM]
    found = sorted(inspect_zone(expected, lookups), key=lambda each: order.index(each.level))
    return {each.check: each for each in found}


def expect_all_fine(found: dict[str, Finding], *but: str) -> None:
    assert {c: f for c, f in found.items() if f.level is not Level.FINE and c not in but} == {}


@pytest.fixture(scope="module")
def plain() -> Iterator[Internet]:
    with internet() as net:
        yield net


def test_a_good_zone_is_fine_in_every_respect(plain: Internet) -> None:
    found = examine(plain)
    expect_all_fine(found)
    assert set(found) == {
        *("dns delegation", "dns servers", "dns agreement", "dns wildcard", "dns target"),
        *("dns conflicts", "dns ttl", "dns dnssec", "dns caa"),
    }
    assert found["dns delegation"].message == (
        "preview.example is delegated to ns1.preview.example, ns2.preview.example"
    )
    assert found["dns target"].message == "hosts lead to the ingress: 192.0.2.10"
    assert found["dns ttl"].message == "answers are remembered for 300 s"
    assert found["dns dnssec"].message == "preview.example is not signed"


def test_a_zone_under_localhost_asks_nobody() -> None:
    (found,) = inspect_zone(Expectation(zone="preview.localhost"), Lookups(resolvers=[]))
    assert (found.level, found.check) == (Level.FINE, "dns zone")


def test_where_no_resolver_answers_nothing_is_claimed() -> None:
    with datagrams(lambda _question: ()) as silent:
        lookups = Lookups(resolvers=[Endpoint(silent.address, silent.port)], timeout_seconds=0.05)
        (found,) = inspect_zone(EXPECTED, lookups)
    assert (found.level, found.check) == (Level.UNKNOWN, "dns resolver")
    assert "no valid answer within 0.05 s" in found.message


def test_without_any_resolver_it_says_so() -> None:
    (found,) = inspect_zone(EXPECTED, Lookups(resolvers=[]))
    assert "no resolver is configured" in found.message


def test_a_wildcard_inside_a_larger_zone_needs_no_delegation_of_its_own() -> None:
    with internet(delegation="", parent_records=f"*.preview A {INGRESS}\n") as net:
        found = examine(net)
    # Its one server serves the root as well, which lists it by the same name.
    expect_all_fine(found)
    assert found["dns delegation"].message.startswith("preview.example is part of example, which")


def test_a_zone_that_nobody_delegates_to_is_told() -> None:
    with internet(delegation="") as net:
        found = examine(net)
    assert found["dns wildcard"].level is Level.PROBLEM
    assert found["dns wildcard"].remedy == (
        "add a record *.preview.example to the zone example that leads to the ingress"
    )


def test_a_parent_that_names_other_servers_is_told() -> None:
    other = f"preview NS ns9.preview\nns9.preview A {FIRST}\n"
    with internet(delegation=other) as net:
        found = examine(net)
    assert found["dns delegation"].level is Level.PROBLEM
    assert "delegates preview.example to ns9.preview.example" in found["dns delegation"].message


def test_a_server_that_only_one_side_names_is_a_warning() -> None:
    with internet(delegation=DELEGATION.replace("preview NS ns2.preview\n", "")) as net:
        found = examine(net)
    assert found["dns delegation"].level is Level.WARNING
    assert "ns2.preview.example: named only by one" in found["dns delegation"].message


def test_a_server_of_another_zone_is_lame() -> None:
    lame = DELEGATION + "preview NS ns3.preview\nns3.preview A 127.0.0.2\n"
    with internet(
        delegation=lame, records=SERVERS + WILDCARD + "@ NS ns3\nns3 A 127.0.0.2\n"
    ) as net:
        found = examine(net)
    assert found["dns servers"].level is Level.PROBLEM
    assert "ns3.preview.example (127.0.0.2" in found["dns servers"].message
    assert "does not answer for preview.example by itself" in found["dns servers"].message


@pytest.mark.fault(55)
def test_a_zone_without_a_wildcard_is_told() -> None:
    with internet(records=SERVERS) as net:
        found = examine(net)
    assert found["dns wildcard"].level is Level.PROBLEM
    assert found["dns wildcard"].message.startswith("*.preview.example has no record")
    assert "dns target" not in found


def test_servers_that_answer_differently_are_told() -> None:
    with internet(other_records=f"{SERVERS}* A 192.0.2.77\n") as net:
        found = examine(net)
    assert found["dns agreement"].level is Level.WARNING
    assert "192.0.2.77" in found["dns agreement"].message
    assert found["dns target"].level is Level.PROBLEM
    assert "leads to 192.0.2.77" in found["dns target"].message


def test_a_server_that_lacks_the_wildcard_is_told() -> None:
    with internet(other_records=SERVERS) as net:
        found = examine(net)
    assert found["dns agreement"].level is Level.PROBLEM
    assert "ns2.preview.example" in found["dns wildcard"].message


@pytest.mark.fault(53)
def test_a_wildcard_that_leads_elsewhere_is_told(plain: Internet) -> None:
    elsewhere = Expectation(zone=ZONE, leads_to=("198.51.100.1",), names=())
    found = examine(plain, elsewhere)
    assert found["dns target"].level is Level.PROBLEM
    assert "the ingress is at 198.51.100.1" in found["dns target"].message


def test_without_a_known_ingress_it_says_where_hosts_lead(plain: Internet) -> None:
    found = examine(plain, Expectation(zone=ZONE, names=()))
    assert found["dns target"].level is Level.UNKNOWN
    assert INGRESS in found["dns target"].message


def test_an_alias_is_followed_to_where_it_leads() -> None:
    records = f"{SERVERS}* CNAME lb.example.\n"
    with internet(records=records, parent_records=f"lb A {INGRESS}\n") as net:
        by_name = examine(net, Expectation(zone=ZONE, leads_to=("lb.example",), names=()))
        by_address = examine(net)
        astray = examine(net, Expectation(zone=ZONE, leads_to=("192.0.2.1",), names=()))
    expect_all_fine(by_name)
    expect_all_fine(by_address)
    assert astray["dns target"].level is Level.PROBLEM


def test_a_wildcard_that_is_remembered_for_a_day_is_a_warning() -> None:
    with internet(records=f"{SERVERS}* 86400 A {INGRESS}\n") as net:
        found = examine(net)
    assert found["dns ttl"].level is Level.WARNING
    assert "86400 s" in found["dns ttl"].message


@pytest.mark.parametrize(
    ("record", "level", "words"),
    [
        ('@ CAA 0 issue "letsencrypt.org"', Level.FINE, "let letsencrypt.org issue"),
        ('@ CAA 0 issue "digicert.com"', Level.PROBLEM, "issue names digicert.com"),
        ('@ CAA 0 issuewild ";"', Level.PROBLEM, "issuewild names ;"),
        ('@ CAA 128 unheard "of"', Level.PROBLEM, "the critical property unheard"),
    ],
)
def test_caa_records_let_the_issuer_issue_or_not(record: str, level: Level, words: str) -> None:
    with internet(records=f"{SERVERS}{WILDCARD}{record}\n") as net:
        found = examine(net)
    assert found["dns caa"].level is level
    assert words in found["dns caa"].message


def test_caa_records_of_the_parent_count() -> None:
    with internet(parent_records='@ CAA 0 issue "digicert.com"\n') as net:
        found = examine(net)
    assert found["dns caa"].level is Level.PROBLEM
    assert found["dns caa"].message.startswith("the CAA records of example do not let")


def test_a_signed_zone_is_validated() -> None:
    with internet(signed=True) as net:
        found = examine(net)
    expect_all_fine(found)
    assert found["dns dnssec"].message == "preview.example is signed, and the signatures hold"


def test_a_zone_whose_signatures_are_broken_is_examined_all_the_same() -> None:
    with internet(signed=True, tampered=True) as net:
        found = examine(net)
    assert found["dns dnssec"].level is Level.PROBLEM
    assert "are broken" in found["dns dnssec"].message
    assert found["dns target"].level is Level.PROBLEM
    assert "192.0.2.66" in found["dns target"].message


def test_a_silent_server_is_a_finding(plain: Internet) -> None:
    before = plain.second.answer
    plain.second.be_silent()
    try:
        found = examine(plain)
    finally:
        plain.second.answer = before
    assert found["dns servers"].level is Level.PROBLEM
    assert "ns2.preview.example" in found["dns servers"].message
    assert "no valid answer within 3 s" in found["dns servers"].message
    expect_all_fine(found, "dns servers")


def test_an_examination_ends_however_many_questions_are_left(plain: Internet) -> None:
    found = examine(plain, questions_max=15)
    assert any("taken too long" in each.message for each in found.values())


# Servers that lie. None of what they do may raise.


def reply_to(question: bytes, *records: str, rcode: int = 0) -> bytes:
    asked = dns.message.from_wire(question)
    reply = dns.message.make_response(asked)
    reply.flags |= dns.flags.AA
    reply.set_rcode(dns.rcode.Rcode.make(rcode))
    name = asked.question[0].name
    for record in records:
        kind, _, value = record.partition(" ")
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, value))
    return reply.to_wire(max_size=65535)


def another_id(question: bytes) -> Iterator[bytes]:
    """As somebody answers who has not seen the question."""
    answer = bytearray(reply_to(question, "A 192.0.2.66"))
    answer[0] ^= 0xFF
    yield bytes(answer)


def another_question(question: bytes) -> Iterator[bytes]:
    other = dns.message.make_query("other.example", "A")
    other.id = dns.message.from_wire(question).id
    yield reply_to(other.to_wire(), "A 192.0.2.66")


def cut_short(question: bytes) -> Iterator[bytes]:
    yield reply_to(question, "A 192.0.2.66")[:-3]


def no_answer_at_all(question: bytes) -> Iterator[bytes]:
    yield question


def garbage(question: bytes) -> Iterator[bytes]:
    chance = random.Random(len(question))
    yield question[:2] + chance.randbytes(200)


def failure(question: bytes) -> Iterator[bytes]:
    yield reply_to(question, rcode=2)


def refusal(question: bytes) -> Iterator[bytes]:
    yield reply_to(question, rcode=5)


def another_address(question: bytes) -> Iterator[bytes]:
    yield reply_to(question, "A 192.0.2.66")


def thousands_of_addresses(question: bytes) -> Iterator[bytes]:
    asked = dns.message.from_wire(question)
    reply = dns.message.make_response(asked)
    reply.flags |= dns.flags.AA
    addresses = [f"10.0.{n // 250}.{n % 250}" for n in range(3000)]
    reply.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "A", *addresses))
    yield reply.to_wire(max_size=65535)


def truncated(question: bytes) -> Iterator[bytes]:
    """It asks for TCP, where nobody listens."""
    asked = dns.message.from_wire(question)
    reply = dns.message.make_response(asked)
    reply.flags |= dns.flags.TC
    yield reply.to_wire()


def foreign_zone(question: bytes) -> Iterator[bytes]:
    """It answers everything with an SOA of a zone that has nothing to do with it."""
    asked = dns.message.from_wire(question)
    reply = dns.message.make_response(asked)
    reply.authority.append(
        dns.rrset.from_text("victim.test.", 60, "IN", "SOA", "ns. host. 1 2 3 4 5")
    )
    yield reply.to_wire()


LIARS = [
    another_id,
    another_question,
    cut_short,
    no_answer_at_all,
    garbage,
    failure,
    refusal,
    another_address,
    thousands_of_addresses,
    truncated,
    foreign_zone,
]


@pytest.mark.fault(53)
@pytest.mark.parametrize("lie", LIARS, ids=lambda lie: lie.__name__)
def test_a_lying_name_server_is_a_problem_and_no_exception(
    plain: Internet, lie: Callable[[bytes], Iterator[bytes]]
) -> None:
    before = plain.second.answer
    plain.second.answer = lie
    try:
        found = examine(plain)
    finally:
        plain.second.answer = before
    assert found["dns servers"].level is Level.PROBLEM
    assert all(len(each.message) < 1000 for each in found.values())


@pytest.mark.parametrize("lie", LIARS, ids=lambda lie: lie.__name__)
def test_a_lying_resolver_is_no_exception_and_never_fine(
    lie: Callable[[bytes], Iterator[bytes]],
) -> None:
    with datagrams(lie) as liar:
        lookups = Lookups(
            resolvers=[Endpoint(liar.address, liar.port)], port=liar.port, timeout_seconds=0.1
        )
        found = inspect_zone(EXPECTED, lookups)
    assert found
    assert any(each.level is not Level.FINE for each in found)
    assert all(each.message.isprintable() for each in found)
