"""Why an image cannot be pulled, from the words of a registry that passed through containerd and Kubernetes. Pure."""

import re
from typing import NamedTuple


class Verdict(NamedTuple):
    """What the words come to."""

    sentence: str
    """Goes on after the image's name."""
    stays: bool
    """Whether a further attempt can only end like this one."""


WAITING = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""What a container waits for that has no image, as Kubernetes calls it."""
AT_ONCE = {
    "InvalidImageName": Verdict("is no name of an image", stays=True),
    "ErrImageNeverPull": Verdict("is not on the node, and may not be pulled", stays=True),
    "SignatureValidationFailed": Verdict("is not signed as it must be", stays=True),
}
"""What is clear without a registry, and before a second attempt."""
_SAID = (
    (
        r"no match for platform|no matching manifest for",
        Verdict("was not built for the platform of the node", stays=True),
    ),
    (
        r"toomanyrequests|too many requests|rate limit",
        Verdict("cannot be pulled just now, the registry is asked too often", stays=False),
    ),
    (
        r"unauthori[sz]ed|denied|forbidden|auth[a-z]+ (failed|required)|insufficient_scope|no basic auth",
        Verdict("may not be pulled with the credential that there is, or is not there", stays=True),
    ),
    (
        r"not found|manifest unknown|name unknown|does not exist",
        Verdict("is not in the registry", stays=True),
    ),
)
_OTHERWISE = Verdict("cannot be pulled", stays=False)
_CHOSEN = re.compile(r'"[^"]*"|\S+/\S+')
"""What is quoted, and names of images and addresses: their words are somebody's choice and prove nothing."""
_ON_THE_WAY = re.compile(
    r"^(failed to pull and unpack image|failed to resolve (reference|image)|failed to do request|"
    r'failed to copy|Failed to pull image|Head|Get)( "[^"]*")?: '
)


def why_not_pulled(waiting: str, words: str) -> Verdict:
    """Judge what Kubernetes calls it, and the registry's `words`."""
    if waiting in AT_ONCE:
        return AT_ONCE[waiting]
    plain = _CHOSEN.sub(" ", words)
    said = (verdict for pattern, verdict in _SAID if re.search(pattern, plain, re.IGNORECASE))
    return next(said, _OTHERWISE)


def registrys_words(message: str, image: str) -> str:
    """What the registry said, without who passed it on."""
    words = message.rpartition("desc = ")[2]
    while found := _ON_THE_WAY.match(words):
        words = words[found.end() :]
    return words.removeprefix(f"{image}: ")


_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]+")


def with_short_digests(text: str) -> str:
    """As people need it: what comes after a digest often says the most, and what is shown has its bounds."""
    return _DIGEST.sub(r"\1…", text)
