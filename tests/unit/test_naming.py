import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain import naming
from previews.domain.preview import HeadSha, PreviewKey

PROJECT_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", fullmatch=True).filter(
    lambda name: (
        name not in {"roots", "pr"} and not name.endswith("-pr") and not name.startswith("0--")
    )
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
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,62}", names.database), "PostgreSQL would cut or fold it"


@given(KEYS, KEYS)
def test_two_previews_share_no_name(one: PreviewKey, other: PreviewKey) -> None:
    if one == other:
        return
    ours = naming.names_of(one, host_pattern=HOST)
    theirs = naming.names_of(other, host_pattern=HOST)
    assert ours.application != theirs.application
    assert ours.namespace != theirs.namespace
    assert ours.folder != theirs.folder
    assert ours.database != theirs.database
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


def test_the_host_of_a_service_stands_for_its_own_name() -> None:
    filled = naming.fill(
        "https://{host_my_api}/{host}",
        key=PreviewKey("shop", 7),
        head_sha=HeadSha("ab" * 20),
        host="pr-7.example",
        service_hosts={"my-api": "pr-7-my-api.example"},
    )
    assert filled == "https://pr-7-my-api.example/pr-7.example"
    naming.check_parameter("https://{host_my_api}", ["my-api"])
    with pytest.raises(ValueError, match=r"may use .*host_my_api"):
        naming.check_parameter("https://{host_admin}", ["my-api"])
