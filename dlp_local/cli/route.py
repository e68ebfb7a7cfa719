"""`dlp-local route`: which adapters a message would get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from dlp_local.cli import terminal
from dlp_local.cli.flags import (
    DEFAULTS,
    ApiKeyFileOption,
    JsonOption,
    PackOption,
    ServerOption,
    SplitOption,
    server_of,
)
from dlp_local.core.errors import InputError
from dlp_local.core.files import decode
from dlp_local.core.serialize import explanation_json, route_json
from dlp_local.core.server_address import Server
from dlp_local.core.settings import Sampling, load_settings
from dlp_local.core.text import check_message


def route(
    text: Annotated[str, typer.Argument(help="The message; '-' reads one message a line from stdin.")],
    pack: PackOption = None,
    as_json: JsonOption = False,
    why: Annotated[
        bool, typer.Option("--why", help="Show the nearest examples, what the turn before changed, what top-p cut.")
    ] = False,
    after: Annotated[
        str | None,
        typer.Option("--after", help="The message of the turn before.", metavar="TEXT"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p", help="Keep the most probable adapters up to this sum.", show_default=str(DEFAULTS.routing.top_p)
        ),
    ] = None,
    normalize: Annotated[
        str | None,
        typer.Option("--normalize", help="Weights: 'proportional' or 'softmax' (the paper's code).", metavar="HOW"),
    ] = None,
    split: SplitOption = None,
    server: ServerOption = None,
    api_key_file: ApiKeyFileOption = None,
) -> None:
    """Show which adapters a message would get, without answering it."""
    if remote := server_of(server, api_key_file, pack):
        if why or top_p is not None or normalize is not None:
            raise InputError("--why, --top-p and --normalize are for a pack here. Leave them out with --server.")
        _ask_server(remote, text, after, split, as_json)
        return
    settings = load_settings(pack=pack, routing={"top_p": top_p, "normalize": normalize, "split": split})
    from dlp_local.opening import open_router
    from dlp_local.packs import open_pack, pack_folder
    from dlp_local.packs.default import fallback_notice

    router = open_router(open_pack(pack_folder(settings.pack), only_routing=True), settings)
    if notice := fallback_notice(settings.pack):
        terminal.print_warning(notice)
    previous = None
    if after is not None:
        check_message(after)
        previous = router.route(after, settings.routing).carried
    for message in _messages(text):
        check_message(message)
        decision = router.route(message, settings.routing, previous)
        reasons = router.explain(message, settings.routing, previous) if why else None
        if as_json:
            terminal.write_json(route_json(decision) | (explanation_json(reasons) if reasons else {}))
            continue
        terminal.print_route(decision)
        if reasons:
            terminal.print_why(reasons, after is not None)
        for part in decision.parts:
            terminal.print_route(part)


def _ask_server(server: Server, text: str, after: str | None, split: bool | None, as_json: bool) -> None:
    from dlp_local.remote_assistant import open_remote_assistant

    settings = load_settings().model_copy(update={"system": "", "sampling": Sampling()})  # of these none routes
    assistant = open_remote_assistant(server, settings)
    for notice in assistant.notices:
        terminal.print_warning(notice)
    previous = None if after is None else assistant.route(after, split=split)
    for message in _messages(text):
        decision = assistant.route(message, previous_route=previous, split=split)
        if as_json:
            terminal.write_json(route_json(decision))
        else:
            for route in (decision, *decision.parts):
                terminal.print_route(route)


def _messages(text: str) -> Iterator[str]:
    if text != "-":
        yield text
        return
    for number, line in terminal.numbered_lines("-"):
        yield decode(line, f"stdin, line {number}").rstrip("\r\n")
