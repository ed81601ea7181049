"""The servers of the cluster: how each is started, what it needs first, and how it says that it is ready."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.cluster import calico, readiness
from tests.cluster.layout import (
    API_PORT,
    API_URL,
    ARGOCD_NAMESPACE,
    CONTROLLER_MANAGER_PORT,
    CONTROLLER_METRICS_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    EVERYWHERE,
    FELIX_PORT,
    GITEA_URL,
    KUBELET_HEALTH_PORT,
    LOOPBACK,
    NODE_IP,
    NODE_NAME,
    POD_SUBNET,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
    REDIS_PORT,
    REGISTRY,
    REPO_SERVER_METRICS_PORT,
    REPO_SERVER_PORT,
    SCHEDULER_PORT,
    SEALED_SECRETS,
    SEALED_SECRETS_METRICS_PORT,
    SEALED_SECRETS_NAMESPACE,
    SEALED_SECRETS_PORT,
    SERVICE_SUBNET,
    TRAEFIK_PING_PORT,
    Layout,
)
from tests.cluster.processes import MARK, mark

READY_SECONDS = 90.0  # on a machine that is busy building

ACCOUNT_FOLDER = "/run/secrets/kubernetes.io/serviceaccount"
# What is mounted is seen by the program alone, and ends with it. The rest of /run is hidden from it, and not missed.
ENTER_WITH_ACCOUNT = (
    f"mount -t tmpfs none /run && mkdir -p {ACCOUNT_FOLDER} "
    f'&& cp "$1"/* {ACCOUNT_FOLDER} && shift && exec "$@"'
)


@dataclass(frozen=True)
class Component:
    """A server. `needs` names the steps that come first; `build` the build that its program is from."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool]
    needs: tuple[str, ...] = ()
    build: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ready_seconds: float = READY_SECONDS


def components(layout: Layout, secrets: dict[str, str]) -> dict[str, Component]:
    """Every server by its name, each after what it needs."""
    listed = (
        *storage(layout),
        *control_plane(layout, secrets),
        *argocd(layout),
        *edges(layout),
        sealed_secrets(layout),
        *(isolation(layout) if layout.is_isolated else ()),
    )
    return {component.name: component for component in listed}


def server_environment(layout: Layout, component: Component) -> dict[str, str]:
    """Little of the caller's environment, so that a server behaves the same whoever started it."""
    return {
        "PATH": f"{layout.bin}:{os.defpath}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin",
        "HOME": str(layout.data / "home"),
        "TMPDIR": str(layout.data / "tmp"),
        "LANG": "C.UTF-8",
        **component.environment,
        MARK: mark(layout.root, component.name),
    }


def storage(layout: Layout) -> tuple[Component, ...]:
    etcd_url, peer_url = f"http://{LOOPBACK}:{ETCD_PORT}", f"http://{LOOPBACK}:{ETCD_PEER_PORT}"
    return (
        Component(
            name="etcd",
            argv=(
                "etcd",
                f"--data-dir={layout.data}/etcd",
                f"--listen-client-urls={etcd_url}",
                f"--advertise-client-urls={etcd_url}",
                f"--listen-peer-urls={peer_url}",
                f"--initial-advertise-peer-urls={peer_url}",
                f"--initial-cluster=default={peer_url}",
                # The cluster is thrown away, and a killed process loses nothing by it.
                "--unsafe-no-fsync",
                "--logger=zap",
            ),
            is_ready=readiness.http(f"{etcd_url}/health"),
            environment={"ETCD_UNSUPPORTED_ARCH": "arm64"},  # means nothing anywhere else
        ),
        Component(
            name="redis",
            argv=(
                *("redis-server", "--bind", LOOPBACK, "--port", str(REDIS_PORT)),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
                # It would write over its environment, and with that over the cluster's mark.
                *("--set-proc-title", "no"),
                *("--dir", f"{layout.data}/tmp"),
            ),
            is_ready=readiness.redis(REDIS_PORT),
        ),
        Component(
            name="registry",
            argv=("docker-registry", "serve", f"{layout.configuration}/registry.yaml"),
            is_ready=readiness.http(f"http://{REGISTRY}/v2/"),
        ),
        Component(
            name="containerd",
            argv=("containerd", "--config", f"{layout.configuration}/containerd.toml"),
            is_ready=readiness.containerd(layout.containerd_socket),
        ),
    )


