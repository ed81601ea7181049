"""What `previews doctor` finds of the cluster, of rights in it, of Argo CD's root and of what keeps previews apart."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from previews import doctor_cluster
from previews.adapters.isolation_probe import Reached
from previews.domain.findings import Level
from previews.settings import load_settings
from tests.integration.doctor_town import Town, bindings, metadata_list, town_in
from tests.integration.scripted_http import Asked, Reply


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with town_in(tmp_path) as town:
        yield town


def test_an_old_cluster_is_a_problem(town: Town) -> None:
    town.version = {"major": "1", "minor": "29", "gitVersion": "v1.29.3"}
    assert "older than 1.30" in town.finding("cluster").message


def test_missing_rights_are_named(town: Town) -> None:
    town.refused = {("patch", "applications"), ("delete", "namespaces")}
    found = town.finding("rights")
    assert found.level is Level.PROBLEM
    assert "patch applications.argoproj.io in argocd; delete namespaces" in found.message


def test_rights_that_only_a_diagnosis_needs_are_a_warning(town: Town) -> None:
    town.refused = {("get", "pods/log")}
    assert town.finding("rights").level is Level.WARNING


def test_a_manager_that_can_read_secrets_is_warned_about(town: Town) -> None:
    town.reads_secrets = True
    found = town.finding("rights")
    assert (found.level, "get secrets; " in found.message) == (Level.WARNING, True)


def test_a_root_that_is_missing_is_a_problem(town: Town) -> None:
    town.root = None
    assert "there is no Application acme-previews" in town.finding("argocd").message


@pytest.mark.parametrize(
    ("part", "change", "level", "said"),
    [
        ("source", {"path": "elsewhere/roots"}, Level.PROBLEM, "'elsewhere/roots'"),
        ("source", {"targetRevision": "HEAD"}, Level.PROBLEM, "'HEAD'"),
        ("source", {"repoURL": "https://a.example/b"}, Level.WARNING, "https://a.example/b"),
        ("status", {"sync": {"status": "Unknown"}}, Level.PROBLEM, "is Unknown"),
        ("status", {"reconciledAt": "2026-01-01T00:00:00Z"}, Level.WARNING, "minutes ago"),
        ("status", {"reconciledAt": None}, Level.PROBLEM, "never looked"),
    ],
)
def test_what_is_wrong_with_the_root_is_said(
    town: Town, part: str, change: dict[str, Any], level: Level, said: str
) -> None:
    assert town.root is not None
    place = town.root["status"] if part == "status" else town.root["spec"]["source"]
    place.update(change)
    found = town.finding("argocd")
    assert (found.level, said in found.message) == (level, True)


def test_admission_policies_that_hold_elsewhere_do_not_count(town: Town) -> None:
    town.bindings = lambda reply: reply.json(200, bindings(other="previews-other-services"))
    assert town.finding("admission").level is Level.WARNING


def test_a_binding_for_all_namespaces_is_none_for_ours(town: Town) -> None:
    for_all = {"metadata": {"name": "deletions"}, "spec": {"policyName": "deletions"}}
    listed = {"metadata": {"resourceVersion": "9"}, "items": [for_all]}
    town.bindings = lambda reply: reply.json(200, listed)
    assert town.finding("admission").level is Level.WARNING


def test_policies_that_the_manager_may_not_list_are_unknown(town: Town) -> None:
    refused = {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403}
    town.bindings = lambda reply: reply.json(403, refused)
    found = town.finding("admission")
    assert (found.level, "--kubeconfig" in found.remedy) == (Level.UNKNOWN, True)


def test_a_trial_of_isolation_that_was_killed_is_seen_later(town: Town) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    town.leftovers = metadata_list("preview-doctor-1-a", made_at=long_ago)
    _, found = town.examine("isolation")
    assert (found.level, "preview-doctor-1-a" in found.remedy) == (Level.WARNING, True)


def test_a_manager_that_may_make_no_namespace_cannot_try_isolation(town: Town) -> None:
    ordinary = town.answer_as_api

    def refuse(asked: Asked, reply: Reply) -> None:
        if asked.method == "POST" and asked.path == "/api/v1/namespaces":
            refused = {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403}
            reply.json(403, refused)
        else:
            ordinary(asked, reply)

    town.api.script = refuse
    (found,) = town.examine("isolation", probe_image="busybox")
    assert (found.level, "--kubeconfig" in found.remedy) == (Level.UNKNOWN, True)
    assert "may not create namespaces" in found.message


@pytest.mark.parametrize(
    ("reached", "levels"),
    [
        (Reached(mate=True, neighbour=False, api=False, node=False), [Level.FINE]),
        (Reached(mate=True, neighbour=True, api=False, node=False), [Level.PROBLEM]),
        (Reached(mate=True, neighbour=False, api=True, node=True), [Level.WARNING] * 2),
        (Reached(mate=False, neighbour=False, api=False, node=False), [Level.UNKNOWN]),
    ],
)
def test_what_a_trial_of_isolation_reached_is_judged(reached: Reached, levels: list[Level]) -> None:
    assert [each.level for each in doctor_cluster._judged(reached)] == levels


def test_the_policy_that_is_tried_is_the_one_that_previews_get(town: Town) -> None:
    (policy,) = doctor_cluster._policies(load_settings(town.file))
    assert policy["kind"] == "NetworkPolicy"
    assert "spec" in policy
