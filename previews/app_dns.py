"""Builds what names the previews' hosts and examines their zone, as configured. A part of the composition root."""

from previews.adapters.dns.inspection import inspect_zone
from previews.adapters.dns.lookups import Endpoint, Lookups, system_resolvers
from previews.adapters.dns.records import UpdateKey, ZoneRecords
from previews.domain.findings import Finding, Level
from previews.domain.zone import Expectation, is_local
from previews.errors import ConfigurationError, PreviewsError
from previews.settings import Settings

UPDATES = "dns updates"


def build_host_records(settings: Settings) -> ZoneRecords | None:
    """None where hosts have no records of their own."""
    return build_zone_records(settings) if settings.dns.mode == "per_preview" else None


def build_wildcard(settings: Settings) -> ZoneRecords:
    """Raises ConfigurationError where the wildcard is not ours to make."""
    if settings.dns.mode != "wildcard":
        raise ConfigurationError(
            f"dns.mode is {settings.dns.mode}: with `wildcard` the record is made here"
        )
    return build_zone_records(settings)


def build_zone_records(settings: Settings) -> ZoneRecords:
    """What updates the zone."""
    dns = settings.dns
    if dns.server is None or dns.key_name is None or dns.key_file is None:
        raise ConfigurationError("dns: server, key_name and key_file are needed to update a zone")
    return ZoneRecords(
        server=dns.server,
        port=dns.port,
        zone=dns.zone or settings.domain.zone,
        previews_zone=settings.domain.zone,
        key=UpdateKey(name=dns.key_name, algorithm=dns.key_algorithm, file=dns.key_file),
        addresses=dns.addresses,
        target=dns.target or "",
        ttl_seconds=int(dns.ttl.total_seconds()),
        instance=settings.instance,
    )


def examine_dns(settings: Settings) -> list[Finding]:
    """All that there is to say of the zone, the server that is updated included. Never raises PreviewsError."""
    dns, zone = settings.dns, settings.domain.zone
    names, findings = None, []
    if dns.mode != "none" and not is_local(zone):
        try:
            records = build_zone_records(settings)
            records.check()
            names = records.names()
        except PreviewsError as error:
            findings.append(
                Finding(
                    check=UPDATES,
                    level=Level.PROBLEM,
                    message=error.message,
                    remedy="docs/dns.md shows what the server has to be told of the key",
                )
            )
        else:
            findings.append(
                Finding(
                    check=UPDATES,
                    level=Level.FINE,
                    message=f"{dns.server} takes updates and transfers with the key {dns.key_name}",
                )
            )
    rules = [project.host_rule() for project in settings.project_map().values()]
    expectation = Expectation(
        zone=zone,
        uses_wildcard=dns.mode != "per_preview",
        leads_to=dns.leads_to(),
        issuer=dns.issuer or "",
        is_previews_host=lambda host: any(rule.number_in(host) is not None for rule in rules),
        names=None if names is None else tuple(names),
    )
    resolvers = [Endpoint(address) for address in dns.resolvers] or system_resolvers()
    return [*inspect_zone(expectation, Lookups(resolvers=resolvers)), *findings]