def control_plane(layout: Layout, secrets: dict[str, str]) -> tuple[Component, ...]:
    return (
        api_server(layout, secrets),
        controller_manager(layout),
        scheduler(layout),
        kubelet(layout, secrets),
    )


def api_server(layout: Layout, secrets: dict[str, str]) -> Component:
    pki = layout.pki
    return Component(
        name="kube-apiserver",
        build="kubernetes",
        needs=("etcd",),
        argv=(
            f"{layout.bin}/kube-apiserver",
            f"--etcd-servers=http://{LOOPBACK}:{ETCD_PORT}",
            # Pods must be able to come near what they are to be kept from.
            f"--bind-address={EVERYWHERE if layout.is_isolated else LOOPBACK}",
            f"--secure-port={API_PORT}",
            # Kubernetes refuses to advertise a loopback address.
            f"--advertise-address={NODE_IP}",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--token-auth-file={layout.configuration}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/service-account.key",
            f"--service-account-signing-key-file={pki}/service-account.key",
            f"--service-cluster-ip-range={SERVICE_SUBNET}",
            f"--kubelet-client-certificate={pki}/kubelet-client.crt",
            f"--kubelet-client-key={pki}/kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
            "--profiling=false",
        ),
        is_ready=readiness.http(
            f"{API_URL}/readyz", token=secrets["admin"], ca_file=pki / "ca.crt"
        ),
    )


def controller_manager(layout: Layout) -> Component:
    pki = layout.pki
    return Component(
        name="kube-controller-manager",
        build="kubernetes",
        needs=("kube-apiserver",),
        argv=(
            f"{layout.bin}/kube-controller-manager",
            f"--kubeconfig={layout.kubeconfig('kube-controller-manager')}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={CONTROLLER_MANAGER_PORT}",
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/service-account.key",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            # Deleting a namespace lists every kind in it: the default limits make a queue of that.
            "--concurrent-namespace-syncs=30",
            "--kube-api-qps=300",
            "--kube-api-burst=500",
            "--profiling=false",
        ),
        is_ready=readiness.http(f"https://{LOOPBACK}:{CONTROLLER_MANAGER_PORT}/healthz"),
    )


def scheduler(layout: Layout) -> Component:
    return Component(
        name="kube-scheduler",
        build="kubernetes",
        needs=("kube-apiserver",),
        argv=(
            f"{layout.bin}/kube-scheduler",
            f"--kubeconfig={layout.kubeconfig('kube-scheduler')}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={SCHEDULER_PORT}",
            "--leader-elect=false",
            "--profiling=false",
        ),
        is_ready=readiness.http(f"https://{LOOPBACK}:{SCHEDULER_PORT}/readyz"),
    )


def kubelet(layout: Layout, secrets: dict[str, str]) -> Component:
    pki = layout.pki
    return Component(
        name="kubelet",
        build="kubernetes",
        needs=("kube-apiserver", "containerd", "sandbox image", "pod network"),
        argv=(
            f"{layout.bin}/kubelet",
            f"--config={layout.configuration}/kubelet.yaml",
            f"--kubeconfig={layout.kubeconfig('kubelet')}",
            f"--root-dir={layout.data}/kubelet",
            f"--cert-dir={layout.data}/kubelet/pki",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_IP}",
        ),
        is_ready=readiness.all_of(
            readiness.http(f"http://{LOOPBACK}:{KUBELET_HEALTH_PORT}/healthz"),
            readiness.node(secrets["admin"], pki / "ca.crt"),
        ),
    )


def argocd(layout: Layout) -> tuple[Component, ...]:
    own = layout.data / "argocd"
    environment = {
        "KUBECONFIG": str(layout.kubeconfig("argocd")),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": f"{own}/tls",
        "ARGOCD_SSH_DATA_PATH": f"{own}/ssh",
        "ARGOCD_PLUGINSOCKFILEPATH": f"{own}/plugins",
        "ARGOCD_ASK_PASS_SOCK": f"{own}/ask-pass.sock",
    }
    return (
        Component(
            name="argocd-repo-server",
            build="argocd",
            needs=("redis", "cluster objects", "build helm", "build kustomize"),
            environment=environment,
            argv=(
                f"{layout.bin}/argocd-repo-server",
                f"--address={LOOPBACK}",
                f"--port={REPO_SERVER_PORT}",
                f"--metrics-address={LOOPBACK}",
                f"--metrics-port={REPO_SERVER_METRICS_PORT}",
                f"--redis={LOOPBACK}:{REDIS_PORT}",
                "--disable-tls",
                "--logformat=text",
            ),
            is_ready=readiness.http(
                f"http://{LOOPBACK}:{REPO_SERVER_METRICS_PORT}/healthz?full=true"
            ),
        ),
        Component(
            name="argocd-application-controller",
            build="argocd",
            needs=("argocd-repo-server",),
            environment=environment,
            argv=(
                f"{layout.bin}/argocd-application-controller",
                f"--kubeconfig={layout.kubeconfig('argocd')}",
                f"--namespace={ARGOCD_NAMESPACE}",
                f"--repo-server={LOOPBACK}:{REPO_SERVER_PORT}",
                "--repo-server-plaintext",
                f"--redis={LOOPBACK}:{REDIS_PORT}",
                f"--metrics-port={CONTROLLER_METRICS_PORT}",
                "--logformat=text",
            ),
            is_ready=readiness.http(f"http://{LOOPBACK}:{CONTROLLER_METRICS_PORT}/healthz"),
        ),
    )


