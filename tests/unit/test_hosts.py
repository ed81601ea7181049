"""Hosts: one label, never two previews under one, and read back only as they were made."""

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from previews.domain.hosts import HostRule, fold_host
from previews.domain.naming import names_of
from previews.domain.preview import PreviewKey

ZONE = "preview.example"
KEY = b"0123456789abcdef"
DNS_1123 = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

PROJECTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
LABELS = st.sampled_from(
    [
        *("pr-{number}", "{number}", "pr-1{number}", "{number}-1", "pr-1-{number}", "a{number}"),
        *("{project}-{number}", "{number}-{project}", "{project}{number}", "pr-{number}-5"),
        "{number}1",
    ]
)
SERVICES = st.lists(
    st.sampled_from(["api", "admin", "1", "5", "11", "abcdefgh", "a-1", "api-1"]),
    unique=True,
    max_size=3,
).map(tuple)
NUMBERS = st.one_of(st.integers(1, 120), st.integers(1, 10**10 - 1))


def checked(rule: HostRule) -> bool:
    try:
        rule.check(ZONE)
    except ValueError:
        return False
    return True


RULES = st.builds(
    HostRule,
    project=PROJECTS,
    pattern=LABELS.map(lambda label: f"{label}.{ZONE}"),
    services=SERVICES,
    key=st.sampled_from([b"", KEY]),
).filter(checked)


def rule(label: str = "pr-{number}", *services: str, project: str = "shop") -> HostRule:
    return HostRule(project=project, pattern=f"{label}.{ZONE}", services=services)


def unguessable(label: str = "pr-{number}", *services: str) -> HostRule:
    return replace(rule(label, *services), key=KEY)


@given(RULES, NUMBERS)
def test_every_host_is_one_label_under_the_zone(rule: HostRule, number: int) -> None:
    for host in rule.hosts(number):
        label, _, zone = host.partition(".")
        assert zone == ZONE
        assert DNS_1123.fullmatch(label), host


@given(RULES, NUMBERS, NUMBERS)
def test_no_two_hosts_of_a_project_are_one(rule: HostRule, one: int, other: int) -> None:
    numbers = {one, other}
    hosts = [host for number in numbers for host in rule.hosts(number)]
    assert len(set(hosts)) == len(hosts) == len(numbers) * (1 + len(rule.services))


@given(RULES, RULES, NUMBERS, NUMBERS)
def test_hosts_of_projects_that_are_said_never_to_meet_never_do(
    one: HostRule, other: HostRule, number: int, other_number: int
) -> None:
    assume(not one.may_meet(other))
    assert not set(one.hosts(number)) & set(other.hosts(other_number))


@given(RULES, RULES)
def test_meeting_is_mutual(one: HostRule, other: HostRule) -> None:
    assert one.may_meet(other) is other.may_meet(one)
    assert one.may_meet(one)


@given(RULES, NUMBERS)
def test_every_host_leads_back_to_its_number(rule: HostRule, number: int) -> None:
    for host in rule.hosts(number):
        assert rule.number_in(fold_host(f"{host.upper()}.:8443")) == number


@given(RULES, st.text(st.characters(codec="ascii"), max_size=40))
def test_a_host_that_was_never_made_leads_nowhere(rule: HostRule, label: str) -> None:
    host = f"{label}.{ZONE}"
    number = rule.number_in(host)
    assert number is None or host in rule.hosts(number)


@pytest.mark.parametrize(
    "host",
    [
        "pr-7.other.example",
        "pr-7",
        "pr-07.preview.example",
        "pr-0.preview.example",
        "pr-7-web.preview.example",
        "pr-7-.preview.example",
        "api.pr-7.preview.example",
        "pr-99999999999.preview.example",
        "pr-\u0667.preview.example",
        "pr-\uff17.preview.example",
        "PR-7.preview.example",
        "",
    ],
)
def test_other_hosts_are_nobodys(host: str) -> None:
    assert rule("pr-{number}", "api").number_in(host) is None


@pytest.mark.parametrize(
    ("asked", "host"),
    [
        ("PR-7.Preview.Example", "pr-7.preview.example"),
        ("pr-7.preview.example.", "pr-7.preview.example"),
        (" pr-7.preview.example:443 ", "pr-7.preview.example"),
        ("pr-7.preview.example..", "pr-7.preview.example."),
        # Each of these has a letter that lower() or NFKC would turn into one of ours.
        ("pr-7.\u212aube.example", ""),
        ("pr-\uff17.preview.example", ""),
        ("pr-7.preview\u3002example", ""),
        ("[::1]:80", "["),
        ("", ""),
    ],
)
def test_a_host_is_read_in_every_spelling_of_its_own_letters_alone(asked: str, host: str) -> None:
    assert fold_host(asked) == host


