"""What a server's certificate means for the previews' hosts. Pure: whoever asked the server says what it served."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from previews.domain.findings import Finding, Level

WARNING_BEFORE = timedelta(days=14)
"""Of the end of a certificate, or a third of its life if that is shorter: something is wrong if it is not renewed."""
NAMES_SHOWN_MAX = 5

SERVED = "tls certificate"
HOST = "tls host"
CHAIN = "tls chain"
EXPIRY = "tls expiry"
CHECKS = (SERVED, HOST, CHAIN, EXPIRY)

_OF_THE_INGRESS = ("TRAEFIK DEFAULT CERT", "Kubernetes Ingress Controller Fake Certificate")
"""What Traefik and ingress-nginx call the certificates that they make for themselves."""


class Trust(StrEnum):
    """What verifying the chain, as every browser does, came to. The names are no part of it."""

    TRUSTED = "trusted"
    SELF_SIGNED = "self-signed"
    """The leaf has signed itself, and nobody vouches for it."""
    ISSUER_MISSING = "issuer missing"
    """What signed the last certificate that was served is neither served nor among the roots."""
    UNKNOWN_ROOT = "unknown root"
    """The chain is whole, and ends in a root that is not among ours."""
    OUT_OF_DATE = "out of date"
    """One of the certificates has expired or is not valid yet, and nothing else is wrong."""
    BROKEN = "broken"
    """Anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate of those that were served. All texts are one line."""

    subject: str
    """The common name; empty if it has none."""
    issuer: str
    names: tuple[str, ...]
    """The DNS names that it is for."""
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a server showed of itself."""

    place: str
    """Who was asked: host and port."""
    chain: tuple[Certificate, ...]
    """In the server's order: its own first. Never empty."""
    trust: Trust
    complaint: str = ""
    """What verifying stumbled over, in the library's words; empty for what is trusted."""
    roots: str = "the system's roots"
    """What it was verified against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One look at the certificate of the previews' hosts."""

    findings: tuple[Finding, ...]
    expires_at: datetime | None = None
    """When the server's own certificate ends; None if none was seen."""

    @property
    def troubles(self) -> tuple[Finding, ...]:
        """Those that are not fine."""
        return tuple(each for each in self.findings if each.level is not Level.FINE)


