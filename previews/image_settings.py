"""What the configuration says about the images that CI builds."""

from typing import Annotated

from pydantic import AfterValidator, Field

from previews.secret_settings import PullSecretSettings
from previews.setting_types import Section, image_repository


class ImageSettings(Section):
    """The image that CI builds for each commit."""

    repository: Annotated[str, AfterValidator(image_repository)]
    tag: str = "pr-{number}-{short_sha}"
    """With {number}, {short_sha}, {head_sha}, {project}. CI may name another by /api/v1/images."""
    platform: Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+(/v[0-9]+)?$")] | None = None
    """What the image must have been built for, such as linux/amd64. Absent: nobody looks."""
    pull_secret: PullSecretSettings | None = None
    """What the previews' nodes pull it with. Absent: they need nothing, or have something of their own."""
