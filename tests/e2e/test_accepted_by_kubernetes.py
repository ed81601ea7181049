"""A real API server takes everything that we render.

Argo CD applies our manifests without kubectl's validation, so it is here that a misspelled field is found.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cluster import RunningCluster
from tests.rendered import (
    ALL_APP_VALUES,
    ALL_MANAGER_VALUES,
    APP_VALUES,
    ASLEEP_APP_VALUES,
    MANAGER_VALUES,
    PREVIEW_APP,
    PREVIEWS,
    ROOTS_ALONE,
    SERVED_APP_VALUES,
    WILDCARD_ELSEWHERE,
    Object,
    by_kind,
    find_helm,
    render,
    rendered_manifests,
)


@pytest.fixture(scope="session")
def helm() -> str:
    return find_helm()


@pytest.fixture(scope="module")
def preview_namespace(cluster: RunningCluster) -> Iterator[str]:
    """The rendered Namespace itself: a dry run needs the namespaces of its objects to be there."""
    (namespace,) = (found for found in rendered_manifests() if found["kind"] == "Namespace")
    cluster.kubectl("apply", "-f", "-", input=json.dumps(namespace))
    yield namespace["metadata"]["name"]
    cluster.kubectl("delete", "namespace", namespace["metadata"]["name"])


def dry_run(cluster: RunningCluster, objects: list[Object], *options: str) -> str:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    strictly = ("--dry-run=server", "--validate=strict", *options)
    return cluster.kubectl("apply", *strictly, "-f", "-", input=json.dumps(listed))


def test_the_api_server_takes_all_that_our_templates_make(
    cluster: RunningCluster, preview_namespace: str
) -> None:
    objects = rendered_manifests()
    accepted = dry_run(cluster, objects).splitlines()
    assert len(accepted) == len(objects)
    assert all(line.endswith("(server dry run)") for line in accepted)
    assert any(preview_namespace in line for line in accepted)


@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (PREVIEW_APP, APP_VALUES),
        (PREVIEW_APP, ASLEEP_APP_VALUES),
        (PREVIEW_APP, SERVED_APP_VALUES),
        (PREVIEW_APP, ALL_APP_VALUES),
        (PREVIEWS, MANAGER_VALUES),
        (PREVIEWS, ALL_MANAGER_VALUES),
        (PREVIEWS, ROOTS_ALONE),
        (PREVIEWS, WILDCARD_ELSEWHERE),
    ],
)
def test_the_api_server_takes_both_charts_without_a_warning(
    helm: str,
    cluster: RunningCluster,
    preview_namespace: str,
    chart: Path,
    values: Mapping[str, object],
) -> None:
    objects = render(helm, chart, values, "--namespace", preview_namespace)
    accepted = dry_run(cluster, objects, "--warnings-as-errors").splitlines()
    assert len(accepted) == len(objects)


@pytest.mark.parametrize(
    ("chart", "values"),
    [
        (PREVIEW_APP, APP_VALUES),
        (PREVIEW_APP, ALL_APP_VALUES),
        (PREVIEWS, MANAGER_VALUES),
        (PREVIEWS, ALL_MANAGER_VALUES),
    ],
)
def test_a_pod_of_either_chart_fits_the_namespace_of_a_preview(
    helm: str,
    cluster: RunningCluster,
    preview_namespace: str,
    chart: Path,
    values: Mapping[str, object],
) -> None:
    """That is Pod Security `restricted`, with a quota and limits."""
    spec = by_kind(render(helm, chart, values))["Deployment"]["spec"]["template"]["spec"]
    # It is not there: nothing but pods is made here.
    spec.pop("serviceAccountName", None)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": preview_namespace},
        "spec": spec,
    }
    assert "pod/app created" in dry_run(cluster, [pod], "--warnings-as-errors")
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(subprocess.CalledProcessError) as refused:
        dry_run(cluster, [pod])
    assert "violates PodSecurity" in str(refused.value.stderr)


def test_a_misspelled_field_would_be_found(cluster: RunningCluster, preview_namespace: str) -> None:
    (quota,) = (found for found in rendered_manifests() if found["kind"] == "ResourceQuota")
    quota["spec"]["hrad"] = quota["spec"].pop("hard")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        dry_run(cluster, [quota])
    assert "hrad" in str(refused.value.stderr)
    assert preview_namespace == quota["metadata"]["namespace"]
