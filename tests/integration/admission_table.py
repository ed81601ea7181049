"""What a pull request might try to deploy, and the sentence with which Kubernetes refuses it; and what it may have."""

from collections.abc import Mapping, Sequence

from previews.domain import labels
from previews.domain.preview import PreviewKey
from tests.rendered import MANAGER_VALUES, PREVIEWS, Object, render

INSTANCE = str(MANAGER_VALUES["instance"])
OWN_HOST, API_HOST = "pr-42.preview.example", "pr-42-api.preview.example"
OURS, BARE, NOBODYS, ANOTHERS = "preview-shop-pr-42", "preview-bare", "shop", "preview-of-another"
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def policies(helm: str, **admission: object) -> list[Object]:
    objects = render(helm, PREVIEWS, {**MANAGER_VALUES, "admission": admission})
    return [found for found in objects if found["kind"] in POLICIES]


def namespace(
    name: str, instance: str, *, hosts: str | None = None, number: int = 42, **more: str
) -> Object:
    owner = labels.ownership(instance, PreviewKey("shop", number))
    metadata: Object = {"name": name, "labels": owner | RESTRICTED | more}
    if hosts is not None:
        metadata["annotations"] = {labels.HOSTS: hosts}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def made(
    version: str,
    kind: str,
    *,
    annotations: Mapping[str, str] | None = None,
    name: str = "app",
    inside: str = OURS,
    **fields: object,
) -> Object:
    metadata: Object = {"name": name, "namespace": inside}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def ingress(
    *hosts: str | None,
    tls: Sequence[str] = (),
    annotations: Mapping[str, str] | None = None,
    inside: str = OURS,
    **spec: object,
) -> Object:
    backend = {"service": {"name": "app", "port": {"name": "http"}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    rules = [{"http": http} if host is None else {"host": host, "http": http} for host in hosts]
    described = {"rules": rules, **({"tls": [{"hosts": list(tls)}]} if tls else {}), **spec}
    return made(
        *("networking.k8s.io/v1", "Ingress"),
        annotations=annotations,
        inside=inside,
        spec=described,
    )


def route(kind: str, *hosts: str, inside: str = OURS) -> Object:
    spec = {"hostnames": list(hosts)} if hosts else {}
    return made("gateway.networking.k8s.io/v1", kind, inside=inside, spec=spec)


def service(annotations: Mapping[str, str] | None = None, **spec: object) -> Object:
    ports = {"ports": [{"name": "http", "port": 80}]}
    return made("v1", "Service", annotations=annotations, spec={**ports, **spec})


def noted(annotation: str, value: str) -> Object:
    return made("v1", "ConfigMap", annotations={annotation: value})


def role_binding() -> Object:
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": OURS}
    return made(f"{group}/v1", "RoleBinding", roleRef=role, subjects=[subject])


def argocd(kind: str, **spec: object) -> Object:
    return made("argoproj.io/v1alpha1", kind, spec=spec)


DESTINATION = {"server": "https://kubernetes.default.svc", "namespace": "kube-system"}
SOURCE = {"repoURL": "https://git.example/x.git", "path": "."}
APPLICATION = argocd("Application", project="default", source=SOURCE, destination=DESTINATION)
ENDPOINTS = made(
    "v1", "Endpoints", subsets=[{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]
)
SLICE = made(
    *("discovery.k8s.io/v1", "EndpointSlice"),
    addressType="IPv4",
    ports=[{"name": "http", "port": 80}],
    endpoints=[{"addresses": ["192.0.2.1"]}],
)
TOKEN = made(
    *("v1", "Secret"),
    annotations={"kubernetes.io/service-account.name": "default"},
    type="kubernetes.io/service-account-token",
)
MARKED = made("v1", "ConfigMap", name="marker", inside=NOBODYS)
RECORD = "external-dns.alpha.kubernetes.io/hostname"
OPTIONS = "argocd.argoproj.io/sync-options"
FOREIGN = "shop.example"
MAY_USE = f"this preview may use {OWN_HOST} and 1 more, which its namespace names"
TAKE_IT = "Take the host of each rule from the value ingress.host."
SET_IT = "Set spec.hostnames to the value ingress.host."
ON_DELETION = "previews refuses a hook that runs on deletion"
LEFT_BEHIND = (
    "previews refuses Delete=false, Delete=confirm, Prune=false and Prune=confirm in "
    "argocd.argoproj.io/sync-options: a preview goes altogether, and nobody is asked."
)
KEPT = "previews refuses helm.sh/resource-policy: keep, since a preview goes altogether."
BY_HAND = "previews refuses addresses that are written by hand (Endpoints, EndpointSlice)"
BEYOND = (
    "a preview deploys nothing beyond its own namespace. Leave it out of what a preview deploys."
)
NO_RIGHTS = "a preview has no rights in the cluster, and can give none."
OTHERS_TRAFFIC = "it could take hosts or traffic that are not this preview's."

REFUSED: dict[str, tuple[Object, str]] = {
    "a foreign host": (
        ingress(FOREIGN),
        f"previews refuses the host {FOREIGN}: {MAY_USE}. {TAKE_IT}",
    ),
    "a foreign host behind its own": (
        ingress(OWN_HOST, "pr-43.preview.example"),
        "previews refuses the host pr-43.preview.example",
    ),
    "a wildcard": (ingress("*.preview.example"), "refuses the host *.preview.example"),
    "a host below its own": (ingress(f"a.{OWN_HOST}"), f"refuses the host a.{OWN_HOST}"),
    "the beginning of its own host": (
        ingress("preview.example"),
        "refuses the host preview.example",
    ),
    "a rule without a host": (
        ingress(None),
        f"previews refuses a rule without a host: {MAY_USE}. {TAKE_IT}",
    ),
    "an empty host": (ingress(OWN_HOST, ""), "previews refuses a rule without a host"),
    "any host, when its namespace names none": (
        ingress(OWN_HOST, inside=BARE),
        f"previews refuses the host {OWN_HOST}: this preview has no host",
    ),
    "an empty host, when its namespace names none": (
        ingress(None, inside=BARE),
        "previews refuses a rule without a host",
    ),
    "a default backend alone": (
        ingress(rules=[], defaultBackend={"service": {"name": "app", "port": {"number": 80}}}),
        "previews refuses a default backend",
    ),
    "a default backend beside its own host": (
        ingress(OWN_HOST, defaultBackend={"service": {"name": "app", "port": {"number": 80}}}),
        "Name the host in a rule (the value ingress.host), and leave spec.defaultBackend out.",
    ),
    "a certificate for a foreign host": (
        ingress(OWN_HOST, tls=[OWN_HOST, FOREIGN]),
        "previews refuses a certificate for other hosts in spec.tls: this preview may use",
    ),
    "another name for the server": (
        ingress(OWN_HOST, annotations={"nginx.ingress.kubernetes.io/server-alias": FOREIGN}),
        "previews refuses the annotation nginx.ingress.kubernetes.io/server-alias",
    ),
    "a piece of the ingress controller's own configuration": (
        ingress(OWN_HOST, annotations={"nginx.org/server-snippets": "listen 81;"}),
        "previews refuses the annotation nginx.org/server-snippets",
    ),
    "an HTTPRoute for a foreign host": (
        route("HTTPRoute", OWN_HOST, FOREIGN),
        f"previews refuses the host {FOREIGN}: {MAY_USE}. {SET_IT}",
    ),
    "a GRPCRoute for a wildcard": (
        route("GRPCRoute", "*.preview.example"),
        f"previews refuses the host *.preview.example: {MAY_USE}. {SET_IT}",
    ),
    "an HTTPRoute for every host": (
        route("HTTPRoute"),
        f"which answers for every host of its gateway: {MAY_USE}. {SET_IT}",
    ),
    "an HTTPRoute, when its namespace names no host": (
        route("HTTPRoute", OWN_HOST, inside=BARE),
        "this preview has no host",
    ),
    "a DNS record of a foreign host": (
        service({RECORD: f"{OWN_HOST},{FOREIGN}"}),
        f"previews refuses a DNS record for {OWN_HOST},{FOREIGN}: {MAY_USE}. Leave the annotation",
    ),
    "a DNS record of a foreign host inside": (
        ingress(
            OWN_HOST, annotations={"external-dns.alpha.kubernetes.io/internal-hostname": FOREIGN}
        ),
        f"previews refuses a DNS record for {FOREIGN}",
    ),
    "a LoadBalancer": (
        service(type="LoadBalancer"),
        "previews refuses a Service of type LoadBalancer: a preview is reached through the ingress",
    ),
    "a NodePort": (service(type="NodePort"), "previews refuses a Service of type NodePort"),
    "an ExternalName": (
        service(type="ExternalName", externalName="kubernetes.default.svc.cluster.local"),
        "previews refuses a Service of type ExternalName",
    ),
    "other people's addresses": (
        service(externalIPs=["192.0.2.1"]),
        "previews refuses a Service with externalIPs, which takes other people's traffic.",
    ),
    "Endpoints": (ENDPOINTS, BY_HAND),
    "an EndpointSlice": (SLICE, f"{BY_HAND}: a Service leads to pods of its preview."),
    "a RoleBinding": (role_binding(), f"previews refuses this RoleBinding: {NO_RIGHTS}"),
    "a Role": (
        made("rbac.authorization.k8s.io/v1", "Role", rules=[]),
        f"previews refuses this Role: {NO_RIGHTS}",
    ),
    "a token of a ServiceAccount": (
        TOKEN,
        f"previews refuses this Secret of type kubernetes.io/service-account-token: {NO_RIGHTS}",
    ),
    "an Application": (APPLICATION, f"previews refuses this Application: {BEYOND}"),
    "an AppProject": (
        argocd("AppProject", sourceRepos=["*"]),
        f"previews refuses this AppProject: {BEYOND}",
    ),
    "an ApplicationSet": (
        argocd(
            "ApplicationSet",
            generators=[],
            template={"metadata": {}, "spec": APPLICATION["spec"]},
        ),
        f"previews refuses this ApplicationSet: {BEYOND}",
    ),
    "an IngressRoute of Traefik": (
        made("traefik.io/v1alpha1", "IngressRoute", spec={}),
        f"previews refuses this IngressRoute of traefik.io: {OTHERS_TRAFFIC}",
    ),
    "a Middleware of Traefik": (
        made("traefik.io/v1alpha1", "Middleware", spec={}),
        "previews refuses this Middleware of traefik.io",
    ),
    "an HTTPProxy of Contour": (
        made("projectcontour.io/v1", "HTTPProxy", spec={}),
        "previews refuses this HTTPProxy of projectcontour.io",
    ),
    "a VirtualService of Istio": (
        made("networking.istio.io/v1", "VirtualService", spec={}),
        "previews refuses this VirtualService of networking.istio.io",
    ),
    "a Gateway": (
        made("gateway.networking.k8s.io/v1", "Gateway", spec={}),
        "previews refuses this Gateway of gateway.networking.k8s.io",
    ),
    "a TCPRoute": (
        made("gateway.networking.k8s.io/v1alpha2", "TCPRoute", spec={}),
        "previews refuses this TCPRoute of gateway.networking.k8s.io",
    ),
    "a Certificate": (
        made("cert-manager.io/v1", "Certificate", spec={}),
        "or have the kind allowed (admission.refusedKinds of the chart previews).",
    ),
    "a DNSEndpoint": (
        made("externaldns.k8s.io/v1alpha1", "DNSEndpoint", spec={}),
        "previews refuses this DNSEndpoint of externaldns.k8s.io",
    ),
    "a CiliumNetworkPolicy": (
        made("cilium.io/v2", "CiliumNetworkPolicy", spec={}),
        "previews refuses this CiliumNetworkPolicy of cilium.io",
    ),
    "a PreDelete hook": (noted("argocd.argoproj.io/hook", "PreDelete"), ON_DELETION),
    "a PostDelete hook among others": (
        noted("argocd.argoproj.io/hook", "PreSync, PostDelete"),
        ON_DELETION,
    ),
    "a hook of Helm before deletion": (noted("helm.sh/hook", "pre-delete"), ON_DELETION),
    "a hook of Helm after deletion": (noted("helm.sh/hook", "test,post-delete"), ON_DELETION),
    "Helm's keep": (noted("helm.sh/resource-policy", "keep"), KEPT),
    "Helm's keep in other letters": (noted("helm.sh/resource-policy", " Keep "), KEPT),
    **{
        f"the option {value!r}": (noted(OPTIONS, value), LEFT_BEHIND)
        for value in (
            "Delete=false",
            "Delete=confirm",
            "Prune=false",
            "Prune=confirm",
            "delete=FALSE",
            "Validate=false, Delete = false",
            "Prune=false,Replace=true",
            "\tPrune=false\n",
        )
    },
}

TAKEN: dict[str, Object] = {
    "its own host": ingress(OWN_HOST),
    "all its own hosts, with a certificate": ingress(OWN_HOST, API_HOST, tls=[API_HOST]),
    "an Ingress with plain annotations": ingress(
        OWN_HOST, annotations={"traefik.ingress.kubernetes.io/router.priority": "7"}
    ),
    "an HTTPRoute for its own host": route("HTTPRoute", OWN_HOST),
    "a GRPCRoute for its own host": route("GRPCRoute", API_HOST),
    "a DNS record of its own hosts": service({RECORD: f"{OWN_HOST}, {API_HOST}"}),
    "a plain Service": service(selector={"app": "shop"}),
    "a headless Service": service(clusterIP="None"),
    "a Secret": made("v1", "Secret", type="Opaque", stringData={"a": "b"}),
    "a SealedSecret": made("bitnami.com/v1alpha1", "SealedSecret", spec={}),
    "a ServiceAccount": made("v1", "ServiceAccount"),
    "what an agent of Cilium writes": made("cilium.io/v2", "CiliumEndpoint"),
    "a volume": made(
        *("v1", "PersistentVolumeClaim"),
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    ),
    "a hook that runs before a sync": noted("argocd.argoproj.io/hook", "PreSync"),
    "a hook of Helm that runs before an upgrade": noted("helm.sh/hook", "pre-upgrade,pre-install"),
    "other options": noted(OPTIONS, "ServerSideApply=true,Replace=false,PruneLast=true"),
    "an option that only ends alike": noted(OPTIONS, "SkipPrune=false"),
}


def marker() -> list[Object]:
    """A policy that refuses `MARKED` and nothing else: whoever sees it sees all that were applied before it."""
    api = "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [
            {"name": "is-marked", "expression": 'object.metadata.name == "marker"'}
        ],
        "validations": [{"expression": "false", "message": "the marker", "reason": "Forbidden"}],
    }
    binding = {"policyName": "marker", "validationActions": ["Deny"]}
    return [
        {"apiVersion": api, "kind": kind, "metadata": {"name": "marker"}, "spec": each}
        for kind, each in zip(POLICIES, (spec, binding), strict=True)
    ]
