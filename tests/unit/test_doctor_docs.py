"""Holds the doctor's page to its checks, and its table of rights to the chart."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from previews.doctor import CHECKS, CONFIGURATION
from previews.doctor_cluster import (
    FOR_DIAGNOSIS,
    NEVER,
    OF_ARGO_CD,
    OF_SECRETS,
    OF_THE_CLUSTER,
)
from previews.domain import certificates

CHECKOUT = Path(__file__).parents[2]
RIGHTS = CHECKOUT / "charts" / "previews" / "templates" / "rights.yaml"


def documented(heading: str) -> list[str]:
    page = (CHECKOUT / "docs" / "doctor.md").read_text(encoding="utf-8")
    text = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def test_the_page_lists_every_check_in_its_order_and_no_other() -> None:
    assert documented("What is looked at") == [CONFIGURATION, *(check.name for check in CHECKS)]


def test_the_page_lists_every_finding_about_the_certificate() -> None:
    assert documented("The certificate") == list(certificates.CHECKS)


def granted(kind: str) -> set[tuple[str, str, str]]:
    """What a Role or ClusterRole of the chart gives with every switch on: verb, kind and group."""
    lines = RIGHTS.read_text(encoding="utf-8").splitlines()
    plain = "\n".join(
        re.sub(r"\{\{.*?\}\}", "x", line) for line in lines if not line.lstrip().startswith("{{")
    )
    roles = [each for each in yaml.safe_load_all(plain) if each and each["kind"] == kind]
    return {right for role in roles for rule in role["rules"] for right in _rights(rule)}


def _rights(rule: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield verb, resource, group


def test_the_rights_that_are_looked_for_are_those_that_the_chart_gives() -> None:
    assert set(OF_ARGO_CD) == granted("Role")
    of_secrets = {right for rights in OF_SECRETS.values() for right in rights}
    assert {*OF_THE_CLUSTER, *of_secrets, *FOR_DIAGNOSIS} == granted("ClusterRole")


def test_no_right_that_the_manager_must_not_have_is_given() -> None:
    assert not set(NEVER) & (granted("Role") | granted("ClusterRole"))
