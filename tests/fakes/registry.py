"""Image registries in memory."""

import hashlib
from dataclasses import replace

from previews.domain.preview import Image
from previews.errors import StalledError, TransientError


class FakeRegistry:
    """Holds what a test pushes."""

    def __init__(self) -> None:
        self.is_unreachable = False
        self.denies = False
        """Whether the manager's credential is refused."""
        self.pause_seconds = 0.0
        """What it asks whoever comes to wait, if anything."""
        self.asked = 0
        self._images: dict[tuple[str, str], Image] = {}
        self._platforms: dict[tuple[str, str], str] = {}

    def find_image(self, repository: str, tag: str, platform: str = "") -> Image | None:
        self.asked += 1
        if self.is_unreachable:
            raise TransientError("RegistryUnreachable", f"the registry of {repository} is down")
        if self.pause_seconds:
            raise TransientError(
                "RegistryUnreachable",
                f"the registry of {repository} wants a pause",
                retry_after_seconds=self.pause_seconds,
            )
        if self.denies:
            raise StalledError("RegistryDenied", f"{repository} is not for us to see")
        by_digest = ":" in tag
        places = [
            (place, image)
            for place, image in self._images.items()
            if place[0] == repository and tag in {place[1], image.digest}
        ]
        if not places:
            return None
        place, image = places[0]
        built_for = self._platforms.get(place, platform)
        if platform and built_for != platform:
            raise StalledError("WrongPlatform", f"{repository}:{tag} is for {built_for}")
        return replace(image, reference=f"{repository}@{tag}") if by_digest else image

    def push(self, repository: str, tag: str, content: str = "", platform: str = "") -> Image:
        """What CI does once it has built a commit."""
        if platform:
            self._platforms[repository, tag] = platform
        reference = f"{repository}:{tag}"
        digest = hashlib.sha256(f"{reference} {content}".encode()).hexdigest()
        image = self._images[repository, tag] = Image(reference, f"sha256:{digest}")
        return image

    def delete(self, repository: str, tag: str) -> None:
        del self._images[repository, tag]