def test_a_suffix_is_the_same_for_ever_and_nobody_elses() -> None:
    """Whoever changes how it is made gives every such preview another address."""
    shop = unguessable("pr-{number}", "api")
    assert shop.hosts(7) == (
        f"pr-7-pyk7jyhn.{ZONE}",
        f"pr-7-api-pyk7jyhn.{ZONE}",
    )
    others = [
        shop.host(8),
        replace(shop, project="wiki").host(7),
        replace(shop, key=b"another key than this").host(7),
    ]
    assert len({host[-len(ZONE) - 9 :] for host in [*others, shop.host(7)]}) == 4


def test_a_guessed_suffix_leads_nowhere() -> None:
    shop = unguessable()
    assert shop.number_in(f"pr-7.{ZONE}") is None
    assert shop.number_in(f"pr-7-aaaaaaaa.{ZONE}") is None
    assert shop.number_in(shop.host(7).replace("pr-7", "pr-8")) is None
    assert shop.number_in(shop.host(7)) == 7


def test_the_key_is_never_shown() -> None:
    assert KEY.decode() not in repr(unguessable())


def test_names_have_all_hosts_the_previews_own_first() -> None:
    names = names_of(
        PreviewKey("shop", 7), host_pattern=f"pr-{{number}}.{ZONE}", services=["api", "admin"]
    )
    assert names.host == f"pr-7.{ZONE}"
    assert names.hosts == (names.host, f"pr-7-api.{ZONE}", f"pr-7-admin.{ZONE}")


@pytest.mark.parametrize(
    "pattern",
    [
        "pr.preview.example",
        "pr-{number}-{number}.preview.example",
        "pr-{number}.other.example",
        "a.pr-{number}.preview.example",
        "PR-{number}.preview.example",
        "pr-{number!r}.preview.example",
        "pr-{title}.preview.example",
        "{number.real}.preview.example",
        "xn--{number}.preview.example",
        "pr-{number}-\u00e9.preview.example",
        "x" * 60 + "{number}.preview.example",
    ],
)
def test_refuses_a_hostname_that_is_not_one_label_for_each_number(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"label|must|only"):
        HostRule(project="shop", pattern=pattern).check(ZONE)


@pytest.mark.parametrize(
    ("services", "named"),
    [
        (("Api",), "'Api' must be"),
        (("a.b",), "'a.b' must be"),
        (("",), "'' must be"),
        (("api", "api"), "twice"),
        (("x" * 60,), "at most 63"),
    ],
)
def test_refuses_services_that_no_host_can_have(services: tuple[str, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        rule("pr-{number}", *services).check(ZONE)


def test_a_suffix_needs_room() -> None:
    rule("x" * 53 + "{number}").check(ZONE)
    rule("x" * 44 + "{number}").check(ZONE)
    unguessable("x" * 44 + "{number}").check(ZONE)
    with pytest.raises(ValueError, match="at most 63"):
        unguessable("x" * 45 + "{number}").check(ZONE)


def test_a_host_has_no_more_characters_than_dns_takes() -> None:
    zone = ".".join(["z" * 59] * 4)
    HostRule(project="shop", pattern=f"{{number}}.{zone}").check(zone)
    with pytest.raises(ValueError, match="253"):
        HostRule(project="shop", pattern=f"pr-x-{{number}}.{zone}").check(zone)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (rule("pr-{number}"), rule("pr-{number}", project="api"), True),
        (rule("pr-{number}"), rule("pr-1{number}"), True),
        (rule("{number}"), rule("1{number}"), True),
        (rule("{number}-a"), rule("{number}2-a"), True),
        # The number of one lies within the fixed text of the other.
        (rule("pr-{number}-5"), rule("pr-1-{number}"), True),
        (rule("pr-{number}", "5"), rule("pr-1-{number}"), True),
        (rule("pr-{number}"), rule("mr-{number}"), False),
        (rule("{project}-{number}"), rule("{project}-{number}", project="api"), False),
        (rule("pr-{number}-a"), rule("pr-{number}-b"), False),
        (rule("pr-{number}", "api"), rule("pr-{number}-{project}", project="api"), True),
        (rule("pr-{number}", "api"), rule("pr-{number}-{project}", project="web"), False),
        (rule("pr-{number}", "abcdefgh"), unguessable("pr-{number}"), True),
        (rule("pr-{number}", "x-abcdefgh"), unguessable("pr-{number}", "x"), True),
        (rule("pr-{number}", "abcdefg1"), unguessable("pr-{number}"), False),
        (rule("pr-{number}"), unguessable("pr-{number}"), False),
        # Eleven digits are no number.
        (rule("1{number}"), rule("{number}1234567890"), True),
        (rule("1{number}"), rule("{number}12345678901"), False),
    ],
)
def test_knows_which_hosts_may_meet(one: HostRule, other: HostRule, *, meet: bool) -> None:
    assert one.may_meet(other) is meet
    assert other.may_meet(one) is meet
