"""`dlp-local engine`: engines that exist already, in place of this machine's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dlp_local.cli import terminal
from dlp_local.cli.flags import PackOption
from dlp_local.core.errors import InputError
from dlp_local.core.settings import load_settings

app = typer.Typer(help="Engines that exist already: llama-server and vLLM.", no_args_is_help=True)

Kind = Literal["llama-server", "vllm"]


@app.callback()
def group() -> None:
    """Keeps `command` a command of its own."""


@app.command()
def command(
    kind: Annotated[Kind, typer.Argument(help="The program.")],
    pack: PackOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files that it loads; else in the user's data.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="vLLM: the Hugging Face folder of the backbone.", metavar="FOLDER")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address that it is to listen at.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", help="Port; else the program's own.", min=1, max=65535)] = None,
) -> None:
    """Print the line that starts a program as the engine of the pack, and write the adapters that it loads.

    The line alone goes to stdout.
    """
    if kind == "llama-server" and model is not None:
        raise InputError("--model: llama-server computes with the backbone of the pack. Leave it out, or choose vllm.")
    settings = load_settings(pack=pack)
    from dlp_local.engine_command import write_for_llama_server, write_for_vllm

    made = (
        write_for_llama_server(settings, out, host, port)
        if kind == "llama-server"
        else write_for_vllm(settings, out, model, host, port)
    )
    for note in (*made.notes, f"Then set engine.url to {made.url}, or DLP_LOCAL_ENGINE__URL."):
        terminal.print_warning(note)
    terminal.write_text(f"{made.line}\n")
