"""What an examination of the previews' zone says: whether a host that nobody has asked for yet will be found. Pure.

The examination itself collects what each server answered; here it is judged, and every problem gets its remedy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from previews.domain.caa import CAARecord, judge_caa
from previews.domain.findings import Finding, Level

TTL_MIN_SECONDS = 30
TTL_MAX_SECONDS = 3600
NEGATIVE_TTL_MAX_SECONDS = 300
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the zone should be like, as configured."""

    zone: str
    uses_wildcard: bool = True
    """Whether hosts are found by a wildcard, and not by records of their own."""
    leads_to: tuple[str, ...] = ()
    """Addresses of the ingress, or names of it; empty if nobody said."""
    issuer: str = ""
    """Of the wildcard's certificate, as CAA records name it; empty if nobody said."""
    is_previews_host: Callable[[str], bool] = lambda _host: False
    names: tuple[tuple[str, str], ...] | None = None
    """Every name below the zone with each of its types; None where the zone may not be read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one server said of a host that nobody has asked for before."""

    server: str
    addresses: frozenset[str] = frozenset()
    alias: str = ""
    """The name that the host is an alias of."""
    ttl_seconds: int | None = None
    serial: int | None = None
    """Of the zone."""
    is_authoritative: bool = True
    trouble: str = ""
    """Why it said nothing."""

    @property
    def answers(self) -> bool:
        return bool(self.addresses or self.alias)

    @property
    def said(self) -> str:
        """In words."""
        if self.trouble:
            return self.trouble
        found = [f"alias of {self.alias}"] if self.alias else []
        return ", ".join([*found, *sorted(self.addresses)]) or "no such name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found out. A `trouble` says why something was not."""

    apex: str = ""
    """The zone, in the sense of name servers, that the previews' zone is or lies in."""
    trouble: str = ""
    """Why no resolver could say anything of it."""
    at_parent: frozenset[str] | None = None
    """The name servers that the parent delegates to."""
    at_apex: frozenset[str] = frozenset()
    """The name servers that the zone itself names."""
    host: str = ""
    """The one that was asked for."""
    servers: tuple[Sight, ...] = ()
    """At each address of each authoritative server."""
    resolver: Sight = Sight(server="the resolver", trouble="it was not asked")
    expected: frozenset[str] = frozenset()
    """The addresses of what the hosts should lead to."""
    negative_ttl_seconds: int | None = None
    is_signed: bool | None = None
    """Whether the parent has a DS record for it."""
    has_keys: bool | None = None
    """Whether it has DNSKEY records."""
    is_validated: bool = False
    """Whether the resolver says that it checked the signatures."""
    is_bogus: bool = False
    """Whether the resolver answers only when it is told not to check them."""
    caa: tuple[CAARecord, ...] = ()
    caa_at: str = ""
    caa_trouble: str = ""


def is_local(zone: str) -> bool:
    """Whether every machine answers for it by itself (RFC 6761)."""
    return zone == "localhost" or zone.endswith(".localhost")


def local_findings(zone: str) -> list[Finding]:
    return [_fine("dns zone", f"{zone} needs no DNS: every machine finds itself there")]


def judge_zone(seen: Examined, expected: Expectation) -> list[Finding]:
    """One finding for each thing that was looked at, or more where more is wrong."""
    if seen.trouble:
        return [
            Finding(
                check="dns resolver",
                level=Level.UNKNOWN,
                message=f"nothing could be found out about {expected.zone}: {seen.trouble}",
                remedy="run the check where a resolver answers, or name one in dns.resolvers",
            )
        ]
    found = [*_delegation(seen, expected), *_servers(seen), *_agreement(seen, expected)]
    if expected.uses_wildcard:
        found += [*_wildcard(seen, expected), *_target(seen, expected), *_conflicts(expected)]
    return [
        *found,
        *_ttl(seen, expected),
        *_signatures(seen, expected),
        judge_caa(
            seen.caa, expected.zone, expected.issuer, where=seen.caa_at, trouble=seen.caa_trouble
        ),
    ]


def _delegation(seen: Examined, expected: Expectation) -> Iterator[Finding]:
    check, apex = "dns delegation", seen.apex
    where = apex if apex == expected.zone else f"{expected.zone} is part of {apex}, which"
    if seen.at_parent is None:
        yield _unknown(check, f"no server of the parent of {apex} could be asked")
    elif not seen.at_parent:
        yield _problem(
            check,
            f"the parent of {apex} delegates it to nobody",
            f"have NS records for {apex} put into the parent zone, at the registrar or whoever runs it",
        )
    elif not seen.at_parent & seen.at_apex:
        yield _problem(
            check,
            f"the parent delegates {apex} to {_listed(seen.at_parent)}, "
            f"and the zone names {_listed(seen.at_apex) or 'no servers'}",
            "make the NS records in the parent and at the top of the zone the same",
        )
    elif seen.at_parent != seen.at_apex:
        yield Finding(
            check=check,
            level=Level.WARNING,
            message=f"{_listed(seen.at_parent ^ seen.at_apex)}: named only by one of {apex} and its parent",
            remedy="make the NS records in the parent and at the top of the zone the same",
        )
    else:
        yield _fine(check, f"{where} is delegated to {_listed(seen.at_apex)}")


