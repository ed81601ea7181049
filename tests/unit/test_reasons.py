"""The closed list of reasons: the code, the list and the operations page say the same."""

import re

import pytest

from previews.domain.reasons import REASONS, remedy_of
from previews.domain.reasons_of_errors import REASONS_OF_ERRORS
from tests.unit.reasons import reasons_of_errors, reasons_of_plans
from tests.unit.test_docs import expect_the_same, read, section, table_rows

OF_PREVIEWS = {
    row[0].strip("`"): row
    for row in table_rows(section(read("operations.md"), "Reasons of a preview"))
}
OF_ERRORS = {
    row[0].strip("`"): row
    for row in table_rows(section(read("operations.md"), "Reasons of errors"))
    # Others answer whoever asked for something, and are never a preview's own.
    if re.search("later|stalled|stays", row[1], re.IGNORECASE)
}
LENGTH_MAX = 300


def without_links(cell: str) -> str:
    return re.sub(r"\[((?:`[^`]*`|[^\]`])*)\]\([^)]*\)", r"\1", cell.rstrip("| "))


def test_every_reason_of_a_preview_is_in_the_list_and_on_the_page() -> None:
    expect_the_same(OF_PREVIEWS, REASONS)
    expect_the_same(OF_ERRORS, REASONS_OF_ERRORS)


def test_every_reason_in_the_list_is_one_that_the_code_gives() -> None:
    imaginary = (
        (REASONS.keys() | REASONS_OF_ERRORS.keys()) - reasons_of_errors() - reasons_of_plans()
    )
    assert not imaginary


@pytest.mark.parametrize("reason", [*REASONS, *REASONS_OF_ERRORS])
def test_the_page_says_it_in_the_same_words(reason: str) -> None:
    meaning, remedy = {**REASONS, **REASONS_OF_ERRORS}[reason]
    row = OF_PREVIEWS.get(reason) or OF_ERRORS[reason]
    said, to_do = (without_links(cell) for cell in row[2:4])
    assert meaning in said
    assert remedy in to_do
    assert remedy or to_do.startswith("Nothing")


@pytest.mark.parametrize("reason", [*REASONS, *REASONS_OF_ERRORS])
def test_a_remedy_fits_into_a_cell_of_a_comment(reason: str) -> None:
    remedy = remedy_of(reason)
    assert len(remedy) <= LENGTH_MAX
    assert "The same" not in remedy, "there is no row above it"
    assert not re.search(r"[|\n]", remedy)
    assert remedy.count("`") % 2 == 0
    assert not re.search(r"[<@]|\]\(|://", re.sub(r"`[^`]*`", "", remedy))


def test_what_is_not_known_has_no_remedy() -> None:
    assert remedy_of("") == ""
    assert remedy_of("Made up, [x](y) | <b>") == ""
