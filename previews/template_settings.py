"""The part of the configuration that says what golden templates are made of. Read with the rest, in settings.py."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from previews.domain.template import PRISTINE, Recipe
from previews.setting_types import Section, Span

_NAME = r"^[a-z][a-z0-9_]{0,39}$"
"""Room for what a build adds to it: a server's names have at most 63 characters."""
_OF_A_BUILD = re.compile(r"_(next|old)_[0-9a-f]{8}$")
_TAKEN = ("preview_", "previews_", "pg_", "template0", "template1")


def _template_name(name: str) -> str:
    if name == "postgres" or name.startswith(_TAKEN) or _OF_A_BUILD.search(name):
        raise ValueError(f"{name!r} is for the server's or previews' own databases: choose another")
    return name


class BuildSettings(Section):
    """What a template is made from: exactly one of `sql_files`, `archive` and `command`."""

    sql_files: tuple[Path, ...] = ()
    """SQL scripts, run by psql in this order."""
    archive: Path | None = None
    """What pg_dump made, in any of its formats."""
    command: tuple[str, ...] = ()
    """A program and its arguments, for migrations and seeds. It finds the database in DATABASE_URL and PGHOST etc."""
    anonymise: Path | None = None
    """An SQL script, run on what came of it."""
    checks: tuple[str, ...] = ()
    """Queries, each of which must answer with one row that is true."""
    base: str = PRISTINE
    """The database that the build begins as a copy of: one with the extensions that only a superuser can install."""
    step_at_most: Span = Recipe().step_at_most
    """How long each script or program may take."""

    @model_validator(mode="after")
    def _check_source(self) -> "BuildSettings":
        sources = [self.sql_files, self.archive, self.command]
        if sum(map(bool, sources)) != 1:
            raise ValueError("must have exactly one of sql_files, archive and command")
        return self

    def recipe(self) -> Recipe:
        return Recipe(
            sql_files=self.sql_files,
            archive=self.archive,
            command=self.command,
            anonymise=self.anonymise,
            checks=self.checks,
            base=self.base,
            step_at_most=self.step_at_most,
        )


class TemplateSettings(Section):
    """A golden template on a server."""

    name: Annotated[str, Field(pattern=_NAME), AfterValidator(_template_name)]
    build: BuildSettings | None = None
    """Absent: another manager builds it, or somebody by hand."""
    refresh: Span | None = None
    """It is built again when it is older; null: only when somebody asks."""
    warm: Annotated[int, Field(ge=0, le=100)] = 0
    """Clones that stand ready for new previews."""

    @model_validator(mode="after")
    def _check_refresh(self) -> "TemplateSettings":
        if self.refresh and not self.build:
            raise ValueError("refresh needs build: from what should it be built again?")
        return self
