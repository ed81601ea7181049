"""What charts/previews grants for each way of delivering secrets: nothing unless asked, and never to read a Secret."""

from collections.abc import Mapping

import pytest

from tests.manager_rights import CLUSTER_RIGHTS, SECRET_RIGHTS
from tests.rendered import MANAGER_VALUES, PREVIEWS, Object, render, run_helm

KINDS = tuple(SECRET_RIGHTS)


def rendered(helm: str, *enabled: str, **other: Mapping[str, object]) -> list[Object]:
    secrets = {kind: {"enabled": True, **other.get(kind, {})} for kind in enabled}
    return render(helm, PREVIEWS, {**MANAGER_VALUES, "secrets": secrets})


def rules(objects: list[Object], kind: str, name: str = "previews-acme") -> list[Object]:
    return [
        rule
        for found in objects
        if found["kind"] == kind and found["metadata"]["name"] == name
        for rule in found["rules"]
    ]


def carried(objects: list[Object]) -> set[str]:
    project = next(found for found in objects if found["kind"] == "AppProject")
    return {each["kind"] for each in project["spec"]["namespaceResourceWhitelist"]}


def test_without_being_asked_nothing_is_granted(helm: str) -> None:
    objects = rendered(helm)
    assert rules(objects, "ClusterRole") == CLUSTER_RIGHTS
    assert not carried(objects) & {"SealedSecret", "ExternalSecret", "Secret"}
    assert not any("secrets" in found["metadata"]["name"] for found in objects)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_adds_its_own_rights_and_no_other(helm: str, kind: str) -> None:
    objects = rendered(helm, kind)
    granted = sorted(rules(objects, "ClusterRole"), key=repr)
    assert granted == sorted(CLUSTER_RIGHTS + SECRET_RIGHTS[kind], key=repr)
    expected = {"sealedSecrets": {"SealedSecret"}, "externalSecrets": {"ExternalSecret"}}
    brought = carried(objects) & {"SealedSecret", "ExternalSecret", "Secret"}
    assert brought == expected.get(kind, set())


def test_all_together_read_no_secret(helm: str) -> None:
    objects = rendered(helm, *KINDS)
    for kind in ("ClusterRole", "Role"):
        for found in objects:
            for rule in found.get("rules", []) if found["kind"] == kind else []:
                if "secrets" in rule["resources"]:
                    assert set(rule["verbs"]) == {"create", "patch"}


def test_the_certificate_is_fetched_by_that_one_service(helm: str) -> None:
    where = {"namespace": "sealing", "service": "opener", "port": 8080}
    objects = rendered(helm, "sealedSecrets", sealedSecrets=where)
    assert rules(objects, "Role", "previews-acme-sealing") == [
        {
            "apiGroups": [""],
            "resources": ["services/proxy"],
            "resourceNames": ["http:opener:8080"],
            "verbs": ["get"],
        }
    ]
    role = next(found for found in objects if found["metadata"]["name"] == "previews-acme-sealing")
    assert role["metadata"]["namespace"] == "sealing"


def test_a_certificate_from_a_file_needs_no_right(helm: str) -> None:
    objects = rendered(helm, "sealedSecrets", sealedSecrets={"service": ""})
    assert rules(objects, "Role", "previews-acme-sealing") == []


def test_what_the_manager_writes_itself_is_narrowed_to_its_own(helm: str) -> None:
    objects = rendered(helm, "kubernetes")
    policy = next(
        found
        for found in objects
        if found["kind"] == "ValidatingAdmissionPolicy"
        and found["metadata"]["name"] == "previews-acme-secrets"
    )
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert rule["resources"] == ["secrets"]
    assert set(rule["operations"]) == {"CREATE", "UPDATE"}
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert any(
        found["kind"] == "ValidatingAdmissionPolicyBinding"
        and found["spec"]["policyName"] == "previews-acme-secrets"
        for found in objects
    )


def test_helm_finds_nothing_wrong_with_any_of_it(helm: str) -> None:
    secrets = {kind: {"enabled": True} for kind in KINDS}
    ended = run_helm(
        helm, "lint", str(PREVIEWS), "--strict", values={**MANAGER_VALUES, "secrets": secrets}
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_misspelled_kind_is_refused(helm: str) -> None:
    values = {**MANAGER_VALUES, "secrets": {"sealed-secrets": {"enabled": True}}}
    ended = run_helm(helm, "lint", str(PREVIEWS), "--strict", values=values)
    assert ended.returncode != 0
