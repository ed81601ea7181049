"""The `previews` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from previews import app as application
from previews.errors import ConfigurationError, PreviewsError
from previews.settings import Settings, load_settings

EXIT_CONFIGURATION = 2

cli = typer.Typer(
    name="previews",
    help="A live URL for every pull request, through GitOps and Argo CD.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The configuration file.", envvar="PREVIEWS_CONFIG")
]


@cli.command()
def serve(config: ConfigOption) -> None:
    """Run the manager until SIGTERM: webhooks, the API and the reconcile loop."""
    application.serve(_settings(config))


@cli.command()
def check(config: ConfigOption) -> None:
    """Read the configuration, say what is wrong with it, and do nothing else."""
    settings = _settings(config)
    names = ", ".join(project.name for project in settings.projects)
    typer.echo(f"{config}: good; instance {settings.instance}, projects {names}")


@cli.command()
def render(
    config: ConfigOption,
    preview: Annotated[str, typer.Argument(help="project#number")],
) -> None:
    """Print the manifests that a pull request gets, as the forge describes it now. Writes nothing."""
    typer.echo(application.render(_settings(config), preview))


def _settings(path: Path) -> Settings:
    return load_settings(path)


def main() -> None:
    """The entry point: an error that a person can mend is a line, not a traceback."""
    try:
        cli()
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(EXIT_CONFIGURATION)
    except PreviewsError as error:
        sys.stderr.write(f"previews: {error.message}\n")
        sys.exit(1)
