"""The `previews` command as a process: what it says about a configuration, and how it lives with everything down."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.kubeconfig import write_kubeconfig
from tests.world.waiting import wait_until

PREVIEWS = [sys.executable, "-m", "previews"]


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def configuration(tmp_path: Path) -> dict[str, Any]:
    """Every outside system is configured, and none of them is there."""
    for name in ("forge-token", "secret", "api-token"):
        (tmp_path / name).write_text(f"canary-{name}\n")
    nobody = f"http://127.0.0.1:{free_port()}"
    write_kubeconfig(tmp_path / "kubeconfig", nobody, "canary-cluster")
    return {
        "instance": "down",
        "data_directory": str(tmp_path / "data"),
        "forge": {
            "kind": "gitea",
            "api_url": nobody,
            "token_file": str(tmp_path / "forge-token"),
            "webhook_secret_files": [str(tmp_path / "secret")],
        },
        "gitops": {"url": f"{nobody}/acme/gitops.git"},
        "kubernetes": {"kubeconfig": str(tmp_path / "kubeconfig")},
        "domain": {"zone": "preview.example"},
        "server": {"port": free_port(), "api_token_file": str(tmp_path / "api-token")},
        "projects": [
            {
                "name": "shop",
                "repository": "acme/shop",
                "deploy": {"helm": {"repository_url": f"{nobody}/charts.git", "path": "app"}},
                "hostname": "pr-{number}.preview.example",
            }
        ],
    }


def write(tmp_path: Path, configuration: dict[str, Any]) -> Path:
    path = tmp_path / "previews.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PREVIEWS, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_asking_a_manager_waits_for_no_client_of_another_system_to_load() -> None:
    heavy = {"dns.resolver", "fastapi", "github", "kubernetes", "psycopg", "sqlmodel"}
    code = f"import sys, previews.cli; print(sorted({heavy!r} & set(sys.modules)))"

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (answer.stdout, answer.stderr) == ("[]\n", "")


def test_check_says_that_a_configuration_is_good(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    done = said("check", "--config", str(write(tmp_path, configuration)))
    assert done.returncode == 0
    assert "instance down, projects shop" in done.stdout


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_mistake_in_the_configuration_is_one_line_and_code_2(
    tmp_path: Path, configuration: dict[str, Any], command: str
) -> None:
    configuration["forge"]["tokn_file"] = "x"
    done = said(command, "--config", str(write(tmp_path, configuration)))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "forge.tokn_file: there is no such key" in line


def test_a_missing_secret_file_is_one_line_and_code_2(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    (tmp_path / "secret").unlink()
    done = said("serve", "--config", str(write(tmp_path, configuration)))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "forge.webhook_secret_files.0: the file" in line


def test_render_of_nonsense_is_one_line(tmp_path: Path, configuration: dict[str, Any]) -> None:
    done = said("render", "nonsense", "--config", str(write(tmp_path, configuration)))
    assert done.returncode == 1
    assert done.stderr == "previews: a preview is written project#number, not 'nonsense'\n"


@pytest.fixture
def lonely(
    tmp_path: Path, configuration: dict[str, Any]
) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """A manager whose every outside system is down: process, address, log."""
    log = tmp_path / "manager.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*PREVIEWS, "serve", "--config", str(write(tmp_path, configuration))],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    address = f"http://127.0.0.1:{configuration['server']['port']}"
    try:
        wait_until(
            "the manager answers", lambda: answers(f"{address}/livez"), explain=log.read_text
        )
        yield process, address, log
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def missing(address: str) -> dict[str, str]:
    answer = httpx2.get(f"{address}/readyz")
    assert answer.status_code == 503
    found: dict[str, str] = answer.json()["missing"]
    return found


def test_with_everything_down_it_stays_up_says_what_is_missing_and_ends_cleanly(
    lonely: tuple[subprocess.Popen[bytes], str, Path],
) -> None:
    process, address, log = lonely
    wait_until(
        "all three are named as missing",
        lambda: set(missing(address)) == {"forge", "git", "cluster"},
        explain=log.read_text,
    )
    assert answers(f"{address}/livez")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    text = log.read_text()
    assert "Traceback" not in text
    assert "canary" not in text


@pytest.mark.usefixtures("lonely")
def test_with_everything_down_it_still_answers_the_command_line(tmp_path: Path) -> None:
    configuration = ["--config", str(tmp_path / "previews.yaml")]
    assert json.loads(said("list", "--json", *configuration).stdout) == []
    assert said("brake", *configuration).stdout.startswith("the brake holds nothing\n")
    wake = said("wake", "shop#1", "--actor", "ada", *configuration)
    assert (wake.returncode, wake.stderr) == (1, "previews: there is no preview shop#1\n")
    sweep = said("collect", *configuration)
    assert sweep.returncode == 1
    assert "Traceback" not in sweep.stderr


def test_with_everything_down_it_still_tells_its_metrics_to_whoever_has_the_token(
    lonely: tuple[subprocess.Popen[bytes], str, Path],
) -> None:
    _, address, _ = lonely
    allowed = {"authorization": "Bearer canary-api-token"}
    assert httpx2.post(f"{address}/webhooks", content=b"{}").status_code == 401
    told = httpx2.get(f"{address}/metrics", headers=allowed).text
    assert 'previews_deliveries_total{verdict="refused"} 1.0' in told
    assert 'previews_by_phase{phase="Live",project="shop"} 0.0' in told
    assert "\npreviews_resync_age_seconds" not in told
    assert httpx2.get(f"{address}/metrics").status_code == 401


@pytest.mark.fault(14)
def test_a_second_manager_of_the_same_data_waits(
    lonely: tuple[subprocess.Popen[bytes], str, Path], tmp_path: Path
) -> None:
    first, _, _ = lonely
    path = tmp_path / "second.log"
    with path.open("wb") as output:
        second = subprocess.Popen(
            [*PREVIEWS, "serve", "--config", str(tmp_path / "previews.yaml")],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until("the second one waits", lambda: "waiting for it to end" in path.read_text())
        first.kill()
        first.wait()
        wait_until("the second one starts", lambda: '"started"' in path.read_text())
    finally:
        second.kill()
        second.wait()
