"""Holds the documentation to the code: what it lists is all that there is, and nothing else."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import typer.main
import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from previews import cli
from previews.domain.allowance import Allowance
from previews.domain.commands import Verb
from previews.domain.preview import Mode, Phase, Stage
from previews.settings import Settings, load_settings
from tests.fakes.api import FakeAPI
from tests.unit.reasons import reasons_of_errors, reasons_of_plans

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
NOT_OURS = {".venv", ".git", ".pytest_cache", "build"}
SECRETS = "/etc/previews/"


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"there is no heading {heading!r}"
    return rest.partition("\n## ")[0]


def expect_the_same(documented: Iterable[str], existing: Iterable[str]) -> None:
    said, real = list(documented), set(existing)
    undocumented, imaginary = sorted(real - set(said)), sorted(set(said) - real)
    assert not undocumented, f"not documented: {undocumented}"
    assert not imaginary, f"documented, and not there: {imaginary}"
    assert len(said) == len(set(said)), "something is documented twice"


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of each row whose first cell is code."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that holds a value, with the keys above it; `[]` marks a list of sections."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        sections = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if not sections:
            yield prefix + name, field
        for kind in sections:
            mark = "" if field.annotation is kind or type(None) in kinds else "[]"
            yield from leaves(kind, f"{prefix}{name}{mark}.")


KEYS = dict(leaves(Settings))
DOCUMENTED_KEYS = {row[0].strip("`"): row for row in table_rows(read("configuration.md"))}


def test_the_configuration_page_lists_every_key_and_no_other() -> None:
    expect_the_same(DOCUMENTED_KEYS, KEYS)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_the_default_of_a_key_is_the_one_in_its_table(key: str) -> None:
    field, said = KEYS[key], DOCUMENTED_KEYS[key][2]
    if field.is_required():
        assert said == "required"
    elif field.default is None:
        assert said == "none"
    else:
        kind: Any = Annotated[(field.annotation, *field.metadata, "its default")]
        value = yaml.safe_load(said.strip("`")) if said[1] in "[{0123456789" else said.strip("`")
        assert TypeAdapter[Any](kind).validate_python(value) == field.default


def examples() -> list[Any]:
    """Every configuration that the documentation shows."""
    return [
        pytest.param(block, id=f"{path.name}-{index}")
        for path in sorted(DOCS.glob("*.md"))
        for index, block in enumerate(re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL))
        if block.startswith("instance:")
    ]


@pytest.mark.parametrize("example", examples())
def test_a_configuration_that_is_shown_can_be_loaded(tmp_path: Path, example: str) -> None:
    for name in re.findall(re.escape(SECRETS) + r"([\w.-]+)", example):
        (tmp_path / name).write_text("a secret that is long enough")
    file = tmp_path / "previews.yaml"
    file.write_text(example.replace(SECRETS, f"{tmp_path}/"))
    assert load_settings(file).projects


def test_the_first_configuration_that_is_shown_has_every_key() -> None:
    shown = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", read("configuration.md"), re.DOTALL)[0])
    opaque = {key for key, field in KEYS.items() if "dict" in str(field.annotation)}
    # Either a token or an App: the page shows the other one below.
    others = {key for key in KEYS if key.startswith("forge.app.")}

    def keys(value: object, prefix: str) -> Iterator[str]:
        if isinstance(value, dict) and prefix not in opaque:
            for name, inner in value.items():
                yield from keys(inner, f"{prefix}.{name}" if prefix else name)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for each in value:
                yield from keys(each, f"{prefix}[]")
        else:
            yield prefix

    expect_the_same(set(keys(shown, "")) | others, KEYS)


def test_the_operations_page_lists_every_reason_and_no_other() -> None:
    pages = read("operations.md")
    documented = [
        row[0].strip("`")
        for heading in ("Reasons of a preview", "Reasons of errors")
        for row in table_rows(section(pages, heading))
    ]
    expect_the_same(documented, reasons_of_errors() | reasons_of_plans())


def test_the_commands_page_lists_every_command_and_no_other() -> None:
    commands = typer.main.get_command(cli.cli).commands  # type: ignore[attr-defined] # a group
    documented = re.findall(r"^\| `previews ([a-z-]+)", read("commands.md"), re.MULTILINE)
    expect_the_same(documented, commands)


def test_the_commands_page_lists_every_command_of_comments_and_no_other() -> None:
    written = re.findall(r"^\| `(/preview[^`]*)`", read("commands.md"), re.MULTILINE)
    expect_the_same(written, {verb.usage for verb in Verb})


def test_the_commands_page_names_every_option() -> None:
    commands = typer.main.get_command(cli.cli).commands  # type: ignore[attr-defined] # a group
    options = {
        option
        for command in commands.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    text = read("commands.md")
    assert options - {option for option in options if f"`{option}" in text} == {"--dry-run"}


def test_the_api_page_lists_every_route_and_no_other() -> None:
    api = FakeAPI()
    routes = {
        f"{method.upper()} {path}"
        for path, methods in api.web.openapi()["paths"].items()
        for method in methods
    }
    documented = re.findall(r"^\| `((?:GET|POST) /[^`]*)`", read("api.md"), re.MULTILINE)
    expect_the_same(documented, routes)


def test_the_metrics_page_lists_every_metric_with_its_labels_and_no_other() -> None:
    labels: dict[str, set[str]] = {}
    api = FakeAPI()
    api.allowances = [Allowance("token", 5000, 5000, 500, 0.0)]
    for metric in api.metrics.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        labels[name] = {label for sample in metric.samples for label in sample.labels}
    rows = list(table_rows(read("metrics.md")))
    expect_the_same((row[0].strip("`") for row in rows), labels)
    assert {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows} == labels


def test_every_make_target_is_explained() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    text = (CHECKOUT / "README.md").read_text() + (CHECKOUT / "CONTRIBUTING.md").read_text()
    assert targets
    assert [target for target in targets if not re.search(rf"`make {target}\b", text)] == []


def test_the_architecture_page_says_the_contracts_in_the_same_words() -> None:
    configuration = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    contracts = configuration["tool"]["importlinter"]["contracts"]
    text = read("architecture.md")
    assert [c["name"] for c in contracts if c["name"] not in text] == []


def test_the_architecture_page_has_a_paragraph_for_every_package() -> None:
    packages = [path.parent.name for path in (CHECKOUT / "previews").glob("*/__init__.py")]
    text = read("architecture.md")
    assert [name for name in packages if f"**`previews/{name}`**" not in text] == []


def test_the_glossary_has_every_phase_stage_and_mode() -> None:
    text = read("glossary.md")
    words = [*Phase, *Stage, *Mode]
    assert [word for word in words if f"`{word}`" not in text] == []


def documents() -> list[Path]:
    folders = [path for path in CHECKOUT.iterdir() if path.is_dir() and path.name not in NOT_OURS]
    below = (page for folder in folders for page in folder.rglob("*.md"))
    return sorted([*CHECKOUT.glob("*.md"), *below])


def anchors(text: str) -> set[str]:
    """The names that forges give to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    prose = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert not broken, f"links to nothing: {broken}"
