"""What raw Applications and Namespaces are reduced to, with the rows that Argo CD 3.2 was seen to write."""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.adapters.cluster_status import (
    MESSAGE_LENGTH_MAX,
    PROBLEMS_MAX,
    application_of,
    namespace_of,
)
from previews.domain.preview import Application, PreviewKey

OURS = {"previews.dev/instance": "acme", "previews.dev/project": "shop", "pr": "42"}
HELM = {
    "repoURL": "https://git.example/shop.git",
    "path": "chart",
    "targetRevision": "refs/heads/main",
}


def source(tag: str, **helm: object) -> dict[str, Any]:
    return {**HELM, "helm": {"parameters": [{"name": "image.tag", "value": tag}], **helm}}


def raw_application(spec_source: object = None, **status: object) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "shop-pr-42",
            "uid": "u-1",
            "labels": dict(OURS),
            "annotations": {"previews.dev/digest": "d-2"},
            "resourceVersion": "7",
        },
        "spec": {"project": "p", "source": source("pr-2") if spec_source is None else spec_source},
        "status": status,
    }


def reduced(raw: Mapping[str, Any]) -> Application:
    return application_of(raw, "acme")


def row(
    compared: str | None, synced: str | None, sync: str, health: str, phase: str, *images: str
) -> dict[str, Any]:
    """One row of the stale window, as Argo CD stores it."""
    status: dict[str, Any] = {
        "sync": {"status": sync, "revision": "c" * 40},
        "health": {"status": health},
        "summary": {"images": [f"registry.example/shop:{image}" for image in images]},
    }
    if compared:
        status["sync"]["comparedTo"] = {
            "source": source(compared),
            "destination": {"namespace": "preview-shop-pr-42"},
        }
    if phase:
        status["operationState"] = {"phase": phase, "message": "successfully synced"}
    if synced:
        status["operationState"]["syncResult"] = {"source": source(synced), "revision": "c" * 40}
    return raw_application(**status)


STALE_WINDOW = {
    "the spec is new, all else about the old image": (
        row("pr-1", "pr-1", "Synced", "Healthy", "Succeeded", "pr-1"),
        False,
    ),
    "compared, not yet synced": (row("pr-2", None, "OutOfSync", "Healthy", "", "pr-1"), False),
    "compared, the last operation is the old one": (
        row("pr-2", "pr-1", "OutOfSync", "Healthy", "Succeeded", "pr-1"),
        False,
    ),
    "synced, not yet compared again": (
        row("pr-2", "pr-2", "OutOfSync", "Healthy", "Succeeded", "pr-1"),
        True,
    ),
    "the new pod starts": (
        row("pr-2", "pr-2", "Synced", "Progressing", "Succeeded", "pr-1", "pr-2"),
        True,
    ),
    "the old pod ends": (
        row("pr-2", "pr-2", "Synced", "Healthy", "Succeeded", "pr-1", "pr-2"),
        True,
    ),
}


@pytest.mark.parametrize(("raw", "proven"), STALE_WINDOW.values(), ids=STALE_WINDOW.keys())
def test_proof_needs_comparison_and_operation_about_the_very_sources_of_the_spec(
    raw: dict[str, Any], *, proven: bool
) -> None:
    assert reduced(raw).proven_for_spec is proven


def test_a_change_that_leads_to_the_same_objects_is_proven_by_the_comparison_alone() -> None:
    # Argo CD syncs only what is out of sync: it will never begin an operation on these sources.
    raw = row("pr-2", "pr-1", "Synced", "Healthy", "Succeeded", "pr-1")
    assert reduced(raw).proven_for_spec
    assert reduced(raw).operation_phase == "Succeeded"
    raw["operation"] = {"sync": {}}
    assert not reduced(raw).proven_for_spec
    assert not reduced(row("pr-2", "pr-1", "Synced", "Healthy", "Running")).proven_for_spec
    assert reduced(row("pr-2", None, "Synced", "Healthy", "")).proven_for_spec


