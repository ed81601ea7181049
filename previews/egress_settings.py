"""The part of the configuration that opens private networks to previews. Read with the rest of it, in settings.py."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from previews.database_settings import Port
from previews.domain.egress import Opening
from previews.setting_types import Section, dns_label


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is no network such as 10.20.0.5/32: {error}") from error


class EgressSettings(Section):
    """A private place that previews may reach by TCP: exactly one of `cidr` and `namespace`."""

    cidr: Annotated[str, AfterValidator(_network)] | None = None
    namespace: Annotated[str, AfterValidator(dns_label)] | None = None
    """Its pods, which have no address that stays."""
    ports: Annotated[list[Port], Field(min_length=1)]
    """Those that the pods listen on, not those of a Service before them."""

    @model_validator(mode="after")
    def _check(self) -> "EgressSettings":
        if (self.cidr is None) == (self.namespace is None):
            raise ValueError("needs either cidr or namespace")
        return self

    def opening(self) -> Opening:
        return Opening(
            cidr=self.cidr or "", namespace=self.namespace or "", ports=tuple(self.ports)
        )
