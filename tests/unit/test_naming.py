import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain import naming
from previews.domain.preview import HeadSha, PreviewKey

PROJECT_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name not in {"roots", "pr"} and not name.endswith("-pr")
)
KEYS = st.builds(PreviewKey, PROJECT_NAMES, st.integers(1, 10**10 - 1))
DNS_1123 = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
HOST = "{project}-pr-{number}.preview.example"


@given(KEYS)
def test_every_name_is_a_dns_label_of_at_most_63_characters(key: PreviewKey) -> None:
    names = naming.names_of(key, host_pattern=HOST)
    root = naming.root_name("i" * naming.INSTANCE_LENGTH_MAX, names.shard)
    for name in (
        names.application,
        names.namespace,
        names.app_project,
        names.host.split(".")[0],
        root,
    ):
        assert DNS_1123.fullmatch(name), name


@given(KEYS, KEYS)
def test_two_previews_share_no_name(one: PreviewKey, other: PreviewKey) -> None:
    if one == other:
        return
    ours = naming.names_of(one, host_pattern=HOST)
    theirs = naming.names_of(other, host_pattern=HOST)
    assert ours.application != theirs.application
    assert ours.namespace != theirs.namespace
    assert ours.folder != theirs.folder
    assert ours.host != theirs.host


@given(KEYS, KEYS, PROJECT_NAMES.filter(lambda name: len(name) <= 20))
def test_a_root_never_has_the_name_of_a_preview(
    one: PreviewKey, other: PreviewKey, instance: str
) -> None:
    root = naming.root_name(instance, naming.shard_of(one))
    preview = naming.names_of(other, host_pattern=HOST).application
    assert root != preview
    assert naming.top_root_name(instance) not in {root, preview}


@given(KEYS, st.integers(0, 9999))
def test_argo_cd_creates_every_app_project_of_a_shard_before_its_applications(
    key: PreviewKey, other_number: int
) -> None:
    ours = naming.names_of(key, host_pattern=HOST)
    theirs = naming.names_of(PreviewKey(key.project, other_number), host_pattern=HOST)
    assert ours.app_project < theirs.application


@given(KEYS)
def test_a_folder_leads_back_to_its_preview(key: PreviewKey) -> None:
    assert naming.key_of_folder(naming.folder_of(key)) == key


@pytest.mark.parametrize(
    "folder",
    ["roots", "shop/2", "shop/3/pr-42", "shop/2/pr-042", "shop/2/pr-x", "shop/2/pr-42/deeper", ""],
)
def test_other_folders_are_nobodys(folder: str) -> None:
    assert naming.key_of_folder(folder) is None


@pytest.mark.parametrize("name", ["roots", "pr", "shop-pr", "Shop", "-a", "a" * 31, "a.b", ""])
def test_refuses_project_names_that_would_clash_or_be_cut(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        naming.check_project_name(name)


@pytest.mark.parametrize(
    "pattern",
    [
        "pr.preview.example",
        "pr-{number}-{number}.preview.example",
        "pr-{number}.other.example",
        "a.pr-{number}.preview.example",
        "PR-{number}.preview.example",
        "pr-{number!r}.preview.example",
        "pr-{title}.preview.example",
        "{number.real}.preview.example",
        "x" * 60 + "{number}.preview.example",
    ],
)
def test_refuses_a_hostname_that_is_not_one_label_for_each_number(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"label|must|only"):
        naming.check_host_pattern(pattern, project="shop", zone="preview.example")


@pytest.mark.parametrize(
    ("pattern", "other", "meet"),
    [
        ("pr-{number}.p.example", "pr-{number}.p.example", True),
        ("pr-{number}.p.example", "pr-1{number}.p.example", True),
        ("{number}.p.example", "1{number}.p.example", True),
        ("{number}-a.p.example", "{number}2-a.p.example", True),
        ("pr-{number}.p.example", "mr-{number}.p.example", False),
        ("{project}-{number}.p.example", "{project}-{number}.p.example", False),
        ("pr-{number}-a.p.example", "pr-{number}-b.p.example", False),
    ],
)
def test_knows_which_hosts_may_meet(pattern: str, other: str, *, meet: bool) -> None:
    assert naming.hosts_may_meet(pattern, "shop", other, "api") is meet
    assert naming.hosts_may_meet(other, "api", pattern, "shop") is meet


@given(
    st.sampled_from(
        ["pr-{number}", "pr-1{number}", "a{number}", "{number}-a", "{number}1", "{project}{number}"]
    ),
    st.sampled_from(
        ["pr-{number}", "pr-1{number}", "a{number}", "{number}-a", "{number}1", "{project}{number}"]
    ),
    st.integers(1, 10**4),
    st.integers(1, 10**4),
)
def test_hosts_that_are_said_never_to_meet_never_do(
    pattern: str, other: str, number: int, other_number: int
) -> None:
    one = pattern.format(project="shop", number=number)
    two = other.format(project="api", number=other_number)
    assert one != two or naming.hosts_may_meet(pattern, "shop", other, "api")


@pytest.mark.parametrize(
    "pattern", ["latest", "pr-{number}", "{short_sha} x", "{host}-{short_sha}", "-{head_sha}"]
)
def test_refuses_tags_that_two_commits_would_share(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"must|may|does not"):
        naming.check_image_tag(pattern)


def test_fills_a_pattern_with_the_previews_own_values() -> None:
    filled = naming.fill(
        "{project}/{number}/{short_sha}/{head_sha}/{host}",
        key=PreviewKey("shop", 7),
        head_sha=HeadSha("ab" * 20),
        host="pr-7.example",
    )
    assert filled == f"shop/7/{'ab' * 20:.7}/{'ab' * 20}/pr-7.example"
