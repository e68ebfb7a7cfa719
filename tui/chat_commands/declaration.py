"""A slash command, declared once: its name, argument, help, key, completion and action are one record.

    @command("rename", "title")
    async def rename(chat: Chat, title: str) -> None:
        '''give this conversation a title'''

The help screen, the palette, Tab's completion and the keys are made of the records.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from tui.chat_commands.chat import Chat

Action = Callable[[Chat, str], Coroutine[Any, Any, None]]
"""Does what the command is for, given its argument; raises `DlpLocalError` where that cannot be done."""

Complete = Callable[[Chat, Sequence[str]], Sequence[str] | None]
"""The words that can follow the words after the command's name; None where a file can."""


def no_words(_chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """Nothing that is known can follow."""
    return ()


def a_file(_chat: Chat, _before: Sequence[str]) -> None:
    """A file follows."""


@dataclass(frozen=True, slots=True)
class Command:
    """`/name argument`; a name may have two words, and an argument in brackets may be left out.

    `key` runs it without an argument, also where `everywhere` another widget has that key; a key is named by its
    command in the settings. `in_window` alone: it makes no sense in the plain chat.
    """

    name: str
    argument: str
    help: str
    action: Action
    complete: Complete = no_words
    key: str = ""
    everywhere: bool = False
    in_window: bool = False

    def __str__(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()

    @property
    def needs_argument(self) -> bool:
        """Whether it does nothing without one."""
        return bool(self.argument) and not self.argument.startswith("[")


def command(
    name: str,
    argument: str = "",
    *,
    complete: Complete = no_words,
    key: str = "",
    everywhere: bool = False,
    in_window: bool = False,
) -> Callable[[Action], Command]:
    """Makes a command of an action; its docstring is the command's help."""

    def made(action: Action) -> Command:
        return Command(name, argument, inspect.getdoc(action) or "", action, complete, key, everywhere, in_window)

    return made
