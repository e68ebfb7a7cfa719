"""The conversation's screen: it turns keys into calls of the session, and the session's values into widgets."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from dlp_local.core.errors import HistoryError, InputError
from dlp_local.core.text import visible
from tui.attachments import attach, sizes
from tui.chat_commands import ChatCommands
from tui.command_table import matching, parse
from tui.completion import Completion, complete
from tui.screens.compare import CompareScreen
from tui.session import Session
from tui.state import ConversationView, PackUpdated, PathChanged, Status, StatusChanged, Turn, TurnChanged
from tui.views.window import WindowView
from tui.widgets.greeting import Greeting
from tui.widgets.message import TurnView
from tui.widgets.prompt import Prompt
from tui.widgets.receipt import Receipt
from tui.widgets.status import StatusLine
from tui.widgets.transcript import Transcript

AT_ONCE = 30
"""Turns that are drawn; the ones before them are, as soon as one scrolls up to them."""

DRAFT_SECONDS = 0.5
SHOWN = 6
"""Of what can follow, so many things are shown."""

READING = 12.0
"""Characters that one reads in a second: so long a line stays that goes away by itself."""


class ChatScreen(Screen[None]):
    """Conversation, prompt, status line."""

    AUTO_FOCUS = "Prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop the answer and keep the part; give an edit up", id="stop"),
        Binding("ctrl+n", "deed('new')", "New conversation", id="new"),
        Binding("ctrl+o", "deed('open')", "Conversations: search, open, rename, delete", id="conversations"),
        Binding("f2", "deed('edit')", "Edit the marked message, or the last one, and send it again", id="edit"),
        Binding("f3", "deed('retry')", "Ask for another answer", id="retry"),
        Binding(
            "f4",
            "deed('route')",
            "How it was routed: pin, veto, again with another mix, side by side, correct",
            id="route",
        ),
        Binding("f5", "deed('continue')", "Go on with an answer that was cut", id="continue"),
        Binding("f6", "deed('copy')", "Copy the answer", priority=True, id="copy"),
        Binding(
            "f7", "deed('options')", "What this conversation sets for itself; personas", priority=True, id="options"
        ),
        Binding("ctrl+up", "mark(-1)", "Mark the message before", priority=True, id="mark-before"),
        Binding("ctrl+down", "mark(1)", "Mark the message after", priority=True, id="mark-after"),
        Binding("alt+left", "step(-1)", "The alternative before: ‹ 1/2 ›", priority=True, id="alternative-before"),
        Binding("alt+right", "step(1)", "The alternative after: ‹ 2/2 ›", priority=True, id="alternative-after"),
        Binding("pageup", "page(-1)", "Scroll the conversation up", priority=True, id="page-up"),
        Binding("pagedown", "page(1)", "Scroll the conversation down", priority=True, id="page-down"),
        Binding("f1", "deed('help')", "This help", id="help"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._views: dict[int, TurnView] = {}
        self._shown = session.shown()
        self._marked: int | None = None
        self._editing: int | None = None
        self._draft: Timer | None = None
        self._sent = ""
        self._completed = Completion("")
        self.deeds = ChatCommands(WindowView(self), session)

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        with Transcript():
            yield Greeting()
            yield Static("", id="earlier", markup=False)
        yield Prompt()
        yield StatusLine()

    async def on_mount(self) -> None:
        """Loads the pack once the window has been painted."""
        self._show(self.session.status)
        await self._show_path(self._shown, opened=True)
        self.call_after_refresh(self.session.start, self.post_message)

    # ---- from the session ----

    @on(StatusChanged)
    def _on_status(self, message: StatusChanged) -> None:
        self._show(message.status)

    def _show(self, status: Status) -> None:
        self.query_one(StatusLine).show(status)
        self.query_one(Greeting).show(status)
        self.query_one(Prompt).can_send = status.phase != "failed"
        if status.notice and status.notice != self.deeds.told:
            self.deeds.told = status.notice
            self.tell(status.notice, problem=True)
        if status.phase == "failed" and not self.query("#failure"):
            panel = Static(visible(status.error), classes="problem", id="failure", markup=False)
            panel.border_title = "The pack could not be loaded"
            panel.border_subtitle = "Ctrl+Q quits"
            self.query_one(Transcript).mount(panel)

    @on(TurnChanged)
    def _on_turn(self, message: TurnChanged) -> None:
        # A turn without a view belongs to a branch that is not shown.
        if view := self._views.get(message.turn.id):
            view.show(message.turn)
        for screen in self.app.screen_stack:
            if isinstance(screen, CompareScreen):
                screen.show(message.turn)

    @on(PackUpdated)
    def _on_pack(self, message: PackUpdated) -> None:
        self.tell(message.problem or message.done, problem=bool(message.problem))

    @on(PathChanged)
    async def _on_path(self, message: PathChanged) -> None:
        await self._show_path(message.shown, message.opened)

    async def _show_path(self, shown: ConversationView, opened: bool) -> None:
        """Draws another path; turns that stay where they were keep their views."""
        self._shown, self._marked = shown, None
        ids = [turn.id for turn in shown.turns]
        transcript = self.query_one(Transcript)
        with self.app.batch_update():
            kept = [number for number in self._views if number in ids]
            for number in [number for number in self._views if number not in kept]:
                await self._views.pop(number).remove()
            for turn in shown.turns[-AT_ONCE:]:
                if turn.id in self._views:
                    self._views[turn.id].show(turn)
                else:
                    view = self._views[turn.id] = TurnView(turn)
                    await transcript.mount(view)
            self._tell_earlier()
        if opened:
            self._give_up_edit()
            self.query_one(Prompt).fill(self.deeds.draft())
        transcript.follow()

    def _tell_earlier(self) -> None:
        earlier = len(self._shown.turns) - len(self._views)
        told = self.query_one("#earlier", Static)
        told.update(f"{earlier} earlier turns: scroll up" if earlier > 0 else "")
        told.display = earlier > 0

    @on(Transcript.ReachedTop)
    async def _on_top(self) -> None:
        """Draws the turns before the first one that is drawn."""
        drawn = [turn.id in self._views for turn in self._shown.turns]
        first = drawn.index(True) if any(drawn) else 0
        if first:
            transcript = self.query_one(Transcript)
            before = transcript.virtual_size.height
            views = {turn.id: TurnView(turn) for turn in self._shown.turns[max(0, first - AT_ONCE) : first]}
            anchor = self._views[self._shown.turns[first].id]
            self._views |= views
            await transcript.mount(*views.values(), before=anchor)
            self._tell_earlier()
            self.call_after_refresh(
                lambda: transcript.scroll_to(y=transcript.virtual_size.height - before, animate=False)
            )

    # ---- from the user ----

    @on(Prompt.Sent)
    async def _on_sent(self, message: Prompt.Sent) -> None:
        self._keep_draft("")
        self._sent = message.text
        if found := parse(message.text):
            command, argument = found
            await self.deeds.do(command.name, argument)
            return
        try:
            text = attach(message.text, self.session.status.context_size)
        except InputError as error:
            self.query_one(Prompt).fill(message.text)
            self.tell(str(error), problem=True)
            return
        if self._editing is not None and self._editing in self.session.chat:
            editing = self._editing
            self._give_up_edit()
            self.session.edit(editing, text)
            return
        turn = self.session.send(text)
        view = self._views[turn.id] = TurnView(turn)
        transcript = self.query_one(Transcript)
        await transcript.mount(view)
        self._shown = self.session.shown()
        transcript.follow()

    @on(TextArea.Changed)
    def _on_changed(self) -> None:
        """Shows what a command or a file would be, on the prompt's frame, and keeps the draft."""
        prompt = self.query_one(Prompt)
        text = prompt.text
        self._hint(text)
        if self._draft:
            self._draft.stop()
        self._draft = self.set_timer(DRAFT_SECONDS, lambda: self._keep_draft(prompt.text))

    def _hint(self, text: str) -> None:
        completed = self._completed
        if text == completed.text and len(completed.candidates) > 1:
            hint = " · ".join(completed.candidates[:SHOWN])
        elif found := matching(text):
            hint = " · ".join(map(str, found[:SHOWN])) if len(found) > 1 else f"{found[0]}: {found[0].help}"
        elif command := parse(text):
            hint = f"{command[0]}: {command[0].help}"
        else:
            hint = (sizes(text) if "@" in text else "") or (
                "Editing; Esc gives it up" if self._editing is not None else ""
            )
        self.query_one(Prompt).border_title = Content(visible(hint))

    def _keep_draft(self, text: str) -> None:
        if self._draft:
            self._draft.stop()
            self._draft = None
        try:
            self.session.history.set_draft(self._shown.number, text)
        except HistoryError as error:
            self.tell(str(error), problem=True)

    @on(Prompt.Completed)
    def _on_completed(self) -> None:
        """Tab, with the cursor at the end; what can follow is shown where it is more than one thing."""
        prompt = self.query_one(Prompt)
        if prompt.cursor_location == prompt.document.end:
            self._completed = complete(prompt.text, self.deeds.choices)
            prompt.fill(self._completed.text)
            self._hint(prompt.text)

    @on(Prompt.Recalled)
    def _on_recalled(self, message: Prompt.Recalled) -> None:
        if not message.prompt.text:
            last = self._shown.turns[-1].text if self._shown.turns else ""
            message.prompt.fill(self._sent or last)

    @on(Receipt.Opened)
    async def _on_receipt(self, message: Receipt.Opened) -> None:
        self._mark(message.turn)
        await self.deeds.do("route", "")

    async def action_deed(self, name: str) -> None:
        """A key for what a slash command does."""
        await self.deeds.do(name, "")

    def action_stop(self) -> None:
        """Esc."""
        if self._editing is not None:
            self._give_up_edit()
            self.query_one(Prompt).fill("")
        else:
            self.session.stop()
            self._mark(None)

    @property
    def turn(self) -> Turn | None:
        """The marked turn, or the last one."""
        number = self._marked or (self.session.chat.tip if self._shown.turns else None)
        return self.session.turn(number) if number is not None and number in self.session.chat else None

    def action_mark(self, by: int) -> None:
        """Ctrl+Up and Ctrl+Down: what F2 to F6 act on."""
        ids = [turn.id for turn in self.session.shown().turns]
        if not ids:
            return
        at = ids.index(self._marked) + by if self._marked in ids else len(ids) - 1
        self._mark(ids[max(0, at)] if at < len(ids) else None)

    def _mark(self, number: int | None) -> None:
        self._marked = number
        for turn, view in self._views.items():
            view.set_class(turn == number, "marked")
            if turn == number:
                view.scroll_visible()

    def action_step(self, by: int) -> None:
        """Alt+Left and Alt+Right."""
        marked = self.turn
        turns = [marked] if marked and self._marked else list(reversed(self.session.shown().turns))
        for turn in turns:
            if turn.alternative[1] > 1:
                self.session.step(turn.id, by)
                return

    def edit(self, turn: Turn) -> None:
        """Puts a message into the prompt, to be sent in its place."""
        self._editing = turn.id
        self.query_one(Prompt).fill(turn.text)

    def fill(self, text: str) -> None:
        """Puts a text into the prompt."""
        self.query_one(Prompt).fill(text)

    def _give_up_edit(self) -> None:
        self._editing = None
        self.query_one(Prompt).border_title = ""

    def tell(self, what: str, *, problem: bool = False) -> None:
        """A line that goes away by itself."""
        severity: SeverityLevel = "error" if problem else "information"
        seconds = max(self.app.NOTIFICATION_TIMEOUT, len(what) / READING)
        self.notify(visible(what), severity=severity, timeout=seconds, markup=False)

    def action_page(self, direction: int) -> None:
        """Page keys move the conversation: the prompt is too short to page in."""
        transcript = self.query_one(Transcript)
        if direction < 0:
            transcript.scroll_page_up()
        else:
            transcript.scroll_page_down()

    def action_copy_text(self) -> None:
        """Ctrl+C over selected text copies it once; the next Ctrl+C stops or quits as ever."""
        super().action_copy_text()
        self.clear_selection()
