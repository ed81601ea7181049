"""What is set up once before the previews: their certificate, its issuer, the way in, and the wildcard's record.

Credentials are only ever named: a Secret that somebody makes in the cluster. What came out of the templates is read
back and held against what was meant, like every other manifest.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from previews.adapters.manifest_templates import load_templates
from previews.adapters.manifest_yaml import Expected, check
from previews.errors import ConfigurationError

CERTIFICATE = "previews-wildcard"
"""The Certificate, and the Secret that it becomes."""
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
Controller = Literal["traefik", "ingress-nginx", "haproxy", "haproxy-ingress", "gateway"]
Provider = Literal["route53", "cloudflare", "clouddns", "rfc2136", "none"]
"""Who runs the zone's DNS; `none`: the issuer of the certificate is there already."""
VALUES = "values"
"""The folder of what is no manifest. Argo CD does not look into it: its source is not recursive."""

_REQUIRED = None
_OPTIONS: Mapping[Provider, Mapping[str, str | None]] = {
    "route53": {
        "region": _REQUIRED,
        "hosted_zone_id": "",
        "role": "",
        "access_key_id": "",
        "secret": "route53-credentials",
        "secret_key": "secret-access-key",
    },
    "cloudflare": {"secret": "cloudflare-api-token", "secret_key": "api-token"},
    "clouddns": {
        "project": _REQUIRED,
        "hosted_zone_name": "",
        "secret": "clouddns-service-account",
        "secret_key": "key.json",
    },
    "rfc2136": {
        "nameserver": _REQUIRED,
        "key_name": _REQUIRED,
        "algorithm": "HMACSHA256",
        "secret": "rfc2136-tsig",
        "secret_key": "tsig-secret",
    },
}
"""Of each DNS provider, with their defaults; empty: left out."""

_SECRET_NAME = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?")
_CERT_MANAGER = "cert-manager.io/v1"
_GATEWAY = "gateway.networking.k8s.io/v1"
_TRAEFIK = "traefik.io/v1alpha1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who signs the wildcard certificate."""

    provider: Provider
    name: str
    kind: Literal["Issuer", "ClusterIssuer"] = "Issuer"
    """The Secrets of a ClusterIssuer lie where cert-manager runs."""
    server: str = LETS_ENCRYPT
    email: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the provider, by name."""

    def filled_options(self) -> dict[str, str]:
        """With all defaults. Raises ConfigurationError with what is missing or unknown."""
        known = _OPTIONS.get(self.provider, {})
        if unknown := sorted(set(self.options) - set(known)):
            there = ", ".join(known) or "none"
            raise ConfigurationError(
                f"issuer {self.provider}: there is no option {unknown[0]!r}, only: {there}"
            )
        filled = {name: self.options.get(name, default) for name, default in known.items()}
        if missing := [name for name, value in filled.items() if value is None]:
            raise ConfigurationError(
                f"issuer {self.provider}: {missing[0]} must be given (--set {missing[0]}=...)"
            )
        if not _SECRET_NAME.fullmatch(filled.get("secret") or ""):
            # Perhaps it is the secret itself: it is not repeated.
            raise ConfigurationError(
                f"issuer {self.provider}: `secret` is the name of a Secret in the cluster"
            )
        return {name: value or "" for name, value in filled.items()}


@dataclass(frozen=True, slots=True)
class ManagerService:
    """Where the manager answers in the cluster."""

    namespace: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WayIn:
    """What lies before all previews of one instance."""

    instance: str
    zone: str
    controller: Controller
    controller_namespace: str
    """Where it reads the certificate's Secret: of a Gateway, the Gateway's own."""
    class_name: str = ""
    """Of the Ingress, or of the Gateway, which must name one."""
    issuer: Issuer
    manager: ManagerService | None = None
    """None: charts/previews makes the wildcard's route."""
    target: str = ""
    """What the wildcard's record points at, an address or a name; empty: no record is rendered."""


