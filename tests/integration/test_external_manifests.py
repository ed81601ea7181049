"""ExternalSecrets against the controller's own kinds, and the command that keeps the store, by real programs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI
from previews.adapters.secrets.external import (
    ExternalSecrets,
    SecretStore,
    check_remote_key,
    go_duration,
)
from previews.adapters.secrets.store_command import check_command
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from previews.errors import StalledError, TransientError
from tests.fakes.kubernetes_objects import KubernetesObjects
from tests.integration.scripted_http import ScriptedServer
from tests.kinds import forbid_unknown, module_folder, schemas_in, with_defaults
from tests.kubeconfig import write_kubeconfig

SHOP_42 = PreviewKey("shop", 42)
NAMESPACE, NAME = "preview-shop-pr-42", "database"
CANARY = "canary-Pa55word-never-to-be-seen"
SECRET = Secret(
    key=SHOP_42,
    namespace=NAMESPACE,
    name=NAME,
    credential="c-1",
    labels=labels.ownership("acme", SHOP_42),
    data={"PGPASSWORD": CANARY, "DATABASE_URL": f"postgresql://u:{CANARY}@db/x"},
)
ENTRY = "previews/acme/shop/pr-42/database"
LIVE = f"/apis/external-secrets.io/v1/namespaces/{NAMESPACE}/externalsecrets/{NAME}"


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, sys, time; {code}", "{key}")


QUIET = program("sys.stdin.read()")


@contextmanager
def external(
    folder: Path, store: SecretStore
) -> Iterator[tuple[ExternalSecrets, KubernetesObjects]]:
    objects = KubernetesObjects()
    with ScriptedServer(objects) as server:
        kubeconfig = write_kubeconfig(folder / "kubeconfig", server.url)
        api = KubernetesAPI(kubeconfig=kubeconfig, times=ClusterTimes(read_seconds=5.0))
        yield ExternalSecrets(api=api, instance="acme", store=store), objects


def store(put_command: tuple[str, ...] = QUIET, **other: Any) -> SecretStore:  # noqa: ANN401
    return SecretStore(name="vault", put_command=put_command, **other)


# the manifest


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """Of the kind in the version that the Go module here pins."""
    module = "github.com/external-secrets/external-secrets"
    folder = module_folder("external-secrets", module)
    file = folder / "config/crds/bases/external-secrets.io_externalsecrets.yaml"
    return schemas_in(file)["external-secrets.io/v1", "ExternalSecret"]


def test_the_manifest_is_valid_by_the_kind_s_own_schema(
    schema: dict[str, Any], tmp_path: Path
) -> None:
    closed = forbid_unknown(schema)
    with external(tmp_path, store()) as (delivery, _):
        document = yaml.safe_load(delivery.deliver(SECRET))
    metadata = document.pop("metadata")
    jsonschema.validate(document, closed)
    assert metadata["labels"] == labels.ownership("acme", SHOP_42)
    document["spec"]["target"]["unheard-of"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, closed)


def test_the_api_server_adds_nothing_to_it(schema: dict[str, Any], tmp_path: Path) -> None:
    """What it adds to the entry of a list, Argo CD would call out of sync for ever."""
    with external(tmp_path, store()) as (delivery, _):
        document = yaml.safe_load(delivery.deliver(SECRET))
    assert with_defaults(document, schema) == document
    document["spec"]["data"][0]["remoteRef"].pop("metadataPolicy")
    assert with_defaults(document, schema) != document


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (timedelta(hours=1), "1h0m0s"),
        (timedelta(minutes=5), "5m0s"),
        (timedelta(seconds=30), "30s"),
        (timedelta(days=1, seconds=61), "24h1m1s"),
    ],
)
def test_intervals_are_written_as_go_writes_them(interval: timedelta, text: str) -> None:
    assert go_duration(interval) == text


def test_another_store_or_entry_has_the_secret_delivered_anew(tmp_path: Path) -> None:
    with external(tmp_path, store()) as (delivery, _):
        manifest = delivery.deliver(SECRET)
        assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, manifest) == "c-1"
    for changed in (
        store(kind="SecretStore"),
        replace(store(), name="other"),
        store(remote_key="{project}/{number}"),
    ):
        with external(tmp_path, changed) as (delivery, _):
            assert delivery.credential_of(SHOP_42, NAMESPACE, NAME, manifest) == ""


@pytest.mark.parametrize("pattern", ["fixed", "{project}", "{project}-{number}-{head_sha}", "{"])
def test_an_entry_that_two_previews_would_share_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 the words differ
        check_remote_key(pattern)


def test_the_default_entry_is_one_preview_s() -> None:
    check_remote_key(store().remote_key)


# the command


def test_the_value_comes_by_standard_input_and_is_in_no_argument(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    look = program(
        "import json, pathlib; own = pathlib.Path('/proc/self');"
        "parts = [own / 'cmdline', own / 'environ'];"
        f"pathlib.Path({str(seen)!r}).write_text(json.dumps([sys.argv[1], sys.stdin.read(),"
        " *[part.read_bytes().decode() for part in parts]]))"
    )
    with external(tmp_path, store(look)) as (delivery, _):
        manifest = delivery.deliver(SECRET)
    key, stream, arguments, environment = json.loads(seen.read_text())
    assert key == ENTRY
    assert json.loads(stream) == SECRET.data
    assert CANARY not in arguments
    assert CANARY not in environment
    assert CANARY not in manifest


@pytest.mark.parametrize(
    "repeat",
    [
        "sys.stdout.write(sys.stdin.read())",
        "sys.stderr.write(sys.stdin.read())",
        "sys.stderr.write(sys.stdin.read()[20:60])",
        "import base64; print(base64.b64encode(sys.stdin.buffer.read()).decode())",
        "import base64; print(base64.b64encode(b'x' + sys.stdin.buffer.read()).decode())",
    ],
)
def test_its_words_are_told_without_the_value(
    tmp_path: Path, repeat: str, caplog: pytest.LogCaptureFixture
) -> None:
    failing = program(f"print('AccessDenied: for you'); sys.stdout.flush(); {repeat}; sys.exit(3)")
    with external(tmp_path, store(failing)) as (delivery, _), pytest.raises(TransientError) as told:
        delivery.deliver(SECRET)
    assert "AccessDenied" in str(told.value)
    assert "exit code 3" in str(told.value)
    assert ENTRY in str(told.value)
    for piece in (CANARY[:8], CANARY[8:16], CANARY[-8:], "Y2FuYXJ5LVBh"):
        assert piece not in f"{told.value!r}{caplog.text}"


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    hang = program("import subprocess; subprocess.Popen(['sleep', '600']).wait()")
    with (
        external(tmp_path, store(hang, command_seconds=0.5)) as (delivery, _),
        pytest.raises(TransientError, match=r"took longer than 0\.5 s"),
    ):
        delivery.deliver(SECRET)


def test_a_command_that_reads_nothing_may_succeed(tmp_path: Path) -> None:
    large = replace(SECRET, data={"LARGE": "x" * 1_000_000})
    with external(tmp_path, store(program("os.close(0)"))) as (delivery, _):
        assert delivery.deliver(large)


def test_a_program_that_is_missing_is_told(tmp_path: Path) -> None:
    with (
        external(tmp_path, store(("/nonexistent/put", "{key}"))) as (delivery, _),
        pytest.raises(StalledError, match=r"/nonexistent/put.* cannot be started: No such file"),
    ):
        delivery.deliver(SECRET)


def test_withdrawing_names_the_same_entry_and_may_fail(tmp_path: Path) -> None:
    refuse = program("sys.exit('no such right for ' + sys.argv[1])")
    with (
        external(tmp_path, store(delete_command=refuse)) as (delivery, _),
        pytest.raises(TransientError, match=f"no such right for {ENTRY}"),
    ):
        delivery.withdraw(SHOP_42, NAME)


def test_without_a_command_for_it_nothing_is_withdrawn(tmp_path: Path) -> None:
    with external(tmp_path, store(program("sys.exit(1)"))) as (delivery, _):
        delivery.withdraw(SHOP_42, NAME)


@pytest.mark.parametrize(("command", "can"), [((), False), (program("pass"), True)])
def test_only_with_a_command_for_it_can_anything_be_taken_out(
    tmp_path: Path, command: tuple[str, ...], *, can: bool
) -> None:
    with external(tmp_path, store(delete_command=command)) as (delivery, _):
        assert delivery.withdraws is can


@pytest.mark.parametrize("argv", [[], [""], ["put"], ["put", "key"], ["{key}"]])
def test_a_command_that_names_no_entry_is_refused(argv: list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 the words differ
        check_command(argv)


# what the controller says


def test_the_controller_s_own_words_are_the_problem(tmp_path: Path) -> None:
    with external(tmp_path, store()) as (delivery, objects):
        assert "not in the cluster yet" in delivery.problem(NAMESPACE, NAME)
        found = objects.put(LIVE, yaml.safe_load(delivery.deliver(SECRET)))
        assert "waits for the external-secrets controller" in delivery.problem(NAMESPACE, NAME)
        failed = {
            "type": "Ready",
            "status": "False",
            "reason": "SecretSyncedError",
            "message": "could not get secret data from provider",
        }
        found["status"] = {"syncedResourceVersion": "1-hash", "conditions": [failed]}
        told = delivery.problem(NAMESPACE, NAME)
        assert told.endswith(": SecretSyncedError: could not get secret data from provider")
        found["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        assert delivery.problem(NAMESPACE, NAME) == ""
        objects.put(LIVE, yaml.safe_load(delivery.deliver(replace(SECRET, credential="c-2"))))
        assert "waits for the external-secrets controller" in delivery.problem(NAMESPACE, NAME)
