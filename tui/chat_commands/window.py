"""Commands about the window itself."""

from __future__ import annotations

from collections.abc import Sequence

from tui.chat_commands.chat import Chat
from tui.chat_commands.declaration import command
from tui.themes import themes


@command("help", key="f1")
async def show_help(chat: Chat, _: str) -> None:
    """Every key and command"""
    chat.view.show_help()


def theme_names(_chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """Every theme."""
    return themes()


@command("theme", "[name]", complete=theme_names, in_window=True)
async def theme(chat: Chat, name: str) -> None:
    """Another theme, also for the next time"""
    chat.view.show_theme(name)


@command("editor", in_window=True)
async def editor(chat: Chat, _: str) -> None:
    """Write the message in $EDITOR"""
    await chat.view.open_editor()


@command("suspend", in_window=True)
async def suspend(chat: Chat, _: str) -> None:
    """Go back to the shell; `fg` comes back"""
    chat.view.suspend()


@command("quit")
async def leave(chat: Chat, _: str) -> None:
    """Leave"""
    chat.view.leave()


COMMANDS = (show_help, theme, editor, suspend, leave)
