"""What the commands need of whatever shows the conversation: the window, or the plain chat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError
from dlp_local.core.values import AdapterInfo
from dlp_local.history import History
from tui.actions import AdapterAction, RoutingAction
from tui.state import Turn


class View(Protocol):
    """Shows things, and calls back with what the user decided, or with None."""

    @property
    def turn(self) -> Turn | None:
        """The turn that is meant: the marked one, or the last."""

    def tell(self, what: str) -> None:
        """A short line."""

    def told(self, error: DlpLocalError) -> None:
        """An error."""

    def edit(self, turn: Turn) -> None:
        """Lets the user write a message anew, to be sent in its place."""

    def fill(self, text: str) -> None:
        """Gives the user a text to go on with."""

    def copy(self, text: str) -> None:
        """Puts a text on the clipboard."""

    def leave(self) -> None:
        """Ends the chat."""

    def show_help(self) -> None:
        """Every key and command."""

    def show_theme(self, name: str) -> None:
        """Takes a theme; without a name, all of them to choose from."""

    def show_conversations(self, history: History, words: str, then: Callable[[int | None], None]) -> None:
        """Stored conversations, or what a search finds; `then` gets the number of the one to open."""

    def show_routing(
        self, turn: Turn, adapters: tuple[str, ...], options: ChatOptions, then: Callable[[RoutingAction | None], None]
    ) -> None:
        """How a turn was routed; `then` gets what is to be done about it."""

    def show_adapters(
        self, adapters: tuple[AdapterInfo, ...], read_only_reason: str, then: Callable[[AdapterAction | None], None]
    ) -> None:
        """The adapters of the pack, which is read-only for a reason or not; `then` gets what is to be changed."""

    def show_beside(self, left: Turn, right: Turn, then: Callable[[int | None], None]) -> None:
        """Two turns, the right one as it comes; `then` gets the one to keep."""

    def show_options(self, options: ChatOptions, then: Callable[[ChatOptions | None], None]) -> None:
        """What the conversation sets for itself; `then` gets what it is to set."""
