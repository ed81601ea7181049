"""Whether what is configured as an image registry is one at all. For `previews doctor`."""

from http import HTTPStatus

from previews.adapters.http_look import Seen, look
from previews.adapters.registry_session import RegistrySession


class RegistryPing(RegistrySession):
    """Under the same rules about TLS as the gate on the image."""

    def ping(self, registry: str) -> Seen:
        """Ask for `/v2/`, by which registries are known. Does not raise."""
        scheme = "http" if self._is_insecure(registry) else "https"
        return look(f"{scheme}://{registry}/v2/")


def is_registry(seen: Seen) -> bool:
    """Whether an answer to `ping` is a registry's: it lets everybody in, or asks who we are."""
    asks = seen.status == HTTPStatus.UNAUTHORIZED and "www-authenticate" in seen.headers
    is_page = seen.headers.get("content-type", "").lower().startswith("text/html")
    return asks or (seen.status == HTTPStatus.OK and not is_page)
