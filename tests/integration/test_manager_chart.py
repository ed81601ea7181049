"""The manager's chart as helm renders it, and what it refuses."""

from collections.abc import Mapping

import pytest
import yaml

from previews.domain.naming import top_root_name
from tests.manager_rights import ARGOCD_RIGHTS, CLUSTER_RIGHTS
from tests.rendered import (
    ALL_MANAGER_VALUES,
    MANAGER_VALUES,
    PREVIEWS,
    ROOTS_ALONE,
    WILDCARD,
    WILDCARD_ELSEWHERE,
    Object,
    by_kind,
    render,
    rendered_manifests,
    renderer,
    run_helm,
)


def test_the_manager_may_read_ask_and_delete_and_nothing_else(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, MANAGER_VALUES))
    assert found["ClusterRole"]["rules"] == CLUSTER_RIGHTS
    assert found["Role"]["metadata"]["namespace"] == "argocd"
    assert found["Role"]["rules"] == ARGOCD_RIGHTS
    for binding in ("RoleBinding", "ClusterRoleBinding"):
        assert found[binding]["subjects"] == [
            {"kind": "ServiceAccount", "name": "previews-acme", "namespace": "there"}
        ]
        assert found[binding]["roleRef"]["name"] == "previews-acme"
    assert found["ServiceAccount"]["metadata"]["name"] == "previews-acme"


def test_an_administrator_may_keep_all_logs_from_the_manager(helm: str) -> None:
    neither = {"migrations": {"readLogs": False}, "diagnosis": {"enabled": False}}
    rules = by_kind(render(helm, PREVIEWS, {**MANAGER_VALUES, **neither}))["ClusterRole"]["rules"]
    assert not {"pods", "pods/log", "events"} & {
        name for rule in rules for name in rule["resources"]
    }


@pytest.mark.parametrize(
    ("values", "with_events"),
    [({"migrations": {"readLogs": False}}, True), ({"diagnosis": {"enabled": False}}, False)],
)
def test_the_right_to_read_logs_serves_migrations_and_diagnosis(
    helm: str, values: Mapping[str, object], *, with_events: bool
) -> None:
    rules = by_kind(render(helm, PREVIEWS, {**MANAGER_VALUES, **values}))["ClusterRole"]["rules"]
    named = [name for rule in rules for name in rule["resources"]]
    assert named.count("pods") == named.count("pods/log") == 1
    assert ("events" in named) is with_events


def test_a_policy_stands_before_whatever_the_manager_deletes(helm: str) -> None:
    """What it refuses is tried on a real API server: tests/e2e/test_collected.py."""
    found = by_kind(render(helm, PREVIEWS, ROOTS_ALONE))
    policy = found["ValidatingAdmissionPolicy"]["spec"]
    assert policy["failurePolicy"] == "Fail"
    (manager,) = policy["matchConditions"]
    assert '"system:serviceaccount:there:previews-acme"' in manager["expression"]
    assert policy["matchConstraints"]["resourceRules"] == [
        {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["*"]}
    ]
    ours = policy["validations"][0]["expression"]
    assert 'labels["previews.dev/instance"] == "acme"' in ours
    binding = found["ValidatingAdmissionPolicyBinding"]["spec"]
    assert binding["policyName"] == found["ValidatingAdmissionPolicy"]["metadata"]["name"]
    assert binding["validationActions"] == ["Deny"]


def test_the_top_root_is_where_the_manager_and_the_shard_roots_look_for_it(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, ROOTS_ALONE))
    top, project = found["Application"], found["AppProject"]
    assert top["metadata"]["name"] == project["metadata"]["name"] == top_root_name("acme")
    assert top["spec"]["project"] == project["metadata"]["name"]
    shard_root = yaml.safe_load(renderer("acme").render_shard("shop-2")["roots/shop-2.yaml"])
    assert shard_root["spec"]["project"] == project["metadata"]["name"]
    assert top["spec"]["source"] == {
        "repoURL": "https://git.example/gitops.git",
        "targetRevision": "refs/heads/main",
        "path": "previews/roots",
        "directory": {"recurse": True},
    }
    assert top["spec"]["syncPolicy"] == shard_root["spec"]["syncPolicy"]
    assert "finalizers" not in top["metadata"]
    assert "allowEmpty" not in top["spec"]["syncPolicy"]["automated"]


def test_the_roots_may_bring_in_exactly_what_our_templates_make(helm: str) -> None:
    spec = by_kind(render(helm, PREVIEWS, ROOTS_ALONE))["AppProject"]["spec"]
    whitelisted = {
        (kind["group"], kind["kind"])
        for scope in ("clusterResourceWhitelist", "namespaceResourceWhitelist")
        for kind in spec[scope]
    }
    made = {(group_of(found), found["kind"]) for found in rendered_manifests()}
    assert whitelisted == made
    assert spec["clusterResourceWhitelist"] == [{"group": "", "kind": "Namespace"}]
    assert spec["sourceRepos"] == ["https://git.example/gitops.git"]
    assert [destination["namespace"] for destination in spec["destinations"]] == [
        "argocd",
        "preview-*",
    ]


