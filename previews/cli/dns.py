"""The previews' zone: `previews dns check` examines it, `apply` and `remove` look after its one wildcard record."""

from pathlib import Path
from typing import Annotated

import typer

from previews.cli.doctor import finish
from previews.settings import load_settings

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The configuration file.", envvar="PREVIEWS_CONFIG")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(cli: typer.Typer) -> None:
    dns = typer.Typer(
        help="Examine the previews' zone, and make its wildcard.", no_args_is_help=True
    )
    for command in (check, apply, remove):
        dns.command()(command)
    cli.add_typer(dns, name="dns")


def check(*, config: ConfigOption, as_json: JsonOption = False) -> None:
    """Say what is wrong with the zone, and what to change. Ends with 1 if anything is. Changes nothing."""
    from previews.app_dns import examine_dns  # noqa: PLC0415 - name server clients take long to load

    finish(examine_dns(load_settings(config)), as_json=as_json)


def apply(*, config: ConfigOption) -> None:
    """Make the wildcard record, or have it lead to where the configuration says. With dns.mode wildcard."""
    from previews.app_dns import build_wildcard  # noqa: PLC0415 - as above

    settings = load_settings(config)
    records, name = build_wildcard(settings), f"*.{settings.domain.zone}"
    if records.has_wildcard():
        typer.echo(f"{name} is as it should be")
        return
    records.ensure_wildcard()
    typer.echo(f"{name} leads to {', '.join(settings.dns.addresses) or settings.dns.target}")


def remove(*, config: ConfigOption) -> None:
    """Take the wildcard record away. No preview is found afterwards."""
    from previews.app_dns import build_wildcard  # noqa: PLC0415 - as above

    settings = load_settings(config)
    build_wildcard(settings).remove_wildcard()
    typer.echo(f"*.{settings.domain.zone} is gone")
