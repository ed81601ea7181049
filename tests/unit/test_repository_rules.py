"""What a repository's `.previews.yaml` may say, what is refused with its line, and that it only ever narrows."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.adapters.rules_yaml import read_yaml
from previews.domain.lifetime import LifetimePolicy
from previews.domain.policy import Forks, Policy, Trigger
from previews.domain.repository_rules import LENGTH_MAX, Rules, RulesError, parse_rules

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rules(text: str) -> Rules:
    return parse_rules(read_yaml(text))


def only_policy(text: str, project: str = "shop") -> Policy:
    (policy,) = rules(text).policies(project)
    return policy


def test_a_file_can_say_all_that_the_server_can() -> None:
    said = only_policy(
        """
trigger: label
labels: {all: [reviewed], none: ["wip*"]}
source_branches: ["feature/*"]
target_branches: [main]
titles: ["!*[skip preview]*"]
authors: ["!renovate[bot]"]
paths: ["services/**", "!**/*.md"]
drafts: false
bots: no-such-thing
""".replace("no-such-thing", "true")
    )
    assert said == Policy(
        trigger=Trigger.LABEL,
        labels_all=("reviewed",),
        labels_none=("wip*",),
        source_branches=("feature/*",),
        target_branches=("main",),
        titles=("!*[skip preview]*",),
        authors=("!renovate[bot]",),
        paths=("services/**", "!**/*.md"),
        drafts=False,
        bots=True,
        forks=Forks.APPROVE,
        said_in="in .previews.yaml",
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "projects: {}\n"])
def test_a_file_that_says_nothing_objects_to_nothing(text: str) -> None:
    assert rules(text).policies("shop") == ()
    assert rules(text).lifetime("shop", LifetimePolicy(ttl=DAY)) == LifetimePolicy(ttl=DAY)


def test_off_is_a_word_and_a_label_trigger_has_its_label() -> None:
    assert only_policy("forks: off").forks is Forks.OFF
    assert only_policy("trigger: label").labels_any == ("preview",)
    assert only_policy("previews: false").is_off


def test_a_section_of_a_project_counts_beside_what_is_said_of_all() -> None:
    said = rules("""
drafts: false
ttl: 2d
projects:
  shop:
    paths: ["shop/**"]
    ttl: 3d
  wiki:
    previews: false
""")
    general, own = said.policies("shop")
    assert (general.drafts, general.paths) == (False, ())
    assert (own.drafts, own.paths) == (True, ("shop/**",))
    assert [policy.is_off for policy in said.policies("wiki")] == [False, True]
    assert len(said.policies("another")) == 1
    assert said.lifetime("shop", LifetimePolicy(ttl=7 * DAY)).ttl == 2 * DAY


def test_times_are_only_ever_made_shorter() -> None:
    short = rules("{ttl: 1d, sleep_after: 1h}")
    assert short.lifetime("shop", LifetimePolicy(ttl=7 * DAY, sleep_after=DAY)) == LifetimePolicy(
        ttl=DAY, sleep_after=HOUR
    )
    assert short.lifetime("shop", LifetimePolicy()) == LifetimePolicy(ttl=DAY)
    long = rules("{ttl: 300d, sleep_after: 300d}")
    own = LifetimePolicy(ttl=DAY, sleep_after=HOUR)
    assert long.lifetime("shop", own) == own


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drafts: false\nlables: {}\n", "line 2: there is no key 'lables'"),
        ("labels: {al: [x]}", "line 1: there is no key 'al' in labels"),
        ("drafts: false\ndrafts: true\n", "line 2: the key 'drafts' stands twice"),
        ("drafts: maybe", "line 1: must be true or false"),
        ("\ntrigger: always", "line 2: must be automatic or label or command"),
        ("paths: docs/**", "line 1: must be a list"),
        ("paths:\n- a/**\n- /b\n", "line 3: '/b' must be a path from the repository's root"),
        ("paths: [!docs/**]", "line 1: a text that begins with one of"),
        ("paths: [*.md]", "line 1: a text that begins with one of"),
        ("drafts: &a true\nbots: *a\n", "line 1: a text that begins with one of"),
        ("ttl: soon", "line 1: must be a duration"),
        ("ttl: 1s", "line 1: must be at least 5m"),
        ("ttl: 999999999d", "line 1: must be at most 3650d"),
        ("\nsleep_after: 3651d", "line 2: must be at most 3650d"),
        ("- drafts\n", "line 1: must hold keys and values"),
        ("drafts", "line 1: must hold keys and values"),
        ("projects: [shop]", "line 1: must hold keys and values"),
        ("projects: {shop: {projects: {}}}", "line 1: there is no key 'projects'"),
        ("a: {\n", "line 2: this is not YAML"),
        ("drafts: true\n---\ndrafts: false\n", "line 2: there is a second document"),
        ("a: [[[[[[[[1]]]]]]]]", "line 1: nothing in this file lies so deep"),
        ("? [a]\n: b\n", "line 1: a key must be one text"),
        ("a: \x07", "line 1: the file has characters that YAML does not allow"),
        ("#" * (LENGTH_MAX + 1), "line 1: the file has more than 65536 characters"),
        ("paths: [" + "a," * 101 + "]", "line 1: must have at most 100 patterns"),
        ("drafts: !!python/object:os.system true", "line 1: a text that begins with one of"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(RulesError) as caught:
        rules(text)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("text", ["[" * 50_000, "a: " * 20_000, "{a: " * 16_000])
def test_a_million_levels_are_refused_at_once(text: str) -> None:
    with pytest.raises(RulesError):
        rules(text)


LINES = st.sampled_from([
    "drafts: true", "bots: false", "previews: true", "paths: ['a/**']", "labels:", "  any: [x]",
    "projects:", "  shop:", "    ttl: 1d", "- x", "&a", "*a", "!b", "'", '"', "{", "]", "ttl: 9d",
])  # fmt: skip


@given(st.text(max_size=80) | st.lists(LINES, max_size=6).map("\n".join))
def test_any_text_is_understood_or_refused_and_never_makes_anything_longer(text: str) -> None:
    try:
        said = rules(text)
    except RulesError:
        return
    own = LifetimePolicy(ttl=DAY, sleep_after=HOUR)
    narrowed = said.lifetime("shop", own)
    assert narrowed.ttl is not None
    assert narrowed.ttl <= DAY
    assert narrowed.sleep_after is not None
    assert narrowed.sleep_after <= HOUR
