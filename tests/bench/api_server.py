"""A Kubernetes API server of one's own, with etcd and nothing else: ten thousand namespaces are quick to make there,
and go with it. Where controllers run, each of them would take seconds to be deleted."""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2

from tests.cluster import RunningCluster

ARGO_CD_KINDS = ("applications.argoproj.io", "appprojects.argoproj.io")
START_SECONDS = 90.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class APIServer:
    """Under the certificates and tokens of the local cluster."""

    url: str
    client: httpx2.Client
    """The administrator's. Safe from any thread."""


@contextmanager
def own_api_server(cluster: RunningCluster, directory: Path) -> Iterator[APIServer]:
    """Started in `directory`, and ended with the block. It knows Argo CD's kinds."""
    etcd_url, peer_url = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    port = _free_port()
    pki, configuration = cluster.directory / "pki", cluster.directory / "configuration"
    etcd = [
        *(shutil.which("etcd") or "etcd", f"--data-dir={directory / 'etcd'}", "--unsafe-no-fsync"),
        *(f"--listen-client-urls={etcd_url}", f"--advertise-client-urls={etcd_url}"),
        *(f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}"),
        f"--initial-cluster=default={peer_url}",
    ]
    server = [
        *(str(cluster.bin_dir / "kube-apiserver"), f"--etcd-servers={etcd_url}"),
        *("--bind-address=127.0.0.1", f"--secure-port={port}"),
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--token-auth-file={configuration / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-account.key'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        "--service-cluster-ip-range=10.215.0.0/16",
    ]
    url = f"https://127.0.0.1:{port}"
    client = httpx2.Client(
        base_url=url,
        headers={"authorization": f"Bearer {cluster.admin_token}"},
        verify=ssl.create_default_context(cafile=cluster.ca_file),
        trust_env=False,
        timeout=60,
    )
    with _running(etcd, directory / "etcd.log"), _running(server, directory / "server.log"), client:
        log = directory / "server.log"
        _wait(partial(_answers, client, "/readyz"), log)
        _teach_argocd_kinds(cluster, client, log)
        yield APIServer(url, client)


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(client: httpx2.Client, path: str) -> bool:
    return client.get(path).status_code == httpx2.codes.OK


def _teach_argocd_kinds(cluster: RunningCluster, client: httpx2.Client, log: Path) -> None:
    for kind in ARGO_CD_KINDS:
        found = json.loads(cluster.kubectl("get", f"crd/{kind}", "-o=json"))
        taught = {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {
                "name": kind,
                "annotations": {"api-approved.kubernetes.io": "unapproved"},
            },
            "spec": found["spec"],
        }
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        client.post(path, json=taught).raise_for_status()
        plural = kind.partition(".")[0]
        listed = f"/apis/argoproj.io/v1alpha1/{plural}"
        _wait(partial(_answers, client, listed), log)


def _wait(is_so: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx2.HTTPError):
            if is_so():
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the API server does not come up: {log.read_text()[-1000:]}")
        time.sleep(POLL_SECONDS)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
