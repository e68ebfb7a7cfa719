"""The slash commands, and how one is found in what was written.

A command is declared in one of the files here, and in `COMMANDS` at that file's end; nothing else needs to know of it.
"""

from __future__ import annotations

import re
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import is_there
from dlp_local.core.text import did_you_mean
from tui.chat_commands import conversations, lessons, options, pack, routing, turns, window
from tui.chat_commands.chat import Chat
from tui.chat_commands.declaration import Command

__all__ = ["BY_NAME", "COMMANDS", "Chat", "Command", "check_known", "matching", "parse"]

COMMANDS = (
    *conversations.COMMANDS,
    *turns.COMMANDS,
    *routing.COMMANDS,
    *lessons.COMMANDS,
    *options.COMMANDS,
    *pack.COMMANDS,
    *window.COMMANDS,
)
BY_NAME = {command.name: command for command in COMMANDS}
NAMED_OTHERWISE = {
    "persona": "/new NAME begins with one, /save NAME keeps one, /options sets what it says.",
    "personas": "/new NAME begins with one, /save NAME keeps one, /options sets what it says.",
    "unpin": "/mix auto lets the router choose again.",
    "unveto": "/veto ADAPTER on a vetoed one allows it again.",
    "clear": "/new begins a new conversation.",
    "history": "/open shows every conversation.",
    "model": "/pack says which pack answers, /pack NAME takes another.",
    "exit": "/quit leaves.",
    "regenerate": "/retry asks for another answer.",
    "lessons": "/teach makes one of an answer, /train learns from them, `dlp-local adapters lessons` shows them.",
    "compare": "F4, then S, puts the answers of two mixes side by side.",
    "correct": "F4, then W on the right adapter, says where a message belongs.",
    "delete": "/open lists the conversations, and F8 there deletes one.",
    "settings": "/options shows the values in force, and sets them.",
}
"""Names that one tries for what another command does, and that command."""

_WORD = re.compile(r"\S*")
_MISTYPED = re.compile(r"/([A-Za-z][A-Za-z-]+)(?=\s|$)")


def parse(text: str) -> tuple[Command, str] | None:
    """The command that a message is, with its argument; None for a message to the model.

    Any white space ends a name: the argument may begin in the next line.
    """
    if not text.startswith("/"):
        return None
    first, rest = _first_word(text[1:])
    second, argument = _first_word(rest)
    if command := BY_NAME.get(f"{first} {second}"):
        return command, argument
    command = BY_NAME.get(first)
    return (command, rest) if command else None


def _first_word(text: str) -> tuple[str, str]:
    """The word that a text begins with, empty where it begins with white space, and what follows."""
    word = _WORD.match(text)
    assert word is not None  # it matches the empty text, too
    return word[0], text[word.end() :].strip()


def check_known(text: str) -> None:
    """Raises `InputError` for a message that begins like a command which there is not.

    A path is no command: `/tmp is full` is a message where there is a `/tmp`, and `/etc/hosts` is one anyway.
    """
    if (mistyped := _MISTYPED.match(text)) and not parse(text) and not is_there(Path(mistyped[0])):
        does_it = NAMED_OTHERWISE.get(mistyped[1].lower())
        near = f" {does_it}" if does_it else did_you_mean(mistyped[0], [f"/{command.name}" for command in COMMANDS])
        raise InputError(f"there is no command {mistyped[0]}.{near} /help lists them; a space before it sends it.")


def matching(text: str) -> list[Command]:
    """The commands that begin as `text` does, while it is but a beginning."""
    if not text.startswith("/"):
        return []
    return [command for command in COMMANDS if command.name.startswith(text[1:])]
