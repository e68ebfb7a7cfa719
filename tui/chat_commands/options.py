"""Commands about what a conversation sets for itself."""

from __future__ import annotations

import asyncio

from dlp_local.core.errors import InputError
from dlp_local.history.personas import persona_name
from tui.chat_commands.chat import Chat
from tui.chat_commands.declaration import command
from tui.option_lines import ValuesInForce


@command("system", "text")
async def system(chat: Chat, text: str) -> None:
    """System prompt of this conversation"""
    await chat.set_options(system=text or None)
    chat.view.show_message("System prompt set." if text else "System prompt: as in the settings.")


@command("temp", "number")
async def temperature(chat: Chat, text: str) -> None:
    """Temperature of this conversation"""
    await chat.set_options(temperature=text or None)
    chat.view.show_message(f"Temperature {text}." if text else "Temperature: as in the settings.")


@command("options", key="f7", everywhere=True)
async def options(chat: Chat, _: str) -> None:
    """The values that hold for the next message, where they come from, and setting them here; personas"""
    own = chat.options
    personas = await asyncio.to_thread(chat.session.history.personas) if own.persona else {}
    values = ValuesInForce(own, chat.session.status.option_defaults, personas.get(own.persona))
    chosen = await chat.view.show_options(values)
    if chosen is not None:
        await asyncio.to_thread(chat.session.set_options, chosen)
        if chosen.persona:
            await _save(chat, chosen.persona)


@command("save", "name")
async def save(chat: Chat, name: str) -> None:
    """Keep this conversation's options as a persona"""
    if not name:
        raise InputError("give the persona a name: /save terse.")
    await _save(chat, name)


async def _save(chat: Chat, name: str) -> None:
    name = persona_name(name)
    await asyncio.to_thread(chat.session.history.set_persona, name, chat.options)
    await chat.set_options(persona=name)
    chat.view.show_message(f"Kept as the persona '{name}': /new {name} begins with it.")


COMMANDS = (system, temperature, options, save)
