"""What is asked of a manager that runs, from anywhere that reaches its API."""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from pydantic import BaseModel

from previews.cli import text
from previews.cli.actor import ActorOption, actor_name
from previews.cli.connection import connect
from previews.cli.waiting import wait_until_gone
from previews.client import Client
from previews.domain.duration import format_duration, parse_duration
from previews.domain.preview import Phase, PreviewKey
from previews.errors import StalledError

CONNECTION = "The manager"

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The manager's configuration file: says where it listens, and names the token file.",
        envvar="PREVIEWS_CONFIG",
        rich_help_panel=CONNECTION,
    ),
]
UrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="The manager's address.",
        envvar="PREVIEWS_URL",
        rich_help_panel=CONNECTION,
    ),
]
TokenFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="The file with the API's token.",
        envvar="PREVIEWS_TOKEN_FILE",
        rich_help_panel=CONNECTION,
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _key(given: str) -> PreviewKey:
    try:
        return PreviewKey.parse(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _length(given: str) -> timedelta:
    try:
        return parse_duration(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} {error}") from error


KeyArgument: TypeAlias = Annotated[
    PreviewKey, typer.Argument(parser=_key, metavar="PROJECT#NUMBER", show_default=False)
]
WaitOption: TypeAlias = Annotated[
    bool, typer.Option("--wait", help="Wait until nothing is left, and show the receipts.")
]
TimeoutOption: TypeAlias = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="How long to wait.")
]


def add_to(cli: typer.Typer) -> None:
    cli.command("list")(list_previews)
    cli.command()(show)
    cli.command()(extend)
    cli.command()(pin)
    cli.command()(approve)
    for verb, says in (
        ("ask", "Have a preview where the project makes none by itself, or back if it had ended."),
        ("unpin", "Take a pin back."),
        ("sleep", "Put a preview to sleep until somebody uses it."),
        ("wake", "Wake a preview up, or bring it back if it had ended."),
        ("redeploy", "Have a preview's pods made anew, or bring it back if it had ended."),
        ("reset-database", "Have a preview's database made anew: what is in it is lost."),
        ("rotate-password", "Give a preview's database a new password, and its pods with it."),
    ):
        cli.command(verb, help=says)(_simple(verb))
    cli.command()(remove)
    cli.command()(drain)
    cli.command()(collect)
    cli.command()(brake)
    cli.command()(confirm_brake)


