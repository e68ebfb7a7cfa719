"""Commands about one turn: another answer, its rest, its message anew, its text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from dlp_local.core.errors import InputError
from dlp_local.core.receipt import FIRST_TOKEN, milliseconds, speed_text
from dlp_local.core.text import counted
from dlp_local.core.user_message import UserMessage
from dlp_local.core.values import BASE
from tui.chat_commands.chat import NO_MESSAGE, Chat
from tui.chat_commands.declaration import command

_CODE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1", re.DOTALL | re.MULTILINE)
CODE = "code"


def adapters_and_base(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """What a mix can be made of."""
    return [*chat.session.status.adapters, BASE]


@command("retry", "[mix]", complete=adapters_and_base, key="f3")
async def retry(chat: Chat, mix: str) -> None:
    """Ask for another answer to the last message, or the marked one"""
    chat.require_idle()
    await asyncio.to_thread(chat.session.retry, chat.turn.id, chat.mix(mix) if mix else None)


@command("continue", key="f5")
async def continue_answer(chat: Chat, _: str) -> None:
    """Go on with an answer that was cut, stopped or broken off"""
    chat.require_idle()
    turn = chat.turn
    was_cut = turn.state == "failed" or turn.finish_reason in ("length", "cancelled", "error")
    if not was_cut or not turn.answer:
        raise InputError("the last answer was not cut.")
    await asyncio.to_thread(chat.session.continue_answer, turn.id)


@command("edit", key="f2")
async def edit(chat: Chat, _: str) -> None:
    """Write the last message, or the marked one, anew"""
    chat.require_idle()
    chat.view.edit(chat.turn)


@command("undo")
async def undo(chat: Chat, _: str) -> None:
    """Take the last turn back"""
    chat.require_idle()
    text = await asyncio.to_thread(chat.session.undo)
    if not text:
        raise InputError(NO_MESSAGE)
    chat.view.fill(UserMessage.parse(text, files_only=True).request)


@command("stop")
async def stop(chat: Chat, _: str) -> None:
    """Stop the answer, keep the part"""
    if not chat.session.busy:
        raise InputError("no answer is being written, so there is none to stop.")
    chat.session.stop()


def code(_chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """The part of an answer that can be meant."""
    return [CODE]


@command("copy", "[code]", complete=code, key="f6", everywhere=True, in_window=True)
async def copy(chat: Chat, what: str) -> None:
    """Copy the answer, or its last code block"""
    text = chat.turn.answer
    if what == CODE:
        blocks = _CODE.findall(text)
        text = blocks[-1][1].rstrip("\n") if blocks else ""
    if not text:
        raise InputError("there is nothing to copy.")
    await chat.view.copy(text)
    chat.view.show_message(f"Copied {counted(len(text), 'character')}.")


@command("unfold", key="ctrl+t", in_window=True)
async def unfold(chat: Chat, _: str) -> None:
    """Unfold or fold the attached files and the reasoning of the last message, or the marked one"""
    chat.view.unfold(chat.turn.id)


@command("stats")
async def stats(chat: Chat, _: str) -> None:
    """Tokens and times of this conversation"""
    replies = [turn.done for turn in chat.session.view().turns if turn.done]
    if not replies:
        raise InputError(NO_MESSAGE)
    tokens = sum(reply.answer_tokens for reply in replies)
    first_token = sorted(reply.timings.first_token for reply in replies)[len(replies) // 2]
    speeds = sorted(reply.tokens_per_second for reply in replies if reply.tokens_per_second)
    speed = f", {speed_text(speeds[len(speeds) // 2])}" if speeds else ""
    chat.view.show_message(
        f"{counted(len(replies), 'answer')}, {counted(tokens, 'token')}; "
        f"median {FIRST_TOKEN} {milliseconds(first_token)}{speed}."
    )


COMMANDS = (edit, retry, continue_answer, undo, stop, copy, unfold, stats)
