"""Where a message is made: the prompt, how it can go on, and what was sent before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

from dlp_local.core.text import visible
from tui.attachments import sizes
from tui.chat_commands import Chat, matching, parse
from tui.chat_commands.completion import complete
from tui.completion import Completion, Suggestion
from tui.prompt_history import PromptHistory
from tui.widgets.prompt import Prompt
from tui.widgets.suggestions import Suggestions

EDITING = "Editing; Esc gives it up"
PAUSE = 0.1
"""Seconds without a key before files are looked for: a long text may name many."""


class Composer(Vertical):
    """The prompt with its list of suggestions and the line on its frame that says what a command or a file would be."""

    class Sent(Message):
        """The user sent `text`."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Changed(Message):
        """What is written, `text`, has changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, chat: Chat) -> None:
        super().__init__()
        self._chat = chat
        self._sent = PromptHistory(chat.session.history)
        self._completed = Completion("")
        self.editing: int | None = None
        """The turn whose message is written anew."""

    def compose(self) -> ComposeResult:
        """The list stands above the prompt and moves nothing below it."""
        yield Suggestions()
        yield Prompt()

    @property
    def text(self) -> str:
        """What is written."""
        return self.query_one(Prompt).text

    def after_keys(self, do: Callable[[], object]) -> None:
        """Does something once the keys that were struck before stand in the text.

        Bindings run from the app's queue, letters from the prompt's own, which may still hold some.
        """
        self.query_one(Prompt).call_later(do)

    def fill(self, text: str) -> None:
        """Replaces what is written."""
        self.query_one(Prompt).fill(text)

    def edit(self, turn: int, text: str) -> None:
        """Lets the user write a turn's message anew."""
        self.editing = turn
        self.fill(text)

    def give_up(self) -> bool:
        """Esc: closes the list, or gives an edit up; False where there was nothing to give up."""
        suggestions = self.query_one(Suggestions)
        if suggestions.display:
            self._suggest(())
        elif self.editing is not None:
            self.end_edit()
            self.fill("")
        else:
            return False
        return True

    def end_edit(self) -> None:
        """What is written is a new message again."""
        self.editing = None
        self.query_one(Prompt).border_title = ""

    def allow_sending(self, allowed: bool) -> None:
        """Where no pack is loaded, messages stay written; commands go."""
        self.query_one(Prompt).may_send = lambda text: allowed or parse(text) is not None

    @on(Prompt.Sent)
    def _on_sent(self, message: Prompt.Sent) -> None:
        message.stop()
        self._sent.add(message.text)
        self.post_message(self.Sent(message.text))

    @on(TextArea.Changed)
    def _on_changed(self, message: TextArea.Changed) -> None:
        message.stop()
        text = self.text
        self._suggest(self._suggestions(text))
        self._describe(text)
        self.post_message(self.Changed(text))

    def _suggest(self, suggestions: Sequence[Suggestion]) -> None:
        self.query_one(Suggestions).show(suggestions)
        self.query_one(Prompt).suggestion = ""

    def _suggestions(self, text: str) -> Sequence[Suggestion]:
        """The commands that begin so, or what Tab found to follow."""
        if text == self._completed.text and len(self._completed.suggestions) > 1:
            return self._completed.suggestions
        commands = matching(text) if len(text) > 1 or text == "/" else []
        if len(commands) < 2:
            return ()
        return [Suggestion(f"/{each.name}{' ' if each.argument else ''}", str(each), each.help) for each in commands]

    @work(group="describe", exclusive=True)
    async def _describe(self, text: str) -> None:
        """Says on the prompt's frame what a command does, and how large a file is."""
        commands = matching(text)
        if len(commands) == 1:
            line = f"{commands[0]}: {commands[0].help}"
        elif not commands and (parsed := parse(text)):
            line = f"{parsed[0]}: {parsed[0].help}"
        else:
            files = ""
            if "@" in text:
                await asyncio.sleep(PAUSE)  # another key ends this worker
                files = await asyncio.to_thread(sizes, text)
            line = files or (EDITING if self.editing is not None else "")
        self.query_one(Prompt).border_title = Content(visible(line))

    @on(Prompt.Completed)
    def _on_completed(self) -> None:
        """Tab, with the cursor at the end."""
        prompt = self.query_one(Prompt)
        if prompt.cursor_location == prompt.document.end:
            self._complete(prompt.text)

    @work(group="complete", exclusive=True)
    async def _complete(self, text: str) -> None:
        completed = await asyncio.to_thread(complete, text, self._chat)
        if text == self.text:  # nothing was written meanwhile
            self._completed = completed
            self.fill(completed.text)
            self._suggest(self._suggestions(completed.text))

    @on(Prompt.Stepped)
    def _on_stepped(self, message: Prompt.Stepped) -> None:
        """Up and Down: in the list, else through what was sent before."""
        suggestions = self.query_one(Suggestions)
        if suggestions.display:
            self.query_one(Prompt).suggestion = suggestions.step(message.by).text
        else:
            self._recall(message.by, self.text)

    @work(group="recall", exclusive=True)
    async def _recall(self, by: int, written: str) -> None:
        recalled = await asyncio.to_thread(self._sent.step, by, written)
        if recalled is not None and written == self.text:
            self.fill(recalled)
