"""The window: one session, one screen on it, and the way out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.theme import Theme
from textual.worker import WorkerFailed

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Ui
from dlp_local.history import History
from tui.chat_commands import COMMANDS
from tui.screens.chat import ChatScreen
from tui.session import ChangeOptions, OpenAssistant, Session, StartTraining, train_adapter
from tui.state import HERE, Place
from tui.terminal import draw_after_stops, leave_at_signals, outlive_the_terminal, read_more_keys
from tui.themes import HIGH_CONTRAST, keep_theme, keymap, theme
from tui.widgets.prompt import Prompt

UI = Ui()


class ChatApp(App[None]):
    """`dlp-local chat`. `open_assistant` is called once, in the session's worker thread, after the first paint."""

    TITLE = "dlp-local"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "Stop the answer; when idle, quit", id="interrupt"),
        Binding("ctrl+p", "command_palette", "All commands", priority=True, id="palette"),
        Binding("ctrl+z", "suspend_process", "In the palette: back to the shell", show=False, priority=True),
        Binding("ctrl+q", "quit", "Quit", priority=True, id="quit"),
    ]

    def __init__(
        self,
        open_assistant: OpenAssistant,
        history: History,
        notice: str = "",
        number: int | None = None,
        ui: Ui = UI,
        change_options: ChangeOptions | None = None,
        no_corrections: str = "",
        place: Place = HERE,
        start_training: StartTraining = train_adapter,
    ) -> None:
        """`number`: the stored conversation to go on with; `change_options` gives its options, or a new one's, anew.
        `no_corrections`, `place` and `start_training`: as of `Session`.

        Raises `InputError` for `ui` that cannot be used.
        """
        super().__init__()
        self.ended_by: int | None = None
        """The number of the signal that ended it."""

        read_more_keys()
        outlive_the_terminal()
        self.register_theme(HIGH_CONTRAST)
        self.theme = theme(ui.theme)
        self.set_keymap(keymap(ui.keys, [*self.BINDINGS, *ChatScreen.BINDINGS, *Prompt.BINDINGS]))
        self.session = Session(open_assistant, history, notice, no_corrections, place, start_training)
        if number is not None:
            self.session.open(number)
        if change_options is not None:
            self.session.set_options(change_options(self.session.conversation.options))

    def get_default_screen(self) -> Screen[None]:
        """The conversation."""
        return ChatScreen(self.session)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What Ctrl+P offers: of textual's own commands, those that make sense in a chat."""
        for command in super().get_system_commands(screen):
            if command.title in ("Theme", "Quit"):
                yield command
        if isinstance(screen, ChatScreen):
            for own in COMMANDS:
                if own.name not in ("theme", "quit") and not own.needs_argument:
                    yield SystemCommand(f"/{own.name}", own.help, partial(screen.run_command, own.name))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ctrl+Z takes back what was written, but for the palette, where it suspends."""
        return (
            isinstance(self.screen, CommandPalette)
            if action == "suspend_process"
            else super().check_action(action, parameters)
        )

    def action_interrupt(self) -> None:
        """Ctrl+C as in a shell: first it stops what runs, then it leaves."""
        if self.session.busy:
            self.session.stop()
        else:
            self.leave()

    async def action_quit(self) -> None:
        """Leaves the chat."""
        self.leave()

    def leave(self) -> None:
        """Closes the window; where the pack could not be loaded, the shell gets the error's exit code."""
        chat = self.screen_stack[0]
        assert isinstance(chat, ChatScreen)
        chat.leave()

    def _leave_at_signal(self, number: int) -> None:
        """Leaves as the user would; the shell gets the exit code of a program that this signal ended."""
        self.ended_by = number
        self.leave()

    def _handle_exception(self, error: Exception) -> None:
        """Once textual leaves, it gives new widgets no parts: what then misses a part is no error to be shown."""
        leaves = self._exit or not self.is_running
        cause = error.error if isinstance(error, WorkerFailed) else error
        if not (leaves and isinstance(cause, NoMatches)):
            super()._handle_exception(error)

    def on_mount(self) -> None:
        """A theme that is chosen from now on is kept; whatever stops the program, it is drawn when it goes on."""
        draw_after_stops(self)
        if not self.is_headless:
            leave_at_signals(self._leave_at_signal)
        self.theme_changed_signal.subscribe(self, self._on_theme)

    def _on_theme(self, chosen: Theme) -> None:
        self._keep_theme(chosen.name)

    @work(group="theme", exclusive=True)
    async def _keep_theme(self, name: str) -> None:
        try:
            await asyncio.to_thread(keep_theme, name)
        except InputError as error:
            self.notify(str(error), severity="error", markup=False)
