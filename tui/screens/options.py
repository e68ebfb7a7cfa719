"""What a conversation sets for itself, in a form that checks it; kept as a persona where it is given a name."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.fields import help_text, item_type
from dlp_local.core.text import visible
from dlp_local.core.values import Mix

FIRST = ("persona", "system")
FIELDS = {name: ChatOptions.model_fields[name] for name in dict.fromkeys((*FIRST, *ChatOptions.model_fields))}
"""Every option, in the order of the form."""


class OptionsScreen(ModalScreen[ChatOptions | None]):
    """One line for each option; an empty one leaves it to the settings."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Close without a change"),
        Binding("ctrl+s", "save", "Save", priority=True),
    ]

    def __init__(self, options: ChatOptions) -> None:
        super().__init__()
        self._options = options

    def compose(self) -> ComposeResult:
        """Labels and lines."""
        with VerticalScroll(id="options") as panel:
            panel.border_title = "This conversation"
            panel.border_subtitle = "Enter or Ctrl+S saves · Esc leaves it as it was"
            for name, field in FIELDS.items():
                with Horizontal():
                    yield Label(field.title or name)
                    yield Input(shown(self._options, name), help_text(field).rstrip("."), id=name)
            yield Static("", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Nothing is wrong yet."""
        self.query_one(".problem").display = False
        self.query_one(Input).focus()

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


def shown(options: ChatOptions, name: str) -> str:
    """An option as it stands in its line."""
    value = getattr(options, name)
    if name == "pinned":
        return "" if value is None else ",".join(f"{key}={weight:g}" for key, weight in value.items()) or "base"
    if name == "vetoed":
        return ", ".join(value)
    if isinstance(value, tuple):
        return ", ".join(json.dumps(item, ensure_ascii=False) for item in value)
    return "" if value is None else str(value)


def parse(lines: dict[str, str]) -> ChatOptions:
    """Options from the lines of the form; raises `InputError` that names every line that cannot be used."""
    values: dict[str, Any] = {name: line.strip() for name, line in lines.items() if line.strip()}
    for name, line in values.items():
        if name == "pinned":
            values[name] = dict(Mix.parse(line).weights)
        elif name == "vetoed":
            values[name] = tuple(part.strip() for part in line.split(",") if part.strip())
        elif item_type(FIELDS[name]):
            values[name] = _texts(line)
    return ChatOptions.checked(values)


def _texts(line: str) -> tuple[Any, ...]:
    """Texts in quotation marks with commas between them, as JSON writes them, or one alone without the marks."""
    try:
        return tuple(json.loads(f"[{line}]"))
    except (ValueError, RecursionError):
        return (line,)
