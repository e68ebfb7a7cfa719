"""`dlp-local chat --plain`: the same conversation line by line, for screen readers and the simplest terminals.

Nothing moves the cursor, nothing is coloured, and an answer is printed by whole lines.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from textual.message import Message

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError, InputError
from dlp_local.core.receipt import ENDINGS, no_answer_note, receipt_lines, trimmed_note
from dlp_local.core.text import counted, size_text, visible
from dlp_local.core.user_message import UserMessage
from dlp_local.core.values import AdapterInfo, Lesson
from dlp_local.history import History
from tui.actions import AdapterAction, ChosenConversation, RoutingAction
from tui.attachments import attach
from tui.chat_commands import COMMANDS, Chat, check_known, parse
from tui.line_input import UnreadableLineError, read_line
from tui.messages import PackUpdated, PathChanged, StatusChanged, TrainingEnded, TurnChanged
from tui.option_lines import ValuesInForce
from tui.session import Session
from tui.state import ConversationView, Turn, TurnRouting

PROMPT = "> "
ONLY_IN_WINDOW = "the window alone can do that: `dlp-local chat` without --plain."


class PlainView:
    """A `View` on stdin and stdout. `run` belongs to the main thread, `post` is called by the session's."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._chat = Chat(self, session)
        self._changed = threading.Condition()
        self._waiting_for: int | None = None
        self._printed = 0
        self._editing: int | None = None
        self._left = False
        self._refused: OSError | None = None
        """What stdout says since it takes nothing more."""

    def run(self) -> int:
        """Reads and answers until the end of the input; returns the exit code. Raises what stdout refuses with."""
        self._session.post_to(self.post)
        self._session.start()
        if self._session.status.notice:
            self.show_message(self._session.status.notice)
        self._print("dlp-local, plain. Write a message, or /help. Ctrl+C stops an answer, Ctrl+D leaves.")
        while not self._left:
            try:
                line = read_line(PROMPT)
            except (EOFError, KeyboardInterrupt):
                self._print("")
                break
            except UnreadableLineError as error:
                self.show_error(error)
                continue
            except InputError as error:
                self.show_error(error)
                return error.exit_code
            if line.strip():
                try:
                    self._take(line.rstrip())
                except DlpLocalError as error:
                    self.show_error(error)
            if self._refused:
                raise self._refused
            if self._session.status.phase == "failed":
                return self._session.status.exit_code
        return 0

    def _take(self, line: str) -> None:
        if parsed := parse(line):
            command, argument = parsed
            if command.in_window:
                raise InputError(ONLY_IN_WINDOW)
            self._wait_for_pack()
            before = self._session.view().turns
            asyncio.run(command.action(self._chat, argument))
            after = self._session.view().turns
            self._wait_for_changes()
            if after and after != before and not after[-1].ended:
                self._wait(after[-1].id)
            return
        check_known(line)
        text = attach(line.strip(), self._session.status.context_size)
        editing, self._editing = self._editing, None
        turn = self._session.send(text) if editing is None else self._session.edit(editing, text)
        self._wait(turn.id)

    # ---- from the session ----

    def post(self, message: Message) -> bool:
        """Prints what came of the answer that is waited for."""
        with self._changed:
            match message:
                case TurnChanged() if message.turn.id == self._waiting_for:
                    self._show(message.turn)
                case StatusChanged() if message.status.phase == "failed":
                    self._print(f"Error: {message.status.error}")
                    self._waiting_for = None
                case PackUpdated():
                    self._print(f"Error: {message.problem}" if message.problem else message.done)
                case TrainingEnded():
                    self._print(f"Error: {message.problem}" if message.problem else message.note)
                case PathChanged() if message.opened:
                    self.show(message.view)
            self._changed.notify_all()
        return True

    def show(self, view: ConversationView) -> None:
        """A conversation that was opened."""
        for turn in view.turns:
            message = UserMessage.parse(turn.text, files_only=True)
            files = "".join(f"\n({each.name} {size_text(len(each.text.encode()))})" for each in message.attachments)
            self._print(f"{PROMPT}{message.request}{files}\n{turn.answer}")
        if not view.turns:
            self._print("A new conversation.")

    def _show(self, turn: Turn) -> None:
        if len(turn.answer) < self._printed:
            self._print("(What stands above is reasoning; the answer follows.)")
            self._printed = 0
        end = len(turn.answer) if turn.ended else turn.answer.rfind("\n") + 1
        if end > self._printed:
            self._print(turn.answer[self._printed : end].rstrip("\n"))
            self._printed = end
        if turn.ended:
            if note := trimmed_note(turn.trimmed):
                self._print(note)
            if turn.error:
                self._print(f"Error: {turn.error}")
            elif turn.done:
                if note := no_answer_note(turn.done):
                    self._print(note)
                lines = receipt_lines(turn.done) if turn.route else (ENDINGS[turn.done.finish_reason],)
                self._print("\n".join(f"[{line}]" for line in lines))
            self._waiting_for = None

    def _wait(self, turn: int) -> None:
        with self._changed:
            now = self._session.turn(turn)
            self._printed, self._waiting_for = 0, turn
            if now.ended:
                self._show(now)
        while self._waiting_for is not None and not self._refused:
            try:
                with self._changed:
                    self._changed.wait(0.2)
            except KeyboardInterrupt:
                self._session.stop()

    def _wait_for_pack(self) -> None:
        """Commands that are piped in come sooner than the pack; Ctrl+C waits no longer."""
        with suppress(KeyboardInterrupt), self._changed:
            while self._session.status.phase == "loading":
                self._changed.wait(0.1)

    def _wait_for_changes(self) -> None:
        """A change of the pack, which Ctrl+C does not end but leaves alone."""
        try:
            while self._session.changing:
                with self._changed:
                    self._changed.wait(0.1)
        except KeyboardInterrupt:
            self._print("It goes on by itself.")

    def _print(self, text: str) -> None:
        try:
            print(visible(text), flush=True)
        except OSError as error:  # the session's thread prints, too, and has nobody to raise it to
            self._refused = error

    # ---- a View ----

    @property
    def turn(self) -> Turn | None:
        """The last one."""
        turns = self._session.view().turns
        return turns[-1] if turns else None

    def show_message(self, message: str) -> None:
        """A line."""
        self._print(message)

    def show_error(self, error: DlpLocalError) -> None:
        """A line that begins with what it is."""
        self._print(f"Error: {error}")

    def edit(self, turn: Turn) -> None:
        """What is written next is sent in the message's place."""
        self._editing = turn.id
        self._print(f"The message was: {UserMessage.parse(turn.text, files_only=True).request}\nWrite it anew.")

    def fill(self, text: str) -> None:
        """There is no prompt to fill; the text is said."""
        self._print(f"Taken back: {text}")

    def mark(self, turn: int, words: str) -> None:
        """All of the conversation is printed."""

    def unfold(self, turn: int) -> None:
        """Nothing is folded."""
        raise InputError(ONLY_IN_WINDOW)

    async def copy(self, text: str) -> None:
        """What is printed can be copied as it is."""
        raise InputError(ONLY_IN_WINDOW)

    async def open_editor(self) -> None:
        """A line is written where it is read."""
        raise InputError(ONLY_IN_WINDOW)

    def suspend(self) -> None:
        """The terminal's own Ctrl+Z does it."""
        raise InputError(ONLY_IN_WINDOW)

    def leave(self) -> None:
        """After this line."""
        self._left = True

    def show_help(self) -> None:
        """The commands."""
        self._print("\n".join(f"{command}: {command.help}" for command in COMMANDS if not command.in_window))

    def show_theme(self, name: str) -> None:
        """There are no colours."""
        raise InputError(ONLY_IN_WINDOW)

    async def choose_conversation(self, history: History, words: str) -> ChosenConversation | None:
        """A list; `/open NUMBER` opens one."""
        if words:
            lines = [f"{hit.conversation}: {' '.join(hit.excerpt.split())}" for hit in history.search(words)]
        else:
            lines = [f"{info.id}: {info.title}, {counted(info.turns, 'turn')}" for info in history.conversations()]
        self._print("\n".join([*lines, "/open NUMBER opens one."] if lines else ["Nothing found."]))
        return None

    async def show_routing(self, routing: TurnRouting) -> RoutingAction | None:
        """A line for each adapter; /pin, /veto, /mix and /retry do what the window's keys do."""
        turn = routing.turn
        for route in (turn.route.parts or (turn.route,)) if turn.route else ():
            if turn.route and turn.route.parts:
                self._print(f"{PROMPT}{route.text}")
            probabilities, weights = routing.probabilities(route), route.mix.as_dict()
            shares = {**weights, **probabilities}
            for name in sorted(shares, key=lambda name: -shares[name]):
                said = [f"probability {probabilities[name]:.3f}"] if name in probabilities else []
                said += [f"weight {weights[name]:.2f}"] if name in weights else []
                self._print(f"{name}: {', '.join([*said, *routing.marks(name, route)])}")
        self._print("/pin, /veto ADAPTER, /retry MIX and /mix MIX change it.")
        return None

    async def show_adapters(self, adapters: tuple[AdapterInfo, ...], read_only_reason: str) -> AdapterAction | None:
        """A line for each, and what changes them."""
        for adapter in adapters:
            off = "" if adapter.enabled else ", off"
            self._print(f"{adapter.name}{off}{': ' if adapter.description else ''}{adapter.description}")
        self._print(
            read_only_reason or "/adapters add FILE NAME [EXAMPLES], enable, disable and remove NAME change them."
        )
        return None

    async def mend(self, lessons: Sequence[Lesson], adapters: Sequence[str]) -> Sequence[Lesson] | None:
        """A line for each; an empty one leaves an answer as it was, and the end of the input all of them."""
        written = []
        for lesson in lessons:
            self._print(f"{lesson.messages[-1].content}\nThe answer was: {lesson.wrong}")
            try:
                right = read_line("It should have been: ")
                ask = f"The adapter that is to learn it ({', '.join(adapters)} or a new one): "
                adapter = lesson.adapter or (read_line(ask).strip() if right else "")
            except (EOFError, KeyboardInterrupt):
                return None
            written.append(replace(lesson, right=right or lesson.wrong, adapter=adapter))
        return written

    async def compare(self, left: Turn, right: Turn) -> int | None:
        """Only reached from the window's routing screen."""
        raise InputError(ONLY_IN_WINDOW)

    async def show_options(self, values: ValuesInForce) -> ChatOptions | None:
        """What holds, and the commands that set it."""
        self._print("\n".join(values.lines()))
        self._print("/system, /temp, /mix, /veto, /split and /save change it.")
        return None
