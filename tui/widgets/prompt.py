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
        Binding("enter", "send", "Send", id="send"),
        Binding("shift+enter,ctrl+j", "newline", "New line", id="newline"),
        Binding("tab", "complete", "Complete a command, its argument or a file", id="complete"),
        Binding("up", "recall", "In an empty prompt: the last message", id="recall"),
        Binding("ctrl+c,super+c", "copy", "Copy what is selected, stop the answer, or quit"),
    ]

    class Sent(Message):
        """The user sent `text`; the prompt is empty again."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Completed(Message):
        """The user wants what is written to be completed."""

    class Recalled(Message):
        """The user wants the last message back."""

        def __init__(self, prompt: Prompt) -> None:
            super().__init__()
            self.prompt = prompt

    def __init__(self) -> None:
        super().__init__(placeholder="Write a message", highlight_cursor_line=False, tab_behavior="focus")
        self.can_send = True
        self.border_subtitle = "Enter sends · Ctrl+J new line · Esc stops · F1 help"

    def action_send(self) -> None:
        """Blank messages are not sent; where none can be, what is written stays."""
        text = self.text.strip()
        if text and self.can_send:
            self.clear()
            self.post_message(self.Sent(text))
        elif text:
            self.app.bell()

    def action_newline(self) -> None:
        """A newline where the cursor is."""
        self.insert("\n")

    def action_complete(self) -> None:
        """Tab."""
        self.post_message(self.Completed())

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

    async def _on_key(self, event: events.Key) -> None:
        """Enter and its like take their place among the letters.

        Textual runs bindings from the app's queue, letters from the widget's own: with fast typing, or over a slow
        connection that delivers keys in bursts, Enter would overtake the letters before it.
        """
        actions = {"send": self.action_send, "newline": self.action_newline, "complete": self.action_complete}
        bound = self.screen.active_bindings.get(event.key)
        if bound and bound.node is self and (action := actions.get(bound.binding.action)):
            event.stop()
            event.prevent_default()
            action()

    async def _on_paste(self, event: events.Paste) -> None:
        """Control characters of a paste are left out: no key could have written them, and a terminal obeys them."""
        clean = events.Paste(_CONTROLS.sub("", event.text.replace("\r\n", "\n").replace("\r", "\n")))
        event.prevent_default()
        await super()._on_paste(clean)
