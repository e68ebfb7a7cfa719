"""The values under which the next message is answered, in a form that sets them for the conversation; F7.

It checks what is written, and keeps it as a persona where it is given a name.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.fields import help_text
from dlp_local.core.text import visible
from tui.option_lines import FIELDS, ValuesInForce, parse, written
from tui.widgets.keys import LineInput


class OptionsScreen(ModalScreen[ChatOptions | None]):
    """One line for each option: what is set here, or dimly what holds, and where it comes from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Close without a change"),
        Binding("ctrl+s", "save", "Save"),
    ]

    def __init__(self, values: ValuesInForce) -> None:
        super().__init__()
        self._values = values

    def compose(self) -> ComposeResult:
        """Labels, lines and sources; below, what the option of the cursor's line is for."""
        with VerticalScroll(id="options") as panel:
            panel.border_title = "This conversation: what the next message is answered under"
            panel.border_subtitle = "Enter or Ctrl+S saves · Esc leaves it as it was"
            for name, field in FIELDS.items():
                with Horizontal():
                    yield Label(field.title or name)
                    yield LineInput(written(self._values.options, name), visible(self._values.default(name)), id=name)
                    yield Static(id=f"source-{name}", classes="muted", markup=False)
            yield Static("", classes="muted", id="what-for", markup=False)
            yield Static("", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Nothing is wrong yet."""
        self.query_one(".problem").display = False
        for name in FIELDS:
            self._show_source(name, written(self._values.options, name))
        self.query_one(Input).focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Says what the option is for."""
        if field := FIELDS.get(event.widget.id or ""):
            self.query_one("#what-for", Static).update(help_text(field))

    @on(Input.Changed)
    def _on_changed(self, message: Input.Changed) -> None:
        self._show_source(message.input.id or "", message.value.strip())

    def _show_source(self, name: str, line: str) -> None:
        self.query_one(f"#source-{name}", Static).update(self._values.source(name, line))

    @on(Input.Submitted)
    def _on_submitted(self) -> None:
        self.action_save()

    def action_save(self) -> None:
        """Ctrl+S: closes where everything can be used, else says what cannot."""
        try:
            self.dismiss(parse({name: self.query_one(f"#{name}", Input).value for name in FIELDS}))
        except InputError as error:
            problem = self.query_one(".problem", Static)
            problem.update(visible(str(error)))
            problem.display = True
            problem.call_after_refresh(problem.scroll_visible)
