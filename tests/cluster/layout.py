"""Where the local cluster keeps what it makes, and the addresses that it listens on.

Every server listens on loopback, except the kubelet: Kubernetes refuses a loopback node address, so the kubelet
gets the address of the bridge that the pods hang on. Nothing listens on the machine's own interfaces but the metrics
port of Argo CD's controller, whose address cannot be set, and the API server of an isolated cluster.
"""

import os
from dataclasses import dataclass
from pathlib import Path

DIRECTORY_VARIABLE = "PREVIEWS_CLUSTER_DIR"
DEFAULT_DIRECTORY = "/var/lib/previews-cluster"

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
BRIDGE = "previews0"
NODE_IP = "10.213.0.1"
POD_SUBNET = "10.213.0.0/16"
SERVICE_SUBNET = "10.214.0.0/16"
NODE_NAME = "previews-node"
CGROUP = "previews-cluster"
CNI_PROGRAMS = "/usr/lib/cni"
ARGOCD_NAMESPACE = "argocd"
INGRESS_CLASS = "traefik"
SEALED_SECRETS_NAMESPACE = "kube-system"
SEALED_SECRETS = "sealed-secrets-controller"
GITEA_ADMIN = "previews-admin"

API_PORT = 6443
INGRESS_PORT = 8088
REGISTRY_PORT = 5001
GITEA_PORT = 3000
FELIX_PORT = 9099
ETCD_PORT = 23790
ETCD_PEER_PORT = 23800
REDIS_PORT = 16379
KUBELET_HEALTH_PORT = 10248
KUBELET_PORT = 10250
CONTROLLER_MANAGER_PORT = 10257
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249
SCHEDULER_PORT = 10259
REPO_SERVER_PORT = 18081
CONTROLLER_METRICS_PORT = 18082
REPO_SERVER_METRICS_PORT = 18084
TRAEFIK_PING_PORT = 18088
TRAEFIK_METRICS_PORT = 18089
SEALED_SECRETS_PORT = 18091
SEALED_SECRETS_METRICS_PORT = 18092

REGISTRY = f"{LOOPBACK}:{REGISTRY_PORT}"
API_URL = f"https://{LOOPBACK}:{API_PORT}"
METRICS_URL = f"http://{LOOPBACK}:{TRAEFIK_METRICS_PORT}/metrics"
GITEA_URL = f"http://{LOOPBACK}:{GITEA_PORT}"
SANDBOX_IMAGE = "previews.local/pause:1"


@dataclass(frozen=True)
class Layout:
    """The folders and files under the state folder. `down` removes the whole of it."""

    root: Path

    @property
    def bin(self) -> Path:
        """Links to the programs in the binary cache: what a running cluster was started from."""
        return self.root / "bin"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        return self.root / "pids"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def configuration(self) -> Path:
        return self.root / "configuration"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @property
    def snapshot_file(self) -> Path:
        """What the machine looked like before: `down` compares with it and restores it."""
        return self.root / "before.json"

    @property
    def cluster_file(self) -> Path:
        """Written last: its presence says that `up` once came to its end."""
        return self.root / "cluster.json"

    @property
    def isolated_file(self) -> Path:
        """Its presence says that this is, or is to become, a cluster that enforces NetworkPolicies."""
        return self.root / "isolated"

    @property
    def is_isolated(self) -> bool:
        return self.isolated_file.exists()

    @property
    def gitea_token_file(self) -> Path:
        return self.root / "gitea-token"

    @property
    def sealed_secrets_account(self) -> Path:
        """What a pod of the sealed-secrets controller would find of its ServiceAccount."""
        return self.configuration / "sealed-secrets"

    @property
    def containerd_socket(self) -> Path:
        return self.root / "containerd.sock"

    def kubeconfig(self, user: str) -> Path:
        return self.configuration / f"{user}.kubeconfig"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def make_folders(self) -> None:
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        data = [self.data / name for name in ("home", "tmp", "argocd")]
        for folder in (self.bin, self.logs, self.pids, *data):
            folder.mkdir(parents=True, exist_ok=True)
        for private in (self.pki, self.configuration):
            private.mkdir(mode=0o700, exist_ok=True)


def configured_layout() -> Layout:
    """The layout that the environment asks for, else the default one."""
    return Layout(Path(os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY).resolve())


def cache_folder() -> Path:
    """Where built programs are kept, by version, for every checkout of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "previews" / "bin"
