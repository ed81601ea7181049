"""Image registries in memory."""

import hashlib

from previews.domain.preview import Image
from previews.errors import StalledError, TransientError


class FakeRegistry:
    """Holds what a test pushes."""

    def __init__(self) -> None:
        self.is_unreachable = False
        self.denies = False
        """Whether the manager's credential is refused."""
        self.asked = 0
        self._images: dict[tuple[str, str], Image] = {}

    def find_image(self, repository: str, tag: str) -> Image | None:
        self.asked += 1
        if self.is_unreachable:
            raise TransientError("RegistryUnreachable", f"the registry of {repository} is down")
        if self.denies:
            raise StalledError("RegistryDenied", f"{repository} is not for us to see")
        return self._images.get((repository, tag))

    def push(self, repository: str, tag: str, content: str = "") -> Image:
        """What CI does once it has built a commit."""
        reference = f"{repository}:{tag}"
        digest = hashlib.sha256(f"{reference} {content}".encode()).hexdigest()
        image = self._images[repository, tag] = Image(reference, f"sha256:{digest}")
        return image

    def delete(self, repository: str, tag: str) -> None:
        del self._images[repository, tag]
