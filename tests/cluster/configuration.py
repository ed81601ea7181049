"""The configuration files of every component, written from scratch by each `up`."""

import base64
import hashlib
import json
from pathlib import Path

from tests.cluster import calico
from tests.cluster.builds import BUILDS, Build
from tests.cluster.credentials import TOKEN_USERS, token_file_text, write_private
from tests.cluster.layout import (
    API_URL,
    BRIDGE,
    CGROUP,
    CNI_PROGRAMS,
    GITEA_PORT,
    GITEA_URL,
    INGRESS_PORT,
    KUBELET_HEALTH_PORT,
    KUBELET_PORT,
    LOOPBACK,
    NODE_IP,
    POD_SUBNET,
    REGISTRY,
    SANDBOX_IMAGE,
    TRAEFIK_METRICS_PORT,
    TRAEFIK_PING_PORT,
    Layout,
)
from tests.kubeconfig import kubeconfig

# Every job that Gitea would start by itself: none is needed, and each costs processor time.
GITEA_JOBS = (
    "archive_cleanup",
    "check_repo_stats",
    "cleanup_actions",
    "cleanup_hook_task_table",
    "cleanup_packages",
    "deleted_branches_cleanup",
    "repo_health_check",
    "stop_endless_tasks",
    "stop_zombie_tasks",
    "sync_external_users",
    "update_migration_poster_id",
    "update_mirrors",
)


def write_configuration(layout: Layout, secrets: dict[str, str]) -> None:
    folder = layout.configuration
    ca_file = layout.pki / "ca.crt"
    for user in TOKEN_USERS:
        content = kubeconfig(API_URL, secrets[user], ca_file=ca_file)
        write_private(layout.kubeconfig(user), json.dumps(content))
    write_private(folder / "tokens.csv", token_file_text(secrets))
    write_private(folder / "kubelet.yaml", json.dumps(kubelet(layout), indent=2))
    write_private(folder / "containerd.toml", containerd(layout))
    write_private(folder / "registry.yaml", json.dumps(registry(layout), indent=2))
    write_private(folder / "traefik.yaml", json.dumps(traefik(layout, secrets), indent=2))
    write_private(folder / "gitea.ini", gitea(layout, secrets))
    network = folder / "cni"
    hosts = folder / "registries" / REGISTRY
    for made in (network, hosts):
        made.mkdir(parents=True, exist_ok=True)
    pods = calico.pod_network(layout) if layout.is_isolated else pod_network(layout)
    write_private(network / "10-previews.conflist", json.dumps(pods, indent=2))
    write_private(hosts / "hosts.toml", f'server = "http://{REGISTRY}"\n')


def kubelet(layout: Layout) -> dict[str, object]:
    """Tuned for many short-lived pods: parallel pulls, no garbage collection of images, few reports."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "port": KUBELET_PORT,
        "healthzBindAddress": LOOPBACK,
        "healthzPort": KUBELET_HEALTH_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "failSwapOn": False,
        "failCgroupV1": False,
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(layout.logs / "pods"),
        "volumePluginDir": str(layout.data / "kubelet" / "volume-plugins"),
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "maxPods": 500,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "nodeStatusUpdateFrequency": "30s",
        "nodeStatusReportFrequency": "10m",
    }


def containerd(layout: Layout) -> str:
    data = layout.data / "containerd"
    network_programs = layout.bin if layout.is_isolated else CNI_PROGRAMS
    snapshotter = "overlayfs" if "overlay" in Path("/proc/filesystems").read_text() else "native"
    return f"""\
version = 2
root = "{data}/root"
state = "{data}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", \
"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{layout.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{data}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  # Without it runc fails where the score may not be lowered ("can't get final child's PID").
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  max_concurrent_downloads = 10
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{data}/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{network_programs}"
    conf_dir = "{layout.configuration}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{layout.configuration}/registries"
"""


def pod_network(layout: Layout) -> dict[str, object]:
    """A bridge without masquerading: pods reach each other and the node, and no packet filter is touched."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_SUBNET}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(layout.data / "cni"),
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False}
    return {
        "cniVersion": "0.4.0",
        "name": "previews",
        "plugins": [{**bridge, "ipam": addresses}],
    }


