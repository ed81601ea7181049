"""The `previews` command: what runs a manager, and what is asked of one that runs."""

import sys

import typer

from previews.cli import dns, doctor, github_app, ingress, manager, templates, verbs
from previews.cli.text import plain
from previews.errors import ConfigurationError, PreviewsError

EXIT_CONFIGURATION = 2

cli = typer.Typer(
    name="previews",
    help="A live URL for every pull request, through GitOps and Argo CD.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
manager.add_to(cli)
verbs.add_to(cli)
templates.add_to(cli)
ingress.add_to(cli)
doctor.add_to(cli)
dns.add_to(cli)
github_app.add_to(cli)


def main() -> None:
    """The entry point: an error that a person can mend is a line, not a traceback."""
    try:
        cli()
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(EXIT_CONFIGURATION)
    except PreviewsError as error:
        sys.stderr.write(f"previews: {plain(error.message)}\n")
        sys.exit(1)
