"""What an answer should have been, written in its place, and the adapter that is to learn it; F8.

Of a turn that was answered in parts each part's answer can be mended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static, TextArea

from dlp_local.core.errors import InputError
from dlp_local.core.text import visible
from dlp_local.core.user_message import UserMessage
from dlp_local.core.values import Lesson
from tui.lessons import mended
from tui.widgets.keys import LineInput, TextInput

KEYS = "Ctrl+S keeps the lesson · Tab goes on · Esc leaves the answer as it is"


class TeachScreen(ModalScreen[tuple[Lesson, ...] | None]):
    """The message, its answer to be mended, and the adapter's name, for each part; gives back what was mended."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Close without a lesson"),
        Binding("ctrl+s", "save", "Keep the lesson"),
    ]

    def __init__(self, lessons: Sequence[Lesson], adapters: Sequence[str]) -> None:
        super().__init__()
        self._lessons, self._adapters = tuple(lessons), tuple(adapters)

    def compose(self) -> ComposeResult:
        """A text and a line for each answer."""
        with VerticalScroll(id="teach") as panel:
            panel.border_title = "What the answer should have been"
            panel.border_subtitle = KEYS
            for number, lesson in enumerate(self._lessons):
                request = UserMessage.parse(lesson.messages[-1].content, files_only=True).request
                yield Static(visible(request.strip().partition("\n")[0]), classes="said", markup=False)
                yield TextInput(lesson.right, id=f"answer-{number}", tab_behavior="focus", show_line_numbers=False)
                with Horizontal():
                    yield Label("adapter")
                    yield LineInput(
                        lesson.adapter,
                        f"one of {', '.join(self._adapters)}, or a new one" if self._adapters else "a name",
                        id=f"adapter-{number}",
                        suggester=SuggestFromList(self._adapters),
                    )
            yield Static("", classes="problem", markup=False)

    def on_mount(self) -> None:
        """The first answer is written in, at its end."""
        self.query_one(".problem").display = False
        first = self.query(TextArea).first()
        first.move_cursor(first.document.end)
        first.focus()

    def on_input_submitted(self) -> None:
        """Enter in the adapter's line."""
        self.action_save()

    def action_save(self) -> None:
        """Ctrl+S; what is no lesson is told, and stays written."""
        written = [
            replace(
                lesson,
                right=self.query_one(f"#answer-{number}", TextArea).text,
                adapter=self.query_one(f"#adapter-{number}", Input).value.strip(),
            )
            for number, lesson in enumerate(self._lessons)
        ]
        try:
            self.dismiss(mended(written))
        except InputError as error:
            problem = self.query_one(".problem", Static)
            problem.update(visible(str(error)))
            problem.display = True
            problem.call_after_refresh(problem.scroll_visible)
