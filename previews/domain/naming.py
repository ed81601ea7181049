"""Every name that a preview gets, from its project and number alone. Pure.

Names never need cutting: an instance has at most 20 characters, a project 30 and a pull request number ten digits, so
the longest (a shard root, 61) fits the 63 that DNS-1123 allows. Two previews never share a name,
since the last `-pr-` followed by digits only splits it back into project and number.
"""

import re
import string
from dataclasses import dataclass

from previews.domain.preview import HeadSha, PreviewKey

PROJECT_NAME_LENGTH_MAX = 30
INSTANCE_LENGTH_MAX = 20
NUMBER_DIGITS_MAX = 10
LABEL_LENGTH_MAX = 63
SHARD_SIZE = 20
"""Previews behind one root Application, seven objects each (docs/performance.md says what that costs)."""

ROOTS_FOLDER = "roots"
"""Of the shard roots, below the configured path of the GitOps repository."""

DATABASE_PREFIX = "preview_"

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_SHORT_SHA_LENGTH = 7


@dataclass(frozen=True, slots=True)
class Names:
    """Where one preview lives."""

    application: str
    namespace: str
    app_project: str
    host: str
    database: str
    """And of the role that may use it."""
    folder: str
    """Of the preview's files, below the configured path of the GitOps repository."""
    shard: str


def is_dns_label(text: str) -> bool:
    """Whether Kubernetes and DNS take it as one label."""
    return _DNS_LABEL.fullmatch(text) is not None


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


def names_of(key: PreviewKey, *, host_pattern: str) -> Names:
    """All names of a preview. `host_pattern` was checked by `check_host_pattern`."""
    stem = f"{key.project}-pr-{key.number}"
    return Names(
        application=stem,
        namespace=f"preview-{stem}",
        # Sorts before every Application: Argo CD creates what it has no other order for by name, and an Application
        # that is there before its AppProject is refused, and not looked at again for a minute or more.
        app_project=f"0-{stem}",
        host=host_pattern.format(project=key.project, number=key.number),
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


def number_in_host(host: str, pattern: str, project: str) -> int | None:
    """The pull request's number in a host that `pattern` makes for a project; None if it makes no such host."""
    before, after = _around_number(pattern, project)
    number = host.removeprefix(before).removesuffix(after)
    fits = host == f"{before}{number}{after}" and re.fullmatch(r"[1-9][0-9]{0,9}", number)
    return int(number) if fits else None


def fill(pattern: str, *, key: PreviewKey, head_sha: HeadSha, host: str) -> str:
    """Put a preview's own values into a configured pattern such as `pr-{number}-{short_sha}`."""
    return pattern.format(
        project=key.project,
        number=key.number,
        head_sha=head_sha,
        short_sha=short_sha(head_sha),
        host=host,
    )


def placeholders(pattern: str) -> list[str]:
    """The names in braces. Raises ValueError for a pattern that is more than text and plain names."""
    found = []
    for _, name, format_spec, conversion in string.Formatter().parse(pattern):
        if name is None:
            continue
        if format_spec or conversion or not name.isidentifier():
            raise ValueError(f"only plain {{names}} may stand in {pattern!r}")
        found.append(name)
    return found


def check_project_name(name: str) -> None:
    """Raises ValueError, in words for the person who wrote the configuration."""
    if not is_dns_label(name) or len(name) > PROJECT_NAME_LENGTH_MAX:
        raise ValueError(
            f"{name!r} must be lower-case letters, digits and '-', "
            f"at most {PROJECT_NAME_LENGTH_MAX} characters"
        )
    if name in {ROOTS_FOLDER, "pr"} or name.endswith("-pr"):
        raise ValueError(f"{name!r} would clash with the names of shard roots: choose another")


def check_instance(name: str) -> None:
    """Raises ValueError, in words for the person who wrote the configuration."""
    if not is_dns_label(name) or len(name) > INSTANCE_LENGTH_MAX:
        raise ValueError(
            f"{name!r} must be lower-case letters, digits and '-', "
            f"at most {INSTANCE_LENGTH_MAX} characters"
        )


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


def check_parameter(pattern: str) -> None:
    """Raises ValueError when a Helm parameter uses a value that there is not."""
    known = {"project", "number", "head_sha", "short_sha", "host"}
    if not set(placeholders(pattern)) <= known:
        raise ValueError(f"{pattern!r} may use {', '.join(sorted(known))}")


def check_host_pattern(pattern: str, *, project: str, zone: str) -> None:
    """Raises ValueError unless every host that the pattern makes is one label under the zone."""
    found = placeholders(pattern)
    if found.count("number") != 1 or not set(found) <= {"number", "project"}:
        raise ValueError(
            f"{pattern!r} must contain {{number}} once, and besides it only {{project}}"
        )
    longest = pattern.format(project=project, number="9" * NUMBER_DIGITS_MAX)
    label, _, parent = longest.partition(".")
    if parent != zone:
        raise ValueError(f"{pattern!r} must be one label under the zone {zone!r}")
    if not is_dns_label(label):
        raise ValueError(
            f"{pattern!r} makes {label!r}: not a DNS label of at most {LABEL_LENGTH_MAX} characters"
        )


def hosts_may_meet(pattern: str, project: str, other_pattern: str, other_project: str) -> bool:
    """Whether some pull requests of two projects could yield one host.

    What stands before and after the number is fixed text, so the two meet only where the longer text differs from the
    shorter by digits that the other's number could supply.
    """
    before, after = _around_number(pattern, project)
    other_before, other_after = _around_number(other_pattern, other_project)
    return _differ_by_digits(before, other_before) and _differ_by_digits(
        after[::-1], other_after[::-1]
    )


def _around_number(pattern: str, project: str) -> tuple[str, str]:
    before, _, after = pattern.format(project=project, number="\0").partition("\0")
    return before, after


def _differ_by_digits(text: str, other: str) -> bool:
    shorter, longer = sorted((text, other), key=len)
    rest = longer.removeprefix(shorter)
    return longer.startswith(shorter) and (not rest or rest.isdigit())
