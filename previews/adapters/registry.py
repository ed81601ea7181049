"""The image registry: is there an image of this tag or digest, and for which platform? It speaks OCI distribution.

A HEAD on the manifest answers the first, and no more is asked of a registry unless a platform matters or it does not
say the digest by itself.
"""

from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from previews.adapters.one_line import one_line
from previews.adapters.registry_login import Repository, parse_repository
from previews.adapters.registry_manifests import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Platform,
    UnreadableError,
    config_digest,
    digest_of,
    in_words,
    is_digest,
    platforms_of_config,
    platforms_of_index,
)
from previews.adapters.registry_session import Answer, RegistrySession
from previews.domain.preview import Image
from previews.errors import StalledError, TransientError

DOCUMENT_BYTES_MAX = 4 * 1024 * 1024
"""Of an index, a manifest or an image's configuration: registries themselves take no larger manifest."""


class OCIRegistry:
    """`domain.ports.Registry`, for every registry that images come from. Safe from any thread."""

    def __init__(
        self,
        *,
        docker_config: Path | None = None,
        insecure_registries: Collection[str] = (),
        timeout_seconds: float = 10.0,
    ) -> None:
        """`docker_config` is read whenever a registry asks who we are, so that a new password needs no restart."""
        self._session = RegistrySession(
            docker_config=docker_config,
            insecure_registries=insecure_registries,
            timeout_seconds=timeout_seconds,
        )

    def close(self) -> None:
        """Let go of the connections that are kept."""
        self._session.close()

    def find_image(self, repository: str, tag: str, platform: str = "") -> Image | None:
        """The image of this tag or digest; None when the registry itself answers that there is none."""
        wanted = parse_repository(repository)
        head = self._manifest("HEAD", wanted, tag)
        if head is None:
            return None
        digest = self._said_digest(wanted, head, tag)
        if digest is None or platform:
            # By its digest, since a tag may move between two requests.
            whole = self._manifest("GET", wanted, digest or tag)
            if whole is None:
                return None
            digest = self._proven_digest(wanted, whole, digest, tag)
            if platform:
                self._check_platform(f"{wanted.registry}/{wanted.name}", wanted, whole, platform)
        separator = "@" if is_digest(tag) else ":"
        return Image(reference=f"{repository}{separator}{tag}", digest=digest)

    def _manifest(self, method: str, wanted: Repository, tag: str) -> Answer | None:
        answer = self._session.ask(
            method,
            wanted,
            f"/manifests/{quote(tag, safe=':')}",
            accept=", ".join(MANIFEST_TYPES),
            bytes_max=DOCUMENT_BYTES_MAX,
        )
        if answer.status == HTTPStatus.NOT_FOUND and not answer.is_page:
            return None
        if not answer.is_success or answer.is_page:
            raise self._session.refusal(wanted, answer)
        return answer

    def _said_digest(self, wanted: Repository, answer: Answer, tag: str) -> str | None:
        """What a registry says by itself; None if it says nothing."""
        digest = answer.headers.get("Docker-Content-Digest", "")
        if not digest:
            return None
        if not is_digest(digest) or (is_digest(tag) and digest != tag):
            raise _false(wanted, f"the digest {one_line(digest, 80)}")
        return digest

    def _proven_digest(
        self, wanted: Repository, whole: Answer, digest: str | None, tag: str
    ) -> str:
        """The digest of what was sent, which must be what was asked for and what the registry says of it."""
        if whole.kind not in MANIFEST_TYPES:
            raise _false(wanted, f"{one_line(whole.kind, 80) or 'no content type'} for a manifest")
        said = {self._said_digest(wanted, whole, tag), digest, tag if is_digest(tag) else None}
        said.discard(None)
        for each in said:
            if each is not None and digest_of(whole.body, each) != each:
                raise _false(wanted, f"a manifest that is not {each}")
        return digest or digest_of(whole.body, tag if is_digest(tag) else "sha256")

    def _check_platform(
        self, subject: str, wanted: Repository, whole: Answer, platform: str
    ) -> None:
        try:
            built_for = self._platforms(wanted, whole)
        except UnreadableError:
            raise _false(wanted, "a manifest that cannot be read") from None
        if not any(each.runs(platform) for each in built_for):
            raise StalledError(
                "WrongPlatform",
                f"the image that CI pushed to {subject} is for {in_words(built_for)}, not for "
                f"{platform}, which image.platform asks for; build it for that as well",
            )

    def _platforms(self, wanted: Repository, whole: Answer) -> list[Platform]:
        if whole.kind in INDEX_TYPES:
            return platforms_of_index(whole.body)
        digest = config_digest(whole.body)
        config = self._session.ask("GET", wanted, f"/blobs/{digest}", bytes_max=DOCUMENT_BYTES_MAX)
        if not config.is_success:
            raise self._session.refusal(wanted, config)
        if digest_of(config.body, digest) != digest:
            raise _false(wanted, f"a configuration that is not {digest}")
        return platforms_of_config(config.body)


def _false(wanted: Repository, what: str) -> TransientError:
    return TransientError(
        "RegistryAnswer",
        f"{wanted.registry} was asked for an image of {wanted.name} and sent {what}",
    )
