"""What an examined zone says. The examination itself is tests/integration/test_zone_inspection.py."""

from dataclasses import replace

import pytest

from previews.domain.caa import CAARecord, why_forbidden
from previews.domain.findings import Finding, Level
from previews.domain.zone import Examined, Expectation, Sight, is_local, judge_zone

ZONE = "preview.example"
INGRESS = frozenset({"192.0.2.10"})
NS = frozenset({"ns1.preview.example"})
FIRST = Sight(server="ns1", addresses=INGRESS, ttl_seconds=300, serial=7)
GOOD = Examined(
    apex=ZONE,
    at_parent=NS,
    at_apex=NS,
    host="previews-check-0.preview.example",
    servers=(FIRST, replace(FIRST, server="ns2")),
    resolver=Sight(server="the resolver", addresses=INGRESS),
    expected=INGRESS,
    negative_ttl_seconds=60,
    is_signed=False,
    has_keys=False,
)
EXPECTED = Expectation(
    zone=ZONE,
    leads_to=("192.0.2.10",),
    issuer="letsencrypt.org",
    is_previews_host=lambda host: host.startswith("shop-pr-"),
    names=(("*.preview.example", "A"), ("grafana.preview.example", "A")),
)
PER_PREVIEW = replace(EXPECTED, uses_wildcard=False)


def of(check: str, seen: Examined = GOOD, expected: Expectation = EXPECTED) -> list[Finding]:
    return [each for each in judge_zone(seen, expected) if each.check == f"dns {check}"]


def test_a_good_zone_has_nothing_but_fine_findings_and_no_remedies() -> None:
    found = judge_zone(GOOD, EXPECTED)
    assert {each.level for each in found} == {Level.FINE}
    assert {each.remedy for each in found} == {""}


def test_every_problem_has_a_remedy() -> None:
    bad = replace(
        GOOD,
        at_parent=frozenset(),
        servers=(replace(FIRST, trouble="no answer"),),
        resolver=Sight(server="the resolver"),
        is_bogus=True,
        caa_trouble="SERVFAIL",
    )
    found = [each for each in judge_zone(bad, EXPECTED) if each.level is Level.PROBLEM]
    assert len(found) >= 4
    assert all(each.remedy for each in found)


def test_a_parent_that_could_not_be_asked_is_unknown() -> None:
    (found,) = of("delegation", replace(GOOD, at_parent=None))
    assert found.level is Level.UNKNOWN


def test_a_zone_without_addresses_of_servers_is_a_problem() -> None:
    (found,) = of("servers", replace(GOOD, servers=()))
    assert found.level is Level.PROBLEM


def test_versions_that_differ_are_a_warning_although_the_answers_are_the_same() -> None:
    later = replace(GOOD, servers=(FIRST, replace(FIRST, server="ns2", serial=8)))
    (found,) = of("agreement", later)
    assert (found.level, found.message[-4:]) == (Level.WARNING, "7, 8")


def test_a_resolver_that_does_not_find_what_the_servers_have_is_a_problem() -> None:
    (found,) = of("wildcard", replace(GOOD, resolver=Sight(server="the resolver")))
    assert found.level is Level.PROBLEM
    assert "the resolver does not find" in found.message


def test_one_address_more_than_the_ingress_has_is_astray() -> None:
    more = replace(FIRST, addresses=INGRESS | {"203.0.113.9"})
    (found,) = of("target", replace(GOOD, servers=(FIRST, more)))
    assert found.level is Level.PROBLEM


@pytest.mark.parametrize(
    ("name", "kind", "hidden"),
    [
        ("shop-pr-1.preview.example", "A", "shop-pr-1.preview.example"),
        ("shop-pr-1.preview.example", "TXT", "shop-pr-1.preview.example"),
        ("*.shop-pr-1.preview.example", "A", "shop-pr-1.preview.example"),
        ("_acme-challenge.shop-pr-1.preview.example", "TXT", "shop-pr-1.preview.example"),
        ("a.b.c.shop-pr-1.preview.example", "A", "shop-pr-1.preview.example"),
    ],
)
def test_what_hides_the_wildcard_from_a_preview_is_named(name: str, kind: str, hidden: str) -> None:
    (found,) = of("conflicts", expected=replace(EXPECTED, names=((name, kind),)))
    assert found.level is Level.PROBLEM
    assert found.message == f"{name} {kind} hides the wildcard from {hidden}"
    assert found.remedy == f"remove {name} {kind} from the zone"


def test_names_that_no_preview_can_have_hide_nothing() -> None:
    names = (("ns1.preview.example", "A"), ("_acme-challenge.preview.example", "TXT"))
    (found,) = of("conflicts", expected=replace(EXPECTED, names=names))
    assert found.level is Level.FINE


