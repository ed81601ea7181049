"""Puts the measured figures into docs/performance.md, between two marks. The words around them are people's."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.bench.figures import Part, flat
from tests.bench.targets import STAGES, other_rows, stage_rows, target_rows

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN = "<!-- measured: written by `make bench ARGS=--write-docs`, not by hand -->"
END = "<!-- end of measured -->"


def write_document(parts: Mapping[str, Part]) -> None:
    before, begin, rest = DOCUMENT.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT} has lost the marks between which the figures stand")
    measured = "\n\n".join(_sections(parts))
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}")


def _sections(parts: Mapping[str, Part]) -> Iterable[str]:
    figures = flat(parts, STAGES)
    yield "### Targets"
    yield _table([("What", "Measured", "Target", ""), *target_rows(figures)])
    yield "### Stage by stage"
    yield _table(list(stage_rows(figures)))
    yield "### Beside them"
    yield _table([("What", "Measured"), *other_rows(figures)])
    yield "### Measured on"
    versions = dict(item for part in parts.values() for item in part.versions.items())
    yield _table([("What", "Which"), *versions.items()])
    yield _table(
        [
            ("Part", "Began", "Took", "Load average before → after"),
            *(
                (
                    name,
                    part.began,
                    f"{part.took_seconds:.0f} s",
                    f"{part.load_before:g} → {part.load_after:g}",
                )
                for name, part in parts.items()
            ),
        ]
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
