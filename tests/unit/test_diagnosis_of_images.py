"""Why an image cannot be pulled, and whether somebody must act."""

import pytest

from tests.fakes.raw_pods import (
    IMAGE,
    NOT_FOUND,
    Object,
    container,
    event,
    pod,
    waiting,
    with_no_image,
)
from tests.unit.failing_workloads import cause_of, pull_error


def pulling(words: str, *, reason: str = "ImagePullBackOff", image: str = IMAGE) -> Object:
    return pod(container(waiting(reason, words), image=image))


PULLS: list[tuple[str, Object, str, bool]] = [
    (
        "its image is not in the registry",
        with_no_image(),
        "is not in the registry: not found",
        True,
    ),
    (
        "a registry wants a credential",
        pulling(
            pull_error(
                "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
                "https://registry.example/token?scope=repository%3Ashop%3Apull: 401 Unauthorized"
            )
        ),
        "401 Unauthorized",
        True,
    ),
    (
        "a registry that tells nobody what it has",
        pulling(
            pull_error(
                "pull access denied, repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            )
        ),
        "may not be pulled",
        True,
    ),
    (
        "its image is for other machines",
        pulling(pull_error("no match for platform in manifest sha256:aa: not found")),
        "not built for the platform",
        True,
    ),
    (
        "a registry that is asked too often",
        pulling(pull_error("429 Too Many Requests - toomanyrequests: pull rate limit")),
        "asked too often",
        False,
    ),
    (
        "a registry that does not answer",
        pulling(pull_error("dial tcp 10.0.0.9:443: i/o timeout")),
        "cannot be pulled: dial tcp 10.0.0.9:443: i/o timeout",
        False,
    ),
    ("a first attempt", pulling(NOT_FOUND, reason="ErrImagePull"), "is not in the registry", False),
    (
        "a name that is none",
        pulling(
            'Failed to apply default image tag "shop:::": couldn\'t parse image name "shop:::"',
            reason="InvalidImageName",
            image="shop:::",
        ),
        "is no name of an image",
        True,
    ),
    (
        "words of a name that mean nothing",
        pulling(
            'rpc error: code = Unknown desc = unexpected answer about "denied/not found": EOF',
            image="r.example/denied/forbidden:unauthorized",
        ),
        "cannot be pulled: unexpected answer",
        False,
    ),
]


@pytest.mark.parametrize(
    ("raw", "words", "is_final"), [row[1:] for row in PULLS], ids=[row[0] for row in PULLS]
)
def test_an_image_that_cannot_be_pulled(raw: Object, words: str, *, is_final: bool) -> None:
    cause = cause_of([raw])
    assert cause.reason == "ImagePullFailed"
    assert words in cause.message
    assert cause.is_final is is_final


def test_between_two_attempts_at_an_image_nothing_changes() -> None:
    """Kubernetes shows the one and the other in turn, every few seconds."""
    backed_off = event("Failed", "Error: ImagePullBackOff", count=3)
    resting = cause_of([pulling(NOT_FOUND)], [backed_off])
    assert cause_of([pulling(NOT_FOUND, reason="ErrImagePull")], [backed_off]) == resting


def test_an_older_kubernetes_tells_why_in_an_event() -> None:
    failed = event(
        "Failed", f'Failed to pull image "{IMAGE}": {NOT_FOUND.partition("ErrImagePull: ")[2]}'
    )
    cause = cause_of([pulling(f'Back-off pulling image "{IMAGE}"')], [failed])
    assert "is not in the registry: not found" in cause.message
    assert cause.is_final


def test_a_registry_s_last_words_stand_there_whatever_digests_come_before() -> None:
    digest = f"sha256:{'5c' * 32}"
    said = f"pulling from host 127.0.0.1:58393 failed with status code [manifests {digest}]: 401 Unauthorized"
    image = f"127.0.0.1:58393/team-467e76/shop:pr-1-762efb9@{digest}"
    cause = cause_of([pulling(pull_error(said), image=image)])
    assert "may not be pulled" in cause.message
    assert cause.message.endswith(": 401 Unauthorized")
    assert "shop:pr-1-762efb9@sha256:5c5c5c5c5c5c…" in cause.message
