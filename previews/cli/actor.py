"""Who asks, as far as the command line knows."""

import getpass
from typing import Annotated, TypeAlias

import typer

from previews.errors import ConfigurationError

ActorOption: TypeAlias = Annotated[
    str | None, typer.Option("--actor", help="Who asks; your login name if you do not say.")
]


def actor_name(given: str | None) -> str:
    """Who was named, or else the login name; whoever runs in a container may have none."""
    try:
        return given or getpass.getuser()
    except (KeyError, OSError) as error:
        raise ConfigurationError("your login has no name: say who you are with --actor") from error
