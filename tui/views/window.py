"""The window as the commands see it: each thing that is shown is a screen over the conversation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pyperclip

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError
from dlp_local.core.paths import config_file
from dlp_local.core.values import AdapterInfo
from dlp_local.history import History
from tui.actions import AdapterAction, RoutingAction
from tui.screens.adapters import AdaptersScreen
from tui.screens.compare import CompareScreen
from tui.screens.conversations import ConversationsScreen
from tui.screens.help import HelpScreen
from tui.screens.options import OptionsScreen
from tui.screens.routing import RoutingScreen
from tui.state import Turn
from tui.themes import theme

if TYPE_CHECKING:
    from tui.screens.chat import ChatScreen


class WindowView:
    """A `tui.views.base.View` by the chat's screen."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    @property
    def turn(self) -> Turn | None:
        """The marked turn, or the last one."""
        return self._screen.turn

    def tell(self, what: str) -> None:
        """A line that goes away by itself, and takes the place of the one before it."""
        self._clear()
        self._screen.tell(what)

    def told(self, error: DlpLocalError) -> None:
        """An error, in the same place."""
        self._clear()
        self._screen.tell(str(error), problem=True)

    def _clear(self) -> None:
        app = self._screen.app
        app.clear_notifications()
        app.screen.query("ToastHolder").remove()  # textual leaves these, and each would take a line

    def edit(self, turn: Turn) -> None:
        """In the prompt."""
        self._screen.edit(turn)

    def fill(self, text: str) -> None:
        """The prompt gets the text once the path has been drawn."""
        self._screen.call_later(self._screen.fill, text)

    def copy(self, text: str) -> None:
        """By OSC 52, which works over SSH, too, and the system's own, where it can be reached."""
        self._screen.app.copy_to_clipboard(text)
        with suppress(pyperclip.PyperclipException):
            pyperclip.copy(text)

    def leave(self) -> None:
        """Closes the window."""
        self._screen.app.exit(return_code=self._screen.session.status.exit_code)

    def show_help(self) -> None:
        """The keys that are bound here and now."""
        self._screen.app.push_screen(HelpScreen(self._screen.active_bindings))

    def show_theme(self, name: str) -> None:
        """At once; for good it is in the settings."""
        if not name:
            self._screen.app.search_themes()
            return
        self._screen.app.theme = theme(name)
        self.tell(f'To keep it, set ui.theme = "{name}" in {config_file()}.')

    def show_conversations(self, history: History, words: str, then: Callable[[int | None], None]) -> None:
        """Their own screen."""
        self._screen.app.push_screen(ConversationsScreen(history, words), then)

    def show_routing(
        self, turn: Turn, adapters: tuple[str, ...], options: ChatOptions, then: Callable[[RoutingAction | None], None]
    ) -> None:
        """The receipt, unfolded."""
        self._screen.app.push_screen(RoutingScreen(turn, adapters, options), then)

    def show_adapters(
        self, adapters: tuple[AdapterInfo, ...], read_only_reason: str, then: Callable[[AdapterAction | None], None]
    ) -> None:
        """A list with a key for each change."""
        self._screen.app.push_screen(AdaptersScreen(adapters, read_only_reason), then)

    def show_beside(self, left: Turn, right: Turn, then: Callable[[int | None], None]) -> None:
        """Two columns."""
        self._screen.app.push_screen(CompareScreen(left, right), then)

    def show_options(self, options: ChatOptions, then: Callable[[ChatOptions | None], None]) -> None:
        """A form."""
        self._screen.app.push_screen(OptionsScreen(options), then)
