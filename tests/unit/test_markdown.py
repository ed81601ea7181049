"""Foreign text in Markdown does nothing but be read."""

import re

import pytest
from hypothesis import given

from previews.domain.markdown import cut, escape, fenced, plain
from tests.unit.subjects import HOSTILE, HOSTILE_TEXTS, pieces


def expect_harmless(text: str) -> None:
    shown = escape(plain(text))
    assert "\n" not in shown
    assert "\u202e" not in shown
    whole = shown.replace("<!-- -->", "\0")
    assert "<" not in whole
    assert not re.search(r"@\w", whole)
    assert not re.search(r"[#!]\w", whole)
    assert not re.search(r"(?i)(?<![a-z0-9])gh\\?-[0-9]", whole)
    assert "://" not in whole
    assert not re.search(r"(?i)(?<![a-z0-9])www\.", whole)
    assert not re.search(r"(?<!\\)[\[\]`*_|]", whole)
    made = list(pieces(f"before {shown} after"))
    allowed = {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}
    assert {each.type for each in made} <= allowed | {"html_inline"}
    assert {each.content for each in made if each.type == "html_inline"} <= {"<!-- -->"}


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
@pytest.mark.fault(50)
def test_what_a_stranger_might_write_makes_no_mention_link_or_html(text: str) -> None:
    expect_harmless(text)


@given(HOSTILE)
def test_no_text_makes_a_mention_link_or_html(text: str) -> None:
    expect_harmless(text)


@given(HOSTILE)
def test_no_text_ends_the_block_that_it_is_shown_in(text: str) -> None:
    (block,) = list(pieces(fenced(text)))
    assert block.type == "fence"
    assert block.content.rstrip("\n") == "\n".join(map(plain, text.splitlines())).rstrip("\n")


def test_what_is_cut_says_so() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdef", 5) == "abcd…"
    assert cut("abcdef", 0) == "…"