def group_of(found: Object) -> str:
    group, slash, _ = found["apiVersion"].partition("/")
    return group if slash else ""


def test_a_manager_that_runs_elsewhere_gets_its_rights_and_roots_alone(helm: str) -> None:
    assert set(by_kind(render(helm, PREVIEWS, ROOTS_ALONE))) == {
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "AppProject",
        "Application",
    }


def test_the_manager_is_never_doubled_and_keeps_to_itself(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, MANAGER_VALUES))
    deployment = found["Deployment"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    assert pod["serviceAccountName"] == "previews-acme"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["terminationGracePeriodSeconds"] == 60
    container = pod["containers"][0]
    assert container["args"] == ["serve", "--config", "/etc/previews/previews.yaml"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["config"]["secret"]["secretName"] == "previews"
    assert volumes["data"]["emptyDir"] == {}
    assert "PersistentVolumeClaim" not in found
    assert "Ingress" not in found
    assert "selector" in found["Service"]["spec"]
    assert "EndpointSlice" not in found


def test_what_is_asked_for_besides_is_made(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, ALL_MANAGER_VALUES))
    claim = found["PersistentVolumeClaim"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    volumes = found["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert {"claimName": claim["metadata"]["name"]} in [
        volume.get("persistentVolumeClaim") for volume in volumes
    ]
    hosts = {
        each["metadata"]["name"]: each["spec"]["rules"][0]["host"]
        for each in render(helm, PREVIEWS, ALL_MANAGER_VALUES)
        if each["kind"] == "Ingress"
    }
    assert hosts == {
        "previews-acme": "previews.example",
        "previews-acme-wildcard": "*.preview.example",
    }


def test_from_outside_only_deliveries_and_news_of_images_get_in(helm: str) -> None:
    [ingress] = [
        each
        for each in render(helm, PREVIEWS, ALL_MANAGER_VALUES)
        if each["kind"] == "Ingress" and each["metadata"]["name"] == "previews-acme"
    ]
    [rule] = ingress["spec"]["rules"]
    assert {each["path"]: each["pathType"] for each in rule["http"]["paths"]} == {
        "/webhooks": "Prefix",
        "/api/v1/images": "Exact",
    }


def test_whatever_host_no_preview_claims_is_the_managers(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, {**MANAGER_VALUES, "wildcard": WILDCARD}))
    ingress = found["Ingress"]
    assert ingress["metadata"]["annotations"] == {
        "traefik.ingress.kubernetes.io/router.priority": "1"
    }
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "*.preview.example"
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": found["Service"]["metadata"]["name"], "port": {"name": "http"}}
    assert found["Service"]["spec"]["selector"]
    assert "EndpointSlice" not in found


def test_a_manager_that_runs_elsewhere_answers_at_the_address_that_is_said(helm: str) -> None:
    found = by_kind(render(helm, PREVIEWS, WILDCARD_ELSEWHERE))
    service, endpoints = found["Service"], found["EndpointSlice"]
    assert "selector" not in service["spec"]
    owner = endpoints["metadata"]["labels"]["kubernetes.io/service-name"]
    backend = found["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert owner == service["metadata"]["name"] == backend["name"]
    assert endpoints["addressType"] == "IPv4"
    assert endpoints["endpoints"] == [{"addresses": ["10.213.0.1"]}]
    assert endpoints["ports"] == [{"name": "http", "protocol": "TCP", "port": 18080}]
    assert service["spec"]["ports"][0]["name"] == backend["port"]["name"] == "http"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"instance": ""}, "instance"),
        ({"instance": "Acme"}, "instance"),
        ({"instance": "a" * 21}, "instance"),
        ({"gitops": {"url": ""}}, "url"),
        ({"gitops": {"url": "https://me:secret@git.example/g.git"}}, "url"),
        ({"gitops": {"url": "https://g", "branch": "refs/heads/main"}}, "branch"),
        ({"gitops": {"url": "https://g", "path": "../x"}}, "path"),
        ({"gitops": {"url": "https://g", "path": "/x"}}, "path"),
        ({"gitops": {"url": "https://g", "token": "x"}}, "token"),
        ({"manager": {"image": ""}}, "image"),
        ({"manager": {"image": "without-a-tag"}}, "image"),
        ({"config": {"secretName": ""}}, "secretName"),
        ({"ingress": {"enabled": True}}, "host"),
        ({"replicas": 2}, "replicas"),
        ({"wildcard": {"enabled": True}}, "zone"),
        ({"wildcard": {"enabled": True, "zone": "*.preview.example"}}, "zone"),
        ({"wildcard": {**WILDCARD, "address": "manager.example"}}, "address"),
        ({"manager": {"enabled": False}, "wildcard": WILDCARD}, "address"),
        (
            {
                "manager": {"enabled": False},
                "wildcard": {**WILDCARD, "address": "127.0.0.1"},
            },
            "address",
        ),
    ],
)
def test_a_wrong_value_of_the_manager_is_refused_by_name(
    helm: str, values: Mapping[str, object], named: str
) -> None:
    ended = run_helm(helm, "template", "x", str(PREVIEWS), values={**MANAGER_VALUES, **values})
    assert ended.returncode != 0
    assert named in ended.stderr
