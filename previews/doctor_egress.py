"""The doctor's check of the way from previews to their databases: private networks are closed to them."""

from collections.abc import Iterator
from ipaddress import ip_network

from previews.adapters.probe_addresses import (
    Address,
    Addresses,
    AddressRefusedError,
    AddressRules,
    HostNotFoundError,
)
from previews.doctor_case import Case, fine, unknown, warning
from previews.domain.database import Provider
from previews.domain.egress import Opening
from previews.domain.findings import Finding
from previews.settings import ProjectSettings, Settings

LOOKUP_SECONDS = 5.0
ANYWHERE = AddressRules(private=True, loopback=True)


def check_egress(case: Case) -> list[Finding]:
    """Whether each project opens its database's private address, as this machine finds it."""
    wanted = list(_wanted(case.settings))
    if not wanted:
        return [fine("egress", "no preview has a database of its own")]
    return [_judge(project, host, port) for project, host, port in wanted]


def _wanted(settings: Settings) -> Iterator[tuple[ProjectSettings, str, int]]:
    """Projects, and where their previews reach the database."""
    servers = {server.name: server.address or server for server in settings.databases}
    for project in settings.projects:
        if project.database and project.database.provider is Provider.POSTGRES:
            place = servers[project.database.server]
            yield project, place.host, place.port


def _judge(project: ProjectSettings, host: str, port: int) -> Finding:
    openings = [each.opening() for each in project.egress]
    if any(each.namespace and port in each.ports for each in openings):
        # Which pods are behind a Service's address cannot be seen from here.
        return fine("egress", f"{project.name} opens a namespace with port {port}, for {host}")
    try:
        found = Addresses(ANYWHERE).find(host, port, LOOKUP_SECONDS)
    except (HostNotFoundError, AddressRefusedError, TimeoutError) as error:
        why = str(error) or "no answer"
        said = f"{project.name}: where {host} is cannot be seen from here: {why}"
        return unknown("egress", said, _remedy(host, port))
    closed = [each for each in found if not each.is_global and not _opens(openings, each, port)]
    if not closed:
        return fine("egress", f"previews of {project.name} may reach {host}:{port}")
    said = (
        f"{project.name}: {host} is {closed[0]}, a private address, and port {port} there is closed "
        "to its previews"
    )
    return warning("egress", said, _remedy(f"{closed[0]}/{closed[0].max_prefixlen}", port))


def _opens(openings: list[Opening], address: Address, port: int) -> bool:
    return any(
        each.cidr and port in each.ports and address in ip_network(each.cidr) for each in openings
    )


def _remedy(place: str, port: int) -> str:
    return (
        f"open it under projects[].egress, as cidr ({place}) or namespace with the port that the "
        f"server's pods or machine listen on (ports: [{port}])"
    )
