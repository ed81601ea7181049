"""Templates of manifests, in which no value can be more than a value: each that is printed is serialised as YAML."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, Undefined

from previews.adapters.manifest_yaml import as_yaml
from previews.errors import ConfigurationError


def load_templates(templates: Path, overrides: Path | None, names: Sequence[str]) -> Environment:
    """Read all templates, so that a broken one is known before there is anything to render."""
    folders = [templates] if overrides is None else [overrides, templates]
    environment = Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        finalize=_printed,
        autoescape=False,  # noqa: S701 this is no HTML: `finalize` writes every value as YAML
        auto_reload=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    if overrides is not None:
        if not overrides.is_dir():
            raise ConfigurationError(f"the folder of template overrides, {overrides}, is missing")
        if unknown := sorted({file.name for file in overrides.glob("*.j2")} - set(names)):
            raise ConfigurationError(
                f"{overrides} overrides {unknown[0]!r}, but there are only {', '.join(names)}"
            )
    for name in names:
        try:
            environment.get_template(name)
        except (TemplateError, OSError, UnicodeDecodeError) as error:
            where = f", line {line}" if (line := getattr(error, "lineno", None)) else ""
            raise ConfigurationError(f"template {name}{where}: {error}") from error
    return environment


def _printed(value: object) -> str:
    """What Jinja writes for a value: it asks for each that a template prints, and for nothing that a template says."""
    if isinstance(value, Undefined):
        str(value)  # raises, and says what is undefined
    return as_yaml(value)