def list_previews(
    *,
    project: Annotated[str | None, typer.Option(help="Only this project's.")] = None,
    phase: Annotated[Phase | None, typer.Option(help="Only those in this phase.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Removed ones as well.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """List previews, but for removed ones."""
    found = connect(config, url, token_file).list_previews(project=project, phase=phase)
    if not (every or phase):
        found = [view for view in found if view.phase is not Phase.REMOVED]
    if as_json:
        _print_json([_document(view) for view in found])
    elif found:
        typer.echo(text.previews(found))
    else:
        sys.stderr.write("no previews\n")


def show(
    *,
    preview: KeyArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show one preview: what it waits for, when it goes, its receipt and its history."""
    client = connect(config, url, token_file)
    view, history = client.show(preview), client.history(preview)
    if as_json:
        _print_json(_document(view) | _document(history))
    else:
        typer.echo(text.preview(view, history))


def extend(
    *,
    preview: KeyArgument,
    by: Annotated[
        timedelta, typer.Argument(parser=_length, metavar="TIME", help="Such as 12h or 3d.")
    ],
    actor: ActorOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Have a preview expire later than it would."""
    _ask(connect(config, url, token_file), preview, "extend", actor, by)


def pin(
    *,
    preview: KeyArgument,
    length: Annotated[
        timedelta | None,
        typer.Argument(
            parser=_length, metavar="TIME", help="Such as 7d; as long as may be if you do not say."
        ),
    ] = None,
    actor: ActorOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Keep a preview from expiring, and from making room for another."""
    _ask(connect(config, url, token_file), preview, "pin", actor, length)


def approve(
    *,
    preview: KeyArgument,
    head_sha: Annotated[
        str, typer.Argument(metavar="COMMIT", help="The whole id of the commit that you have read.")
    ],
    actor: ActorOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Let one commit of a fork run, and no later one."""
    connect(config, url, token_file).approve(preview, head_sha, actor=actor_name(actor))
    typer.echo(text.plain(f"{preview}: {head_sha} is approved"))


def _simple(verb: str) -> Callable[..., None]:
    def command(
        *,
        preview: KeyArgument,
        actor: ActorOption = None,
        config: ConfigOption = None,
        url: UrlOption = None,
        token_file: TokenFileOption = None,
    ) -> None:
        _ask(connect(config, url, token_file), preview, verb, actor)

    return command


def remove(
    *,
    preview: Annotated[
        PreviewKey | None,
        typer.Argument(parser=_key, metavar="[PROJECT#NUMBER]", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every preview that there is.")] = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = "10m",
    actor: ActorOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Take a preview away, or every one, until a push or until somebody wants it back."""
    if (preview is None) is not every:
        raise typer.BadParameter("name one preview, or give --all")
    patience = _length(timeout)
    client = connect(config, url, token_file)
    if preview is not None:
        _ask(client, preview, "remove", actor)
        keys = [preview]
    else:
        keys = client.remove_all(actor=actor_name(actor))
        _say_keys("asked for the removal of", keys)
        _say_what_is_left(client, keys)
    if wait:
        _wait(client, keys, patience)


def collect(
    *,
    dry_run: Annotated[
        bool, typer.Option(help="Only show what would be removed. So it is if you do not say.")
    ] = True,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Remove although it is so much that it is held.")
    ] = False,
    as_json: JsonOption = False,
    actor: ActorOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Look for what was left behind and show it; remove what has been an orphan for long enough."""
    client = connect(config, url, token_file)
    sweep = client.collect(dry_run=dry_run, confirmed=confirm, actor=actor_name(actor))
    if as_json:
        _print_json(_document(sweep))
    else:
        typer.echo(text.sweep(sweep))
    if sweep.held:
        how = ": see what it is, then --confirm" if sweep.needs_confirmation else ""
        raise StalledError("SweepHeld", f"{sweep.held}{how}")
    if sweep.problems:
        raise StalledError("SweepIncomplete", "; ".join(sweep.problems))


def brake(
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show whether removals that nobody asked for are held, and which."""
    state = connect(config, url, token_file).brake()
    if as_json:
        _print_json(_document(state))
    else:
        typer.echo(text.brake(state))


def confirm_brake(
    *,
    actor: ActorOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show the removals that the brake holds, and let these go on, and a rollout that stands."""
    client = connect(config, url, token_file)
    state = client.brake()
    typer.echo(text.brake(state))
    if state.holds or state.rewrites_failing:
        confirmed = client.confirm((held.preview for held in state.held), actor=actor_name(actor))
        _say_keys("confirmed", confirmed)


def drain(
    *,
    project: Annotated[str, typer.Argument(help="One that is no longer in the configuration.")],
    wait: WaitOption = False,
    timeout: TimeoutOption = "10m",
    actor: ActorOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Take away the previews of a project that was taken out of the configuration."""
    patience = _length(timeout)
    client = connect(config, url, token_file)
    keys = client.drain(project, actor=actor_name(actor))
    _say_keys("asked for the removal of", keys)
    if wait:
        _wait(client, keys, patience)


def _ask(
    client: Client, key: PreviewKey, verb: str, actor: str | None, length: timedelta | None = None
) -> None:
    """Have it done, and say what was kept of it."""
    before = client.history(key).history
    client.ask(
        key,
        verb,
        actor=actor_name(actor),
        length=None if length is None else format_duration(length),
    )
    action = verb.replace("-", "")
    kept = [
        each
        for each in client.history(key).history
        if each.action.lower() == action and each not in before
    ]
    said = f"{verb} {kept[-1].detail}".strip() if kept else f"{verb}: nothing had to be asked for"
    typer.echo(text.plain(f"{key}: {said}"))


def _wait(client: Client, keys: Iterable[PreviewKey], timeout: timedelta) -> None:
    wait_until_gone(client, keys, timeout_seconds=timeout.total_seconds(), say=typer.echo)


def _say_keys(what: str, keys: list[PreviewKey]) -> None:
    names = ", ".join(map(str, keys)) or "nothing"
    typer.echo(text.plain(f"{what} {names}"))


def _say_what_is_left(client: Client, asked: Iterable[PreviewKey]) -> None:
    """A project that is not configured keeps its previews, and nobody should believe that they went as well."""
    known = {PreviewKey(view.project, view.number): view for view in client.list_previews()}
    projects = {key.project for key in known.keys() - set(asked) if not known[key].is_gone}
    for project in sorted(projects):
        sys.stderr.write(
            text.plain(f"previews of {project} are left: `previews drain {project}` if it is gone")
            + "\n"
        )


def _document(view: BaseModel) -> dict[str, object]:
    return view.model_dump(mode="json")


def _print_json(document: object) -> None:
    """In ASCII: what strangers wrote cannot move the cursor."""
    typer.echo(json.dumps(document, indent=2))