class IngressRenderer:
    """Renders the files that are set up once, from templates/ingress."""

    def __init__(self, templates: Path) -> None:
        folder = templates / "ingress"
        names = sorted(file.name for file in folder.glob("*.j2"))
        self._environment = load_templates(folder, None, names)

    def render(self, way_in: WayIn) -> dict[str, str]:
        """Files by their paths below one folder; those in VALUES are no manifests. Raises ConfigurationError."""
        if way_in.controller == "gateway" and not way_in.class_name:
            raise ConfigurationError("a Gateway needs a class: --class NAME")
        options = way_in.issuer.filled_options()
        files = {
            "certificate.yaml": self._certificate(way_in),
            **self._controller(way_in),
        }
        if way_in.issuer.provider != "none":
            files["issuer.yaml"] = self._issuer(way_in, options)
        if way_in.manager is not None:
            files["wildcard.yaml"] = self._wildcard(way_in, way_in.manager)
        if way_in.target:
            files["dns.yaml"] = self._record(way_in)
        return dict(sorted(files.items()))

    def _certificate(self, way_in: WayIn) -> str:
        issuer = way_in.issuer
        fields = {
            "spec.secretName": CERTIFICATE,
            "spec.dnsNames": [f"*.{way_in.zone}"],
            "spec.issuerRef": {"kind": issuer.kind, "name": issuer.name},
        }
        place = way_in.controller_namespace
        return self._file(
            "certificate",
            way_in,
            Expected(_CERT_MANAGER, "Certificate", CERTIFICATE, place, fields),
        )

    def _issuer(self, way_in: WayIn, options: Mapping[str, str]) -> str:
        issuer = way_in.issuer
        place = way_in.controller_namespace if issuer.kind == "Issuer" else None
        expected = Expected(
            _CERT_MANAGER, issuer.kind, issuer.name, place, {"spec.acme.server": issuer.server}
        )
        return self._file("issuer", way_in, expected, options=options)

    def _controller(self, way_in: WayIn) -> dict[str, str]:
        place, files = way_in.controller_namespace, {}
        if way_in.controller == "gateway":
            expected = Expected(_GATEWAY, "Gateway", "previews", place, {})
            return {"gateway.yaml": self._file("gateway", way_in, expected)}
        if way_in.controller == "traefik":
            files["traefik.yaml"] = self._file(
                "traefik",
                way_in,
                Expected(_TRAEFIK, "TLSStore", "default", place, {}),
                Expected(_TRAEFIK, "Middleware", "previews-noindex", place, {}),
            )
        values = f"{VALUES}/{way_in.controller}.yaml"
        return {**files, values: self._text(f"values-{way_in.controller}", way_in)}

    def _wildcard(self, way_in: WayIn, manager: ManagerService) -> str:
        name = f"previews-{way_in.instance}-wildcard"
        if way_in.controller == "gateway":
            fields = {"spec.hostnames": [f"*.{way_in.zone}"]}
            expected = Expected(_GATEWAY, "HTTPRoute", name, manager.namespace, fields)
            return self._file("wildcard-route", way_in, expected)
        expected = Expected("networking.k8s.io/v1", "Ingress", name, manager.namespace, {})
        return self._file("wildcard-ingress", way_in, expected)

    def _record(self, way_in: WayIn) -> str:
        expected = Expected(
            "externaldns.k8s.io/v1alpha1",
            "DNSEndpoint",
            f"previews-{way_in.instance}",
            way_in.controller_namespace,
            {},
        )
        record = {"type": _record_type(way_in.target), "target": way_in.target}
        return self._file("dns", way_in, expected, record=record)

    def _file(self, template: str, way_in: WayIn, *expected: Expected, **more: object) -> str:
        text = self._text(template, way_in, **more)
        try:
            check(text, expected)
        except ValueError as error:
            raise ConfigurationError(f"template ingress/{template}.yaml.j2: {error}") from error
        return text

    def _text(self, template: str, way_in: WayIn, **more: object) -> str:
        context = {
            "instance": way_in.instance,
            "zone": way_in.zone,
            "controller": way_in.controller,
            "controller_namespace": way_in.controller_namespace,
            "class_name": way_in.class_name,
            "certificate": CERTIFICATE,
            "issuer": way_in.issuer,
            "manager": way_in.manager,
        }
        return self._environment.get_template(f"{template}.yaml.j2").render(context | more)


def file_names() -> frozenset[str]:
    """Every file that `render` may make: nothing else in the folder is ours."""
    manifests = ("certificate", "issuer", "traefik", "gateway", "wildcard", "dns")
    values = (
        f"{VALUES}/{controller}" for controller in get_args(Controller) if controller != "gateway"
    )
    return frozenset(f"{name}.yaml" for name in (*manifests, *values))


def _record_type(target: str) -> str:
    try:
        return "A" if ipaddress.ip_address(target).version == 4 else "AAAA"  # noqa: PLR2004
    except ValueError:
        return "CNAME"
