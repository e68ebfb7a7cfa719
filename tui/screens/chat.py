"""The conversation's screen: it turns keys into requests to the session, and the session's values into widgets."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dlp_local.core.errors import HistoryError, InputError
from dlp_local.core.user_message import UserMessage
from tui.attachments import attach
from tui.chat_commands import BY_NAME, COMMANDS, Chat, Command, check_known, parse
from tui.editor import write_in_editor
from tui.messages import PackUpdated, PathChanged, StatusChanged, TrainingEnded, TurnChanged
from tui.screens.composer import Composer
from tui.screens.dialogs import DialogHost
from tui.screens.drafts import Drafts
from tui.screens.requests import Requests
from tui.session import Session
from tui.state import ConversationView, Status, Turn
from tui.widgets.prompt import Prompt
from tui.widgets.receipt import Receipt
from tui.widgets.status import StatusLine
from tui.widgets.transcript import Transcript

LEAVE_SECONDS = 3.0
"""How long what was asked for may still take when one leaves."""


def key_binding(command: Command) -> Binding:
    """The key of a command; in the settings it has the command's name."""
    action = f"command('{command.name}')"
    return Binding(command.key, action, command.help, priority=command.everywhere, id=command.name)


class ChatScreen(DialogHost):
    """Conversation, prompt, status line. It is the window's `View`."""

    AUTO_FOCUS = "Prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop the answer and keep the part; give an edit up", id="stop"),
        *(key_binding(command) for command in COMMANDS if command.key),
        Binding("ctrl+up", "mark(-1)", "Mark the message before", priority=True, id="mark-before"),
        Binding("ctrl+down", "mark(1)", "Mark the message after", priority=True, id="mark-after"),
        Binding("alt+left", "step(-1)", "The alternative before: ‹ 1/2 ›", priority=True, id="alternative-before"),
        Binding("alt+right", "step(1)", "The alternative after: ‹ 2/2 ›", priority=True, id="alternative-after"),
        Binding("pageup", "page(-1)", "Scroll the conversation up", priority=True, id="page-up"),
        Binding("pagedown", "page(1)", "Scroll the conversation down", priority=True, id="page-down"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.place = session.status.place
        self._chat = Chat(self, session)
        self._requests = Requests(self.show_error)
        self._view = session.view()
        self._marked: int | None = None
        self._to_mark: tuple[int | None, str] = (None, "")
        self._notice = ""
        self._view_checked = False
        self._leaving = False

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        yield Transcript()
        yield Composer(self._chat)
        yield StatusLine()

    async def on_mount(self) -> None:
        """Loads the pack once the window has been painted; a message can be sent before that."""
        self.session.post_to(self.post_message)
        self.run_worker(self._requests.serve())
        self._show_status(self.session.status)
        await self._show_path(self._view)
        self._drafts = Drafts(self.query_one(Composer), self.session.history, self._requests, self._view.number)
        self.call_after_refresh(self.session.start)

    # ---- from the session ----

    @on(StatusChanged)
    def _on_status(self, message: StatusChanged) -> None:
        self._show_status(message.status)

    def _show_status(self, status: Status) -> None:
        self.query_one(StatusLine).show(status)
        self.query_one(Transcript).show_status(status)
        self.query_one(Composer).allow_sending(status.phase != "failed")
        if status.name and not self._view_checked:
            self._view_checked = True
            self._tell_other_pack()
        if status.notice and status.notice != self._notice:
            self._notice = status.notice
            self.show_error(InputError(status.notice))

    @on(TurnChanged)
    def _on_turn(self, message: TurnChanged) -> None:
        from tui.screens.compare import CompareScreen  # as dialogs are, after the first paint

        self.query_one(Transcript).show_turn(message.turn)
        for screen in self.app.screen_stack:
            if isinstance(screen, CompareScreen):
                screen.show(message.turn)

    @on(PackUpdated)
    def _on_pack(self, message: PackUpdated) -> None:
        if message.problem:
            self.show_error(InputError(message.problem))
        else:
            self.show_message(message.done)

    @on(TrainingEnded)
    async def _on_training(self, message: TrainingEnded) -> None:
        await self.query_one(Transcript).add_note(message.problem or message.note, is_problem=bool(message.problem))

    @on(PathChanged)
    async def _on_path(self, message: PathChanged) -> None:
        if message.opened:
            self._drafts.opened(message.view.number)
            await self.query_one(Transcript).clear_notes()
            self._tell_other_pack()
        else:
            self._drafts.numbered(message.view.number)
        await self._show_path(message.view)

    async def _show_path(self, view: ConversationView) -> None:
        self._view = view
        await self.query_one(Transcript).show_path(view.turns)
        await self._mark(*self._to_mark)

    def _tell_other_pack(self) -> None:
        """A conversation that another pack answered in."""
        if pack := self.session.other_pack:
            self.show_message(f"This conversation was held with the pack {pack}.\n/pack {pack} lets it answer again.")

    # ---- from the user ----

    @on(Composer.Changed)
    def _on_changed(self, message: Composer.Changed) -> None:
        self._drafts.changed(message.text)

    @on(Composer.Sent)
    def _on_sent(self, message: Composer.Sent) -> None:
        composer = self.query_one(Composer)
        editing = composer.editing if not parse(message.text) else None
        if editing is not None:
            composer.end_edit()
        self._drafts.sent()
        self._requests.add(partial(self._take, message.text, editing))

    async def _take(self, text: str, editing: int | None) -> None:
        """Does what was sent: a command, or a message; one that cannot go stays written."""
        if parsed := parse(text):
            await self._run(*parsed)
            return
        try:
            check_known(text)
            message = await asyncio.to_thread(attach, text.strip(), self.session.status.context_size)
            if editing is not None and editing in self.session.conversation:
                await asyncio.to_thread(self.session.edit, editing, message)
            else:
                await asyncio.to_thread(self.session.send, message)
        except InputError as error:
            composer = self.query_one(Composer)
            if composer.text:
                raise InputError(f"{error} Up brings back what was sent.") from None
            composer.fill(text)
            composer.editing = editing
            raise

    def run_command(self, name: str) -> None:
        """A command without an argument, by a key or from the palette."""
        self._requests.add(partial(self._run, BY_NAME[name], "", self.query_one(Composer).text))

    async def _run(self, command: Command, argument: str, written: str = "") -> None:
        """`written` had been something else, when the command was asked for."""
        self._drafts.at_command(written)
        await command.action(self._chat, argument)

    def action_command(self, name: str) -> None:
        """A key of a command."""
        self.query_one(Composer).after_keys(partial(self.run_command, name))

    @on(Receipt.Opened)
    async def _on_receipt(self, message: Receipt.Opened) -> None:
        await self._mark(message.turn)
        self.run_command("route")

    @on(Prompt.EditorWanted)
    def _on_editor(self) -> None:
        self.run_command("editor")

    def action_stop(self) -> None:
        """Gives up an edit; where there is none, stops the answer."""
        if not self.query_one(Composer).give_up():
            self.session.stop()
            self.call_next(self._mark, None)

    async def action_mark(self, by: int) -> None:
        """Ctrl+Up and Ctrl+Down: what the keys of a turn act on."""
        ids = [turn.id for turn in self._view.turns]
        if not ids:
            return
        at = ids.index(self._marked) + by if self._marked in ids else len(ids) - 1
        await self._mark(ids[max(0, at)] if at < len(ids) else None)

    async def _mark(self, number: int | None, words: str = "") -> None:
        self._marked = number
        if any(turn.id == number for turn in self._view.turns):
            self._to_mark = (None, "")
        await self.query_one(Transcript).mark(number, words)

    def action_step(self, by: int) -> None:
        """Alt+Left and Alt+Right: of the marked turn, or of the last one that has alternatives."""
        marked = self.turn if self._marked else None
        turns = [marked] if marked else list(reversed(self.session.view().turns))
        if turn := next((turn for turn in turns if turn.alternative[1] > 1), None):
            number = turn.id
            self._requests.add(lambda: asyncio.to_thread(self.session.step, number, by))

    def action_page(self, direction: int) -> None:
        """Page keys move the conversation: the prompt is too short to page in."""
        transcript = self.query_one(Transcript)
        (transcript.scroll_page_up if direction < 0 else transcript.scroll_page_down)()

    def action_copy_text(self) -> None:
        """Ctrl+C over selected text copies it once; the next Ctrl+C stops or quits as ever."""
        super().action_copy_text()
        self.clear_selection()

    # ---- a View, with what `DialogHost` has ----

    @property
    def turn(self) -> Turn | None:
        """The marked turn, or the last one."""
        conversation = self.session.conversation
        number = self._marked if self._marked is not None else conversation.tip
        return self.session.turn(number) if number is not None and number in conversation else None

    def edit(self, turn: Turn) -> None:
        """Puts a message into the prompt, to be sent in its place."""
        self.query_one(Composer).edit(turn.id, UserMessage.parse(turn.text, files_only=True).request)

    def fill(self, text: str) -> None:
        """The prompt gets the text once the path has been drawn."""
        self.call_later(self.query_one(Composer).fill, text)

    def mark(self, turn: int, words: str) -> None:
        """Now, or once the path that it is on has been drawn."""
        self._to_mark = (turn, words)
        self.call_later(self._mark, turn, words)

    def unfold(self, turn: int) -> None:
        """All that is folded of it, at once."""
        self.query_one(Transcript).toggle_folds(turn)

    async def open_editor(self) -> None:
        """The window makes room for it."""
        composer = self.query_one(Composer)
        written = await write_in_editor(self.app, composer.text)
        composer.fill(written)

    def suspend(self) -> None:
        """As Ctrl+Z in the shell."""
        self.app.action_suspend_process()

    def leave(self) -> None:
        """Ends what was asked for, stores the draft, and closes the window; asked twice, at once."""
        if self._leaving:
            self._exit()
        else:
            self._leaving = True
            self.query_one(Composer).after_keys(lambda: self.run_worker(self._leave()))

    async def _leave(self) -> None:
        conversation, draft = self._drafts.written
        with suppress(TimeoutError, HistoryError):
            async with asyncio.timeout(LEAVE_SECONDS):
                if self.app.screen is self:  # a dialog waits for the user, and nothing ends behind it
                    await self._requests.done()
                await asyncio.to_thread(self.session.history.set_draft, conversation, draft)
        self._exit()

    def _exit(self) -> None:
        self.app.exit(return_code=self.session.status.exit_code)
