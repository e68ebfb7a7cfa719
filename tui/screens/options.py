"""What a conversation sets for itself, in a form that checks it; kept as a persona where it is given a name."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.text import visible
from dlp_local.core.values import Mix

FIELDS = {
    "persona": ("Persona", "a name keeps all this for other conversations"),
    "system": ("System prompt", ""),
    "temperature": ("Temperature", "0 to 5; 0 always takes the most probable token"),
    "top_p": ("Top-p", "over 0, to 1"),
    "min_p": ("Min-p", "0 to 1"),
    "repeat_penalty": ("Repeat penalty", "0.1 to 10; over 1 repeats less"),
    "seed": ("Seed", "the same seed, the same answer"),
    "max_tokens": ("Longest answer", "tokens"),
    "scope": ("Scope", "turn or context"),
    "pinned": ("Pinned mix", "sql=0.7,shell=0.3 or base"),
    "vetoed": ("Vetoed adapters", "sql, shell"),
}
"""Label and hint of each option."""


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
            for name, (label, hint) in FIELDS.items():
                with Horizontal():
                    yield Label(label)
                    yield Input(shown(self._options, name), hint, id=name)
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
            told = self.query_one(".problem", Static)
            told.update(visible(str(error)))
            told.display = True


def shown(options: ChatOptions, name: str) -> str:
    """An option as it stands in its line."""
    value = getattr(options, name)
    if name == "pinned":
        return "" if value is None else ",".join(f"{key}={weight:g}" for key, weight in value.items()) or "base"
    if name == "vetoed":
        return ", ".join(value)
    return "" if value is None else str(value)


def parse(lines: dict[str, str]) -> ChatOptions:
    """Options from the lines of the form; raises `InputError` that names every line that cannot be used."""
    given: dict[str, Any] = {name: line.strip() for name, line in lines.items() if line.strip()}
    if "pinned" in given:
        given["pinned"] = dict(Mix.parse(given["pinned"]).weights)
    if "vetoed" in given:
        given["vetoed"] = tuple(part.strip() for part in given["vetoed"].split(",") if part.strip())
    return ChatOptions.checked(given)
