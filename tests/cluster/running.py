"""The face of the cluster for tests and the demo: where it is, and what a test may do to it."""

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.layout import Layout, configured_layout
from tests.cluster.processes import running_pid

COMMAND_SECONDS = 120.0


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that `up` has brought to its end."""

    directory: Path
    kubeconfig: Path
    """The administrator's."""
    api_server: str
    ca_file: Path
    admin_token: str
    argocd_namespace: str
    gitea_url: str
    gitea_admin_user: str
    gitea_admin_password: str
    gitea_admin_token: str
    registry: str
    """Host and port, as in the name of an image."""
    ingress_port: int
    ingress_metrics_url: str
    """What the ingress controller counts, for Prometheus."""
    ingress_class: str
    node_ip: str
    """Pods and the ingress reach this machine under it, and nobody else does."""
    bin_dir: Path
    """Holds kubectl, helm, kustomize and argocd."""
    is_isolated: bool = False
    """Whether it enforces NetworkPolicies, and Services have working addresses."""

    @classmethod
    def read(cls, file: Path) -> "RunningCluster":
        found = json.loads(file.read_text())
        paths = ("directory", "kubeconfig", "ca_file", "bin_dir")
        return cls(**{**found, **{name: Path(found[name]) for name in paths}})

    def as_json(self) -> str:
        return json.dumps(asdict(self), default=str, indent=2)

    def kubectl(self, *args: str, input: str | None = None) -> str:  # noqa: A002 as in subprocess
        """What kubectl prints; CalledProcessError, with its stderr, if it fails."""
        command = [str(self.bin_dir / "kubectl"), f"--kubeconfig={self.kubeconfig}", *args]
        ended = subprocess.run(
            command,
            # Never this program's own standard input: kubectl would read it.
            input=input or "",
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if ended.returncode:
            error = subprocess.CalledProcessError(ended.returncode, command)
            error.add_note(ended.stderr)
            error.stderr = ended.stderr
            raise error
        return ended.stdout

    def service_account_token(self, namespace: str, name: str, seconds: int) -> str:
        """A token of this ServiceAccount from the TokenRequest API; at least 600 seconds."""
        # Imported here: it loads ssl, and importing this package is to stay cheap.
        from tests.cluster.readiness import fetch  # noqa: PLC0415

        answer = fetch(
            f"{self.api_server}/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            method="POST",
            token=self.admin_token,
            ca_file=self.ca_file,
            body={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": seconds},
            },
        )
        token: str = json.loads(answer)["status"]["token"]
        return token

    def stop(self, component: str) -> None:
        """Stop one server; pods go on when it is containerd or the kubelet."""
        from tests.cluster.single import stop_component  # noqa: PLC0415 as above

        stop_component(Layout(self.directory), component)

    def start(self, component: str) -> None:
        """Start one server, and return when it is ready."""
        from tests.cluster.single import start_component  # noqa: PLC0415 as above

        start_component(Layout(self.directory), component)

    def log_path(self, component: str) -> Path:
        return Layout(self.directory).log(component)


def running() -> RunningCluster | None:
    """The cluster of this machine, if `up` was run and its servers still run."""
    layout = configured_layout()
    if not layout.cluster_file.exists():
        return None
    # A server that a test has stopped does not make the cluster vanish, but a reboot does.
    if not any(running_pid(file) for file in layout.pids.glob("*.pid")):
        return None
    return RunningCluster.read(layout.cluster_file)
