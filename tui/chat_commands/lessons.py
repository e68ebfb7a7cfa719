"""Commands about what an answer should have been, and what is learnt from that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from dlp_local.core.errors import InputError
from dlp_local.core.text import counted
from tui.chat_commands.chat import Chat
from tui.chat_commands.declaration import command


@command("teach", key="f8")
async def teach(chat: Chat, _: str) -> None:
    """Write what the last answer, or the marked one, should have been: its adapter can learn it"""
    turn = chat.turn
    if not turn.ended:
        raise InputError("this answer is still being written. Esc stops it.")
    drafts = await asyncio.to_thread(chat.session.lessons, turn.id)
    written = await chat.view.mend(drafts, chat.session.status.adapters)
    if written is None:
        return
    taught = await asyncio.to_thread(chat.session.teach, written)
    adapters = list(dict.fromkeys(lesson.adapter for lesson in taught))
    how = " and ".join(f"/train {adapter}" for adapter in adapters)
    chat.view.show_message(f"Kept as {counted(len(taught), 'lesson')} for {', '.join(adapters)}. {how} learns it.")


def taught_adapters(chat: Chat, _before: Sequence[str]) -> Sequence[str]:
    """Those that there are lessons for."""
    return sorted({lesson.adapter for lesson in chat.session.history.lessons()})


@command("train", "[adapter]", complete=taught_adapters)
async def train(chat: Chat, adapter: str) -> None:
    """Train an adapter from its lessons, in the background; it takes its place if it is better"""
    chat.require_pack()
    lessons = Counter(lesson.adapter for lesson in await asyncio.to_thread(chat.session.history.lessons))
    if not lessons:
        raise InputError("there are no lessons yet. F8 on an answer makes one.")
    if not adapter and len(lessons) > 1:
        there = ", ".join(f"{name} {count}" for name, count in sorted(lessons.items()))
        raise InputError(f"say which adapter: /train {min(lessons)}. Lessons there are: {there}.")
    adapter = adapter or next(iter(lessons))
    count = await asyncio.to_thread(chat.session.train, adapter)
    chat.view.show_message(
        f"{adapter} is being trained from {counted(count, 'lesson')}; the last line says how far. /train stop ends it."
    )


@command("train stop")
async def stop_training(chat: Chat, _: str) -> None:
    """End the training; what it reached is kept, and /train goes on from there"""
    chat.session.stop_training()


COMMANDS = (teach, train, stop_training)
