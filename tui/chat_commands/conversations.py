"""Commands about whole conversations: to begin, find, name, write out and read in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import write_new
from dlp_local.core.paths import user_path
from dlp_local.core.text import counted, unknown_name
from dlp_local.core.user_message import QUOTED
from dlp_local.history.export import export
from dlp_local.history.personas import known_persona
from tui.chat_commands.chat import NO_MESSAGE, Chat
from tui.chat_commands.declaration import a_file, command

EMPTY = ('""', "''", "“”")
"""What says that there is to be no title of one's own."""


def persona_names(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """Every persona."""
    return list(chat.session.history.personas())


@command("new", "[persona]", complete=persona_names, key="ctrl+n")
async def new(chat: Chat, persona: str) -> None:
    """Begin a new conversation"""
    personas = await asyncio.to_thread(chat.session.history.personas)
    persona = known_persona(persona, personas)
    if persona and persona not in personas:
        raise InputError(unknown_name("persona", persona, personas))
    await asyncio.to_thread(chat.session.new, personas.get(persona))


@command("open", "[number]", key="ctrl+o")
async def open_conversation(chat: Chat, number: str) -> None:
    """Go to another conversation; in the list: search, rename, pin, delete"""
    if not number:
        await _choose(chat, "")
        return
    if not number.isdecimal():
        raise InputError(f"'{number}' is no conversation's number. Ctrl+O shows all of them.")
    await asyncio.to_thread(chat.session.open, int(number))


@command("search", "words")
async def search(chat: Chat, words: str) -> None:
    """Search in everything that was said"""
    await _choose(chat, words)


async def _choose(chat: Chat, words: str) -> None:
    """Lets the user choose a conversation, or a turn in which the words were said, and goes there."""
    chosen = await chat.view.choose_conversation(chat.session.history, words)
    if chosen is None:
        await asyncio.to_thread(chat.session.leave_deleted)
        return
    await asyncio.to_thread(chat.session.open, chosen.number)
    if chosen.turn is not None:
        if chosen.turn not in [turn.id for turn in chat.session.conversation.path()]:
            await asyncio.to_thread(chat.session.show, chosen.turn)
        chat.view.mark(chosen.turn, chosen.words)


@command("rename", "title")
async def rename(chat: Chat, title: str) -> None:
    """Give this conversation a title"""
    if chat.session.conversation.number is None:
        raise InputError(NO_MESSAGE)
    if not title:
        raise InputError('say which title: /rename Travel plans, or /rename "" for that of its first message.')
    title = "" if title in EMPTY else title
    await asyncio.to_thread(chat.session.history.rename, chat.session.conversation.number, title)
    chat.view.show_message("Renamed." if title else "Titled by its first message again.")


@command("export", "file", complete=a_file)
async def export_to(chat: Chat, file: str) -> None:
    """Write the conversation as .md, .html or .json"""
    conversation = chat.session.conversation
    if not file:
        raise InputError("name a file: /export notes.md, notes.html or notes.json.")
    if not conversation.path():
        raise InputError(NO_MESSAGE)
    path = _path(file)
    await asyncio.to_thread(lambda: write_new(path, export(conversation.conversation(), path.suffix)))
    chat.view.show_message(f"Written to {path}.")


@command("import", "file", complete=a_file)
async def import_from(chat: Chat, file: str) -> None:
    """Store conversations that were exported as .json, also by ChatGPT and Open WebUI"""
    if not file:
        raise InputError("name a file that was exported as .json: /import notes.json.")
    from dlp_local.history.imports import read_conversations  # not before the first paint

    conversations = await asyncio.to_thread(read_conversations, _path(file))
    numbers = [await asyncio.to_thread(chat.session.history.insert, each) for each in conversations]
    await asyncio.to_thread(chat.session.open, numbers[-1])
    more = f" and {counted(len(numbers) - 1, 'other conversation')}" if len(numbers) > 1 else ""
    chat.view.show_message(f"Imported: {conversations[-1].info.title}{more}.")


def _path(argument: str) -> Path:
    """The one path that a command takes, in quotation marks or not."""
    return user_path(argument[1:-1] if re.fullmatch(QUOTED, argument) else argument)


COMMANDS = (new, open_conversation, search, rename, export_to, import_from)