def test_how_an_operation_on_older_sources_ended_is_no_news_of_these() -> None:
    failed = reduced(row("pr-1", "pr-1", "OutOfSync", "Healthy", "Failed", "pr-1"))
    assert (failed.operation_phase, failed.operation_message) == ("", "")
    # A removal has to wait for one that is under way, whatever it is about.
    assert reduced(row("pr-1", "pr-1", "OutOfSync", "Healthy", "Running")).operation_phase == (
        "Running"
    )


def test_an_operation_that_failed_before_it_began_is_known_by_what_was_asked_for() -> None:
    raw = row("pr-2", None, "OutOfSync", "Healthy", "Error")
    raw["status"]["operationState"]["operation"] = {"sync": {"source": source("pr-2")}}
    assert reduced(raw).operation_phase == "Error"
    raw["status"]["operationState"]["operation"] = {"sync": {"source": source("pr-1")}}
    assert reduced(raw).operation_phase == ""


def test_everything_that_decides_is_read() -> None:
    assert reduced(row("pr-2", "pr-2", "Synced", "Healthy", "Succeeded", "pr-2")) == Application(
        name="shop-pr-42",
        uid="u-1",
        owner=PreviewKey("shop", 42),
        digest="d-2",
        deleting=False,
        proven_for_spec=True,
        sync="Synced",
        health="Healthy",
        operation_phase="Succeeded",
        operation_message="successfully synced",
        images=frozenset({"registry.example/shop:pr-2"}),
        revisions=frozenset({"c" * 40}),
        problems=(),
    )


def test_a_new_application_without_status_is_unknown_and_proves_nothing() -> None:
    raw = raw_application()
    del raw["status"]
    found = reduced(raw)
    assert (found.sync, found.health, found.operation_phase) == ("Unknown", "Unknown", "")
    assert not found.proven_for_spec


def compared(spec_source: object, stored: object) -> bool:
    raw = raw_application(
        spec_source,
        sync={"comparedTo": {"source": stored}},
        operationState={"syncResult": {"source": stored}},
    )
    return reduced(raw).proven_for_spec


def test_fields_that_argocd_leaves_out_when_empty_make_no_difference() -> None:
    assert compared(
        {
            **source("pr-2", valueFiles=[], skipCrds=False, values="", fileParameters=None),
            "chart": "",
            "directory": {},
        },
        source("pr-2"),
    )
    assert compared(
        {**HELM, "helm": {"parameters": [{"name": "a", "value": "", "forceString": False}]}},
        {**HELM, "helm": {"parameters": [{"name": "a"}]}},
    )


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        ({"debug": False}, {}),
        ({"debug": True}, {"debug": 1}),
        ({"replicas": 0}, {"replicas": 1}),
        ({"list": [1, 2]}, {"list": [2, 1]}),
        ({"env": {}}, {"env": {"A": ""}}),
    ],
)
def test_helm_values_count_exactly_as_they_are(wanted: object, stored: object) -> None:
    assert not compared(source("t", valuesObject=wanted), source("t", valuesObject=stored))
    assert compared(source("t", valuesObject=wanted), source("t", valuesObject=deepcopy(wanted)))


def test_a_parameter_that_was_taken_out_makes_a_difference() -> None:
    assert not compared({**HELM, "helm": {}}, source("pr-2"))
    assert not compared(HELM, {"repoURL": ""})


def test_several_sources_are_compared_as_a_list_and_the_single_field_is_ignored() -> None:
    sources = [source("pr-2"), {"repoURL": "https://git.example/values.git", "ref": "values"}]
    raw = raw_application(
        sync={
            "comparedTo": {"source": {"repoURL": ""}, "sources": sources},
            "revisions": ["a" * 40, "b" * 40],
        },
        operationState={"syncResult": {"source": sources[0], "sources": sources}},
    )
    raw["spec"] = {"sources": deepcopy(sources)}
    assert reduced(raw).proven_for_spec
    assert reduced(raw).revisions == {"a" * 40, "b" * 40}
    raw["status"]["sync"]["comparedTo"]["sources"] = sources[::-1]
    assert not reduced(raw).proven_for_spec


