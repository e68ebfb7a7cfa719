"""A screen over which the commands' dialogs open: the window's side of `tui.views.base.View`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pyperclip
from textual.notifications import SeverityLevel
from textual.screen import Screen

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError
from dlp_local.core.text import visible
from dlp_local.core.values import AdapterInfo, Lesson
from dlp_local.history import History
from tui.actions import AdapterAction, ChosenConversation, RoutingAction
from tui.option_lines import ValuesInForce
from tui.state import HERE, Place, Turn, TurnRouting
from tui.themes import theme

READING_SPEED = 12.0
"""Characters that one reads in a second: so long a line stays that goes away by itself."""


class DialogHost(Screen[None]):
    """Shows lines that go away by themselves, and dialogs over itself, each imported when it first opens."""

    place: Place = HERE
    """Where messages are answered."""

    def show_message(self, message: str) -> None:
        """A line that goes away by itself, and takes the place of the one before it."""
        self._show_line(message, "information")

    def show_error(self, error: DlpLocalError) -> None:
        """An error, in the same place."""
        self._show_line(str(error), "error")

    def _show_line(self, line: str, severity: SeverityLevel) -> None:
        self.app.clear_notifications()
        self.app.screen.query("ToastHolder").remove()  # textual leaves these, and each would take a line
        seconds = max(self.app.NOTIFICATION_TIMEOUT, len(line) / READING_SPEED)
        self.notify(visible(line), severity=severity, timeout=seconds, markup=False)

    async def copy(self, text: str) -> None:
        """By OSC 52, which works over SSH, too, and the system's own, where it can be reached."""
        self.app.copy_to_clipboard(text)
        with suppress(pyperclip.PyperclipException):
            await asyncio.to_thread(pyperclip.copy, text)

    def show_help(self) -> None:
        """The keys that are bound here and now."""
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.active_bindings, self.place))

    def show_theme(self, name: str) -> None:
        """At once, and for the next time."""
        if name:
            self.app.theme = theme(name)
        else:
            self.app.search_themes()

    async def choose_conversation(self, history: History, words: str) -> ChosenConversation | None:
        """Their own screen."""
        from tui.screens.conversations import ConversationsScreen

        return await self.app.push_screen_wait(ConversationsScreen(history, words))

    async def show_routing(self, routing: TurnRouting) -> RoutingAction | None:
        """The receipt, unfolded."""
        from tui.screens.routing import RoutingScreen

        return await self.app.push_screen_wait(RoutingScreen(routing))

    async def show_adapters(self, adapters: tuple[AdapterInfo, ...], read_only_reason: str) -> AdapterAction | None:
        """A list with a key for each change."""
        from tui.screens.adapters import AdaptersScreen

        return await self.app.push_screen_wait(AdaptersScreen(adapters, read_only_reason))

    async def mend(self, lessons: Sequence[Lesson], adapters: Sequence[str]) -> Sequence[Lesson] | None:
        """An editor."""
        from tui.screens.teach import TeachScreen

        return await self.app.push_screen_wait(TeachScreen(lessons, adapters))

    async def compare(self, left: Turn, right: Turn) -> int | None:
        """Two columns."""
        from tui.screens.compare import CompareScreen

        return await self.app.push_screen_wait(CompareScreen(left, right))

    async def show_options(self, values: ValuesInForce) -> ChatOptions | None:
        """A form."""
        from tui.screens.options import OptionsScreen

        return await self.app.push_screen_wait(OptionsScreen(values))
