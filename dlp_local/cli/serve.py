"""`dlp-local serve`: the assistant for other programs, over HTTP."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from dlp_local.cli import terminal
from dlp_local.cli.flags import DEFAULTS, PackOption
from dlp_local.core.errors import InputError
from dlp_local.core.paths import user_path
from dlp_local.core.settings import load_settings
from dlp_local.core.text import counted


def serve(
    pack: PackOption = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on.", show_default=DEFAULTS.server.host)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help="Port to listen on; 0: any that is free.", show_default=str(DEFAULTS.server.port)),
    ] = None,
    api_key_file: Annotated[
        str | None,
        typer.Option("--api-key-file", help="A file of keys, one a line; clients have to send one.", metavar="FILE"),
    ] = None,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="A line on stderr for each request; never its text.")
    ] = False,
) -> None:
    """Answer other programs: an OpenAI-compatible server on this machine."""
    own = {"host": host, "port": port, "api_key_file": api_key_file, "log_requests": log_requests or None}
    settings = load_settings(pack=pack, server=own).for_many()
    try:
        from dlp_local.server.keys import read_keys
        from dlp_local.server.serving import HttpServer, allow_connections, listen, listens_everywhere, url_of
    except ModuleNotFoundError as error:
        raise InputError(
            f"serve needs the package {error.name}, which is not installed. Install it: pip install 'dlp-local[serve]'."
        ) from None
    from dlp_local.opening import open_assistant

    if settings.server.api_key_file:  # a bad file is told before the pack is opened, which takes seconds
        read_keys(user_path(settings.server.api_key_file))
    allow_connections(settings.server.connections)
    with listen(settings.server) as listening, open_assistant(settings) as assistant:
        for notice in assistant.notices:
            terminal.print_warning(notice)
        server = HttpServer(assistant, settings, _say_stopping)
        has_keys = bool(settings.server.api_key_file)
        use = _how_to_use(assistant.name, url_of(listening), has_keys, listens_everywhere(listening))
        print(use, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listening])


def _say_stopping(running: int) -> None:
    if running:
        terminal.print_warning(f"finishing {counted(running, 'answer')}; Ctrl+C once more ends at once")


def _how_to_use(pack: str, url: str, has_keys: bool, everywhere: bool) -> str:
    elsewhere = "\n  from elsewhere   by an address of this machine in place of the one here" if everywhere else ""
    key = "one of the file" if has_keys else "any"
    authorization = " -H 'Authorization: Bearer KEY'" if has_keys else ""
    return f"""Pack '{pack}' is served on {url}, Ctrl+C ends it.{elsewhere}
  in a browser     {url}/
  OpenAI clients   base URL {url}/v1, API key: {key}, model: auto
  by hand          curl {url}/v1/chat/completions{authorization} -H 'Content-Type: application/json' \\
                     -d '{{"messages": [{{"role": "user", "content": "to ISO: 4 July 1999"}}]}}'"""
