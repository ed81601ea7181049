"""Kinds of others, as far as their names and what our policies read of them: their own CRDs are not at hand here."""

from typing import Any

Object = dict[str, Any]

_TEXTS = {"type": "array", "items": {"type": "string"}}
_ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_ROUTE = {**_ANYTHING, "properties": {"hostnames": _TEXTS}}

_KINDS = (
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", _ROUTE),
    ("gateway.networking.k8s.io", "v1", "GRPCRoute", "grpcroutes", _ROUTE),
    ("gateway.networking.k8s.io", "v1", "Gateway", "gateways", _ANYTHING),
    ("gateway.networking.k8s.io", "v1alpha2", "TCPRoute", "tcproutes", _ANYTHING),
    ("traefik.io", "v1alpha1", "IngressRoute", "ingressroutes", _ANYTHING),
    ("traefik.io", "v1alpha1", "Middleware", "middlewares", _ANYTHING),
    ("projectcontour.io", "v1", "HTTPProxy", "httpproxies", _ANYTHING),
    ("networking.istio.io", "v1", "VirtualService", "virtualservices", _ANYTHING),
    ("cert-manager.io", "v1", "Certificate", "certificates", _ANYTHING),
    ("externaldns.k8s.io", "v1alpha1", "DNSEndpoint", "dnsendpoints", _ANYTHING),
    ("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", _ANYTHING),
    ("cilium.io", "v2", "CiliumEndpoint", "ciliumendpoints", _ANYTHING),
    ("bitnami.com", "v1alpha1", "SealedSecret", "sealedsecrets", _ANYTHING),
)


def foreign_kinds() -> list[Object]:
    """CustomResourceDefinitions of what other people's controllers would bring."""
    return [_definition(*each) for each in _KINDS]


def _definition(group: str, version: str, kind: str, plural: str, spec: Object) -> Object:
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests alone"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
