"""What patterns mean: linear to match, and refused where they can mean nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.patterns import (
    among,
    branch_among,
    check_label,
    check_path,
    check_pattern,
    fits,
    fits_path,
    path_among,
)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("preview", "preview", True),
        ("preview", "preview2", False),
        ("*", "", True),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b*", "xxbxxaxx", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a**b", "ab", True),
        ("*abab", "ababab", True),
        ("dependabot[bot]", "dependabot[bot]", True),
        ("dependabot[bot]", "dependabotb", False),
        ("feat(ui)?: *", "feat(ui)?: x", True),
    ],
)
def test_a_star_stands_for_anything_and_the_rest_for_itself(
    pattern: str, text: str, *, expected: bool
) -> None:
    assert fits(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("services/order/**", "services/order/main.go", True),
        ("services/order/**", "services/order/a/b/c.go", True),
        ("services/order/**", "services/orders/main.go", False),
        ("services/order/**", "services/order", True),
        ("**", "a/b", True),
        ("**/*.md", "README.md", True),
        ("**/*.md", "docs/a/x.md", True),
        ("*.md", "docs/x.md", False),
        ("a/**/b/**/c", "a/x/b/b/y/c", True),
        ("a/**/b/**/c", "a/x/y/c", False),
        ("a/**/b", "a/b", True),
        ("*/src/*.py", "app/src/main.py", True),
        ("*/src/*.py", "app/src/sub/main.py", False),
    ],
)
def test_two_stars_stand_for_any_folders(pattern: str, path: str, *, expected: bool) -> None:
    assert fits_path(pattern, path) is expected


def test_the_last_pattern_that_fits_decides() -> None:
    order = ["docs/**", "!docs/old/**", "docs/old/index.md"]
    assert [
        path_among(order, each) for each in ("docs/a", "docs/old/b", "docs/old/index.md", "x")
    ] == [
        True,
        False,
        True,
        False,
    ]
    assert among(["!dependabot*"], "Octo")
    assert not among(["!dependabot*"], "Dependabot[bot]")
    assert not branch_among(["main"], "Main")


@pytest.mark.parametrize("pattern", ["", "!", " ", "a\nb", "x" * 201, "\u202eevil"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["/docs", "docs/", "a//b", "../x", "./x", "a/**b", "!/x"])
def test_what_is_no_pattern_of_a_path_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"must be a path|whole folders"):
        check_path(pattern)


def test_a_label_cannot_be_taken_away_by_a_pattern() -> None:
    with pytest.raises(ValueError, match="none"):
        check_label("!wip")


@given(st.text(max_size=30), st.text(max_size=30))
def test_matching_is_total(pattern: str, text: str) -> None:
    assert fits(text, text) or "*" in text
    assert fits_path("**", text)
    for ask in (fits, fits_path):
        assert ask(pattern, text) in {True, False}
