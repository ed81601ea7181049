"""The part of the configuration that is about DNS. Read with the rest of it, in settings.py."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from previews.setting_types import ExistingFile, Section, Span, dns_name

Algorithm = Literal["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1"]


def _address(value: str) -> str:
    return str(ip_address(value))


def _address_or_name(value: str) -> str:
    try:
        return _address(value)
    except ValueError:
        return dns_name(value)


Address = Annotated[str, AfterValidator(_address)]
AddressOrName = Annotated[str, AfterValidator(_address_or_name)]


class DNSSettings(Section):
    """How the previews' hosts get their names, and what an examination of the zone compares with."""

    mode: Literal["none", "wildcard", "per_preview"] = "none"
    """none: nothing is written. wildcard: `previews dns apply` makes it. per_preview: each host has a record."""
    server: AddressOrName | None = None
    """The zone's primary server, which takes dynamic updates."""
    port: Annotated[int, Field(ge=1, le=65535)] = 53
    zone: Annotated[str, AfterValidator(dns_name)] | None = None
    """As the server has it. Absent: domain.zone."""
    key_name: Annotated[str, AfterValidator(dns_name)] | None = None
    key_algorithm: Algorithm = "hmac-sha256"
    key_file: ExistingFile | None = None
    """The secret of the TSIG key, in base64."""
    addresses: list[Address] = []
    """What the records point to: IPv4 and IPv6 addresses of the ingress."""
    target: Annotated[str, AfterValidator(dns_name)] | None = None
    """Or its name, which the records are aliases of."""
    ttl: Span = timedelta(minutes=1)
    """Of the records."""
    ingress_addresses: list[AddressOrName] = []
    """What the hosts must lead to, for `previews dns check`. Empty: `addresses` and `target`."""
    issuer: Annotated[str, AfterValidator(dns_name)] | None = None
    """The certificate authority as CAA records name it, such as letsencrypt.org."""
    resolvers: list[Address] = []
    """Whom the check asks. Empty: the resolvers of the machine that it runs on."""

    @model_validator(mode="after")
    def _check(self) -> "DNSSettings":
        if self.mode == "none":
            return self
        for name in ("server", "key_name", "key_file"):
            if getattr(self, name) is None:
                raise ValueError(f"mode {self.mode} needs {name}")
        if bool(self.addresses) == bool(self.target):
            raise ValueError(f"mode {self.mode} needs either addresses or target")
        return self

    def leads_to(self) -> tuple[str, ...]:
        """Addresses and names, any of which a host may lead to."""
        own = [*self.addresses, *([self.target] if self.target else [])]
        return tuple(self.ingress_addresses or own)


def check_dns(dns: DNSSettings, previews_zone: str) -> None:
    """Raises ValueError unless the previews' zone lies in the server's."""
    if dns.zone and previews_zone != dns.zone and not previews_zone.endswith(f".{dns.zone}"):
        raise ValueError(f"domain.zone {previews_zone!r} does not lie in {dns.zone!r}")
    if dns.mode != "none" and previews_zone.rpartition(".")[2] == "localhost":
        raise ValueError("hosts under localhost need no DNS: leave mode out")