def registry(layout: Layout) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(layout.data / "registry")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": REGISTRY},
    }


def traefik(layout: Layout, secrets: dict[str, str]) -> dict[str, object]:
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "INFO"},
        "entryPoints": {
            "web": {"address": f"{LOOPBACK}:{INGRESS_PORT}"},
            "ping": {"address": f"{LOOPBACK}:{TRAEFIK_PING_PORT}"},
            "metrics": {"address": f"{LOOPBACK}:{TRAEFIK_METRICS_PORT}"},
        },
        "ping": {"entryPoint": "ping"},
        "metrics": {"prometheus": {"entryPoint": "metrics", "addServicesLabels": True}},
        "providers": {
            # The default of 2 s is what a person would wait for at every change.
            "providersThrottleDuration": "100ms",
            "kubernetesIngress": {
                "endpoint": API_URL,
                "token": secrets["traefik"],
                "certAuthFilePath": str(layout.pki / "ca.crt"),
                # Argo CD calls an Ingress healthy only when its status has an address.
                "ingressEndpoint": {"hostname": "localhost"},
            },
        },
    }


def gitea(layout: Layout, secrets: dict[str, str]) -> str:
    data = layout.data / "gitea"
    # Gitea takes nothing but 32 bytes, and writes its own into this file if there are none.
    jwt_key = hashlib.sha256(secrets["gitea-internal"].encode()).digest()
    jwt_secret = base64.urlsafe_b64encode(jwt_key).decode().rstrip("=")
    jobs = "".join(f"[cron.{job}]\nENABLED = false\n" for job in GITEA_JOBS)
    return f"""\
APP_NAME = previews
RUN_MODE = prod
RUN_USER = root
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {data}
[server]
HTTP_ADDR = {LOOPBACK}
HTTP_PORT = {GITEA_PORT}
ROOT_URL = {GITEA_URL}/
STATIC_ROOT_PATH = {BUILDS["gitea"].folder}
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = {data}/gitea.db
SQLITE_JOURNAL_MODE = WAL
[security]
INSTALL_LOCK = true
SECRET_KEY = {secrets["gitea-key"]}
# Gitea would write one into this file, which every `up` writes anew.
INTERNAL_TOKEN = {secrets["gitea-internal"]}
# The default costs a tenth of a second of processor time for each request with a password.
PASSWORD_HASH_ALGO = pbkdf2_v1
[service]
DISABLE_REGISTRATION = true
NO_REPLY_ADDRESS = noreply.localhost
[repository]
ROOT = {data}/repositories
DEFAULT_BRANCH = main
ENABLE_PUSH_CREATE_USER = true
[queue]
# The default one is on disk, and is looked at every two seconds when it was idle.
TYPE = channel
[webhook]
# Pods and Traefik reach a manager under the node's address alone, and Gitea is to reach the same one.
ALLOWED_HOST_LIST = loopback, {NODE_IP}
DELIVER_TIMEOUT = 5
[oauth2]
ENABLED = false
JWT_SECRET = {jwt_secret}
[actions]
ENABLED = false
[packages]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[session]
PROVIDER = memory
[picture]
DISABLE_GRAVATAR = true
[migrations]
ALLOW_LOCALNETWORKS = true
[git.config]
gc.auto = 0
[log]
MODE = console
LEVEL = Warn
{jobs}"""


def link_programs(layout: Layout, built: Build) -> None:
    """Offer the programs of a build on the cluster's PATH; Argo CD's servers differ by name only."""
    links = {name: built.folder / name for name in built.programs}
    if built.name == "argocd":
        servers = ("argocd-repo-server", "argocd-application-controller")
        links |= dict.fromkeys(servers, built.folder / "argocd")
    if built.name == "calico":
        # Network plugins are looked for in one folder, and Calico's calls the others.
        links |= {name: Path(CNI_PROGRAMS, name) for name in ("host-local", "loopback")}
    for name, target in links.items():
        link = layout.bin / name
        if not link.exists() or link.readlink() != target:
            partial = layout.bin / f"{name}.partial"
            partial.unlink(missing_ok=True)
            partial.symlink_to(target)
            partial.replace(link)
