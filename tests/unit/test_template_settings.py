"""What the configuration may say of golden templates."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from previews.template_settings import TemplateSettings

SOURCES: dict[str, Any] = {
    "sql_files": ["schema.sql", "seeds.sql"],
    "archive": "/backups/shop.dump",
    "command": ["make", "migrate"],
}


def read(**template: object) -> TemplateSettings:
    return TemplateSettings.model_validate({"name": "golden"} | template)


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_alone_makes_a_template(source: str) -> None:
    assert read(build={source: SOURCES[source]}, refresh="1d").build


def test_a_recipe_has_all_that_is_said() -> None:
    build = read(
        build={"sql_files": ["schema.sql"], "anonymise": "a.sql", "checks": ["SELECT true"]}
    ).build
    assert build
    recipe = build.recipe()
    assert (recipe.sql_files, recipe.anonymise) == ((Path("schema.sql"),), Path("a.sql"))
    assert (recipe.checks, recipe.base) == (("SELECT true",), "template0")


@pytest.mark.parametrize("names", [[], ["sql_files", "archive"], ["archive", "command"]])
def test_there_is_exactly_one_source(names: list[str]) -> None:
    with pytest.raises(ValidationError, match="exactly one of"):
        read(build={name: SOURCES[name] for name in names})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Golden",
        "a-b",
        "1st",
        "a" * 41,
        "postgres",
        "template1",
        "pg_x",
        "preview_x",
        "previews_pool_1",
        "golden_next_0a1b2c3d",
    ],
)
def test_a_name_that_a_server_or_previews_needs_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        read(name=name)


def test_what_cannot_be_built_cannot_be_kept_fresh() -> None:
    with pytest.raises(ValidationError, match="refresh needs build"):
        read(refresh="1d")