def test_an_alias_with_something_beside_it_is_a_problem() -> None:
    names = (("www.preview.example", "CNAME"), ("www.preview.example", "A"))
    (found,) = of("conflicts", expected=replace(EXPECTED, names=names))
    assert "www.preview.example is an alias" in found.message


def test_a_signed_alias_stands_alone() -> None:
    names = tuple(("www.preview.example", kind) for kind in ("CNAME", "RRSIG", "NSEC"))
    (found,) = of("conflicts", expected=replace(EXPECTED, names=names))
    assert found.level is Level.FINE


def test_of_a_thousand_conflicts_a_few_are_named_and_the_rest_counted() -> None:
    names = tuple((f"shop-pr-{n}.preview.example", "A") for n in range(1, 1001))
    found = of("conflicts", expected=replace(EXPECTED, names=names))
    assert len(found) == 6
    assert found[-1].message == "995 more names are like that"


def test_a_zone_that_cannot_be_read_whole_is_unknown() -> None:
    (found,) = of("conflicts", expected=replace(EXPECTED, names=None))
    assert found.level is Level.UNKNOWN


def test_hosts_with_records_of_their_own_need_no_wildcard() -> None:
    without = replace(
        GOOD, servers=(Sight(server="ns1", serial=7),), resolver=Sight(server="the resolver")
    )
    found = judge_zone(without, PER_PREVIEW)
    assert {each.level for each in found} == {Level.FINE}
    assert not {"dns wildcard", "dns target"} & {each.check for each in found}


def test_for_records_of_their_own_a_long_memory_of_absence_is_a_warning() -> None:
    (found,) = of("ttl", replace(GOOD, negative_ttl_seconds=3600), PER_PREVIEW)
    assert found.level is Level.WARNING
    (found,) = of("ttl", replace(GOOD, negative_ttl_seconds=3600))
    assert found.level is Level.FINE


@pytest.mark.parametrize(
    ("ttl", "level"), [(5, Level.WARNING), (30, Level.FINE), (3600, Level.FINE)]
)
def test_a_ttl_is_neither_too_short_nor_too_long(ttl: int, level: Level) -> None:
    (found,) = of("ttl", replace(GOOD, servers=(replace(FIRST, ttl_seconds=ttl),)))
    assert found.level is level


@pytest.mark.parametrize(
    ("signed", "keys", "validated", "level"),
    [
        (True, True, True, Level.FINE),
        (True, True, False, Level.FINE),
        (True, False, False, Level.PROBLEM),
        (False, True, False, Level.WARNING),
        (None, False, False, Level.UNKNOWN),
    ],
)
def test_signatures(*, signed: bool | None, keys: bool, validated: bool, level: Level) -> None:
    seen = replace(GOOD, is_signed=signed, has_keys=keys, is_validated=validated)
    (found,) = of("dnssec", seen)
    assert found.level is level


def caa(tag: str, value: str, *, critical: bool = False) -> CAARecord:
    return CAARecord(is_critical=critical, tag=tag, value=value)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ((), ""),
        ((caa("issue", "letsencrypt.org"),), ""),
        ((caa("issue", " LetsEncrypt.org ; accounturi=https://a.example/1"),), ""),
        ((caa("issue", ";"),), "issue names ;"),
        ((caa("issue", "letsencrypt.org"), caa("issuewild", ";")), "issuewild names ;"),
        ((caa("issue", "digicert.com"), caa("issuewild", "letsencrypt.org")), ""),
        ((caa("issue", "notletsencrypt.org"),), "issue names notletsencrypt.org"),
        ((caa("iodef", "mailto:a@b.example"),), ""),
        ((caa("unheard", "x", critical=True),), "the critical property unheard is known to nobody"),
        ((caa("unheard", "x"),), ""),
        (
            (caa("issue", "letsencrypt.org; validationmethods=http-01"),),
            "it may only prove in another way than dns-01",
        ),
        ((caa("issue", "letsencrypt.org; validationmethods=http-01,dns-01"),), ""),
    ],
)
def test_whether_caa_records_forbid_the_wildcard(records: tuple[CAARecord, ...], why: str) -> None:
    assert why_forbidden(records, "letsencrypt.org") == why


def test_caa_records_are_shown_where_nobody_said_who_issues() -> None:
    seen = replace(GOOD, caa=(caa("issue", "digicert.com"),), caa_at="example")
    (found,) = of("caa", seen, replace(EXPECTED, issuer=""))
    assert found.level is Level.UNKNOWN
    assert "issue digicert.com" in found.message


@pytest.mark.parametrize(
    ("zone", "local"),
    [
        ("localhost", True),
        ("preview.localhost", True),
        ("localhost.example", False),
        ("xlocalhost", False),
    ],
)
def test_which_zones_need_no_dns(zone: str, *, local: bool) -> None:
    assert is_local(zone) is local
