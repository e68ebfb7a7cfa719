"""What the commands need of whatever shows the conversation: the window, or the plain chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError
from dlp_local.core.values import AdapterInfo, Lesson
from dlp_local.history import History
from tui.actions import AdapterAction, ChosenConversation, RoutingAction
from tui.option_lines import ValuesInForce
from tui.state import Turn, TurnRouting


class View(Protocol):
    """Shows things; what asks the user gives back what was decided, or None."""

    @property
    def turn(self) -> Turn | None:
        """The turn that is meant: the marked one, or the last."""

    def show_message(self, message: str) -> None:
        """A short line."""

    def show_error(self, error: DlpLocalError) -> None:
        """An error."""

    def edit(self, turn: Turn) -> None:
        """Lets the user write a message anew, to be sent in its place."""

    def fill(self, text: str) -> None:
        """Gives the user a text to go on with."""

    def mark(self, turn: int, words: str) -> None:
        """Shows a turn of the open conversation, and where the words stand by which it was looked for."""

    def unfold(self, turn: int) -> None:
        """Shows or hides what of a turn is folded."""

    async def copy(self, text: str) -> None:
        """Puts a text on the clipboard."""

    async def open_editor(self) -> None:
        """Lets the user write the message in an editor of their own."""

    def suspend(self) -> None:
        """Stops the program until the shell brings it back."""

    def leave(self) -> None:
        """Ends the chat."""

    def show_help(self) -> None:
        """Every key and command."""

    def show_theme(self, name: str) -> None:
        """Takes a theme, also for the next time; without a name, all of them to choose from."""

    async def choose_conversation(self, history: History, words: str) -> ChosenConversation | None:
        """Stored conversations, or what a search finds."""

    async def show_routing(self, routing: TurnRouting) -> RoutingAction | None:
        """How a turn was routed, and what is to be done about it."""

    async def show_adapters(self, adapters: tuple[AdapterInfo, ...], read_only_reason: str) -> AdapterAction | None:
        """The adapters of the pack, which is read-only for a reason or not."""

    async def mend(self, lessons: Sequence[Lesson], adapters: Sequence[str]) -> Sequence[Lesson] | None:
        """Answers to be written as they should have been; gives back what became of them."""

    async def compare(self, left: Turn, right: Turn) -> int | None:
        """Two turns, the right one as it comes; gives back the one to keep."""

    async def show_options(self, values: ValuesInForce) -> ChatOptions | None:
        """What holds for the next message; gives back what the conversation is to set for itself."""
