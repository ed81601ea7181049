"""What runs a manager, or looks at its configuration."""

from pathlib import Path
from typing import Annotated

import typer

from previews.settings import load_settings

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The configuration file.", envvar="PREVIEWS_CONFIG")
]


def add_to(cli: typer.Typer) -> None:
    for command in (serve, check, render):
        cli.command()(command)


def serve(config: ConfigOption) -> None:
    """Run the manager until SIGTERM: webhooks, the API and the reconcile loop."""
    from previews import app  # noqa: PLC0415 - it takes two seconds, which the other commands need not wait

    app.serve(load_settings(config))


def check(config: ConfigOption) -> None:
    """Read the configuration, say what is wrong with it, and do nothing else."""
    settings = load_settings(config)
    names = ", ".join(project.name for project in settings.projects)
    typer.echo(f"{config}: good; instance {settings.instance}, projects {names}")


def render(
    config: ConfigOption,
    preview: Annotated[str, typer.Argument(help="project#number")],
) -> None:
    """Print the manifests that a pull request gets, as the forge describes it now. Writes nothing."""
    from previews import app  # noqa: PLC0415 - as above

    typer.echo(app.render(load_settings(config), preview))
