"""The way in for all previews, which is set up once: `previews ingress render`."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from previews.adapters.ingress_manifests import (
    LETS_ENCRYPT,
    Controller,
    IngressRenderer,
    Issuer,
    ManagerService,
    Provider,
    WayIn,
    file_names,
)
from previews.cli.actor import ActorOption, actor_name
from previews.domain.hosts import is_dns_label
from previews.domain.markdown import plain
from previews.domain.ports import GitOpsRepository, PushRejectedError
from previews.errors import ConfigurationError, TransientError
from previews.settings import Settings, load_settings

FOLDER = "ingress"
"""Below the configured path of the GitOps repository."""
PUSHES_MAX = 5

ISSUER = "The certificate"
OUTPUT = "Where it goes"

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The configuration file.", envvar="PREVIEWS_CONFIG")
]
ControllerOption = Annotated[Controller, typer.Option(help="What leads visitors in.")]
NamespaceOption = Annotated[
    str, typer.Option(help="Where it runs and reads the certificate; of a Gateway, its own.")
]
ClassOption = Annotated[
    str, typer.Option("--class", help="Of the wildcard's Ingress, or of the Gateway.")
]
ManagerOption = Annotated[
    str,
    typer.Option(
        help="NAMESPACE/SERVICE of the manager, for the wildcard's route; else its chart makes that."
    ),
]
TargetOption = Annotated[
    str, typer.Option(help="Address or name of the ingress, for a record by external-dns.")
]
ProviderOption = Annotated[
    Provider, typer.Option(help="Who runs the zone's DNS; none: use an issuer that is there.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Of the issuer.", rich_help_panel=ISSUER),
]
IssuerNameOption = Annotated[
    str, typer.Option(help="Else previews-INSTANCE.", rich_help_panel=ISSUER)
]
IssuerKindOption = Annotated[
    Literal["Issuer", "ClusterIssuer"], typer.Option(rich_help_panel=ISSUER)
]
EmailOption = Annotated[
    str, typer.Option(help="For the authority's warnings.", rich_help_panel=ISSUER)
]
ServerOption = Annotated[str, typer.Option(rich_help_panel=ISSUER)]
FolderOption = Annotated[
    Path | None, typer.Option(help="A folder; else it is printed.", rich_help_panel=OUTPUT)
]
WriteOption = Annotated[
    bool,
    typer.Option("--write", help="Commit it to the GitOps repository.", rich_help_panel=OUTPUT),
]


def add_to(cli: typer.Typer) -> None:
    ingress = typer.Typer(help="The way in for all previews, set up once.", no_args_is_help=True)
    ingress.callback()(lambda: None)
    ingress.command()(render)
    cli.add_typer(ingress, name="ingress")


def render(
    *,
    config: ConfigOption,
    controller: ControllerOption,
    namespace: NamespaceOption,
    class_name: ClassOption = "",
    manager: ManagerOption = "",
    target: TargetOption = "",
    issuer: ProviderOption = "none",
    option: SettingsOption = None,
    issuer_name: IssuerNameOption = "",
    issuer_kind: IssuerKindOption = "Issuer",
    email: EmailOption = "",
    acme_server: ServerOption = LETS_ENCRYPT,
    output: FolderOption = None,
    write: WriteOption = False,
    actor: ActorOption = None,
) -> None:
    """Print what is set up once before the previews: certificate, issuer, default certificate, wildcard, record."""
    settings = load_settings(config)
    way_in = WayIn(
        instance=settings.instance,
        zone=settings.domain.zone,
        controller=controller,
        controller_namespace=_name(namespace, "--namespace"),
        class_name=class_name,
        manager=_manager(manager),
        target=target.removesuffix("."),
        issuer=Issuer(
            provider=issuer,
            name=issuer_name or f"previews-{settings.instance}",
            kind=issuer_kind,
            server=acme_server,
            email=email,
            options=_options(option or []),
        ),
    )
    from previews import app  # noqa: PLC0415 - it takes two seconds, which `--help` need not wait

    files = IngressRenderer(app.templates_directory()).render(way_in)
    if output is not None:
        _save(files, output)
    if write:
        _write(settings, files, actor_name(actor))
    if output is None and not write:
        typer.echo("\n".join(f"# {name}\n{text}" for name, text in files.items()))


def commit(repository: GitOpsRepository, files: Mapping[str, str], message: str) -> str:
    """Bring our files of the folder to exactly these; the commit's id, empty if there was nothing to change.

    Whatever else lies there is left alone. Raises PreviewsError.
    """
    wanted = {f"{FOLDER}/{name}": text for name, text in files.items()}
    ours = {f"{FOLDER}/{name}" for name in file_names()}
    for _ in range(PUSHES_MAX):
        tip = repository.fetch()
        changes: dict[str, str | None] = {
            path: text
            for path, text in wanted.items()
            if tip.blobs.get(path) != repository.blob_id(text)
        }
        changes |= dict.fromkeys(sorted((ours - set(wanted)) & set(tip.blobs)))
        if not changes:
            return ""
        try:
            return repository.push(tip, changes, message).commit
        except PushRejectedError:
            continue
    raise TransientError(
        "PushRejected", f"somebody else pushed first, {PUSHES_MAX} times in a row: try again"
    )


def _write(settings: Settings, files: Mapping[str, str], actor: str) -> None:
    from previews import app  # noqa: PLC0415 - as above

    message = (
        f"Set up the way in for previews under {settings.domain.zone}\n\n"
        f"Previews-Instance: {settings.instance}\nActor: {plain(actor)[:80]}\n"
    )
    where = f"{settings.gitops.path}/{FOLDER} of {settings.gitops.url}"
    # A clone of its own: the manager may be at work in its data directory.
    with tempfile.TemporaryDirectory(prefix="previews-") as folder:
        made = commit(app.build_gitops(settings, Path(folder) / "gitops"), files, message)
    sys.stderr.write(f"{where}: {f'commit {made}' if made else 'nothing to change'}\n")


def _save(files: Mapping[str, str], folder: Path) -> None:
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--output {folder}: {error.strerror}") from error


def _options(given: list[str]) -> dict[str, str]:
    options = {}
    for each in given:
        name, found, value = each.partition("=")
        if not found:
            # What stands there may be a secret by mistake: it is not repeated.
            raise ConfigurationError("--set must be NAME=VALUE")
        options[name] = value
    return options


def _manager(text: str) -> ManagerService | None:
    if not text:
        return None
    namespace, _, service = text.partition("/")
    return ManagerService(_name(namespace, "--manager"), _name(service, "--manager"))


def _name(text: str, option: str) -> str:
    if not is_dns_label(text):
        raise ConfigurationError(f"{option}: {text!r} is no name of an object in Kubernetes")
    return text