def _servers(seen: Examined) -> Iterator[Finding]:
    check = "dns servers"
    bad = [each for each in seen.servers if each.trouble or not each.is_authoritative]
    for each in bad:
        why = each.trouble or f"it does not answer for {seen.apex} by itself"
        yield _problem(
            check,
            f"{each.server}: {why}",
            "start it, open UDP and TCP port 53 to it, and have it serve the zone; or take it out of the NS records",
        )
    if not seen.servers:
        yield _problem(
            check,
            f"none of the name servers of {seen.apex} has an address",
            "give the names in its NS records addresses",
        )
    elif not bad:
        yield _fine(check, f"{len(seen.servers)} name servers answer for {seen.apex}")


def _agreement(seen: Examined, expected: Expectation) -> Iterator[Finding]:
    check = "dns agreement"
    asked = _well(seen)
    answers = {(each.addresses, each.alias) for each in asked}
    serials = {each.serial for each in asked if each.serial is not None}
    each_said = "; ".join(f"{each.server}: {each.said}" for each in asked)
    remedy = (
        "find out why the secondaries do not follow: NOTIFY, transfers, or a zone edited by hand"
    )
    if expected.uses_wildcard and len(answers) > 1:
        level = Level.WARNING if all(each.answers for each in asked) else Level.PROBLEM
        yield Finding(
            check=check,
            level=level,
            message=f"the name servers do not say the same of {seen.host}: {each_said}",
            remedy=remedy,
        )
    elif len(serials) > 1:
        yield Finding(
            check=check,
            level=Level.WARNING,
            message=f"the name servers have different versions of {seen.apex}: "
            f"serials {', '.join(str(each) for each in sorted(serials))}",
            remedy=remedy,
        )
    elif asked:
        yield _fine(check, f"{len(asked)} name servers say the same")


def _wildcard(seen: Examined, expected: Expectation) -> Iterator[Finding]:
    check, zone = "dns wildcard", expected.zone
    asked = _well(seen)
    silent = [each.server for each in asked if not each.answers]
    remedy = f"add a record *.{zone} to the zone {seen.apex} that leads to the ingress"
    if asked and len(silent) == len(asked):
        yield _problem(check, f"*.{zone} has no record: {seen.host} is not found", remedy)
    elif silent:
        yield _problem(check, f"*.{zone} has no record at {_listed(silent)}", remedy)
    elif not seen.resolver.answers:
        yield _problem(
            check,
            f"{seen.resolver.server} does not find {seen.host}: {seen.resolver.said}",
            "what the name servers say does not reach it: look at the delegation, at DNSSEC, "
            "and at a resolver with a view of its own",
        )
    else:
        yield _fine(
            check, f"*.{zone} answers, from {len(asked)} servers and {seen.resolver.server}"
        )


def _target(seen: Examined, expected: Expectation) -> Iterator[Finding]:
    check = "dns target"
    sights = [each for each in (*_well(seen), seen.resolver) if each.answers]
    if not sights:
        return
    if not expected.leads_to:
        yield _unknown(
            check,
            f"hosts lead to {sights[-1].said}; nobody said where the ingress is",
            "set dns.ingress_addresses",
        )
        return
    astray = [each for each in sights if not _leads_right(each, seen, expected)]
    for each in astray:
        yield _problem(
            check,
            f"{each.server} leads to {each.said}, and the ingress is at {_listed(expected.leads_to)}",
            f"have *.{expected.zone} lead to the ingress, or mend dns.ingress_addresses",
        )
    if not astray:
        yield _fine(check, f"hosts lead to the ingress: {sights[-1].said}")


def _leads_right(sight: Sight, seen: Examined, expected: Expectation) -> bool:
    if sight.alias and sight.alias in expected.leads_to:
        return True
    if sight.addresses:
        return sight.addresses <= seen.expected
    # Where the alias leads is the resolver's to say.
    return sight.alias == seen.resolver.alias and seen.resolver.addresses <= seen.expected


