"""Every name that a preview gets, from its project and number alone. Pure.

Names never need cutting: an instance has at most 20 characters, a project 30 and a pull request number ten digits, so
the longest (a shard root, 61) fits the 63 that DNS-1123 allows. Two previews never share a name,
since the last `-pr-` followed by digits only splits it back into project and number.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from previews.domain.hosts import NUMBER_DIGITS_MAX, HostRule, is_dns_label, placeholders
from previews.domain.preview import HeadSha, PreviewKey

PROJECT_NAME_LENGTH_MAX = 30
INSTANCE_LENGTH_MAX = 20
SHARD_SIZE = 20
"""Previews behind one root Application, seven objects each (docs/performance.md says what that costs)."""

ROOTS_FOLDER = "roots"
"""Of the shard roots, below the configured path of the GitOps repository."""

DATABASE_PREFIX = "preview_"

_IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_SHORT_SHA_LENGTH = 7


@dataclass(frozen=True, slots=True)
class Names:
    """Where one preview lives."""

    application: str
    namespace: str
    app_project: str
    host: str
    hosts: tuple[str, ...]
    """The same, and those of the project's services in their order."""
    database: str
    """And of the role that may use it."""
    folder: str
    """Of the preview's files, below the configured path of the GitOps repository."""
    shard: str


def short_sha(head_sha: HeadSha) -> str:
    """The first seven characters, as forges show a commit."""
    return head_sha[:_SHORT_SHA_LENGTH]


def shard_of(key: PreviewKey) -> str:
    """The shard root that a preview belongs to, for ever: moving one would delete it."""
    return f"{key.project}-{key.number // SHARD_SIZE}"


def folder_of(key: PreviewKey) -> str:
    """Where a preview's files lie, below the configured path of the GitOps repository."""
    return f"{key.project}/{key.number // SHARD_SIZE}/pr-{key.number}"


def root_file(shard: str) -> str:
    """Where a shard's root Application lies."""
    return f"{ROOTS_FOLDER}/{shard}.yaml"


def root_name(instance: str, shard: str) -> str:
    """The Application behind which a shard's previews are."""
    return f"{instance}-{shard}"


def top_root_name(instance: str) -> str:
    """The app-of-apps over all shard roots, and the AppProject that the roots belong to."""
    return f"{instance}-previews"


def names_of(
    key: PreviewKey, *, host_pattern: str, services: Sequence[str] = (), host_key: bytes = b""
) -> Names:
    """All names of a preview. What its hosts are made of was checked by `HostRule.check`."""
    stem = f"{key.project}-pr-{key.number}"
    rule = HostRule(
        project=key.project, pattern=host_pattern, services=tuple(services), key=host_key
    )
    hosts = rule.hosts(key.number)
    return Names(
        application=stem,
        namespace=f"preview-{stem}",
        # Sorts before every Application: Argo CD creates what it has no other order for by name, and an Application
        # that is there before its AppProject is refused, and not looked at again for a minute or more.
        app_project=f"0-{stem}",
        host=hosts[0],
        hosts=hosts,
        database=database_name(key),
        folder=folder_of(key),
        shard=shard_of(key),
    )


def database_name(key: PreviewKey) -> str:
    """A preview's database, and its login role. No project has an underscore in its name, so none clash."""
    return f"{DATABASE_PREFIX}{key.project.replace('-', '_')}_pr_{key.number}"


def key_of_folder(folder: str) -> PreviewKey | None:
    """The preview whose files lie in `folder`, or None if no preview's do."""
    match folder.split("/"):
        case [project, shard, name] if re.fullmatch(r"pr-[1-9][0-9]{0,9}", name):
            key = PreviewKey(project, int(name.removeprefix("pr-")))
            return key if shard == str(key.number // SHARD_SIZE) else None
        case _:
            return None


def fill(
    pattern: str,
    *,
    key: PreviewKey,
    head_sha: HeadSha,
    host: str,
    service_hosts: Mapping[str, str] | None = None,
) -> str:
    """Put a preview's own values into a configured pattern such as `pr-{number}-{short_sha}`."""
    return pattern.format(
        **{host_placeholder(name): each for name, each in (service_hosts or {}).items()},
        project=key.project,
        number=key.number,
        head_sha=head_sha,
        short_sha=short_sha(head_sha),
        host=host,
    )


def check_project_name(name: str) -> None:
    """Raises ValueError, in words for the person who wrote the configuration."""
    if not is_dns_label(name) or len(name) > PROJECT_NAME_LENGTH_MAX:
        raise ValueError(
            f"{name!r} must be lower-case letters, digits and '-', "
            f"at most {PROJECT_NAME_LENGTH_MAX} characters"
        )
    if name in {ROOTS_FOLDER, "pr"} or name.endswith("-pr"):
        raise ValueError(f"{name!r} would clash with the names of shard roots: choose another")
    if name.startswith("0--"):
        # Argo CD creates by name, and an AppProject, `0-<project>-pr-7`, has to come before its Application.
        raise ValueError(f"{name!r} must not begin with '0--': choose another")


def check_instance(name: str) -> None:
    """Raises ValueError, in words for the person who wrote the configuration."""
    if not is_dns_label(name) or len(name) > INSTANCE_LENGTH_MAX:
        raise ValueError(
            f"{name!r} must be lower-case letters, digits and '-', "
            f"at most {INSTANCE_LENGTH_MAX} characters"
        )


def is_image_tag(text: str) -> bool:
    """Whether a registry takes it as a tag."""
    return _IMAGE_TAG.fullmatch(text) is not None


def check_image_tag(pattern: str) -> None:
    """Raises ValueError when the pattern cannot make a tag, or makes one tag for two commits."""
    known = {"project", "number", "head_sha", "short_sha"}
    found = placeholders(pattern)
    if not set(found) <= known:
        raise ValueError(f"{pattern!r} may use {', '.join(sorted(known))}")
    if not {"head_sha", "short_sha"} & set(found):
        raise ValueError(
            f"{pattern!r} must contain {{short_sha}} or {{head_sha}}: a tag is one commit's"
        )
    longest = pattern.format(
        project="p" * PROJECT_NAME_LENGTH_MAX,
        number="9" * NUMBER_DIGITS_MAX,
        head_sha="a" * 64,
        short_sha="a" * _SHORT_SHA_LENGTH,
    )
    if not _IMAGE_TAG.fullmatch(longest):
        raise ValueError(f"{pattern!r} does not make an image tag")


def host_placeholder(service: str) -> str:
    """What stands for a service's host in a pattern: `{host_my_api}` for `my-api`. No service has an underscore."""
    return f"host_{service.replace('-', '_')}"


def check_parameter(pattern: str, services: Sequence[str] = ()) -> None:
    """Raises ValueError when a Helm parameter uses a value that there is not."""
    known = {"project", "number", "head_sha", "short_sha", "host"}
    known |= set(map(host_placeholder, services))
    if not set(placeholders(pattern)) <= known:
        raise ValueError(f"{pattern!r} may use {', '.join(sorted(known))}")
