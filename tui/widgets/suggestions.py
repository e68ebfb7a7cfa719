"""How what is written can go on: a list between the conversation and the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from dlp_local.core.text import visible
from tui.completion import Suggestion

LABEL = 34
"""Cells of the longest command with its argument."""


class Suggestions(OptionList, can_focus=False):
    """Shown while there is more than one way to go on; nothing is chosen until the user steps into it."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self._suggestions: tuple[Suggestion, ...] = ()

    def show(self, suggestions: Sequence[Suggestion]) -> None:
        """Lists some ways to go on; hides where there are none."""
        if tuple(suggestions) == self._suggestions:
            return
        self._suggestions = tuple(suggestions)
        self.clear_options()
        self.add_options([Option(_line(each)) for each in self._suggestions])
        self.highlighted = None
        self.display = bool(self._suggestions)

    def step(self, by: int) -> Suggestion:
        """Goes to the next one (1) or the one before (-1), round at the ends, and gives it."""
        count = len(self._suggestions)
        at = self.highlighted if self.highlighted is not None else (-1 if by > 0 else count)
        chosen = self.highlighted = (at + by) % count
        return self._suggestions[chosen]


def _line(suggestion: Suggestion) -> Text:
    """`/retry [mix]    ask for another answer`."""
    line = Text()
    if not suggestion.help:
        return line.append(visible(suggestion.label))
    line.append(f"{visible(suggestion.label):{LABEL}} ")
    return line.append(visible(suggestion.help), "dim")
