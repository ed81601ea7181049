"""Examines an installation and says what to change: `previews doctor`."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from previews.cli import text
from previews.domain.findings import Finding, Level
from previews.errors import ConfigurationError
from previews.settings import load_settings

DEFAULT_IMAGE = "busybox:1.37"
"""With sh, nc and wget."""

_MARKS = {
    Level.FINE: "ok",
    Level.WARNING: "warning",
    Level.PROBLEM: "PROBLEM",
    Level.UNKNOWN: "unknown",
}
_MARK_WIDTH = max(map(len, _MARKS.values()))
_CHECK_WIDTH = len("wildcard ingress")

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The configuration file.", envvar="PREVIEWS_CONFIG")
]


def add_to(cli: typer.Typer) -> None:
    cli.command()(doctor)


def doctor(
    *,
    config: ConfigOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    isolation: Annotated[
        bool,
        typer.Option(
            "--isolation",
            help="Make pods for a minute that try whether previews are kept apart. "
            "Needs the rights to make namespaces, pods and NetworkPolicies.",
        ),
    ] = False,
    image: Annotated[
        str, typer.Option("--image", help="The image of those pods: with sh, and nc or wget.")
    ] = DEFAULT_IMAGE,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            "--kubeconfig",
            help="An administrator's, for --isolation and for what the manager may not look at.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Examine the installation and say what to change. Changes nothing, but for --isolation."""
    try:
        settings = load_settings(config)
    except ConfigurationError as error:
        finish(_mistakes(error), as_json=as_json)
        return
    from previews.doctor import CONFIGURATION, examine  # noqa: PLC0415 - it takes two seconds, which --help need not wait
    from previews.doctor_case import Case, fine  # noqa: PLC0415 - as above

    names = ", ".join(project.name for project in settings.projects)
    said = f"{config} can be used: instance {settings.instance}, projects {names}"
    found = [fine(CONFIGURATION, said)]
    case = Case(settings=settings, kubeconfig=kubeconfig, probe_image=image if isolation else None)
    if not as_json:
        _show(found[0])
    for finding in examine(case, say=_say):
        found.append(finding)
        if not as_json:
            _show(finding)
    finish(found, as_json=as_json, is_shown=True)


def _mistakes(error: ConfigurationError) -> list[Finding]:
    return [
        Finding(
            check="configuration",
            level=Level.PROBLEM,
            message=line,
            remedy="change that key (docs/configuration.md describes each); nothing else was looked at",
        )
        for line in error.message.splitlines()
    ]


def finish(found: list[Finding], *, as_json: bool, is_shown: bool = False) -> None:
    """Say how it stands, and end with 1 if there is a problem."""
    counts = Counter(each.level for each in found)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2))
    else:
        if not is_shown:
            for each in found:
                _show(each)
        typer.echo(
            f"\nproblems: {counts[Level.PROBLEM]}, warnings: {counts[Level.WARNING]}, "
            f"not found out: {counts[Level.UNKNOWN]}, fine: {counts[Level.FINE]}"
        )
    if counts[Level.PROBLEM]:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    mark = _MARKS[finding.level].ljust(_MARK_WIDTH)
    typer.echo(f"{mark}  {finding.check.ljust(_CHECK_WIDTH)}  {text.plain(finding.message)}")
    if finding.remedy:
        typer.echo(f"{' ' * (_MARK_WIDTH + 2)}-> {text.plain(finding.remedy)}")


def _say(line: str) -> None:
    sys.stderr.write(f"{text.plain(line)}\n")
