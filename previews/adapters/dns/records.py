"""Records of previews' hosts in a zone that takes dynamic updates (RFC 2136), signed with a shared key (TSIG).

A record and its mark are written in one update, under the condition that there is neither, or that the mark is ours.
The server checks that condition and carries the update out in one step, so a foreign record is never touched.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from previews.adapters.dns.lookups import ATTEMPTS, PORT, address_of
from previews.adapters.dns.mark import (
    LABEL,
    WILDCARD_LABEL,
    preview_mark,
    read_mark,
    wildcard_mark,
)
from previews.adapters.one_line import one_line
from previews.domain.inventory import Kind, OwnedObject
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError

OURS = ("A", "AAAA", "CNAME")
"""What is ever written at a host's name."""
TRANSFER_SECONDS = 60.0
_UNMET = {dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.NXRRSET}
"""A condition of an update was not so, and nothing was changed."""
_BUSY = {dns.rcode.SERVFAIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateKey:
    """The shared key. Its file holds the secret in base64, and is read anew each time."""

    name: str
    algorithm: str
    file: Path = field(repr=False)

    def read(self) -> dns.tsig.Key:
        try:
            text = self.file.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise TransientError("SecretUnreadable", f"{self.file}: {error.strerror}") from error
        try:
            secret = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise StalledError(
                "NameServerRefused",
                f"{self.file} does not hold a key in base64: put the `secret` of the TSIG key there, and no more",
            ) from error
        return dns.tsig.Key(self.name, secret, self.algorithm)


class ZoneRecords:
    """`resource_ports.HostRecords` on a name server. Safe from any thread."""

    def __init__(
        self,
        *,
        server: str,
        port: int = PORT,
        zone: str,
        previews_zone: str,
        key: UpdateKey,
        addresses: Sequence[str] = (),
        target: str = "",
        ttl_seconds: int,
        instance: str,
        timeout_seconds: float = 5.0,
    ) -> None:
        """`zone`: as the server has it; hosts are one label under `previews_zone`, which lies in it.

        The records point to `addresses`, or to the name `target`.
        """
        self._server = server
        self._port = port
        self._zone = dns.name.from_text(zone)
        self._previews_zone = dns.name.from_text(previews_zone)
        self._key = key
        self._values = _values(addresses, target)
        self._ttl = ttl_seconds
        self._instance = instance
        self._timeout = timeout_seconds

    # The port.

    def find(self, key: PreviewKey, host: str) -> bool:
        name = dns.name.from_text(host)
        return self._is_there(name, _mark_of(name), preview_mark(self._instance, key))

    def is_left(self, key: PreviewKey, host: str) -> bool:
        marks = self._rdatas(_mark_of(dns.name.from_text(host)), "TXT")
        return preview_mark(self._instance, key) in {_text(each) for each in marks}

    def ensure(self, key: PreviewKey, host: str) -> None:
        name = dns.name.from_text(host)
        self._put(name, _mark_of(name), preview_mark(self._instance, key))

    def remove(self, key: PreviewKey, host: str) -> None:
        name = dns.name.from_text(host)
        self._take_away(name, _mark_of(name), preview_mark(self._instance, key))

    def list_records(self) -> list[OwnedObject]:
        found = []
        for name, _, rdata in self._transfer().iterate_rdatas("TXT"):
            ours = read_mark(_text(rdata)) if name.labels[:1] == (LABEL.encode(),) else None
            if ours and ours.instance == self._instance and ours.preview:
                host = name.parent().to_text(omit_final_dot=True)
                found.append(OwnedObject(kind=Kind.RECORD, name=host, owner=ours.preview))
        return sorted(found, key=lambda each: each.name)

    def check(self) -> None:
        soa = self._ask(self._zone, "SOA")
        if soa.get_rrset(soa.answer, self._zone, dns.rdataclass.IN, dns.rdatatype.SOA) is None:
            raise StalledError(
                "NameServerRefused", f"{self._server} has no zone {self._named(self._zone)}"
            )
        # With no change in it, an update only shows whether the server takes ours.
        self._send(self._update())
        self._transfer()

    # For `previews dns`.

    def has_wildcard(self) -> bool:
        """Whether the wildcard and its mark are there as they should be. Raises as `find` does."""
        return self._is_there(*self._wildcard())

    def ensure_wildcard(self) -> None:
        """Make the one record that all hosts share, or point it to where it should."""
        self._put(*self._wildcard())

    def remove_wildcard(self) -> None:
        """Remove it with its mark. Nothing happens if there is neither."""
        self._take_away(*self._wildcard())

    def names(self) -> list[tuple[str, str]]:
        """Every name below the previews' zone with each type that it has, by a whole transfer."""
        found = {
            (name.to_text(omit_final_dot=True), dns.rdatatype.to_text(rdataset.rdtype))
            for name, rdataset in self._transfer().iterate_rdatasets()
            if name.is_subdomain(self._previews_zone) and name != self._previews_zone
        }
        return sorted(found)

    def _wildcard(self) -> tuple[dns.name.Name, dns.name.Name, str]:
        zone = self._previews_zone
        return (
            dns.name.Name(("*", *zone.labels)),
            dns.name.Name((WILDCARD_LABEL, *zone.labels)),
            wildcard_mark(self._instance, self._named(zone)),
        )

    def _is_there(self, name: dns.name.Name, mark: dns.name.Name, text: str) -> bool:
        marks = {_text(each) for each in self._rdatas(mark, "TXT")}
        if marks == {text}:
            return self._found_at(name) == self._values
        if not marks and not self._found_at(name):
            return False
        # Perhaps it is a wildcard that answers: the server knows whether there is a record of this very name.
        if self._attempt(self._fresh(name, mark)):
            return False
        raise self._foreign(name)

    def _put(self, name: dns.name.Name, mark: dns.name.Name, text: str) -> None:
        anew = self._fresh(name, mark)
        self._write(anew, name, mark, text)
        if self._attempt(anew):
            return
        again = self._update()
        again.present(mark, _txt(text))
        for kind in OURS:
            again.delete(name, kind)
        self._write(again, name, mark, text)
        # An alias beside records of other types is left out by a server without a word.
        if not self._attempt(again) or self._found_at(name) != self._values:
            raise self._foreign(name)

    def _take_away(self, name: dns.name.Name, mark: dns.name.Name, text: str) -> None:
        update = self._update()
        update.present(mark, _txt(text))
        for kind in OURS:
            update.delete(name, kind)
        update.delete(mark, "TXT")
        if not self._attempt(update) and not self._attempt(self._fresh(name, mark)):
            raise self._foreign(name)

    def _fresh(self, name: dns.name.Name, mark: dns.name.Name) -> dns.update.UpdateMessage:
        """Under the condition that there is nothing of this name, nor of its mark's."""
        update = self._update()
        update.absent(name)
        update.absent(mark)
        return update

    def _write(
        self, update: dns.update.UpdateMessage, name: dns.name.Name, mark: dns.name.Name, text: str
    ) -> None:
        for kind, value in sorted(self._values):
            update.add(name, self._ttl, kind, value)
        update.replace(mark, self._ttl, _txt(text))

    def _found_at(self, name: dns.name.Name) -> frozenset[tuple[str, str]]:
        found = set()
        for kind in OURS:
            found |= {(kind, each.to_text()) for each in self._rdatas(name, kind)}
        return frozenset(found)

    def _rdatas(self, name: dns.name.Name, kind: str) -> Iterator[dns.rdata.Rdata]:
        """Of this very name: what an alias leads to is another's."""
        reply = self._ask(name, kind)
        wanted = dns.rdatatype.from_text(kind)
        rrset = reply.get_rrset(reply.answer, name, dns.rdataclass.IN, wanted)
        yield from rrset or ()

    def _ask(self, name: dns.name.Name, kind: str) -> dns.message.Message:
        question = dns.message.make_query(name, kind, use_edns=0)
        question.flags &= ~dns.flags.RD
        question.use_tsig(self._key.read())
        reply = self._exchange(lambda where: self._over_udp(question, where))
        if reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            raise self._refusal(reply.rcode())
        if not reply.flags & dns.flags.AA:
            raise StalledError(
                "NameServerRefused",
                f"{self._server} does not answer for {self._named(self._zone)} by itself: "
                "name the zone's primary server",
            )
        return reply

    def _over_udp(self, question: dns.message.Message, where: str) -> dns.message.Message:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._once(question, where)
            except dns.exception.Timeout:
                continue
        return self._once(question, where)

    def _once(self, question: dns.message.Message, where: str) -> dns.message.Message:
        reply, _ = dns.query.udp_with_fallback(
            question, where, timeout=self._timeout, port=self._port, ignore_unexpected=True
        )
        return reply

    def _update(self) -> dns.update.UpdateMessage:
        update = dns.update.UpdateMessage(self._zone)
        update.use_tsig(self._key.read())
        return update

    def _attempt(self, update: dns.update.UpdateMessage) -> bool:
        """Whether its conditions were met, and it was carried out."""
        return self._send(update) == dns.rcode.NOERROR

    def _send(self, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        def send(where: str) -> dns.message.Message:
            return dns.query.tcp(update, where, timeout=self._timeout, port=self._port)

        rcode = self._exchange(send).rcode()
        if rcode != dns.rcode.NOERROR and rcode not in _UNMET:
            raise self._refusal(rcode)
        return rcode

    def _exchange(self, send: Callable[[str], dns.message.Message]) -> dns.message.Message:
        """The library takes no answer to a signed question that does not bear the key's signature itself."""
        with self._translated():
            return send(address_of(self._server))

    def _transfer(self) -> dns.zone.Zone:
        """The whole zone, proven complete by its end, with absolute names."""
        zone = dns.zone.Zone(self._zone, relativize=False)
        question = dns.message.make_query(self._zone, "AXFR")
        question.use_tsig(self._key.read())
        with self._translated():
            dns.query.inbound_xfr(
                address_of(self._server),
                zone,
                query=question,
                port=self._port,
                timeout=self._timeout,
                lifetime=TRANSFER_SECONDS,
            )
        return zone

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises what the loop understands for what the library raises."""
        try:
            yield
        except dns.xfr.TransferError as error:
            raise self._refusal(error.rcode, "a transfer of ") from error
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
            raise self._refused_key(
                "the clocks of both sides differ by more than the key allows"
            ) from error
        except (dns.tsig.PeerError, dns.message.UnknownTSIGKey) as error:
            raise self._refused_key(str(error)) from error
        except dns.exception.Timeout as error:
            raise TransientError(
                "NameServerUnreachable",
                f"{self._server} did not answer within {self._timeout:g} s",
            ) from error
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            said = one_line(str(error) or type(error).__name__, 200)
            raise TransientError(
                "NameServerUnreachable", f"{self._server} could not be asked: {said}"
            ) from error

    def _refused_key(self, why: str) -> StalledError:
        return StalledError(
            "NameServerRefused",
            f"{self._server} refused the key {self._key.name}: {why}; "
            "its name, algorithm and secret must be the server's",
        )

    def _refusal(self, rcode: int | None, what: str = "") -> PreviewsError:
        said = dns.rcode.to_text(dns.rcode.Rcode.make(rcode or 0))
        zone = self._named(self._zone)
        if rcode in _BUSY:
            return TransientError(
                "NameServerUnreachable", f"{self._server} failed at {what}{zone} ({said})"
            )
        return StalledError(
            "NameServerRefused",
            f"{self._server} refused {what}{zone} ({said}): the key {self._key.name} must be allowed to "
            "update and to transfer this zone",
        )

    def _foreign(self, name: dns.name.Name) -> StalledError:
        return StalledError(
            "RecordNotOurs",
            f"{self._named(name)} has a record on {self._server} that does not carry this preview's mark: "
            "remove or rename it",
        )

    @staticmethod
    def _named(name: dns.name.Name) -> str:
        return one_line(name.to_text(omit_final_dot=True), 260)


def _values(addresses: Sequence[str], target: str) -> frozenset[tuple[str, str]]:
    """Types and values of a host's records, as the library writes them."""
    if target:
        return frozenset({("CNAME", dns.name.from_text(target).to_text())})
    kinds = ((("AAAA" if ":" in each else "A"), each) for each in addresses)
    return frozenset(
        (kind, dns.rdata.from_text("IN", kind, each).to_text()) for kind, each in kinds
    )


def _mark_of(host: dns.name.Name) -> dns.name.Name:
    return dns.name.Name((LABEL, *host.labels))


def _txt(text: str) -> dns.rdtypes.ANY.TXT.TXT:
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, [text.encode("ascii")])


def _text(rdata: dns.rdata.Rdata) -> str:
    strings: tuple[bytes, ...] = getattr(rdata, "strings", ())
    return b"".join(strings).decode("ascii", errors="replace")