def edges(layout: Layout) -> tuple[Component, ...]:
    """What the outside of a real cluster would talk to."""
    return (
        Component(
            name="traefik",
            build="traefik",
            needs=("cluster objects",),
            argv=(f"{layout.bin}/traefik", f"--configfile={layout.configuration}/traefik.yaml"),
            is_ready=readiness.http(f"http://{LOOPBACK}:{TRAEFIK_PING_PORT}/ping"),
        ),
        Component(
            name="gitea",
            build="gitea",
            argv=(f"{layout.bin}/gitea", "web", "--config", f"{layout.configuration}/gitea.ini"),
            environment={"USER": "root"},
            is_ready=readiness.http(f"{GITEA_URL}/api/healthz"),
        ),
    )


def sealed_secrets(layout: Layout) -> Component:
    """It takes itself for a pod, and looks for its ServiceAccount where a pod has it."""
    return Component(
        name="sealed-secrets-controller",
        build="sealed-secrets",
        needs=("pod network", "sealed-secrets objects"),
        argv=(
            *("unshare", "--mount", "--propagation=private", "--"),
            *("sh", "-c", ENTER_WITH_ACCOUNT, SEALED_SECRETS, f"{layout.sealed_secrets_account}"),
            f"{layout.bin}/sealed-secrets-controller",
            # The API server's proxy refuses loopback addresses.
            f"--listen-addr={NODE_IP}:{SEALED_SECRETS_PORT}",
            f"--listen-metrics-addr={LOOPBACK}:{SEALED_SECRETS_METRICS_PORT}",
            # The default limits make a queue of fifty previews.
            "--kubeclient-qps=200",
            "--kubeclient-burst=400",
        ),
        environment={
            "KUBERNETES_SERVICE_HOST": LOOPBACK,
            "KUBERNETES_SERVICE_PORT": str(API_PORT),
            "POD_NAMESPACE": SEALED_SECRETS_NAMESPACE,
        },
        is_ready=readiness.http(f"http://{NODE_IP}:{SEALED_SECRETS_PORT}/v1/cert.pem"),
    )


def isolation(layout: Layout) -> tuple[Component, ...]:
    """What enforces policies, and what gives Services the addresses that policies see through."""
    return (
        Component(
            name="felix",
            build="calico",
            needs=("calico objects", "pod network"),
            argv=(f"{layout.bin}/calico-felix",),
            environment=calico.felix_environment(layout),
            is_ready=readiness.http(f"http://{LOOPBACK}:{FELIX_PORT}/readiness"),
        ),
        Component(
            name="kube-proxy",
            build="kube-proxy",
            # It asks for the address of its node once, when it starts.
            needs=("kubelet",),
            argv=(
                f"{layout.bin}/kube-proxy",
                f"--kubeconfig={layout.kubeconfig('admin')}",
                f"--hostname-override={NODE_NAME}",
                f"--cluster-cidr={POD_SUBNET}",
                "--proxy-mode=iptables",
                f"--healthz-bind-address={LOOPBACK}:{PROXY_HEALTH_PORT}",
                f"--metrics-bind-address={LOOPBACK}:{PROXY_METRICS_PORT}",
                # The machine's own settings stay as they are.
                "--iptables-localhost-nodeports=false",
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0s",
                "--conntrack-tcp-timeout-close-wait=0s",
            ),
            is_ready=readiness.http(f"http://{LOOPBACK}:{PROXY_HEALTH_PORT}/healthz"),
        ),
    )
