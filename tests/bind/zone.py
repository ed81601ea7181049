"""A zone as its operator sees it: every record, by a whole transfer, and where a name leads."""

from typing import NamedTuple

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from tests.bind.server import KEY, BindProcess

SECONDS = 5.0


class NameServerAwayError(Exception):
    """It did not answer, or not to the end."""


class Record(NamedTuple):
    """One record. Its name is absolute, without the last dot."""

    name: str
    kind: str
    value: str

    def __str__(self) -> str:
        return " ".join(self)


class Zone:
    """Asked past the manager, with the server's key. Safe from any thread."""

    def __init__(self, server: BindProcess, origin: str) -> None:
        self.server = server
        self._origin = dns.name.from_text(origin)
        self._key = dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm)

    def records(self) -> frozenset[Record]:
        """All of one moment, but for the zone's version. Raises NameServerAwayError."""
        zone = dns.zone.Zone(self._origin, relativize=False)
        question = dns.message.make_query(self._origin, "AXFR")
        question.use_tsig(self._key)
        try:
            dns.query.inbound_xfr(
                self.server.address,
                zone,
                query=question,
                port=self.server.port,
                timeout=SECONDS,
                lifetime=SECONDS,
            )
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise NameServerAwayError(f"a transfer failed: {error}") from error
        return frozenset(
            Record(
                name.to_text(omit_final_dot=True), dns.rdatatype.to_text(rdata.rdtype), str(rdata)
            )
            for name, _, rdata in zone.iterate_rdatas()
            if rdata.rdtype != dns.rdatatype.SOA
        )

    def addresses(self, host: str) -> list[str]:
        """IPv4 addresses of a host; none if there is no such name. Raises NameServerAwayError."""
        return addresses_at(self.server.address, self.server.port, host)

    def change(self, *, add: Record | None = None, remove: Record | None = None) -> None:
        """As whoever runs the zone does it by hand."""
        update = dns.update.UpdateMessage(self._origin)
        update.use_tsig(self._key)
        if remove:
            update.delete(dns.name.from_text(remove.name), remove.kind, remove.value)
        if add:
            update.add(dns.name.from_text(add.name), 300, add.kind, add.value)
        dns.query.tcp(update, self.server.address, port=self.server.port, timeout=SECONDS)


def addresses_at(server: str, port: int, host: str) -> list[str]:
    """What one server itself says of a host's IPv4 addresses. Raises NameServerAwayError."""
    question = dns.message.make_query(host, "A")
    try:
        reply, _ = dns.query.udp_with_fallback(question, server, port=port, timeout=SECONDS)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise NameServerAwayError(f"{host} could not be looked up: {error}") from error
    return [
        str(rdata) for rrset in reply.answer if rrset.rdtype == dns.rdatatype.A for rdata in rrset
    ]
