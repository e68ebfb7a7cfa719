"""Flags that several commands take, and what they complete to in a shell."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from dlp_local.cli import terminal
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError, InputError
from dlp_local.core.paths import history_file
from dlp_local.core.server_address import Server, read_key, server_url
from dlp_local.core.settings import Settings, load_settings
from dlp_local.core.text import unknown_name
from dlp_local.core.values import BASE, Mix
from dlp_local.history import NOT_SAVED, History, open_history
from dlp_local.history.personas import known_persona

DEFAULTS = Settings.model_construct()


def pack_flag(pack: str | None) -> str:
    """What a command that is shown to the user has behind its name where `--pack` names a pack; else nothing."""
    return f" --pack {shlex.quote(pack)}" if pack else ""


def persona_names() -> list[str]:
    """Completion of a persona's name."""
    return list(_stored().personas())


def conversation_numbers() -> list[tuple[str, str]]:
    """Completion of a conversation's number, with its title."""
    return [(str(info.id), info.title) for info in _stored().conversations()]


def mixes() -> list[str]:
    """Completion of a mix: the adapters of the pack that would be opened."""
    return [*adapter_names(), BASE]


def adapter_names() -> list[str]:
    """Completion of an adapter's name."""
    from dlp_local.packs.default import pack_folder
    from dlp_local.packs.manifest import read_manifest

    try:
        return list(read_manifest(pack_folder(load_settings().pack)).adapters)
    except DlpLocalError:
        return []


def pack_names() -> list[str]:
    """Completion of a pack's name."""
    from dlp_local.packs.locations import shipped_packs, user_packs

    return [folder.name for folder in (*shipped_packs(), *user_packs())]


def _stored() -> History:
    return open_history()[0] if history_file().exists() else History(None)


def _not_empty(pack: str | None) -> str | None:
    if pack == "":
        raise InputError("--pack: an empty name names no pack. Leave it out, or see `dlp-local pack list`.")
    return pack


PackOption = Annotated[
    str | None,
    typer.Option(
        "--pack",
        help="A pack's name or folder; else the one of `pack use`.",
        metavar="PACK",
        autocompletion=pack_names,
        callback=_not_empty,
    ),
]
SystemOption = Annotated[str | None, typer.Option("--system", help="System prompt.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the last conversation.")]
ContinueOption = Annotated[
    int | None,
    typer.Option(
        "--continue", help="Go on with this conversation.", metavar="NUMBER", autocompletion=conversation_numbers
    ),
]
NumberArgument = Annotated[
    int, typer.Argument(help="The conversation's number.", metavar="NUMBER", autocompletion=conversation_numbers)
]
MixOption = Annotated[
    str | None,
    typer.Option("--mix", help="Adapters by hand instead of routing: sql=0.7,shell=0.3 or base.", autocompletion=mixes),
]
PersonaOption = Annotated[
    str | None,
    typer.Option("--persona", help="The options of this persona, under the flags.", autocompletion=persona_names),
]
ScopeOption = Annotated[
    str | None,
    typer.Option("--scope", help="'turn': adapters from the last message on; 'context': over the history, too."),
]
VetoOption = Annotated[
    list[str] | None, typer.Option("--veto", help="Never choose this adapter; may be repeated.", metavar="ADAPTER")
]
SplitOption = Annotated[
    bool | None,
    typer.Option(
        "--split/--no-split",
        help="Answer a message of several tasks in parts.",
        show_default="split" if DEFAULTS.routing.split else "no-split",
    ),
]


ServerOption = Annotated[
    str | None,
    typer.Option("--server", help="Let a server answer (dlp-local serve) instead of a pack here.", metavar="URL"),
]
ApiKeyFileOption = Annotated[
    Path | None, typer.Option("--api-key-file", help="A file with the key that the server wants.", metavar="FILE")
]


def server_of(url: str | None, api_key_file: Path | None, pack: str | None) -> Server | None:
    """The server of `--server`, None without it; raises `InputError` for flags that do not go together."""
    if url is None:
        if api_key_file is not None:
            raise InputError("--api-key-file is for the server of --server. Name that, or leave both out.")
        return None
    if pack is not None:
        raise InputError("--pack opens a pack here, and --server answers with its own. Leave one of them out.")
    return Server(server_url(url), read_key(api_key_file).value if api_key_file else "")


def mix_by_hand(mix: str | None, veto: Collection[str] | None) -> Mix | None:
    """The mix of `--mix`; raises `InputError` for one that is none, and where `--veto` forbids a part of it."""
    if mix is None:
        return None
    parsed = Mix.parse(mix)
    if both := [name for name, _ in parsed.weights if name in (veto or ())]:
        raise InputError(f"--mix and --veto both name '{both[0]}'. Leave one of them out.")
    return parsed


def stored_persona(name: str) -> ChatOptions:
    """The options of a persona; raises `InputError` that names those there are."""
    with contextlib.closing(stored_history()) as history:
        personas = history.personas()
    return personas[persona_of(name, personas)]


def persona_of(name: str, personas: Collection[str]) -> str:
    """The name of a persona as it is kept; raises `InputError` that names those there are."""
    kept = known_persona(name, personas)
    if kept not in personas:
        raise InputError(unknown_name("persona", name, personas))
    return kept


def stored_history() -> History:
    """The history on this machine; raises `InputError` where it cannot be kept, with the reason."""
    history, notice = open_history()
    if history.path is None:
        raise InputError(notice.removesuffix(f" {NOT_SAVED}"))
    if notice and not history.read_only:
        terminal.print_error(notice)
    return history
