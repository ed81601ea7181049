"""Examines the previews' zone as a resolver and its own name servers show it. Nothing that they do raises an error."""

import secrets
from collections.abc import Iterator

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from previews.adapters.dns.lookups import Endpoint, Lookups, Reply, is_address, shown
from previews.domain.caa import CAARecord
from previews.domain.findings import Finding
from previews.domain.zone import (
    Examined,
    Expectation,
    Sight,
    is_local,
    judge_zone,
    local_findings,
)

SERVERS_MAX = 16
ADDRESSES_MAX = 2
"""Of one name server."""
PARENTS_ASKED_MAX = 3
CLIMB_MAX = 10
_LABEL_BYTES = 8


def inspect_zone(expected: Expectation, lookups: Lookups) -> list[Finding]:
    """Ask everybody concerned, and judge what they say."""
    if is_local(expected.zone):
        return local_findings(expected.zone)
    return judge_zone(_Examination(expected, lookups).run(), expected)


class _Examination:
    def __init__(self, expected: Expectation, lookups: Lookups) -> None:
        self._expected = expected
        self._lookups = lookups
        self._zone = dns.name.from_text(expected.zone)
        label = f"previews-check-{secrets.token_hex(_LABEL_BYTES)}"
        self._host = dns.name.Name((label, *self._zone.labels))

    def run(self) -> Examined:
        is_bogus = self._stop_checking_if_broken()
        apex, trouble = self._apex_of(self._zone)
        if apex is None:
            return Examined(trouble=trouble)
        at_apex = self._servers_named_by(apex)
        at_parent, glue = self._delegation_of(apex)
        names = [*at_apex, *(name for name in at_parent or () if name not in at_apex)]
        signed, keyed = self._has(apex, "DS"), self._has(apex, "DNSKEY")
        authenticated = self._lookups.resolve(self._host, "A").is_authenticated
        caa, caa_at, caa_trouble = self._caa()
        return Examined(
            apex=shown(apex),
            at_parent=None if at_parent is None else frozenset(map(shown, at_parent)),
            at_apex=frozenset(map(shown, at_apex)),
            host=shown(self._host),
            servers=tuple(
                self._sight_at(f"{shown(name)} ({server})", server, apex)
                for name in names[:SERVERS_MAX]
                for server in self._addresses_of(name, glue)
            ),
            resolver=self._sight_of_resolver(),
            expected=frozenset(self._expected_addresses()),
            negative_ttl_seconds=self._negative_ttl(apex),
            is_signed=signed,
            has_keys=keyed,
            is_validated=authenticated,
            is_bogus=is_bogus,
            caa=caa,
            caa_at=caa_at,
            caa_trouble=caa_trouble,
        )

    def _stop_checking_if_broken(self) -> bool:
        """Whether the resolver answers only without checking; from then on it is asked so."""
        for name, kind in ((self._zone, "SOA"), (self._host, "A")):
            checked = self._lookups.resolve(name, kind)
            if checked.trouble or checked.rcode != "SERVFAIL":
                continue
            self._lookups.unchecked = True
            if self._lookups.resolve(name, kind).rcode in {"NOERROR", "NXDOMAIN"}:
                return True
            self._lookups.unchecked = False
        return False

    def _apex_of(self, name: dns.name.Name) -> tuple[dns.name.Name | None, str]:
        """The zone that a name is the top of, or lies in; None with the reason if nobody says."""
        reply = self._lookups.resolve(name, "SOA")
        if reply.trouble:
            return None, f"the resolver: {reply.trouble}"
        for rrset in (*reply.answer, *reply.authority):
            if rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name):
                return rrset.name, ""
        return None, f"the resolver says {reply.rcode} and names no zone"

    def _servers_named_by(self, apex: dns.name.Name) -> list[dns.name.Name]:
        return _targets(self._lookups.resolve(apex, "NS").of(apex, "NS"))

    def _delegation_of(
        self, apex: dns.name.Name
    ) -> tuple[list[dns.name.Name] | None, dict[dns.name.Name, list[Endpoint]]]:
        """The servers that the parent names, with the addresses that it gives; None if no parent could be asked."""
        parent = self._apex_of(apex.parent())[0] if apex != dns.name.root else None
        if parent is None:
            return None, {}
        for name in self._servers_named_by(parent)[:PARENTS_ASKED_MAX]:
            for server in self._addresses_of(name, {}):
                reply = self._lookups.ask(server, apex, "NS")
                if reply.trouble or reply.rcode not in {"NOERROR", "NXDOMAIN"}:
                    continue
                # A server of both zones answers; any other refers to the servers of the lower one.
                referred = (s for s in (*reply.answer, *reply.authority) if s.name == apex)
                found = [s for s in referred if s.rdtype == dns.rdatatype.NS]
                return _targets(found[0] if found else None), self._glue(reply)
        return None, {}

    def _glue(self, reply: Reply) -> dict[dns.name.Name, list[Endpoint]]:
        found: dict[dns.name.Name, list[Endpoint]] = {}
        for rrset in reply.additional:
            if rrset.rdtype == dns.rdatatype.A:
                addresses = [Endpoint(str(each), self._lookups.port) for each in rrset]
                found[rrset.name] = addresses[:ADDRESSES_MAX]
        return found

    def _addresses_of(
        self, name: dns.name.Name, glue: dict[dns.name.Name, list[Endpoint]]
    ) -> list[Endpoint]:
        """IPv6 is used where a server has nothing else: not every machine can speak it."""
        for kind in ("A", "AAAA"):
            texts = self._lookups.resolve(name, kind).texts(kind)
            if texts:
                return [Endpoint(each, self._lookups.port) for each in texts[:ADDRESSES_MAX]]
        return glue.get(name, [])

    def _sight_at(self, server: str, endpoint: Endpoint, apex: dns.name.Name) -> Sight:
        soa = self._lookups.ask(endpoint, apex, "SOA")
        replies = [self._lookups.ask(endpoint, self._host, kind) for kind in ("A", "AAAA")]
        rrset = soa.of(apex, "SOA")
        sight = _sight(server, [soa, *replies], self._host)
        serial = next(iter(rrset)).serial if rrset else None
        return Sight(
            server=sight.server,
            addresses=sight.addresses,
            alias=sight.alias,
            ttl_seconds=sight.ttl_seconds,
            serial=serial,
            is_authoritative=soa.is_authoritative and rrset is not None,
            trouble=sight.trouble,
        )

    def _sight_of_resolver(self) -> Sight:
        replies = [self._lookups.resolve(self._host, kind) for kind in ("A", "AAAA")]
        return _sight("the resolver", replies, self._host)

    def _expected_addresses(self) -> Iterator[str]:
        for each in self._expected.leads_to:
            if is_address(each):
                yield each
                continue
            for kind in ("A", "AAAA"):
                yield from self._lookups.resolve(dns.name.from_text(each), kind).texts(kind)

    def _negative_ttl(self, apex: dns.name.Name) -> int | None:
        rrset = self._lookups.resolve(apex, "SOA").of(apex, "SOA")
        return None if rrset is None else int(next(iter(rrset)).minimum)

    def _has(self, name: dns.name.Name, kind: str) -> bool | None:
        reply = self._lookups.resolve(name, kind)
        if reply.trouble or reply.rcode not in {"NOERROR", "NXDOMAIN"}:
            return None
        return reply.of(name, kind) is not None

    def _caa(self) -> tuple[tuple[CAARecord, ...], str, str]:
        """The first that there are from the zone upwards, where they are, and why they cannot be read."""
        name = self._zone
        for _ in range(CLIMB_MAX):
            if name == dns.name.root:
                break
            reply = self._lookups.resolve(name, "CAA")
            if reply.trouble or reply.rcode not in {"NOERROR", "NXDOMAIN"}:
                return (), "", f"{shown(name)}: {reply.trouble or reply.rcode}"
            found = [s for s in reply.answer if s.rdtype == dns.rdatatype.CAA]
            if found:
                return tuple(_caa_record(each) for s in found for each in s), shown(name), ""
            name = name.parent()
        return (), "", ""


def _sight(server: str, replies: list[Reply], host: dns.name.Name) -> Sight:
    for reply in replies:
        if reply.trouble or reply.rcode not in {"NOERROR", "NXDOMAIN"}:
            return Sight(server=server, trouble=reply.trouble or f"it says {reply.rcode}")
    own = [s for reply in replies for s in reply.answer if s.name == host]
    aliases = [str(each.target) for s in own if s.rdtype == dns.rdatatype.CNAME for each in s]
    return Sight(
        server=server,
        addresses=frozenset(text for reply in replies for text in reply.texts("A", "AAAA")),
        alias=shown(aliases[0]) if aliases else "",
        ttl_seconds=max((s.ttl for s in own), default=None),
    )


def _targets(rrset: dns.rrset.RRset | None) -> list[dns.name.Name]:
    return sorted(each.target for each in rrset) if rrset else []


def _caa_record(rdata: object) -> CAARecord:
    flags, tag, value = (getattr(rdata, name) for name in ("flags", "tag", "value"))
    return CAARecord(
        is_critical=bool(flags & 0x80),
        tag=shown(tag.decode("ascii", errors="replace")).lower(),
        value=shown(value.decode("utf-8", errors="replace")),
    )
