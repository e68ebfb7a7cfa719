"""Where the user writes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from tui.widgets.keys import act_in_order, own_action, take

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

BURST = 0.02
"""Seconds between two keys that no fingers strike: they come from a paste, or from a line that was cut off."""


class Prompt(TextArea):
    """A text that grows by lines. It is never disabled: one writes the next message while the model is busy.

    A terminal that pastes without brackets sends lines as keys. An Enter within such a burst is a new line, so that a
    paste is one draft; a single line that comes with its Enter is sent.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="send"),
        Binding("shift+enter,alt+enter,ctrl+enter,ctrl+j", "newline", "New line", id="newline"),
        Binding("tab", "complete", "Complete a command, its argument or a file", id="complete"),
        Binding("up", "before", "In the first line: what was sent before", id="recall"),
        Binding("down", "after", "In the last line: what was sent after that", id="recall-after", show=False),
        Binding("ctrl+x", "cut", "Cut what is selected; Ctrl+X Ctrl+E: write in $EDITOR", id="editor"),
        Binding("ctrl+c,super+c", "copy", "Copy what is selected, stop the answer, or quit"),
    ]

    class Sent(Message):
        """The user sent `text`; the prompt is empty again."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Completed(Message):
        """The user wants what is written to be completed."""

    class Stepped(Message):
        """Up (-1) or Down (1) where the cursor has nowhere to go: through a list, or what was sent before."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class EditorWanted(Message):
        """The user wants to write in an editor of their own."""

    def __init__(self) -> None:
        super().__init__(placeholder="Write a message", highlight_cursor_line=False, tab_behavior="focus")
        self.may_send: Callable[[str], bool] = lambda _: True
        """Whether a text goes, or stays written."""

        self.suggestion = ""
        """What Enter and Tab take in place of what is written."""

        self.border_subtitle = "Enter sends · Ctrl+J new line · Esc stops · F1 help"
        self._last_key = 0.0
        self._lines_in_burst = 0
        self._held_send: asyncio.TimerHandle | None = None
        self._chord_begun = False

    def action_send(self) -> None:
        """Sends, or takes the suggestion. Blank messages are not sent; what may not be sent stays written."""
        text = self.text.rstrip()
        if self.suggestion:
            self.fill(self.suggestion)
        elif text.strip() and self.may_send(text):
            self.clear()
            self.post_message(self.Sent(text))
        elif text.strip():
            self.app.bell()

    def action_newline(self) -> None:
        """A newline where the cursor is."""
        self.insert("\n")

    def action_complete(self) -> None:
        """Takes the suggestion, or asks for more of them."""
        if self.suggestion:
            self.fill(self.suggestion)
        else:
            self.post_message(self.Completed())

    def action_before(self) -> None:
        """Up moves the cursor, but in the first line, where it has nowhere to go."""
        if self.cursor_at_first_line:
            self.post_message(self.Stepped(-1))
        else:
            self.action_cursor_up()

    def action_after(self) -> None:
        """Goes to what was sent after this, from the last line; else a line down."""
        if self.cursor_at_last_line:
            self.post_message(self.Stepped(1))
        else:
            self.action_cursor_down()

    def fill(self, text: str) -> None:
        """Replaces what is written; the cursor goes to the end."""
        self._last_key = 0.0  # what is struck next has nothing to do with what came before
        self.text = text
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        """Every key takes its place among the letters; Enter and Tab mean something else in a burst."""
        in_burst = event.time - self._last_key < BURST
        self._last_key = event.time
        self._lines_in_burst = self._lines_in_burst if in_burst else 0
        self._release(newline=in_burst)
        chord, self._chord_begun = self._chord_begun, False
        if chord and event.key == "ctrl+e":
            take(event)
            self.post_message(self.EditorWanted())
        elif event.key == "ctrl+x" and not self.selected_text:
            take(event)
            self._chord_begun = True
        elif in_burst and not event.is_printable and (action := own_action(self, event.key)) in ("send", "complete"):
            take(event)
            if action == "send":
                self._hold()
            else:
                self.insert("\t")
        else:
            await act_in_order(self, event)

    def _hold(self) -> None:
        """An Enter in a burst: it sends, unless more of the burst comes after it, or came in lines before it."""
        if self._lines_in_burst:
            self.insert("\n")
        else:
            # Not by `set_timer`: on a busy machine textual leaves out a call that is late when its timer starts.
            release = partial(self._release, newline=False)
            self._held_send = asyncio.get_running_loop().call_later(2 * BURST, self.call_next, release)
        self._lines_in_burst += 1

    def _release(self, *, newline: bool) -> None:
        if self._held_send:
            self._held_send.cancel()
            self._held_send = None
            if newline:
                self.insert("\n")
            else:
                self.action_send()

    async def _on_paste(self, event: events.Paste) -> None:
        """Control characters of a paste are left out: no key could have written them, and a terminal obeys them."""
        clean = events.Paste(_CONTROLS.sub("", event.text.replace("\r\n", "\n").replace("\r", "\n")))
        event.prevent_default()
        await super()._on_paste(clean)
