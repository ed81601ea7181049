"""The configuration of what is shown on a pull request."""

import pytest
import yaml
from pydantic import ValidationError

from previews.argocd_settings import ArgoCDSettings
from previews.domain.feedback import CommentMode
from previews.feedback_settings import FeedbackSettings


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("comment: off", CommentMode.OFF),
        ('comment: "off"', CommentMode.OFF),
        ("comment: on-failure", CommentMode.ON_FAILURE),
        ("comment: always", CommentMode.ALWAYS),
        ("{}", CommentMode.ALWAYS),
    ],
)
def test_a_mode_is_read_as_people_write_it(written: str, mode: CommentMode) -> None:
    assert FeedbackSettings.model_validate(yaml.safe_load(written)).comment is mode


def test_yaml_that_says_on_is_refused_since_it_could_mean_either() -> None:
    with pytest.raises(ValidationError):
        FeedbackSettings.model_validate(yaml.safe_load("comment: on"))


def test_applications_are_below_argo_cds_own_address() -> None:
    assert not ArgoCDSettings().applications_url()
    argocd = ArgoCDSettings(url="https://argocd.example.com/", namespace="gitops")
    assert argocd.applications_url() == "https://argocd.example.com/applications/gitops"
