"""Where the user writes."""

from __future__ import annotations

import re
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Prompt(TextArea):
    """A text that grows by lines. It is never disabled: one writes the next message while the model is busy."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", priority=True),
        Binding("shift+enter,ctrl+j", "newline", "New line", priority=True),
        Binding("up", "recall", "In an empty prompt: the last message"),
        Binding("ctrl+c,super+c", "copy", "Copy the selection; else stop the answer; when idle, quit"),
    ]

    class Sent(Message):
        """The user wants `text` sent; the prompt keeps it until it is told to clear."""

        def __init__(self, prompt: Prompt, text: str) -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text

    class Recalled(Message):
        """The user wants the last message back."""

        def __init__(self, prompt: Prompt) -> None:
            super().__init__()
            self.prompt = prompt

    def __init__(self) -> None:
        super().__init__(placeholder="Write a message", highlight_cursor_line=False, tab_behavior="focus")
        self.border_subtitle = "Enter sends · Ctrl+J new line · Esc stops · F1 help"

    def action_send(self) -> None:
        """Blank messages are not sent."""
        if text := self.text.strip():
            self.post_message(self.Sent(self, text))

    def action_newline(self) -> None:
        """A newline where the cursor is."""
        self.insert("\n")

    def action_recall(self) -> None:
        """Up moves the cursor, but in an empty prompt, where it has nowhere to go."""
        if self.text:
            self.action_cursor_up()
        else:
            self.post_message(self.Recalled(self))

    def fill(self, text: str) -> None:
        """Replaces what is written; the cursor goes to the end."""
        self.text = text
        self.move_cursor(self.document.end)

    async def _on_paste(self, event: events.Paste) -> None:
        """Control characters of a paste are left out: no key could have written them, and a terminal obeys them."""
        clean = events.Paste(_CONTROLS.sub("", event.text.replace("\r\n", "\n").replace("\r", "\n")))
        event.prevent_default()
        await super()._on_paste(clean)
