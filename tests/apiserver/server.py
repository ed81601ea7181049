"""Starts etcd and kube-apiserver on free ports in a folder of their own, and ends both."""

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
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.apiserver.kinds import foreign_kinds
from tests.cluster.builds import BUILDS
from tests.cluster.credentials import (
    ensure_certificates,
    ensure_secrets,
    token_file_text,
    write_private,
)
from tests.cluster.layout import LOOPBACK, Layout
from tests.kubeconfig import kubeconfig

START_SECONDS = 90.0
STOP_SECONDS = 20.0
COMMAND_SECONDS = 60.0
POLL_SECONDS = 0.05
NEEDED_BUILDS = ("kubernetes", "argocd", "helm")

Object = dict[str, Any]


def missing() -> str | None:
    """One line that says why it cannot run here, or None."""
    not_built = [name for name in NEEDED_BUILDS if not BUILDS[name].is_built]
    if not_built:
        return f"{', '.join(not_built)}: not built yet (make cluster-up builds them)"
    if shutil.which("etcd") is None:
        return "etcd is missing (the Debian package etcd-server; make cluster-up installs it)"
    return None


@dataclass(frozen=True)
class APIServer:
    """Argo CD's kinds are there, and those of `kinds.py`. No controller runs unless it is asked for."""

    url: str
    admin_token: str
    layout: Layout

    @cached_property
    def client(self) -> httpx2.Client:
        """The administrator's."""
        return httpx2.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {self.admin_token}"},
            verify=ssl.create_default_context(cafile=self.layout.pki / "ca.crt"),
            trust_env=False,
            timeout=60,
        )

    def create(
        self, given: Object, *, user: str = "", groups: Sequence[str] = (), keep: bool = True
    ) -> httpx2.Response:
        """What it answers to a new object, from the administrator or in another's name; not kept, it only answers."""
        return self.client.post(
            path_of(given).rpartition("/")[0],
            json=given,
            params={} if keep else {"dryRun": "All"},
            headers=_acting_as(user, groups),
        )

    def replace(
        self, given: Object, *, user: str = "", groups: Sequence[str] = ()
    ) -> httpx2.Response:
        return self.client.put(path_of(given), json=given, headers=_acting_as(user, groups))

    def delete(self, like: Object) -> httpx2.Response:
        return self.client.delete(path_of(like))

    def exists(self, like: Object) -> bool:
        return _answers(self.client, path_of(like))

    def read(self, like: Object) -> Object:
        """The object of this kind, namespace and name, as it is."""
        return _object(self.client.get(path_of(like)))

    def apply(self, objects: Sequence[Object]) -> None:
        """Make them, or make them so. Raises AssertionError with what it says of one that it refuses."""
        for given in objects:
            _object(
                self.client.patch(
                    path_of(given),
                    content=json.dumps(given),
                    params={"fieldManager": "tests", "force": "true"},
                    headers={"content-type": "application/apply-patch+yaml"},
                )
            )

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As the administrator, whatever comes of it."""
        return subprocess.run(
            [
                *(_program("kubectl"), f"--kubeconfig={self.kubeconfig()}"),
                *(f"--cache-dir={self.layout.data}/kubectl-cache", *arguments),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def wait_until(self, what: str, is_so: Callable[[], bool]) -> None:
        _wait(what, is_so, self.layout.log("kube-apiserver"))

    @contextmanager
    def controllers(self, *names: str) -> Iterator[None]:
        """Kubernetes' own controllers of these names, and no other."""
        argv = [
            *(_program("kube-controller-manager"), f"--kubeconfig={self.kubeconfig()}"),
            *(f"--controllers={','.join(names)}", "--leader-elect=false", "--secure-port=0"),
        ]
        with _running(argv, self.layout.log("kube-controller-manager")):
            yield

    def kubeconfig(self) -> Path:
        """The administrator's; written anew."""
        content = kubeconfig(self.url, self.admin_token, ca_file=self.layout.pki / "ca.crt")
        file = self.layout.kubeconfig("admin")
        write_private(file, json.dumps(content))
        return file


@contextmanager
def serving(directory: Path) -> Iterator[APIServer]:
    """Ready when it is given, and gone with the block. Needs `missing()` to be None."""
    layout = Layout(directory)
    layout.make_folders()
    ensure_certificates(layout)
    secrets = ensure_secrets(layout)
    tokens = layout.configuration / "tokens.csv"
    write_private(tokens, token_file_text(secrets))
    etcd_port, peer_port, port = _free_ports(3)
    etcd_url, peer_url = (f"http://{LOOPBACK}:{number}" for number in (etcd_port, peer_port))
    etcd = [
        *(shutil.which("etcd") or "etcd", f"--data-dir={layout.data}/etcd", "--unsafe-no-fsync"),
        *(f"--listen-client-urls={etcd_url}", f"--advertise-client-urls={etcd_url}"),
        *(f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}"),
        f"--initial-cluster=default={peer_url}",
    ]
    pki = layout.pki
    server = [
        *(_program("kube-apiserver"), f"--etcd-servers={etcd_url}"),
        *(f"--bind-address={LOOPBACK}", f"--secure-port={port}"),
        *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
        *(f"--token-auth-file={tokens}", "--authorization-mode=RBAC"),
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-account.key",
        f"--service-account-signing-key-file={pki}/service-account.key",
        "--service-cluster-ip-range=10.215.0.0/16",
        # No pod runs, so none needs an account.
        "--disable-admission-plugins=ServiceAccount",
        "--profiling=false",
    ]
    log = layout.log("kube-apiserver")
    with _running(etcd, layout.log("etcd")), _running(server, log):
        found = APIServer(f"https://{LOOPBACK}:{port}", secrets["admin"], layout)
        with found.client:
            found.wait_until("it is ready", lambda: _answers(found.client, "/readyz"))
            _teach(found)
            yield found


def path_of(given: Object) -> str:
    """Where an object is, by what it says of itself."""
    version, metadata = given["apiVersion"], given["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    inside = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{inside}/{_plural(given['kind'])}/{metadata['name']}"


def _plural(kind: str) -> str:
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith("s"):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith(("cy", "xy")) else f"{name}s"


def _teach(server: APIServer) -> None:
    """Kinds that are asked for before they are served would be unknown."""
    folder = BUILDS["argocd"].folder / "crds"
    texts = [file.read_text() for file in sorted(folder.glob("*-crd.yaml"))]
    definitions = [yaml.load(text, Loader=yaml.CSafeLoader) for text in texts] + foreign_kinds()
    server.apply(definitions)
    for definition in definitions:
        spec = definition["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        server.wait_until(f"{path} is served", lambda path=path: _answers(server.client, path))  # type: ignore[misc]


def _acting_as(user: str, groups: Sequence[str]) -> list[tuple[str, str]]:
    if not user:
        return []
    return [("impersonate-user", user), *(("impersonate-group", group) for group in groups)]


def _object(response: httpx2.Response) -> Object:
    assert response.is_success, response.text
    found: Object = response.json()
    return found


def _program(name: str) -> str:
    return str(BUILDS["kubernetes"].folder / name)


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


def _wait(what: str, is_so: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx2.HTTPError):
            if is_so():
                return
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"not after {START_SECONDS:.0f} s: {what}: {log.read_text()[-1000:]}"
            )
        time.sleep(POLL_SECONDS)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in found:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in found]
