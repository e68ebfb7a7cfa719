"""`dlp-local chat --plain`: the same conversation line by line, for screen readers and the simplest terminals.

Nothing moves the cursor, nothing is coloured, and an answer is printed by whole lines.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.message import Message

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError, InputError
from dlp_local.core.receipt import reply_receipt
from dlp_local.core.text import visible
from dlp_local.core.values import AdapterInfo
from dlp_local.history import History
from tui.actions import AdapterAction, RoutingAction
from tui.attachments import attach
from tui.chat_commands import ChatCommands
from tui.command_table import COMMANDS, parse
from tui.session import ChangeOptions, Session
from tui.state import ConversationView, PackUpdated, PathChanged, StatusChanged, Turn, TurnChanged

if TYPE_CHECKING:
    from dlp_local.core.settings import Settings
    from tui.backend import AssistantBackend

PROMPT = "> "
IN_WINDOW = ("copy", "theme")
ONLY_IN_WINDOW = "the window alone can do that: `dlp-local chat` without --plain."


class PlainView:
    """A `View` on stdin and stdout. `run` belongs to the main thread, `post` is called by the session's."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._deeds = ChatCommands(self, session)
        self._changed = threading.Condition()
        self._waiting_for: int | None = None
        self._printed = 0
        self._editing: int | None = None
        self._left = False

    def run(self) -> int:
        """Reads and answers until the end of the input; returns the exit code."""
        self._session.start(self.post)
        if self._session.status.notice:
            self.tell(self._session.status.notice)
        self._print("dlp-local, plain. Write a message, or /help. Ctrl+C stops an answer, Ctrl+D leaves.")
        while not self._left:
            try:
                line = input(PROMPT)
            except (EOFError, KeyboardInterrupt):
                self._print("")
                break
            if line.strip():
                self._take(line.strip())
            if self._session.status.phase == "failed":
                return self._session.status.exit_code
        return 0

    def _take(self, line: str) -> None:
        if found := parse(line):
            command, argument = found
            before = self._session.shown().turns
            asyncio.run(self._deeds.do(command.name, argument))
            after = self._session.shown().turns
            self._wait_for_changes()
            if after and after != before and after[-1].state in ("queued", "processing", "generating"):
                self._wait(after[-1].id)
            return
        try:
            text = attach(line, self._session.status.context_size)
        except InputError as error:
            self.told(error)
            return
        editing, self._editing = self._editing, None
        if editing is None:
            self._wait(self._session.send(text).id)
        else:
            self._session.edit(editing, text)
            self._wait(self._session.shown().turns[-1].id)

    # ---- from the session ----

    def post(self, message: Message) -> bool:
        """Prints what came of the answer that is waited for."""
        with self._changed:
            if isinstance(message, TurnChanged) and message.turn.id == self._waiting_for:
                self._show(message.turn)
            elif isinstance(message, StatusChanged) and message.status.phase == "failed":
                self._print(f"Error: {message.status.error}")
                self._waiting_for = None
            elif isinstance(message, PackUpdated):
                self._print(f"Error: {message.problem}" if message.problem else message.done)
            elif isinstance(message, PathChanged):
                if message.opened:
                    self.show(message.shown)
                return True
            self._changed.notify_all()
        return True

    def show(self, shown: ConversationView) -> None:
        """A conversation that was opened."""
        for turn in shown.turns:
            self._print(f"{PROMPT}{turn.text}\n{turn.answer}")
        if not shown.turns:
            self._print("A new conversation.")

    def _show(self, turn: Turn) -> None:
        ended = turn.state in ("done", "failed")
        end = len(turn.answer) if ended else turn.answer.rfind("\n") + 1
        if end > self._printed:
            self._print(turn.answer[self._printed : end].rstrip("\n"))
            self._printed = end
        if ended:
            if turn.trimmed:
                self._print(f"The oldest {turn.trimmed} turns no longer fit.")
            if turn.error:
                self._print(f"Error: {turn.error}")
            elif turn.done:
                self._print(f"[{' · '.join(reply_receipt(turn.done))}]")
            self._waiting_for = None

    def _wait(self, turn: int) -> None:
        with self._changed:
            now = self._session.turn(turn)
            self._printed, self._waiting_for = 0, turn
            if now.state in ("done", "failed"):
                self._show(now)
        while self._waiting_for is not None:
            try:
                with self._changed:
                    self._changed.wait(0.2)
            except KeyboardInterrupt:
                # Not while `_changed` is held: the session's thread may want it, under the lock that `stop` takes.
                self._session.stop()

    def _wait_for_changes(self) -> None:
        """A change of the pack, which Ctrl+C does not end but leaves alone."""
        try:
            while self._session.changing:
                with self._changed:
                    self._changed.wait(0.1)
        except KeyboardInterrupt:
            self._print("It goes on by itself.")

    def _print(self, text: str) -> None:
        print(visible(text), flush=True)

    # ---- a View ----

    @property
    def turn(self) -> Turn | None:
        """The last one."""
        turns = self._session.shown().turns
        return turns[-1] if turns else None

    def tell(self, what: str) -> None:
        """A line."""
        self._print(what)

    def told(self, error: DlpLocalError) -> None:
        """A line that begins with what it is."""
        self._print(f"Error: {error}")

    def edit(self, turn: Turn) -> None:
        """What is written next is sent in the message's place."""
        self._editing = turn.id
        self._print(f"The message was: {turn.text}\nWrite it anew.")

    def fill(self, text: str) -> None:
        """There is no prompt to fill; the text is said."""
        self._print(f"Taken back: {text}")

    def copy(self, text: str) -> None:
        """What is printed can be copied as it is."""
        raise InputError(ONLY_IN_WINDOW)

    def leave(self) -> None:
        """After this line."""
        self._left = True

    def show_help(self) -> None:
        """The commands."""
        here = [command for command in COMMANDS if command.name not in IN_WINDOW]
        self._print("\n".join(f"{command}: {command.help}" for command in here))

    def show_theme(self, name: str) -> None:
        """There are no colours."""
        raise InputError(ONLY_IN_WINDOW)

    def show_conversations(self, history: History, words: str, then: Callable[[int | None], None]) -> None:
        """A list; `/open NUMBER` opens one."""
        if words:
            lines = [f"{hit.conversation}: {' '.join(hit.excerpt.split())}" for hit in history.search(words)]
        else:
            lines = [f"{info.id}: {info.title}, {info.turns} turns" for info in history.conversations()]
        self._print("\n".join([*lines, "/open NUMBER opens one."] if lines else ["Nothing found."]))

    def show_routing(
        self, turn: Turn, adapters: tuple[str, ...], options: ChatOptions, then: Callable[[RoutingAction | None], None]
    ) -> None:
        """A line for each adapter; /pin, /veto, /mix and /retry do what the window's keys do."""
        probabilities = dict(turn.route.probabilities) if turn.route else {}
        weights = turn.route.mix.as_dict() if turn.route else {}
        ranked = sorted(probabilities.items(), key=lambda item: -item[1]) or [(name, 0.0) for name in weights]
        for name, p in ranked:
            weight = f", weight {weights[name]:.2f}" if name in weights else ""
            self._print(f"{name}: probability {p:.3f}{weight}{', vetoed' if name in options.vetoed else ''}")
        self._print("/pin, /veto ADAPTER, /retry MIX and /mix MIX change it.")

    def show_adapters(
        self, adapters: tuple[AdapterInfo, ...], read_only_reason: str, then: Callable[[AdapterAction | None], None]
    ) -> None:
        """A line for each, and what changes them."""
        for adapter in adapters:
            off = "" if adapter.enabled else ", off"
            self._print(f"{adapter.name}{off}{': ' if adapter.description else ''}{adapter.description}")
        self._print(
            read_only_reason or "/adapters add FILE NAME [EXAMPLES], enable, disable and remove NAME change them."
        )

    def show_beside(self, left: Turn, right: Turn, then: Callable[[int | None], None]) -> None:
        """Only reached from the window's routing screen."""
        raise InputError(ONLY_IN_WINDOW)

    def show_options(self, options: ChatOptions, then: Callable[[ChatOptions | None], None]) -> None:
        """What is set; /system, /temp, /mix and /veto set it."""
        own = options.model_dump(exclude_defaults=True, mode="json")
        self._print("\n".join(f"{name}: {value}" for name, value in own.items()) or "Nothing is set.")
        self._print("/system, /temp, /mix, /veto and /save change it.")


def run_plain(
    settings: Settings,
    *,
    resume: bool = False,
    number: int | None = None,
    change_options: ChangeOptions | None = None,
) -> int:
    """Chats on stdin and stdout until the user leaves; returns the exit code for the shell.

    `resume` goes on with the last conversation, `number` with that one; `change_options` gives its options, or a new
    one's, anew. Raises `HistoryError` where there is none of that number.
    """
    from dlp_local.history import open_history

    def open_assistant() -> AssistantBackend:
        from dlp_local.opening import open_assistant

        return open_assistant(settings)

    history, notice = open_history()
    session = Session(open_assistant, history, notice)
    try:
        if resume and number is None:
            number = history.last()
        if number is not None:
            session.open(number)
        if change_options is not None:
            session.set_options(change_options(session.chat.options))
        plain = PlainView(session)
        if number is not None:
            plain.show(session.shown())
        return plain.run()
    finally:
        session.close()
        history.close()
        sys.stdout.flush()
