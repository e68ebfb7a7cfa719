"""`dlp-local chat`: the window, or a line-by-line chat."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from dlp_local.cli.flags import (
    ApiKeyFileOption,
    ContinueOption,
    MixOption,
    PackOption,
    PersonaOption,
    ResumeOption,
    ServerOption,
    SplitOption,
    SystemOption,
    server_of,
    stored_persona,
)
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.settings import load_settings
from dlp_local.core.values import Mix


def chat(
    pack: PackOption = None,
    mix: MixOption = None,
    split: SplitOption = None,
    persona: PersonaOption = None,
    system: SystemOption = None,
    resume: ResumeOption = False,
    number: ContinueOption = None,
    server: ServerOption = None,
    api_key_file: ApiKeyFileOption = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Line by line, for screen readers and the simplest terminals.")
    ] = False,
) -> None:
    """Chat in the terminal; F1 shows the keys."""
    remote = server_of(server, api_key_file, pack)
    settings = load_settings(pack=pack, system=None if remote else system)  # a server answers by its own ones
    pinned = None if mix is None else dict(Mix.parse(mix).weights)
    given = {"pinned": pinned, "split": split, "system": system}
    own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    base = None if persona is None else stored_persona(persona)

    def change_options(before: ChatOptions) -> ChatOptions:
        return ChatOptions.checked(own, base or before)

    change = change_options if own or base else None
    if plain or os.environ.get("TERM") == "dumb":
        from tui import run_plain

        raise typer.Exit(run_plain(settings, resume=resume, number=number, change_options=change, server=remote))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("chat needs a terminal. Use `dlp-local ask` in scripts and pipes, or `chat --plain`.")
    from tui import run_chat

    raise typer.Exit(run_chat(settings, resume=resume, number=number, change_options=change, server=remote))
