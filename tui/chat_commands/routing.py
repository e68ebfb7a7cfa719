"""Commands about which adapters answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dlp_local.core.errors import InputError
from dlp_local.core.text import unknown_name
from dlp_local.core.values import BASE, Mix
from tui.actions import RoutingAction
from tui.chat_commands.chat import Chat
from tui.chat_commands.declaration import command
from tui.state import Turn

ROUTER_CHOOSES = "The router chooses."
ROUTED = "auto"
"""What `/mix` takes to let the router choose again."""


@command("route", key="f4")
async def route(chat: Chat, _: str) -> None:
    """How the message was routed: pin, veto, again with another mix, side by side, correct"""
    turn = chat.turn
    match await chat.view.show_routing(await asyncio.to_thread(chat.session.routing, turn.id)):
        case RoutingAction("pin", mix):
            await _pin(chat, mix)
        case RoutingAction("unpin"):
            await _unpin(chat)
        case RoutingAction("veto", _, adapter):
            await _veto(chat, adapter)
        case RoutingAction("retry", mix):
            chat.require_idle()
            await asyncio.to_thread(chat.session.retry, turn.id, mix)
        case RoutingAction("compare", mix):
            await _compare(chat, turn, mix)
        case RoutingAction("correct", _, adapter, part):
            await asyncio.to_thread(chat.session.correct, turn.id, adapter, part)
            chat.view.show_message(f"Noted: this belongs to {adapter}. F4, W takes it back.")
        case RoutingAction("uncorrect", part=part):
            await asyncio.to_thread(chat.session.uncorrect, turn.id, part)
            chat.view.show_message("Taken back: the router decides about this message again.")


async def _compare(chat: Chat, turn: Turn, mix: Mix) -> None:
    """Asks for another answer and shows both; the user keeps one of them."""
    chat.require_idle()
    another = await asyncio.to_thread(chat.session.retry, turn.id, mix)
    kept = await chat.view.compare(turn, another)
    if kept is not None and not chat.session.busy:
        await asyncio.to_thread(chat.session.show, kept)


def mixes(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """What a mix can be made of, and what lets the router choose."""
    return [*chat.session.status.adapters, BASE, ROUTED]


@command("mix", "sql=0.7,…", complete=mixes)
async def mix(chat: Chat, text: str) -> None:
    """Answer every message under this mix; /mix auto: the router chooses"""
    if not text:
        pinned = chat.options.mix
        chat.view.show_message(f"Pinned: {pinned}." if pinned is not None else ROUTER_CHOOSES)
    elif text == ROUTED:
        await _unpin(chat)
    else:
        await _pin(chat, chat.mix(text))


@command("pin")
async def pin(chat: Chat, _: str) -> None:
    """Keep the mix of the last answer for the conversation"""
    last = chat.turn.route
    if last is None:
        raise InputError("this message was not routed yet. Wait for its answer.")
    if last.parts:
        each = ", ".join(dict.fromkeys(f"/mix {part.mix.spelled.removesuffix('=1')}" for part in last.parts))
        raise InputError(
            f"this message was answered in {len(last.parts)} parts, each under a mix of its own. "
            f"Pin one of them: {each}; or F4, then ← → and P."
        )
    await _pin(chat, last.mix)


def adapters(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """Those that messages may go to."""
    return chat.session.status.adapters


@command("veto", "adapter", complete=adapters)
async def veto(chat: Chat, adapter: str) -> None:
    """Never choose this adapter here, or allow it again"""
    known = chat.require_pack().adapters
    if not adapter:
        raise InputError("say which adapter: /veto sql.")
    if adapter == BASE or adapter not in known:
        raise InputError(unknown_name("adapter", adapter, known))
    await _veto(chat, adapter)


def split_choices(_chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """What `/split` takes."""
    return ("on", "off", ROUTED)


@command("split", "on|off|auto", complete=split_choices)
async def split(chat: Chat, choice: str) -> None:
    """Answer several tasks in one message in parts, or as one; /split auto: as in the settings"""
    choices = {"on": True, "off": False, ROUTED: None}
    if choice not in choices:
        raise InputError("say which: /split on, /split off or /split auto.")
    await chat.set_options(split=choices[choice])
    chat.view.show_message(f"Split: {choice}.")


async def _pin(chat: Chat, mix: Mix) -> None:
    """Pins a mix; its adapters are no longer vetoed, as both cannot be meant."""
    names = [name for name, _ in mix.weights]
    allowed = [name for name in chat.options.vetoed if name in names]
    vetoed = tuple(name for name in chat.options.vetoed if name not in names)
    await chat.set_options(pinned=dict(mix.weights), vetoed=vetoed)
    also = f"; {', '.join(allowed)} may be chosen again" if allowed else ""
    chat.view.show_message(f"Pinned: {mix}{also}.")


async def _unpin(chat: Chat) -> None:
    await chat.set_options(pinned=None)
    chat.view.show_message(ROUTER_CHOOSES)


async def _veto(chat: Chat, adapter: str) -> None:
    """Vetoes an adapter or takes that back; a pinned mix with it is let go, as both cannot be meant."""
    vetoed = tuple(sorted({*chat.options.vetoed} ^ {adapter}))
    if adapter in vetoed and chat.options.pinned and adapter in chat.options.pinned:
        await chat.set_options(vetoed=vetoed, pinned=None)
        chat.view.show_message(f"Vetoed {adapter}; the pinned mix had it, so the router chooses again.")
    else:
        await chat.set_options(vetoed=vetoed)
        chat.view.show_message(f"Vetoed {adapter}." if adapter in vetoed else f"{adapter} may be chosen again.")


COMMANDS = (route, mix, pin, veto, split)
