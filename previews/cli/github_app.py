"""A GitHub App of one's own, made once: `previews github-app create`."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
import yaml

from previews.adapters.github_app_manifest import (
    GITHUB,
    NAME_LENGTH_MAX,
    ManifestDesk,
    NewApp,
    api_url_of,
    exchange,
    form_url,
    install_url,
    manifest_of,
)
from previews.cli.text import plain
from previews.errors import ConfigurationError, StalledError

WEBHOOK_PATH = "/webhooks"
"""As the manager's door has it."""
KEY_FILE, SECRET_FILE, ID_FILE = "private-key.pem", "webhook-secret", "app-id"
MINUTES = 15


def add_to(cli: typer.Typer) -> None:
    group = typer.Typer(help="The GitHub App that a manager works as.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(create)
    cli.add_typer(group, name="github-app")


def create(
    *,
    url: Annotated[
        str, typer.Option(help="Where GitHub reaches the manager: https://previews.example.com.")
    ],
    directory: Annotated[
        Path,
        typer.Option(help="Where the private key, the webhook's secret and the App's id go."),
    ],
    organization: Annotated[
        str, typer.Option(help="Whose App it is to be; else your own account's.")
    ] = "",
    name: Annotated[
        str, typer.Option(help="GitHub knows no two of a name, and lets you change it.")
    ] = "",
    github_url: Annotated[str, typer.Option(help="Of GitHub Enterprise Server, if it is one.")] = (
        GITHUB
    ),
    environments: Annotated[
        bool,
        typer.Option(
            "--environments",
            help="Let it delete the environments of drained projects, for which GitHub wants Administration: write.",
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the page on this machine; 0: any.")
    ] = 0,
    minutes: Annotated[int, typer.Option(min=1, max=60, help="How long it is waited for.")] = (
        MINUTES
    ),
) -> None:
    """Have GitHub make an App with what previews needs, and store its credentials in files."""
    base, github = _address(url, "--url"), _address(github_url, "--github-url")
    app_name = (name or (f"previews-{organization}" if organization else "previews")).strip()
    if not 0 < len(app_name) <= NAME_LENGTH_MAX:
        raise ConfigurationError(f"--name: GitHub takes up to {NAME_LENGTH_MAX} characters")
    folder = _prepare(directory)
    api_url = api_url_of(github)

    def take(code: str) -> NewApp:
        app = exchange(api_url, code)
        _store(folder, app)
        return app

    def manifest(redirect_url: str) -> Mapping[str, Any]:
        return manifest_of(
            name=app_name,
            url=base,
            webhook_url=f"{base}{WEBHOOK_PATH}",
            redirect_url=redirect_url,
            environments=environments,
        )

    desk = ManifestDesk(
        action=form_url(github, organization), manifest=manifest, take=take, port=port, tell=_say
    )
    with desk:
        _say("Open this page in a browser on this machine, and follow it to GitHub:")
        _say(f"\n    {desk.url}\n")
        _say("On another machine, lead that port here first: ssh -L PORT:127.0.0.1:PORT")
        app = desk.wait(minutes * 60)
    typer.echo(_next_steps(app, folder, api_url))


def _address(text: str, option: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"{option}: {plain(text)} is no address of a server")
    return text.rstrip("/")


def _prepare(directory: Path) -> Path:
    """The folder, made if it is not there, in which files can be made and nothing is written over.

    GitHub tells each secret once: what cannot be stored must be known before it is asked.
    """
    folder = directory.absolute()
    taken = [name for name in (KEY_FILE, SECRET_FILE, ID_FILE) if os.path.lexists(folder / name)]
    if taken:
        raise ConfigurationError(
            f"--directory: {folder} holds {', '.join(taken)} already, and nothing is written over"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(f"--directory {folder}: {error.strerror}") from error
    return folder


def _store(folder: Path, app: NewApp) -> None:
    """All of it, on disk, for nobody else to read."""
    written: list[Path] = []
    try:
        for name, text in (
            (KEY_FILE, app.private_key),
            (SECRET_FILE, app.webhook_secret),
            (ID_FILE, str(app.id)),
        ):
            _write(folder / name, f"{text.strip()}\n")
            written.append(folder / name)
    except OSError as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise StalledError(
            "AppNotCreated",
            f"GitHub has made the App {app.name}, and its credentials could not be stored in {folder}: "
            f"{error.strerror}; delete it at {app.html_url}, and begin again",
        ) from error


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _next_steps(app: NewApp, folder: Path, api_url: str) -> str:
    forge: dict[str, Any] = {
        "kind": "github",
        "api_url": api_url,
        "app": {"id": app.id, "private_key_file": str(folder / KEY_FILE)},
        "webhook_secret_files": [str(folder / SECRET_FILE)],
    }
    lines = yaml.safe_dump({"forge": forge}, sort_keys=False).rstrip()
    return (
        f"GitHub has made the App {plain(app.name)}. In the configuration:\n\n{lines}\n\n"
        f"Install it where previews are wanted: {plain(install_url(app))}"
    )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
