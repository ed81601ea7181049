"""The one place where a name server is asked something. Every question has a timeout, and all of them a bound."""

import ipaddress
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from previews.adapters.one_line import one_line
from previews.errors import TransientError

PORT = 53
ATTEMPTS = 2
"""A datagram may be lost."""
RECORDS_MAX = 200
TEXT_LENGTH_MAX = 120


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a name server listens."""

    address: str
    port: int = PORT

    def __str__(self) -> str:
        return self.address if self.port == PORT else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one question. `trouble` says why nothing did."""

    rcode: str = ""
    answer: Sequence[dns.rrset.RRset] = ()
    authority: Sequence[dns.rrset.RRset] = ()
    additional: Sequence[dns.rrset.RRset] = ()
    is_authoritative: bool = False
    is_authenticated: bool = False
    """Whether a resolver says that it checked the signatures."""
    trouble: str = ""

    def of(self, name: dns.name.Name, kind: str) -> dns.rrset.RRset | None:
        """The answer's records of this very name."""
        wanted = dns.rdatatype.from_text(kind)
        return next((s for s in self.answer if s.name == name and s.rdtype == wanted), None)

    def texts(self, *kinds: str) -> list[str]:
        """The answer's values of these types, of any name: an alias is followed in the same answer."""
        wanted = {dns.rdatatype.from_text(kind) for kind in kinds}
        return [shown(each) for rrset in self.answer if rrset.rdtype in wanted for each in rrset]


def shown(value: object) -> str:
    """A name or a value as people write it, on one line."""
    return one_line(str(value).rstrip(".") or ".", TEXT_LENGTH_MAX)


@dataclass(kw_only=True)
class Lookups:
    """The questions of one examination. A server that stays silent at the first is not waited for again."""

    resolvers: Sequence[Endpoint]
    port: int = PORT
    """Of every authoritative server."""
    timeout_seconds: float = 2.0
    budget_seconds: float = 60.0
    questions_max: int = 500
    unchecked: bool = False
    """Whether the resolver is told not to check signatures."""
    _answered: set[Endpoint] = field(default_factory=set)
    _silent: dict[Endpoint, str] = field(default_factory=dict)
    _asked: int = 0
    _began: float = field(default_factory=time.monotonic)

    def resolve(self, name: dns.name.Name, kind: str) -> Reply:
        """Ask the resolvers, one after another until one answers."""
        reply = Reply(trouble="no resolver is configured")
        for resolver in self.resolvers:
            question = _question(name, kind)
            question.flags |= dns.flags.RD | dns.flags.AD
            if self.unchecked:
                question.flags |= dns.flags.CD
            reply = self._ask(resolver, question)
            if not reply.trouble:
                return reply
        return reply

    def ask(self, server: Endpoint, name: dns.name.Name, kind: str) -> Reply:
        """Ask an authoritative server what it knows by itself."""
        return self._ask(server, _question(name, kind))

    def _ask(self, server: Endpoint, question: dns.message.Message) -> Reply:
        if server in self._silent:
            return Reply(trouble=self._silent[server])
        self._asked += 1
        spent = time.monotonic() - self._began
        if self._asked > self.questions_max or spent > self.budget_seconds:
            return Reply(trouble="the examination has taken too long: it was not asked any more")
        trouble = ""
        for _ in range(ATTEMPTS):
            try:
                found, _ = dns.query.udp_with_fallback(
                    question,
                    server.address,
                    timeout=self.timeout_seconds,
                    port=server.port,
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
            except dns.exception.Timeout:
                trouble = f"no valid answer within {self.timeout_seconds:g} s"
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                trouble = one_line(f"it cannot be asked: {error}", TEXT_LENGTH_MAX)
                break
            else:
                self._answered.add(server)
                return _reply(found)
        if server not in self._answered:
            self._silent[server] = trouble
        return Reply(trouble=trouble)


def system_resolvers() -> list[Endpoint]:
    """The resolvers that this machine is configured with; none if that cannot be read."""
    try:
        configured = dns.resolver.Resolver()
    except (dns.exception.DNSException, OSError):
        return []
    return [Endpoint(str(each), configured.port) for each in configured.nameservers]


def address_of(server: str) -> str:
    """An address of a host as the system finds it. Raises TransientError("NameServerUnreachable")."""
    if is_address(server):
        return server
    try:
        found = socket.getaddrinfo(server, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise TransientError(
            "NameServerUnreachable",
            f"the name server {server} has no address here: {error.strerror or error}",
        ) from error
    return str(found[0][4][0])


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _question(name: dns.name.Name, kind: str) -> dns.message.Message:
    question = dns.message.make_query(name, kind, use_edns=0)
    question.flags &= ~dns.flags.RD
    return question


def _reply(found: dns.message.Message) -> Reply:
    return Reply(
        rcode=dns.rcode.to_text(found.rcode()),
        answer=_bounded(found.answer),
        authority=_bounded(found.authority),
        additional=_bounded(found.additional),
        is_authoritative=bool(found.flags & dns.flags.AA),
        is_authenticated=bool(found.flags & dns.flags.AD),
    )


def _bounded(rrsets: Iterable[dns.rrset.RRset]) -> tuple[dns.rrset.RRset, ...]:
    kept, count = [], 0
    for rrset in rrsets:
        count += len(rrset)
        if count > RECORDS_MAX:
            break
        kept.append(rrset)
    return tuple(kept)