def test_an_application_without_any_source_proves_nothing() -> None:
    raw = raw_application(sync={"comparedTo": {}}, operationState={"syncResult": {}})
    del raw["spec"]["source"]
    assert not reduced(raw).proven_for_spec


def test_a_refused_manifest_is_a_problem_though_all_reads_healthy() -> None:
    raw = row("pr-2", "pr-2", "OutOfSync", "Healthy", "Running", "pr-1")
    raw["status"]["operationState"]["syncResult"]["resources"] = [
        {"kind": "Deployment", "name": "shop", "status": "Synced", "message": "configured"},
        {
            "kind": "ClusterRole",
            "name": "all",
            "status": "SyncFailed",
            "message": "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project",
        },
    ]
    assert reduced(raw).problems == (
        "ClusterRole all: resource rbac.authorization.k8s.io:ClusterRole is not permitted in project",
    )


DENIED = (
    'ingresses.networking.k8s.io "app" is forbidden: ValidatingAdmissionPolicy '
    "'previews-acme-ingresses' with binding 'previews-acme-ingresses' denied request: "
    "previews refuses the host shop.example: this preview may use pr-42.preview.example alone."
)
UPDATED = (
    'error when applying patch:\n{"spec":{"rules":[{"host":"shop.example"}]}}\nto:\nResource: '
    '"networking.k8s.io/v1, Resource=ingresses"\nName: "app"\nfor: "/dev/shm/1270388": '
    'error when patching "/dev/shm/1270388": '
)


TOLD = (
    "previews refuses the host shop.example: this preview may use pr-42.preview.example alone. "
    "(ValidatingAdmissionPolicy previews-acme-ingresses)"
)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (DENIED, TOLD),
        (f'error when creating "/dev/shm/1270388": {DENIED}', TOLD),
        (f"{UPDATED}{DENIED}", TOLD),
        (
            'error when creating "/dev/shm/17": pods "app" is forbidden: exceeded quota: preview',
            'pods "app" is forbidden: exceeded quota: preview',
        ),
        ('error when "/a": what', 'error when "/a": what'),
        ("it is not permitted in project", "it is not permitted in project"),
    ],
)
def test_what_kubernetes_refuses_is_told_by_its_reason_and_always_alike(
    message: str, problem: str
) -> None:
    raw = row("pr-2", "pr-2", "OutOfSync", "Healthy", "Running", "pr-1")
    raw["status"]["operationState"]["syncResult"]["resources"] = [
        {"kind": "Ingress", "name": "app", "status": "SyncFailed", "message": message}
    ]
    assert reduced(raw).problems == (f"Ingress app: {problem}",)


def test_a_job_that_failed_while_the_sync_waited_for_it_is_a_problem() -> None:
    raw = row("pr-2", "pr-2", "OutOfSync", "Degraded", "Failed", "pr-1")
    raw["status"]["operationState"]["syncResult"]["resources"] = [
        {"kind": "Service", "name": "app", "status": "Synced", "hookPhase": "Running"},
        {
            "kind": "Job",
            "name": "migrate-0a1b2c3d4e",
            "status": "Synced",
            "hookPhase": "Failed",
            "message": "Job has reached the specified backoff limit",
        },
    ]
    assert reduced(raw).problems == (
        "Job migrate-0a1b2c3d4e: Job has reached the specified backoff limit",
    )


def test_what_an_older_commit_was_refused_for_is_no_problem_of_this_one() -> None:
    raw = row("pr-1", "pr-1", "OutOfSync", "Healthy", "Failed", "pr-1")
    raw["status"]["operationState"]["syncResult"]["resources"] = [
        {"kind": "ClusterRole", "name": "all", "status": "SyncFailed", "message": "refused"}
    ]
    raw["status"]["conditions"] = [{"type": "ComparisonError", "message": "no such path"}]
    assert reduced(raw).problems == ()


