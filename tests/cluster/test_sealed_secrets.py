"""How the sealed-secrets controller is started, without a cluster."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.builds import BUILDS
from tests.cluster.components import components
from tests.cluster.credentials import SECRET_NAMES
from tests.cluster.layout import SEALED_SECRETS, SEALED_SECRETS_NAMESPACE, Layout
from tests.cluster.progress import Progress
from tests.cluster.sealed_secrets import rights, service
from tests.cluster.up import steps


def test_every_step_comes_after_what_it_needs(tmp_path: Path) -> None:
    known: set[str] = set()
    for step in steps(Layout(tmp_path), dict.fromkeys(SECRET_NAMES, "x"), Progress()):
        assert set(step.needs) <= known, step.name
        known.add(step.name)
    assert {"sealed-secrets-controller", "sealed-secrets objects"} <= known


def test_the_service_leads_to_where_the_controller_listens(tmp_path: Path) -> None:
    controller = components(Layout(tmp_path), dict.fromkeys(SECRET_NAMES, "x"))[
        "sealed-secrets-controller"
    ]
    subset = json.loads(json.dumps(service()[-1]))["subsets"][0]
    address = f"{subset['addresses'][0]['ip']}:{subset['ports'][0]['port']}"
    assert f"--listen-addr={address}" in controller.argv


def test_the_controller_has_the_rights_of_its_own_chart(tmp_path: Path) -> None:
    helm = shutil.which("helm") or BUILDS["helm"].folder / "helm"
    chart = BUILDS["sealed-secrets"].folder / "chart"
    if not Path(helm).exists() or not chart.exists():
        pytest.skip("helm and sealed-secrets are not built: make cluster-up builds them")
    layout = Layout(tmp_path)
    layout.make_folders()
    (layout.bin / "helm").symlink_to(helm)
    objects = json.loads(json.dumps(rights(layout, chart)))
    found = {(each["kind"], each["metadata"]["name"]) for each in objects}
    assert ("ServiceAccount", SEALED_SECRETS) in found
    assert ("ClusterRoleBinding", SEALED_SECRETS) in found
    assert ("Role", f"{SEALED_SECRETS}-service-proxier") in found


def test_the_controller_starts_and_misses_only_the_api_server(tmp_path: Path) -> None:
    """It finds its ServiceAccount where a pod has it, which nobody else sees."""
    program = BUILDS["sealed-secrets"].folder / "sealed-secrets-controller"
    if not program.exists():
        pytest.skip("sealed-secrets is not built: make cluster-up builds it")
    layout = Layout(tmp_path)
    layout.make_folders()
    layout.sealed_secrets_account.mkdir()
    for name, text in (("token", "t"), ("namespace", SEALED_SECRETS_NAMESPACE), ("ca.crt", "")):
        (layout.sealed_secrets_account / name).write_text(text)
    (layout.bin / "sealed-secrets-controller").symlink_to(program)
    controller = components(layout, dict.fromkeys(SECRET_NAMES, "x"))["sealed-secrets-controller"]
    ended = subprocess.run(
        controller.argv,
        # Nobody listens there.
        env={"PATH": "/usr/bin:/bin", **controller.environment, "KUBERNETES_SERVICE_PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode != 0
    if "unshare failed" in ended.stderr:
        pytest.skip("this needs root")
    assert "127.0.0.1:1" in ended.stderr
    assert "connection refused" in ended.stderr
    assert not Path("/run/secrets/kubernetes.io/serviceaccount").exists()