def inspect(served: Served, *, host: str, zone: str, now: datetime) -> Inspection:
    """What this certificate means for `host`, which is a random label under `zone`."""
    leaf = served.chain[0]
    expires_at = leaf.not_after
    if any(leaf.subject == each for each in _OF_THE_INGRESS):
        return Inspection(findings=(_of_the_ingress(served, zone),), expires_at=expires_at)
    names = _shown(leaf.names)
    fine = Finding(
        check=SERVED,
        level=Level.FINE,
        message=f"{served.place} serves a certificate for {names} by {leaf.issuer or 'nobody'}",
    )
    return Inspection(
        findings=(fine, _host(served, host, zone), _chain(served, now), _expiry(leaf, now)),
        expires_at=expires_at,
    )


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether a certificate for these names is one for `host`: a star stands for exactly one label, the first."""
    wanted = host.lower().rstrip(".")
    starred = f"*.{wanted.partition('.')[2]}"
    return any(name.lower().rstrip(".") in {wanted, starred} for name in names)


def _of_the_ingress(served: Served, zone: str) -> Finding:
    return Finding(
        check=SERVED,
        level=Level.PROBLEM,
        message=f"{served.place} serves the ingress controller's own certificate, {served.chain[0].subject!r}: "
        "it has none for the previews",
        remedy=f"have a certificate for *.{zone} issued (`previews ingress render` writes a Certificate of "
        "cert-manager) and make it the controller's default: the `default` TLSStore of Traefik, "
        "--default-ssl-certificate of ingress-nginx; if it is already, see whether its Secret is there",
    )


def _host(served: Served, host: str, zone: str) -> Finding:
    leaf = served.chain[0]
    if covers(leaf.names, host):
        return Finding(check=HOST, level=Level.FINE, message=f"it covers *.{zone}")
    wide = [name for name in leaf.names if name.startswith("*.") and zone.endswith(name[1:])]
    why = f"; {wide[0]} does not reach so deep, since a star is one label" if wide else ""
    return Finding(
        check=HOST,
        level=Level.PROBLEM,
        message=f"it is for {_shown(leaf.names)}, not for hosts under {zone}{why}",
        remedy=f"have a certificate issued whose names (dnsNames) include *.{zone}, and have the ingress serve it",
    )


def _chain(served: Served, now: datetime) -> Finding:
    last = served.chain[-1]
    complaint = f" ({served.complaint})" if served.complaint else ""
    late = [each.subject for each in served.chain[1:] if not _is_valid(each, now)]
    is_whole = Finding(
        check=CHAIN, level=Level.FINE, message=f"it is complete, and ends at {served.roots}"
    )
    match served.trust:
        case Trust.TRUSTED:
            return is_whole
        case Trust.OUT_OF_DATE if not late and not _is_valid(served.chain[0], now):
            return is_whole
        case Trust.SELF_SIGNED:
            said = f"the certificate has signed itself, and {served.roots} do not know it"
            remedy = (
                "have it issued by an authority that browsers trust (cert-manager with DNS-01), or name the "
                "certificate in domain.ca_file if everybody who visits previews trusts it"
            )
        case Trust.ISSUER_MISSING:
            said = (
                f"the chain of {len(served.chain)} ends at one by {last.issuer or 'nobody'!r}, whose own "
                f"certificate is neither served nor among {served.roots}"
            )
            remedy = (
                f"serve the intermediate certificates too: put that of {last.issuer!r} after the server's own into "
                "tls.crt of the ingress's Secret; if it is a root of your own, name it in domain.ca_file"
            )
        case Trust.UNKNOWN_ROOT:
            said = f"the chain ends in {last.subject or last.issuer!r}, which {served.roots} do not know"
            remedy = (
                "name that root's certificate in domain.ca_file if everybody who visits previews trusts it, else "
                "have the certificate issued by an authority that browsers trust"
            )
        case Trust.OUT_OF_DATE:
            said = f"a certificate above the server's own is out of date: {', '.join(late) or 'not served'}"
            remedy = "serve the present intermediate certificates of the issuer: renew the certificate with its chain"
        case Trust.BROKEN:
            said = "it cannot be verified"
            remedy = "have the certificate issued anew, with its chain"
    return Finding(check=CHAIN, level=Level.PROBLEM, message=f"{said}{complaint}", remedy=remedy)


def _expiry(leaf: Certificate, now: datetime) -> Finding:
    renew = (
        "see why it is not renewed: `kubectl describe certificate` shows cert-manager's own reason; "
        "whoever put it there by hand has to replace it"
    )
    if now < leaf.not_before:
        return Finding(
            check=EXPIRY,
            level=Level.PROBLEM,
            message=f"it is not valid before {_moment(leaf.not_before)}",
            remedy="compare the clocks of this machine and of the issuer, or have it issued anew",
        )
    if now >= leaf.not_after:
        return Finding(
            check=EXPIRY,
            level=Level.PROBLEM,
            message=f"it expired at {_moment(leaf.not_after)}",
            remedy=renew,
        )
    left = leaf.not_after - now
    ends = f"it is valid until {_moment(leaf.not_after)}"
    if left <= min(WARNING_BEFORE, (leaf.not_after - leaf.not_before) / 3):
        said = f"{ends}: {_in_words(left)} more"
        return Finding(check=EXPIRY, level=Level.WARNING, message=said, remedy=renew)
    return Finding(check=EXPIRY, level=Level.FINE, message=ends)


def _is_valid(certificate: Certificate, now: datetime) -> bool:
    return certificate.not_before <= now < certificate.not_after


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(_some(names)) or "no name at all"


def _some(names: tuple[str, ...]) -> Iterator[str]:
    yield from names[:NAMES_SHOWN_MAX]
    if len(names) > NAMES_SHOWN_MAX:
        yield f"{len(names) - NAMES_SHOWN_MAX} more"


def _in_words(left: timedelta) -> str:
    return f"{left.days} days" if left.days > 1 else f"{left // timedelta(hours=1)} hours"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
