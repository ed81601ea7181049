"""Live means live over TLS as well: the wildcard certificate goes bad under a live preview, and is mended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.cluster import RunningCluster
from tests.world.pull_request import PullRequest
from tests.world.tls_ingress import TLSIngress
from tests.world.waiting import wait_until
from tests.world.world import World, WorldOptions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ZONE = "tls.localhost"
OPTIONS = WorldOptions(name="e2e-tls", project="e2e-tls-shop", hostname=f"pr-{{number}}.{ZONE}")
PROBED_EVERY = "2s"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    directory = tmp_path / "authority"
    directory.mkdir()
    return Authority(directory)


@pytest.fixture
def ingress(cluster: RunningCluster, tmp_path: Path) -> Iterator[TLSIngress]:
    with TLSIngress(cluster, tmp_path) as ingress:
        yield ingress


@pytest.fixture
def world(cluster: RunningCluster, authority: Authority, ingress: TLSIngress) -> Iterator[World]:
    with World(cluster, OPTIONS) as world:
        domain = {
            "zone": ZONE,
            "scheme": "https",
            "port": ingress.port,
            "ca_file": str(authority.file),
        }
        world.reconfigure(lambda known: known.update(domain=domain, probe_interval=PROBED_EVERY))
        yield world


def wait_for(pull_request: PullRequest, phase: str, reason: str) -> None:
    wait_until(
        f"{pull_request.key} is {phase}: {reason}",
        lambda: (
            (said := pull_request.preview()).get("phase") == phase and said.get("reason") == reason
        ),
        explain=pull_request.explain,
    )


def test_a_certificate_that_goes_bad_is_said_and_one_that_is_mended_makes_it_live_again(
    world: World, authority: Authority, ingress: TLSIngress
) -> None:
    ingress.serve(authority.issue(f"*.{ZONE}"))
    world.manager.start()
    pull_request = world.open_simple_pull_request("over-tls")
    wait_for(pull_request, "Live", "Live")
    address = f"https://{pull_request.names.host}:{ingress.port}/"
    wait_until(
        "the status links to the page",
        lambda: pull_request.status().get("target_url") == address,
        explain=pull_request.explain,
    )

    ingress.serve(authority.issue("*.elsewhere.example"))
    wait_for(pull_request, "Degraded", "CertificateInvalid")
    wait_until(
        "the status says failure",
        lambda: pull_request.status().get("status") == "failure",
        explain=pull_request.explain,
    )

    ingress.serve(authority.self_signed(f"*.{ZONE}"))
    wait_until(
        "it says what is wrong now",
        lambda: "self-signed" in pull_request.preview().get("message", ""),
        explain=pull_request.explain,
    )

    ingress.serve(authority.issue(f"*.{ZONE}"))
    wait_for(pull_request, "Live", "Live")
    pull_request.close()
    pull_request.wait_until_removed()