def test_error_conditions_are_problems_and_warnings_are_not() -> None:
    raw = row("pr-2", "pr-2", "Unknown", "Unknown", "Succeeded")
    raw["status"]["conditions"] = [
        {"type": "ComparisonError", "message": "app path does not exist"},
        {"type": "SharedResourceWarning", "message": "shared"},
        {"type": "InvalidSpecError", "message": "repository is not permitted"},
    ]
    assert reduced(raw).problems == (
        "ComparisonError: app path does not exist",
        "InvalidSpecError: repository is not permitted",
    )


def test_an_error_about_the_application_itself_counts_before_any_comparison() -> None:
    raw = raw_application(conditions=[{"type": "DeletionError", "message": "project not found"}])
    assert reduced(raw).problems == ("DeletionError: project not found",)


def test_problems_are_few_short_and_on_one_line() -> None:
    raw = row("pr-2", "pr-2", "OutOfSync", "Healthy", "Failed")
    raw["status"]["operationState"]["message"] = "a\nb\x1b[31m\u202ec"
    raw["status"]["operationState"]["syncResult"]["resources"] = [
        {"kind": "Role", "name": f"r{i}", "status": "SyncFailed", "message": "x\r\n" * 5000}
        for i in range(40)
    ]
    found = reduced(raw)
    assert found.operation_message == "a b [31m c"
    assert len(found.problems) == PROBLEMS_MAX
    assert all(len(problem) == MESSAGE_LENGTH_MAX for problem in found.problems)
    assert all(problem.isprintable() for problem in found.problems)


def test_a_running_operation_adds_the_revisions_that_it_works_from() -> None:
    raw = raw_application(
        sync={"revision": "a" * 40},
        operationState={
            "phase": "Running",
            "operation": {"sync": {"revision": "b" * 40}},
            "syncResult": {"revision": "c" * 40, "revisions": ["d" * 40]},
        },
    )
    assert reduced(raw).revisions == {"a" * 40, "b" * 40, "c" * 40, "d" * 40}
    raw["status"]["operationState"]["phase"] = "Succeeded"
    assert reduced(raw).revisions == {"a" * 40}
    raw["operation"] = {"sync": {"revision": "e" * 40}}
    assert reduced(raw).revisions == {"a" * 40, "e" * 40}


@pytest.mark.parametrize(
    "changed",
    [
        {"previews.dev/instance": "other"},
        {"previews.dev/instance": None},
        {"previews.dev/project": None},
        {"previews.dev/project": ""},
        {"pr": None},
        {"pr": "-1"},
        {"pr": "4²"},
        {"pr": "42a"},
        {"pr": "9" * 5000},
    ],
)
def test_whoever_lacks_one_of_our_labels_is_not_ours(changed: dict[str, str | None]) -> None:
    raw = raw_application()
    labels = {**OURS, **changed}
    raw["metadata"]["labels"] = {name: value for name, value in labels.items() if value is not None}
    assert reduced(raw).owner is None


def test_a_namespace_tells_why_it_cannot_go_once_it_is_going() -> None:
    raw: dict[str, Any] = {
        "metadata": {"name": "preview-shop-pr-42", "uid": "n-1", "labels": dict(OURS)},
        "status": {
            "phase": "Terminating",
            "conditions": [
                {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "ok"},
                {
                    "type": "NamespaceFinalizersRemaining",
                    "status": "True",
                    "message": "finalizers remaining: example.org/never in 1 instances",
                },
            ],
        },
    }
    assert namespace_of(raw, "acme").problems == ()
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    going = namespace_of(raw, "acme")
    assert going.deleting
    assert going.owner == PreviewKey("shop", 42)
    assert going.problems == (
        "NamespaceFinalizersRemaining: finalizers remaining: example.org/never in 1 instances",
    )


FIELDS = st.sampled_from(
    re.findall(
        r"\w+",
        """metadata name labels annotations spec source sources operation kind conditions type message
        status sync revision comparedTo operationState syncResult resources summary images health""",
    )
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=40,
)


@given(st.dictionaries(FIELDS, ANYTHING, max_size=8))
def test_whatever_an_object_holds_it_is_reduced(raw: dict[str, Any]) -> None:
    application_of(raw, "acme")
    namespace_of(raw, "acme")
