"""The settings of where previews answer: the zone of their hosts, and the ingress controller before them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from previews.domain.hosts import KEY_BYTES_MIN
from previews.setting_types import ExistingFile, HttpUrl, Section, dns_name


class DomainSettings(Section):
    """Where the previews answer."""

    zone: Annotated[str, AfterValidator(dns_name)]
    """The wildcard's zone: hosts are one label under it."""
    scheme: Literal["http", "https"] = "https"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Only when the ingress is not on the scheme's own port."""
    private_addresses: bool = False
    """Whether the probe may ask hosts that lead into a private network, or to this machine."""
    ca_file: ExistingFile | None = None
    """Who vouches for the ingress' certificate, beside those whom the system trusts."""
    hostname_key_file: ExistingFile | None = None
    """What the suffixes of unguessable hosts are made with. Another key is another host for each such preview."""

    def hostname_key(self) -> bytes:
        """Raises ValueError when the file cannot be used."""
        if self.hostname_key_file is None:
            return b""
        try:
            key = self.hostname_key_file.read_bytes().strip()
        except OSError as error:
            raise ValueError(f"{self.hostname_key_file}: {error.strerror}") from error
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"{self.hostname_key_file} must hold at least {KEY_BYTES_MIN} bytes")
        return key


class IngressSettings(Section):
    """The ingress controller before the previews."""

    metrics_urls: list[HttpUrl] = []
    """Where each of its replicas exposes Prometheus metrics: Traefik and ingress-nginx are understood."""
