"""What a person does with the window: look at it, write in it, wait until something is seen."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from textual import events
from textual.pilot import Pilot

from dlp_local.history import History
from tests.support.fakes import FakeAssistant
from tui.app import ChatApp
from tui.screens.chat import ChatScreen
from tui.session import Session, StartTraining, train_adapter
from tui.state import HERE, Place
from tui.widgets.message import TurnView
from tui.widgets.prompt import Prompt
from tui.widgets.transcript import Transcript

SECONDS = 60.0
"""How long to wait for a condition: only a failing test, or a very busy machine, ever waits so long."""

READY = "· ready"


class Window:
    """A chat window in a terminal of its own."""

    def __init__(self, app: ChatApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def session(self) -> Session:
        return self.app.session

    @property
    def prompt(self) -> Prompt:
        return self.app.query_one(Prompt)

    @property
    def chat(self) -> ChatScreen:
        """The conversation's screen, below every dialog."""
        return self.app.screen_stack[0]

    @property
    def turns(self) -> Mapping[int, TurnView]:
        """The turns that are drawn, from top to bottom."""
        return self.chat.query_one(Transcript).drawn

    def text(self) -> str:
        """The characters on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    async def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, f"waited in vain; the screen says\n{self.text()}"
            await self.pilot.pause(0.01)

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.text() for text in texts))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.pilot.press(*text)

    async def say(self, text: str) -> None:
        self.prompt.fill(text)
        await self.pilot.press("enter")

    async def say_and_wait(self, text: str, answer: str) -> None:
        """Says something, and waits for its answer and for the window to be idle again."""
        before = len(self.session.history_messages)
        await self.say(text)
        await self.until(lambda: len(self.session.history_messages) > before and not self.session.busy)
        await self.sees(answer, READY)

    def burst(self, *keys: str) -> None:
        """Keys that arrive all at once, as from a script or over a slow line."""
        for key in keys:
            self.app.post_message(events.Key(key, key if len(key) == 1 else None))

    async def paste(self, text: str) -> None:
        self.app.post_message(events.Paste(text))
        await self.pilot.pause()


@asynccontextmanager
async def window(
    open_assistant: Callable[[], FakeAssistant] | FakeAssistant,
    size: tuple[int, int] = (80, 40),
    ready: bool = True,
    history: History | None = None,
    number: int | None = None,
    place: Place = HERE,
    start_training: StartTraining = train_adapter,
) -> AsyncIterator[Window]:
    """Opens a window, on a history in memory where none is given; with `ready` it waits for the assistant."""

    def open_pack(pack: str | None) -> FakeAssistant:
        return open_assistant if isinstance(open_assistant, FakeAssistant) else open_assistant()

    app = ChatApp(open_pack, history or History(None), number=number, place=place, start_training=start_training)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            opened = Window(app, pilot)
            if ready:
                await opened.sees(READY)
            yield opened
    finally:
        app.session.close()


def long_conversation(history, turns):
    number, parent = history.start(), None
    for i in range(turns):
        parent = history.add_turn(number, parent, f"message {i:02}").id
        history.finish(parent, f"answer {i:02}", None)
    return number
