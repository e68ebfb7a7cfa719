"""Commands about the pack and its adapters."""

from __future__ import annotations

from collections.abc import Sequence

from dlp_local.core.errors import InputError
from dlp_local.core.paths import user_path
from dlp_local.core.text import counted, did_you_mean, unknown_name
from dlp_local.core.values import AdapterChange
from tui.actions import AdapterAction
from tui.chat_commands.chat import Chat
from tui.chat_commands.declaration import command
from tui.completion import words

ADD = "adapters add"


@command("adapters")
async def adapters(chat: Chat, unknown: str) -> None:
    """The adapters of the pack: to add, switch off and remove"""
    if unknown:
        near = did_you_mean(unknown.split()[0], ("add", "enable", "disable", "remove"))
        raise InputError(
            f"'{unknown}' is nothing to do with adapters. There are add, enable, disable and remove.{near}"
        )
    status = chat.require_pack()
    match await chat.view.show_adapters(status.pack_adapters, status.read_only_reason):
        case AdapterAction("add"):
            chat.view.fill(f"/{ADD} ")
        case AdapterAction("enable", name):
            _switch(chat, name, enabled=True)
        case AdapterAction("disable", name):
            _switch(chat, name, enabled=False)
        case AdapterAction("remove", name):
            _remove(chat, name)


def files_of_an_adapter(_chat: Chat, before: Sequence[str]) -> Sequence[str] | None:
    """Its file, a name that nobody can know, and a file of examples."""
    return () if len(before) == 1 else None


@command(ADD, "file name [examples]", complete=files_of_an_adapter)
async def add(chat: Chat, argument: str) -> None:
    """Bring in a GGUF file or a PEFT folder"""
    parts = words(argument)
    if len(parts) not in (2, 3):
        raise InputError(
            "name a file or folder, what it is to be called, and a file of examples if there is one: "
            "/adapters add lora.gguf sql examples.txt. Quotation marks hold a path with spaces together."
        )
    source, name, *rest = parts
    path = source if source.startswith("hf:") else user_path(source)
    examples = user_path(rest[0]) if rest else None
    way = "messages like its examples go to it" if examples else f"without examples, only /mix {name} asks it"
    chat.session.change_pack(
        f"adding {name}",
        f"{name} is in the pack: {way} from now on.",
        lambda assistant: assistant.add_adapter(path, name, AdapterChange(examples=examples)),
    )


def disabled_adapters(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """Those that are switched off."""
    return [adapter.name for adapter in chat.session.status.pack_adapters if not adapter.enabled]


@command("adapters enable", "adapter", complete=disabled_adapters)
async def enable(chat: Chat, name: str) -> None:
    """Let messages go to it again"""
    _switch(chat, name, enabled=True)


def enabled_adapters(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """Those that are switched on."""
    return [adapter.name for adapter in chat.session.status.pack_adapters if adapter.enabled]


@command("adapters disable", "adapter", complete=enabled_adapters)
async def disable(chat: Chat, name: str) -> None:
    """Neither load it nor send messages to it"""
    _switch(chat, name, enabled=False)


def _switch(chat: Chat, name: str, *, enabled: bool) -> None:
    _check_name(chat, name)
    on = f"Messages may go to {name} again."
    off = f"No message goes to {name} from now on; it stays in the pack."
    chat.session.change_pack(
        f"switching {name} {'on' if enabled else 'off'}",
        on if enabled else off,
        lambda assistant: assistant.set_adapter(name, AdapterChange(enabled=enabled)),
    )


def pack_adapters(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """All of the pack."""
    return [adapter.name for adapter in chat.session.status.pack_adapters]


@command("adapters remove", "adapter", complete=pack_adapters)
async def remove(chat: Chat, name: str) -> None:
    """Take it out of the pack, with its files"""
    _remove(chat, name)


def _remove(chat: Chat, name: str) -> None:
    _check_name(chat, name)
    chat.session.change_pack(
        f"removing {name}", f"{name} is no longer in the pack.", lambda assistant: assistant.remove_adapter(name)
    )


def _check_name(chat: Chat, name: str) -> None:
    known = [adapter.name for adapter in chat.session.status.pack_adapters]
    if not name:
        raise InputError(f"say which adapter. There are: {', '.join(known)}.")
    if known and name not in known:
        raise InputError(unknown_name("adapter", name, known))


@command("pack", "[name]")
async def pack(chat: Chat, name: str) -> None:
    """The pack that answers, or another one in its place"""
    status = chat.require_pack()
    if name:
        chat.require_idle()
        chat.session.switch_pack(name)
    else:
        chat.view.show_message(
            f"{status.name}: {counted(len(status.adapters), 'adapter')}, context {status.context_size} tokens."
        )


COMMANDS = (adapters, add, enable, disable, remove, pack)
