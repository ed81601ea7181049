"""What a served certificate means for the previews' hosts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from previews.domain.certificates import (
    CHAIN,
    CHECKS,
    EXPIRY,
    HOST,
    SERVED,
    Certificate,
    Inspection,
    Served,
    Trust,
    covers,
    inspect,
)
from previews.domain.findings import Finding, Level

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ZONE = "preview.example"
LEAF = Certificate(
    subject="*.preview.example",
    issuer="Example CA 7",
    names=("*.preview.example", "preview.example"),
    not_before=NOW - timedelta(days=30),
    not_after=NOW + timedelta(days=60),
)
ISSUER = replace(LEAF, subject="Example CA 7", issuer="Example Root", names=())
GOOD = Served(place="x.preview.example:443", chain=(LEAF, ISSUER), trust=Trust.TRUSTED)


def look(served: Served) -> Inspection:
    return inspect(served, host=f"doctor-1.{ZONE}", zone=ZONE, now=NOW)


def about(served: Served, check: str) -> Finding:
    (found,) = (each for each in look(served).findings if each.check == check)
    return found


def of(**changes: object) -> Served:
    """The good one, with another leaf."""
    return replace(GOOD, chain=(replace(LEAF, **changes), ISSUER))  # type: ignore[arg-type] # names of fields


def test_a_good_certificate_is_fine_in_every_respect() -> None:
    found = look(GOOD)
    assert {each.check: each.level for each in found.findings} == dict.fromkeys(CHECKS, Level.FINE)
    assert found.troubles == ()
    assert found.expires_at == LEAF.not_after


@pytest.mark.parametrize(
    ("names", "is_covered"),
    [
        (("*.preview.example",), True),
        (("*.PREVIEW.example.",), True),
        (("pr-1.preview.example",), True),
        (("*.example",), False),
        (("*.a.preview.example",), False),
        (("preview.example",), False),
        (("pr-*.preview.example",), False),
        (("*",), False),
        ((), False),
    ],
)
def test_a_star_stands_for_exactly_one_label(names: tuple[str, ...], is_covered: bool) -> None:  # noqa: FBT001 a row of the table
    assert covers(names, "pr-1.preview.example") is is_covered


def test_a_certificate_for_another_name_says_which_and_which_it_should_have() -> None:
    found = about(of(names=("www.example", "example")), HOST)
    assert found.level is Level.PROBLEM
    assert "www.example, example" in found.message
    assert "*.preview.example" in found.remedy


def test_a_star_one_level_too_high_is_explained() -> None:
    assert "does not reach so deep" in about(of(names=("*.example",)), HOST).message


def test_a_certificate_of_very_many_names_is_still_one_line() -> None:
    names = tuple(f"h{number}.example" for number in range(100))
    assert "95 more" in about(of(names=names), HOST).message


@pytest.mark.parametrize(
    "subject", ["TRAEFIK DEFAULT CERT", "Kubernetes Ingress Controller Fake Certificate"]
)
def test_the_ingress_controllers_own_certificate_is_called_that_and_nothing_else_is_said(
    subject: str,
) -> None:
    (found,) = look(replace(of(subject=subject, names=("x.traefik.default",)))).findings
    assert (found.check, found.level) == (SERVED, Level.PROBLEM)
    assert "own certificate" in found.message
    assert "--default-ssl-certificate" in found.remedy


@pytest.mark.parametrize(
    ("left", "level"),
    [
        (timedelta(days=15), Level.FINE),
        (timedelta(days=14), Level.WARNING),
        (timedelta(seconds=1), Level.WARNING),
        (timedelta(0), Level.PROBLEM),
        (timedelta(days=-3), Level.PROBLEM),
    ],
)
def test_the_end_is_a_warning_fourteen_days_before_and_then_a_problem(
    left: timedelta, level: Level
) -> None:
    found = about(of(not_after=NOW + left), EXPIRY)
    assert found.level is level
    assert bool(found.remedy) is (level is not Level.FINE)


def test_one_that_never_lives_long_is_not_always_about_to_end() -> None:
    of_six_days = of(not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=5))
    assert about(of_six_days, EXPIRY).level is Level.FINE
    old = of(not_before=NOW - timedelta(days=5), not_after=NOW + timedelta(days=1))
    assert about(old, EXPIRY).level is Level.WARNING


def test_one_that_is_not_valid_yet_is_a_problem() -> None:
    found = about(of(not_before=NOW + timedelta(hours=1)), EXPIRY)
    assert found.level is Level.PROBLEM
    assert "not valid before" in found.message


@pytest.mark.parametrize(
    ("trust", "said"),
    [
        (Trust.SELF_SIGNED, "signed itself"),
        (Trust.ISSUER_MISSING, "'Example Root'"),
        (Trust.UNKNOWN_ROOT, "do not know"),
        (Trust.BROKEN, "cannot be verified"),
    ],
)
def test_each_fault_of_a_chain_is_named_with_what_to_do(trust: Trust, said: str) -> None:
    found = about(replace(GOOD, trust=trust, complaint="no good"), CHAIN)
    assert found.level is Level.PROBLEM
    assert said in found.message
    assert found.message.endswith("(no good)")
    assert found.remedy


def test_an_expired_leaf_is_no_fault_of_its_chain() -> None:
    served = replace(of(not_after=NOW - timedelta(days=1)), trust=Trust.OUT_OF_DATE)
    assert about(served, CHAIN).level is Level.FINE
    assert about(served, EXPIRY).level is Level.PROBLEM


def test_an_expired_leaf_hides_no_expired_intermediate() -> None:
    past = NOW - timedelta(days=1)
    chain = (replace(LEAF, not_after=past), replace(ISSUER, not_after=past))
    served = replace(GOOD, chain=chain, trust=Trust.OUT_OF_DATE)
    assert about(served, CHAIN).level is Level.PROBLEM


def test_an_expired_intermediate_is_named() -> None:
    old = replace(ISSUER, not_after=NOW - timedelta(days=1))
    served = replace(GOOD, chain=(LEAF, old), trust=Trust.OUT_OF_DATE)
    found = about(served, CHAIN)
    assert (found.level, "Example CA 7" in found.message) == (Level.PROBLEM, True)
