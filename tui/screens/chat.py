"""The conversation's screen: it turns keys into calls of the session, and the session's values into widgets."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from dlp_local.display import visible
from tui.screens.help import HelpScreen
from tui.session import Session
from tui.turn import Status, StatusChanged, TurnChanged
from tui.widgets.greeting import Greeting
from tui.widgets.message import TurnView
from tui.widgets.prompt import Prompt
from tui.widgets.status import StatusLine
from tui.widgets.transcript import Transcript


class ChatScreen(Screen[None]):
    """Conversation, prompt, status line."""

    AUTO_FOCUS = "Prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop the answer, keep the part"),
        Binding("ctrl+n", "new", "New conversation"),
        Binding("pageup", "page(-1)", "Scroll the conversation up", priority=True),
        Binding("pagedown", "page(1)", "Scroll the conversation down", priority=True),
        Binding("f1", "help", "This help"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._views: dict[int, TurnView] = {}

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        with Transcript():
            yield Greeting()
        yield Prompt()
        yield StatusLine()

    def on_mount(self) -> None:
        """Loads the pack once the window has been painted."""
        self._show(self.session.status)
        self.call_after_refresh(self.session.start, self.post_message)

    # ---- from the session ----

    @on(StatusChanged)
    def _on_status(self, message: StatusChanged) -> None:
        self._show(message.status)

    def _show(self, status: Status) -> None:
        self.query_one(StatusLine).show(status)
        self.query_one(Greeting).show(status)
        self.query_one(Prompt).can_send = status.phase != "failed"
        if status.phase == "failed" and not self.query("#failure"):
            panel = Static(visible(status.error), classes="problem", id="failure", markup=False)
            panel.border_title = "The pack could not be loaded"
            panel.border_subtitle = "Ctrl+Q quits"
            self.query_one(Transcript).mount(panel)

    @on(TurnChanged)
    def _on_turn(self, message: TurnChanged) -> None:
        # A turn without a view belongs to a conversation that Ctrl+N has left.
        if view := self._views.get(message.turn.id):
            view.show(message.turn)

    # ---- from the user ----

    @on(Prompt.Sent)
    async def _on_sent(self, message: Prompt.Sent) -> None:
        turn = self.session.send(message.text)
        view = self._views[turn.id] = TurnView(turn)
        transcript = self.query_one(Transcript)
        await transcript.mount(view)
        transcript.follow()

    @on(Prompt.Recalled)
    def _on_recalled(self, message: Prompt.Recalled) -> None:
        if not message.prompt.text:
            message.prompt.fill(self.session.last_sent)

    def action_stop(self) -> None:
        """Esc."""
        self.session.stop()

    async def action_new(self) -> None:
        """Ctrl+N."""
        self.session.new()
        self._views.clear()
        await self.query(TurnView).remove()

    def action_page(self, direction: int) -> None:
        """Page keys move the conversation: the prompt is too short to page in."""
        transcript = self.query_one(Transcript)
        if direction < 0:
            transcript.scroll_page_up()
        else:
            transcript.scroll_page_down()

    def action_help(self) -> None:
        """F1, with the keys that are bound here and now."""
        self.app.push_screen(HelpScreen(self.active_bindings))

    def action_copy_text(self) -> None:
        """Ctrl+C over selected text copies it once; the next Ctrl+C stops or quits as ever."""
        super().action_copy_text()
        self.clear_selection()
