"""`dlp-local connect`: the settings that point another program at `dlp-local serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from dlp_local.cli import terminal
from dlp_local.core.errors import InputError
from dlp_local.core.server_address import Server, read_key, server_url, url_here
from dlp_local.core.settings import load_settings
from dlp_local.core.text import unknown_name, visible

USUAL_CONTEXT = 8192
"""Tokens, where the server cannot be asked."""

if TYPE_CHECKING:
    from dlp_local.connect.clients import Client
    from dlp_local.connect.settings_file import FileChange
    from dlp_local.connect.target import Target


def client_names() -> list[tuple[str, str]]:
    """Completion of a client's name, with its title."""
    from dlp_local.connect.clients import CLIENTS

    return [(client.name, client.title) for client in CLIENTS.values()]


def connect(
    client: Annotated[
        str | None,
        typer.Argument(help="The client's name; without it they are listed.", autocompletion=client_names),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The server's address; else that of the settings.", metavar="URL")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="auto (routed), base, an adapter, or a mix as sql=0.7,shell=0.3.")
    ] = "auto",
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", help="A file with the key that the server wants.", metavar="FILE")
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=256,
            help="Tokens that fit, where a client asks.",
            show_default="asked of the server",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put it into the client's settings file, after showing what changes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --write: do not ask.")] = False,
) -> None:
    """Print, or write, the settings that point a client at `dlp-local serve`."""
    from dlp_local.connect.clients import CLIENTS
    from dlp_local.connect.target import Target

    if client is None:
        if write:
            raise InputError(f"--write needs the client. There are: {', '.join(CLIENTS)}.")
        _print_clients()
        return
    if client not in CLIENTS:
        raise InputError(unknown_name("client", client, CLIENTS))
    key = read_key(api_key_file) if api_key_file else None
    server = Server(server_url(url or _own_address()), key.value if key else "")
    target = Target(server.url, model, key, _context_size(server, model) if context is None else context)
    instructions = CLIENTS[client].instructions(target)
    if instructions.file is None:
        if write:
            raise InputError(f"{CLIENTS[client].title} has no settings file to write. Leave --write out.")
        print(instructions.text)
    elif write:
        _write(instructions.file, target, CLIENTS[client], yes)
    else:
        print(f"# {instructions.file.path}\n{_masked(instructions.file.alone(), target)}".rstrip())
    for note in instructions.notes:
        terminal.print_warning(note)


def _own_address() -> str:
    """Where `serve` is reached from this machine, by the settings."""
    server = load_settings().server
    return url_here(server.host, server.port)


def _context_size(server: Server, model: str) -> int:
    """What the server says of the model; a guess, and a word of it, where nothing answers.

    Raises `InputError` where the server refuses the key or the model.
    """
    from dlp_local.remote_assistant.connection import ConnectionLostError, ServerConnection

    try:
        return int(ServerConnection(server).json(f"/v1/models/{quote(model)}")["max_model_len"])
    except ConnectionLostError as error:
        terminal.print_warning(f"{error} A context of {USUAL_CONTEXT} tokens is assumed; --context gives another.")
    except (LookupError, TypeError, ValueError):
        raise InputError(f"{server.url}: what answers there is no server of this version. Check the address.") from None
    return USUAL_CONTEXT


def _print_clients() -> None:
    from dlp_local.connect.clients import CLIENTS
    from dlp_local.connect.target import Target

    example = Target("http://127.0.0.1:11500", "auto", None, USUAL_CONTEXT)
    width = max(map(len, CLIENTS))
    for client in CLIENTS.values():
        file = client.instructions(example).file
        print(f"{client.name:<{width}}  {file.path if file else 'variables and an example'}")
    terminal.print_note("`dlp-local connect CLIENT` prints its settings, --write puts them into the file.")


def _write(change: FileChange, target: Target, client: Client, yes: bool) -> None:
    from dlp_local.connect.settings_file import difference

    before = change.read()
    after = change.text(before)
    if after == before:
        print(f"{change.path} says so already.")
        return
    print(_masked(difference(change.path, before, after), target))
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("--write asks before it writes, and there is no terminal. Give --yes.")
        if not typer.confirm(f"Write {change.path}?"):
            print("Nothing is written.")
            return
    backup = change.write(after, is_secret=target.key is not None)
    kept = f" What it said before is in {backup}." if backup else ""
    print(f"{client.title} is connected to {target.url}.{kept}")


def _masked(text: str, target: Target) -> str:
    """A text in which the key is not to be read."""
    return visible(text.replace(target.key.value, f"<the key in {target.key.file}>") if target.key else text)
