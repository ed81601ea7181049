"""What the isolated cluster has in place of the bridge: Calico, which enforces NetworkPolicies, without its daemons.

Felix writes the packet filter, the network plugin gives each pod an interface of its own, and host-local its address.
Neither needs Typha, BIRD or the operator: there is one node, and Kubernetes is the store.
"""

import re
import subprocess

from tests.cluster import machine
from tests.cluster.builds import ISOLATION_BUILDS
from tests.cluster.cluster_objects import apply_objects, kubectl, run_program, wait_for_kinds
from tests.cluster.layout import FELIX_PORT, LOOPBACK, NODE_NAME, POD_SUBNET, Layout

CHAINS = ("cali-", "KUBE-")
"""How the names of Felix' and kube-proxy's chains begin."""
MARK = '"cali:'
"""What Felix says of each of its rules, wherever they stand."""
SETS = "cali"
SET_UP = "clusterinformations"
"""The kind by which Felix and the plugin see that the store may be used."""


def pod_network(layout: Layout) -> dict[str, object]:
    """Pods reach each other through the node, which looks at everything that they say."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_SUBNET}]],
        "dataDir": str(layout.data / "cni"),
    }
    plugin = {
        "type": "calico",
        "datastore_type": "kubernetes",
        "nodename": NODE_NAME,
        "nodename_file_optional": True,
        "log_file_path": str(layout.log("calico")),
        "ipam": addresses,
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": str(layout.kubeconfig("admin"))},
    }
    return {"cniVersion": "0.4.0", "name": "previews", "plugins": [plugin]}


def felix_environment(layout: Layout) -> dict[str, str]:
    return {
        "KUBECONFIG": str(layout.kubeconfig("admin")),
        "FELIX_DATASTORETYPE": "kubernetes",
        "FELIX_FELIXHOSTNAME": NODE_NAME,
        # Else every pod is kept from the node, whatever the policies say: they alone are to decide.
        "FELIX_DEFAULTENDPOINTTOHOSTACTION": "Accept",
        # The same tables as those that `down` looks through.
        "FELIX_IPTABLESBACKEND": iptables_backend(),
        "FELIX_IPV6SUPPORT": "false",
        "FELIX_XDPENABLED": "false",
        "FELIX_USAGEREPORTINGENABLED": "false",
        "FELIX_HEALTHENABLED": "true",
        "FELIX_HEALTHHOST": LOOPBACK,
        "FELIX_HEALTHPORT": str(FELIX_PORT),
        "FELIX_LOGSEVERITYSCREEN": "info",
        "FELIX_LOGFILEPATH": "none",
        "FELIX_LOGSEVERITYFILE": "none",
        "FELIX_LOGSEVERITYSYS": "none",
    }


def iptables_backend() -> str:
    """As Felix calls it."""
    asked = subprocess.run(["iptables", "-V"], capture_output=True, text=True, check=False)
    return "NFT" if "nf_tables" in asked.stdout else "Legacy"


def ensure_calico_objects(layout: Layout, token: str) -> None:
    """Its kinds, and the word that they are complete."""
    crds = ISOLATION_BUILDS["calico"].folder / "crds"
    kubectl(layout, "apply", "--server-side", "-f", str(crds))
    wait_for_kinds(layout, token, (SET_UP,))
    ready: dict[str, object] = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "ClusterInformation",
        "metadata": {"name": "default"},
        "spec": {"datastoreReady": True, "clusterGUID": "0" * 32},
    }
    apply_objects(layout, [ready])


def remove_packet_filter(before: machine.Snapshot) -> None:
    """What Felix and kube-proxy leave when they end: it would hold for whoever gets these addresses next."""
    for family in machine.PACKET_FILTERS:
        saved = machine.saved_packet_filter(family)
        if removal := removal_of(saved, before.packet_filter):
            run_program([f"{family}-restore", "--noflush"], text=removal)
    for name in run_program(["ipset", "list", "-name"]).split():
        if name.startswith(SETS):
            run_program(["ipset", "destroy", name])


def removal_of(saved: str, before: list[str]) -> str:
    """What iptables-restore takes to undo this state's chains of ours. A chain that was there before is another's."""
    removal = []
    for table in re.split(r"^\*", saved, flags=re.MULTILINE)[1:]:
        name, *lines = [line for line in table.splitlines() if not line.startswith("#")]
        ours = [
            chain
            for chain in (line[1:].split()[0] for line in lines if line.startswith(":"))
            if chain.startswith(CHAINS) and f":{chain} -" not in before
        ]
        leading_there = [
            f"-D {rule.removeprefix('-A ')}"
            for rule in lines
            if rule.startswith("-A ")
            and rule.split()[1] not in ours
            and rule not in before
            and (set(rule.split()) & set(ours) or MARK in rule)
        ]
        emptied, ended = [f"-F {chain}" for chain in ours], [f"-X {chain}" for chain in ours]
        if steps := [*leading_there, *emptied, *ended]:
            removal += [f"*{name}", *steps, "COMMIT"]
    return "".join(f"{line}\n" for line in removal)
