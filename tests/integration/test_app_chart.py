"""The chart of an application as helm renders it, and what it refuses."""

from collections.abc import Mapping

import pytest

from tests.rendered import (
    ALL_APP_VALUES,
    APP_VALUES,
    ASLEEP_APP_VALUES,
    MIGRATED_APP_VALUES,
    PREVIEW_APP,
    Object,
    by_kind,
    render,
    run_helm,
)

IMAGE_DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ({"tag": "t", "digest": ""}, "registry.example/shop:t"),
        ({"tag": "t", "digest": IMAGE_DIGEST}, f"registry.example/shop:t@{IMAGE_DIGEST}"),
        ({"tag": "", "digest": IMAGE_DIGEST}, f"registry.example/shop@{IMAGE_DIGEST}"),
    ],
)
def test_an_image_is_pulled_by_its_digest_where_it_is_known(
    helm: str, given: Mapping[str, str], image: str
) -> None:
    values = {**APP_VALUES, "image": {"repository": "registry.example/shop", **given}}
    found = by_kind(render(helm, PREVIEW_APP, values))
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert [container["image"] for container in pod["containers"]] == [image]


def test_an_application_gets_a_deployment_a_service_and_an_ingress(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, APP_VALUES))
    assert set(found) == {"Deployment", "Service", "Ingress"}
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/shop:pr-42-abc1234"
    assert container["env"] == [{"name": "PORT", "value": "8080"}]
    rule = found["Ingress"]["spec"]["rules"][0]
    assert rule["host"] == "pr-42.preview.example"
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == found["Service"]["metadata"]["name"]
    selector = found["Service"]["spec"]["selector"]
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selector == labels == found["Deployment"]["spec"]["selector"]["matchLabels"]


