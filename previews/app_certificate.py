"""Builds what looks at the certificate of the previews' hosts. A part of the composition root."""

from previews.adapters.tls_check import TLSCheck
from previews.domain.ports import Clock
from previews.reconcile.certificate_watch import CertificateWatch
from previews.settings import Settings


def build_tls_check(settings: Settings, clock: Clock) -> TLSCheck:
    """Looks at what the ingress serves for the previews' hosts."""
    domain = settings.domain
    return TLSCheck(
        zone=domain.zone,
        now=clock.now,
        port=domain.port,
        ca_file=domain.ca_file,
        address=ingress_address(settings),
    )


def ingress_address(settings: Settings) -> str | None:
    """Whom to ask about hosts without a preview; None where the name of such a host leads to the ingress by itself."""
    leads_to = settings.dns.leads_to()
    return leads_to[0] if settings.dns.mode == "per_preview" and leads_to else None


def build_certificate_watch(settings: Settings, clock: Clock) -> CertificateWatch | None:
    """None where the previews answer without TLS."""
    if settings.domain.scheme != "https":
        return None
    return CertificateWatch(build_tls_check(settings, clock).look)