def _conflicts(expected: Expectation) -> Iterator[Finding]:
    """A name of its own, or a name below it, hides the wildcard from a host, whatever its type."""
    check, names = "dns conflicts", expected.names
    if names is None:
        yield _unknown(
            check,
            f"the names in {expected.zone} cannot be read, so a record that hides the wildcard would not be seen",
            "let the key in dns.key_file transfer the zone, or look for names of previews' hosts yourself",
        )
        return
    hidden: dict[str, str] = {}
    types: dict[str, set[str]] = {}
    for name, kind in names:
        types.setdefault(name, set()).add(kind)
        host = _host_above(name, expected.zone)
        if host and expected.is_previews_host(host):
            hidden.setdefault(host, f"{name} {kind}")
    for host, record in list(hidden.items())[:_NAMED_MAX]:
        yield _problem(
            check, f"{record} hides the wildcard from {host}", f"remove {record} from the zone"
        )
    beside = [
        name for name, kinds in types.items() if "CNAME" in kinds and kinds - _BESIDE_AN_ALIAS
    ]
    for name in beside[:_NAMED_MAX]:
        yield _problem(
            check,
            f"{name} is an alias and has other records beside it",
            "an alias stands alone: remove one or the other",
        )
    more = len(hidden) + len(beside) - min(len(hidden), _NAMED_MAX) - min(len(beside), _NAMED_MAX)
    if more:
        yield _problem(check, f"{more} more names are like that", "remove them from the zone")
    if not hidden and not beside:
        yield _fine(check, f"no record in {expected.zone} hides the wildcard")


_BESIDE_AN_ALIAS = {"CNAME", "RRSIG", "NSEC"}


def _host_above(name: str, zone: str) -> str:
    """The name one label below the zone that `name` is, or lies below."""
    rest, dot, _ = name.rpartition(f".{zone}")
    return f"{rest.rpartition('.')[2]}.{zone}" if dot else ""


def _ttl(seen: Examined, expected: Expectation) -> Iterator[Finding]:
    check = "dns ttl"
    ttls = [each.ttl_seconds for each in _well(seen) if each.ttl_seconds is not None]
    negative = seen.negative_ttl_seconds
    if expected.uses_wildcard and ttls and not TTL_MIN_SECONDS <= max(ttls) <= TTL_MAX_SECONDS:
        long = max(ttls) > TTL_MAX_SECONDS
        yield Finding(
            check=check,
            level=Level.WARNING,
            message=f"the wildcard's TTL is {max(ttls)} s: "
            + (
                "when the ingress moves, visitors miss it for so long"
                if long
                else "resolvers ask all the time"
            ),
            remedy=f"choose one between {TTL_MIN_SECONDS} and {TTL_MAX_SECONDS} s",
        )
    elif (
        not expected.uses_wildcard and negative is not None and negative > NEGATIVE_TTL_MAX_SECONDS
    ):
        yield Finding(
            check=check,
            level=Level.WARNING,
            message=f"that a name is not there is remembered for {negative} s: whoever opens a link too early, "
            "the probe as well, waits for so long",
            remedy=f"lower the last number of the zone's SOA record to {NEGATIVE_TTL_MAX_SECONDS} or less",
        )
    elif ttls or negative is not None:
        seconds = max(ttls) if ttls else negative
        yield _fine(check, f"answers are remembered for {seconds} s")


def _signatures(seen: Examined, expected: Expectation) -> Iterator[Finding]:
    check = "dns dnssec"
    if seen.is_bogus:
        yield _problem(
            check,
            f"signatures of {expected.zone} are broken: {seen.resolver.server} answers only if it does not check them",
            f"sign {seen.apex} anew, or have the DS record of an old key taken out of the parent",
        )
    elif seen.is_signed is None:
        yield _unknown(check, f"whether {seen.apex} is signed could not be found out")
    elif seen.is_signed and not seen.has_keys:
        yield _problem(
            check,
            f"the parent says that {seen.apex} is signed, and it has no keys",
            "have the DS record taken out of the parent, or sign the zone",
        )
    elif seen.is_signed and seen.is_validated:
        yield _fine(check, f"{seen.apex} is signed, and the signatures hold")
    elif seen.is_signed:
        yield _fine(check, f"{seen.apex} is signed; {seen.resolver.server} does not check it")
    elif seen.has_keys:
        yield Finding(
            check=check,
            level=Level.WARNING,
            message=f"{seen.apex} has keys that its parent does not know, so nobody checks them",
            remedy="have a DS record put into the parent",
        )
    else:
        yield _fine(check, f"{seen.apex} is not signed")


def _well(seen: Examined) -> list[Sight]:
    return [each for each in seen.servers if not each.trouble and each.is_authoritative]


def _listed(names: "Iterator[str] | Sequence[str] | frozenset[str]") -> str:
    found = sorted(set(names))
    more = f" and {len(found) - _NAMED_MAX} more" if len(found) > _NAMED_MAX else ""
    return ", ".join(found[:_NAMED_MAX]) + more


def _fine(check: str, message: str) -> Finding:
    return Finding(check=check, level=Level.FINE, message=message)


def _problem(check: str, message: str, remedy: str) -> Finding:
    return Finding(check=check, level=Level.PROBLEM, message=message, remedy=remedy)


def _unknown(check: str, message: str, remedy: str = "") -> Finding:
    return Finding(check=check, level=Level.UNKNOWN, message=message, remedy=remedy)
