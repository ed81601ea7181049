"""The admission policies of charts/previews as helm renders them, and what a site may change of them."""

from collections.abc import Mapping

import pytest

from tests.integration.admission_table import INSTANCE, POLICIES, policies
from tests.rendered import MANAGER_VALUES, PREVIEWS, run_helm


def test_all_of_them_refuse_when_they_cannot_judge(helm: str) -> None:
    ours = policies(helm)
    for found in ours:
        if found["kind"] == POLICIES[0]:
            assert found["spec"]["failurePolicy"] == "Fail"
            for rule in found["spec"]["matchConstraints"]["resourceRules"]:
                ends = {"DELETE"} if found["metadata"]["name"] == f"previews-{INSTANCE}" else set()
                assert set(rule["operations"]) == (ends or {"CREATE", "UPDATE"})
    names = {kind: {e["metadata"]["name"] for e in ours if e["kind"] == kind} for kind in POLICIES}
    assert names[POLICIES[0]] == names[POLICIES[1]]


def test_every_sentence_says_whose_it_is_even_when_it_cannot_name_what_it_refuses(
    helm: str,
) -> None:
    for found in policies(helm):
        for validation in found["spec"].get("validations", []):
            if found["metadata"]["name"] != f"previews-{INSTANCE}":
                assert validation["message"].startswith("previews refuses ")
                assert validation["message"].endswith(".")


def test_a_site_may_allow_a_kind_another_pod_security_or_everything(helm: str) -> None:
    def rules(**admission: object) -> str:
        return str([found for found in policies(helm, **admission) if "-kinds" in str(found)])

    assert "traefik.io" in rules()
    allowed = rules(refusedKinds={"traefik.io": []})
    assert "'traefik.io'" not in allowed
    assert "cert-manager.io" in allowed
    assert "'baseline'" not in str(policies(helm))
    assert '== "baseline"' in str(policies(helm, podSecurity="baseline"))
    off = policies(helm, enabled=False)
    assert {found["metadata"]["name"] for found in off} == {f"previews-{INSTANCE}"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"enable": True},
        {"podSecurity": "none"},
        {"refusedKinds": {"traefik.io": "*"}},
        {"refusedKinds": {"traefik.io": ["IngressRoute"]}},
        {"refusedAnnotations": [""]},
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: str, wrong: Mapping[str, object]) -> None:
    ended = run_helm(
        helm, "template", "x", str(PREVIEWS), values={**MANAGER_VALUES, "admission": wrong}
    )
    assert ended.returncode != 0
    assert "admission" in ended.stderr
