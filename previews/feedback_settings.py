"""The part of the configuration that is about what is shown on a pull request."""

from typing import Annotated

from pydantic import BeforeValidator

from previews.domain.feedback import CommentMode
from previews.setting_types import Section


def _word(value: object) -> object:
    # YAML reads `off` as false.
    return CommentMode.OFF if value is False else value


class FeedbackSettings(Section):
    """What is shown on a project's pull requests, beside the commit status or check run, which are always there."""

    comment: Annotated[CommentMode, BeforeValidator(_word)] = CommentMode.ALWAYS
    """When its previews are shown in the comment. `on-failure`: from the first failure on."""