def test_every_value_arrives(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, ALL_APP_VALUES))
    pod = found["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    plain = [variable for variable in container["env"] if "value" in variable]
    assert {variable["name"]: variable["value"] for variable in plain} == {
        "PORT": "9000",
        "TEXT": 'a: "b" {{ .Values }} \u2028',
        "NUMBER": "1",
        "TRUTH": "true",
    }
    assert container["ports"][0]["containerPort"] == 9000
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"]["requests"] == {"cpu": 0.2, "memory": "1Gi"}
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["failureThreshold"] == 30
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert pod["terminationGracePeriodSeconds"] == 15
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert "runAsUser" not in pod["securityContext"]
    assert found["Deployment"]["spec"]["replicas"] == 2
    assert found["Ingress"]["spec"]["ingressClassName"] == "traefik"
    assert found["Ingress"]["metadata"]["annotations"] == {"example.org/a": "b: c"}


def test_an_application_that_sleeps_leaves_its_host_and_runs_no_pod(helm: str) -> None:
    awake = by_kind(render(helm, PREVIEW_APP, APP_VALUES))
    asleep = by_kind(render(helm, PREVIEW_APP, ASLEEP_APP_VALUES))
    assert set(asleep) == {"Deployment", "Service"}
    assert asleep["Deployment"]["spec"].pop("replicas") == 0
    assert awake["Deployment"]["spec"].pop("replicas") == 1
    assert asleep["Deployment"] == awake["Deployment"]


def test_it_is_put_to_sleep_by_two_parameters_as_argo_cd_passes_them(helm: str) -> None:
    """Without `forceString`: a number and a truth, not texts."""
    asleep = ("--set", "replicas=0", "--set", "ingress.enabled=false")
    found = by_kind(render(helm, PREVIEW_APP, APP_VALUES, *asleep))
    assert set(found) == {"Deployment", "Service"}
    assert found["Deployment"]["spec"]["replicas"] == 0


def test_deploying_again_makes_other_pods_and_changes_nothing_else(helm: str) -> None:
    def deployed(*options: str) -> tuple[Object, Object]:
        found = by_kind(render(helm, PREVIEW_APP, APP_VALUES, *options))
        return found, found["Deployment"]["spec"]["template"]["metadata"].pop("annotations", {})

    name = "global.previews.redeployedAt"
    first, no_annotations = deployed()
    second, annotations = deployed("--set-string", f"{name}=2026-11-22T17:00:00Z")
    assert no_annotations == {}
    assert annotations == {"previews.dev/redeployed-at": "2026-11-22T17:00:00Z"}
    assert first == second


def test_a_pod_may_do_nothing_that_it_need_not(helm: str) -> None:
    pod = by_kind(render(helm, PREVIEW_APP, APP_VALUES))["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_rollout_keeps_the_old_pod_until_the_new_one_answers(helm: str) -> None:
    deployment = by_kind(render(helm, PREVIEW_APP, APP_VALUES))["Deployment"]["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = deployment["template"]["spec"]
    drain = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < drain < pod["terminationGracePeriodSeconds"]


def test_what_is_in_the_secret_of_its_database_reaches_application_and_migrations(
    helm: str,
) -> None:
    found = by_kind(render(helm, PREVIEW_APP, MIGRATED_APP_VALUES))
    for kind in ("Deployment", "Job"):
        (container,) = found[kind]["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "database"}}]
    bare = by_kind(render(helm, PREVIEW_APP, APP_VALUES))["Deployment"]["spec"]["template"]["spec"]
    assert "envFrom" not in bare["containers"][0]


@pytest.mark.parametrize("name", ["database.credential", "database.incarnation"])
def test_another_password_or_database_makes_other_pods(helm: str, name: str) -> None:
    def pods(value: str) -> Object:
        options = ("--set-string", f"{name}={value}")
        template: Object = by_kind(render(helm, PREVIEW_APP, APP_VALUES, *options))["Deployment"][
            "spec"
        ]["template"]
        return template

    assert pods("1e1") == pods("1e1")
    assert pods("1e1") != pods("10")


def test_migrations_run_before_the_pods_are_made_and_argo_cd_waits_for_them(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, MIGRATED_APP_VALUES))
    assert set(found) == {"Deployment", "Service", "Ingress", "Job"}
    job = found["Job"]
    assert job["metadata"]["annotations"] == {"argocd.argoproj.io/sync-wave": "-1"}
    assert "argocd.argoproj.io/sync-wave" not in found["Deployment"]["metadata"].get(
        "annotations", {}
    )
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/shop", "migrate"]
    assert container["image"] == "registry.example/shop:pr-42-abc1234"
    assert container["env"][0] == {"name": "PORT", "value": "8080"}


def test_pods_and_migrations_wait_for_the_secret_of_their_own_password(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, MIGRATED_APP_VALUES))
    for kind in ("Deployment", "Job"):
        (container,) = found[kind]["spec"]["template"]["spec"]["containers"]
        (wanted,) = (each["valueFrom"] for each in container["env"] if "valueFrom" in each)
        assert wanted == {"secretKeyRef": {"name": "database", "key": "credential-k7"}}


def test_a_migration_that_failed_neither_runs_for_ever_nor_vanishes(helm: str) -> None:
    job = by_kind(render(helm, PREVIEW_APP, MIGRATED_APP_VALUES))["Job"]["spec"]
    pod = job["template"]["spec"]
    assert job["backoffLimit"] == 1
    assert pod["restartPolicy"] == "Never"
    assert 2 * pod["activeDeadlineSeconds"] < job["activeDeadlineSeconds"]
    assert "ttlSecondsAfterFinished" not in job


def test_a_migration_may_do_nothing_that_the_application_may_not(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, MIGRATED_APP_VALUES))
    application, migration = (
        found[kind]["spec"]["template"]["spec"] for kind in ("Deployment", "Job")
    )
    for field in ("automountServiceAccountToken", "enableServiceLinks", "securityContext"):
        assert migration[field] == application[field]
    for field in ("securityContext", "resources", "volumeMounts"):
        assert migration["containers"][0][field] == application["containers"][0][field]


def test_nobody_is_led_to_the_pod_of_a_migration(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, MIGRATED_APP_VALUES))
    labels = found["Job"]["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "migrate"
    for selector in (
        found["Service"]["spec"]["selector"],
        found["Deployment"]["spec"]["selector"]["matchLabels"],
    ):
        assert not selector.items() <= labels.items()


MIGRATED_AGAIN_FOR: Mapping[str, Mapping[str, object]] = {
    "a push": {"image": {**APP_VALUES["image"], "tag": "pr-42-def5678"}},
    "another database": {"database": {"secret": "database", "incarnation": "4a"}},
    "another password": {"database": {"secret": "database", "credential": "k8"}},
    "a redeployment": {"global": {"previews": {"redeployedAt": "2026-11-22T17:00:00Z"}}},
    "another command": {"migrate": {"command": ["/shop", "migrate", "--all"]}},
}


@pytest.mark.parametrize("occasion", MIGRATED_AGAIN_FOR)
@pytest.mark.parametrize("image", ["", "r/migrate:1"])
def test_migrations_run_again_for(helm: str, occasion: str, image: str) -> None:
    def job(values: Mapping[str, object]) -> Object:
        options = ("--set-string", f"migrate.image={image}")
        return by_kind(render(helm, PREVIEW_APP, values, *options))["Job"]

    first = job(MIGRATED_APP_VALUES)
    second = job({**MIGRATED_APP_VALUES, **MIGRATED_AGAIN_FOR[occasion]})
    assert job(MIGRATED_APP_VALUES) == first
    assert first["metadata"]["name"] != second["metadata"]["name"]


def test_falling_asleep_and_waking_run_no_migration_again(helm: str) -> None:
    def job(*options: str) -> Object:
        return by_kind(render(helm, PREVIEW_APP, MIGRATED_APP_VALUES, *options))["Job"]

    hidden = ("--set", "ingress.enabled=false")
    awake, warming, asleep = job(), job(*hidden), job("--set", "replicas=0", *hidden)
    assert awake == warming
    assert asleep["spec"] == awake["spec"]
    assert asleep["metadata"]["name"] == awake["metadata"]["name"]
    assert "annotations" not in asleep["metadata"], "a failed one would keep it awake"


@pytest.mark.parametrize("tag", ["1234567", "1e10000", "0x12345", "true", "null"])
def test_a_tag_that_looks_like_something_else_stays_text(helm: str, tag: str) -> None:
    """As Argo CD passes it: `forceString` is helm's --set-string."""
    values = {"image": {"repository": "r"}, "ingress": APP_VALUES["ingress"]}
    found = by_kind(render(helm, PREVIEW_APP, values, "--set-string", f"image.tag={tag}"))
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"r:{tag}"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "image"),
        ({"image": {"repository": "r", "tag": ""}}, "tag"),
        ({"image": {"repository": "", "tag": "t"}}, "repository"),
        ({"image": {"repository": "r", "tag": "a b"}}, "tag"),
        ({"image": {"repository": "r", "tag": "t", "digest": "x"}}, "digest"),
        ({"ingress": {"host": "no_host"}}, "host"),
        ({"ingress": {"host": "a.b", "enabled": "no"}}, "enabled"),
        ({"global": {"previews": {"redeployedAt": 1}}}, "redeployedAt"),
        ({"ingress": {"host": "*.preview.example"}}, "host"),
        ({"ingress": {"host": "a.b", "hots": "x"}}, "hots"),
        ({"prot": 1}, "prot"),
        ({"port": 80}, "port"),
        ({"port": "8080"}, "port"),
        ({"replicas": -1}, "replicas"),
        ({"env": {"PORT": "1"}}, "PORT"),
        ({"env": {"a b": "1"}}, "a b"),
        ({"env": {"A": {"b": 1}}}, "env"),
        ({"probe": {"path": "healthz"}}, "path"),
        ({"runAsUser": 0}, "runAsUser"),
        ({"drainSeconds": 0}, "drainSeconds"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"database": {"secret": "Data_base"}}, "secret"),
        ({"database": {"password": "x"}}, "password"),
        ({"database": {"credential": 1}}, "credential"),
        ({"migrate": {"command": "/shop migrate"}}, "command"),
        ({"migrate": {"deadlineSeconds": 0}}, "deadlineSeconds"),
    ],
)
def test_a_wrong_value_of_an_application_is_refused_by_name(
    helm: str, values: Mapping[str, object], named: str
) -> None:
    wrong = {**APP_VALUES, **values} if values else {}
    ended = run_helm(helm, "template", "shop-pr-42", str(PREVIEW_APP), values=wrong)
    assert ended.returncode != 0
    assert named in ended.stderr


# previews
