"""What a golden template is made of. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

PRISTINE = "template0"
"""The database of every server that nobody can have put anything into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One source (SQL files, an archive or a command), and what is done to it before previews get clones of it."""

    sql_files: tuple[Path, ...] = ()
    """Run in this order."""
    archive: Path | None = None
    """Of pg_dump, in any of its formats."""
    command: tuple[str, ...] = ()
    """A program and its arguments, which finds the database in its environment."""
    anonymise: Path | None = None
    """An SQL script, run before anybody else sees the data."""
    checks: tuple[str, ...] = ()
    """Queries, each of which must answer with one row that is true."""
    base: str = PRISTINE
    """The database that the build begins as a copy of."""
    step_at_most: timedelta = timedelta(hours=1)
    """How long each program may take."""
