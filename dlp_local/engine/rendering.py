"""A conversation as its chat template writes it, with marks where each message's text stands.

The template is given the real contents, so that it strips reasoning, trims and looks for switches as its author meant.
Every message must come out whole; where a template passes over one, other shapes of the conversation are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dlp_local.core.errors import EngineError
from dlp_local.core.values import Message
from dlp_local.engine.marks import Marks, spellings
from dlp_local.engine.shapes import SHAPES
from dlp_local.engine.template import ChatTemplate

AnswerMarks = Literal["all", "end", "none"]
"""How answers are marked: as messages are, at their end and where the template does not look, or not at all."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation's text with marks; `messages` are what the numbers in the marks count."""

    text: str
    marks: Marks
    messages: tuple[Message, ...]

    @property
    def plain(self) -> str:
        """The text without marks."""
        return self.marks.without(self.text)


class Renderer:
    """Writes conversations by one template.

    `names_in`: the names of tokens in a text that a message must not spell: those that could forge a turn.
    """

    def __init__(self, template: ChatTemplate, names_in: Callable[[str], Iterable[str]]) -> None:
        self._template, self._names_in = template, names_in

    def render(self, messages: Sequence[Message], add_generation_prompt: bool, *, keeps_end: bool = False) -> Rendered:
        """The text of a conversation; with `keeps_end` the white space at the end of its last message stays.

        Raises `EngineError` where the template does not take it, or leaves out a message, in any shape.
        """
        reason, tried = "", []
        for typed in (False, True):
            for shape in SHAPES:
                shaped = shape(messages)
                if (typed, shaped) in tried:
                    continue
                tried.append((typed, shaped))
                try:
                    return _Attempt(self._template, shaped, typed, add_generation_prompt, keeps_end).run(self._names_in)
                except Exception as error:  # a template is a program of the model's author and may raise anything
                    reason = reason or str(error)
        raise EngineError(
            f"the chat template of the backbone does not take this conversation: {reason}. Start a new conversation, "
            "leave out the system prompt, or set engine.chat_template to one that does."
        )


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One shape of a conversation."""

    template: ChatTemplate
    messages: list[Message]
    typed: bool
    add_generation_prompt: bool
    keeps_end: bool

    def run(self, names_in: Callable[[str], Iterable[str]]) -> Rendered:
        """The conversation with as many marks as leave the template's work as it is; raises where it is not whole."""
        marks = Marks.outside(message.content for message in self.messages)
        spelled = [spellings(message.content, names_in) for message in self.messages]
        text = self._text(marks, spelled, "all")
        self._check_whole(marks, text)
        answers = [i for i, message in enumerate(self.messages) if message.role == "assistant"]
        wanted = self._as_meant(marks, spelled) if answers else None
        if wanted is not None:
            if marks.without(text) != wanted:
                text = self._text(marks, self._unread(marks, spelled, answers, wanted), "end")
            if marks.without(text) != wanted:
                text = self._text(marks, spelled, "none")
        return Rendered(text, marks, tuple(self.messages))

    def _as_meant(self, marks: Marks, spelled: Sequence[frozenset[str]]) -> str | None:
        """The text, without marks, where answers are given as they are; None where the template takes them not so."""
        try:
            return marks.without(self._text(marks, spelled, "none"))
        except Exception:  # it refuses tokens that answers spell, and marked answers spell none
            return None

    def _text(self, marks: Marks, spelled: Sequence[frozenset[str]], answers: AnswerMarks) -> str:
        contents = []
        last = len(self.messages) - 1
        for i, message in enumerate(self.messages):
            content, how = message.content, answers if message.role == "assistant" else "all"
            if how != "none":
                content = marks.within(content, spelled[i])
                content = marks.around(i, content, both=how == "all", whole=self.keeps_end and i == last)
            contents.append(content)
        rendering = [
            {"role": message.role, "content": [{"type": "text", "text": content}] if self.typed else content}
            for message, content in zip(self.messages, contents, strict=True)
        ]
        return self.template.render(rendering, self.add_generation_prompt)

    def _unread(
        self, marks: Marks, spelled: Sequence[frozenset[str]], answers: Sequence[int], wanted: str
    ) -> list[frozenset[str]]:
        """The spellings of each message but those that the template looks for in answers."""
        read = set()
        for name in frozenset().union(*(spelled[i] for i in answers)):
            alone = [names & {name} if i in answers else names for i, names in enumerate(spelled)]
            if marks.without(self._text(marks, alone, "end")) != wanted:
                read.add(name)
        return [names - read if i in answers else names for i, names in enumerate(spelled)]

    def _check_whole(self, marks: Marks, text: str) -> None:
        """Raises `ValueError` unless every message's text stands in the result once; of answers, their end."""
        starts, ends = marks.numbers(text)
        for i, message in enumerate(self.messages):
            if not message.content.strip():
                continue
            counts = (ends.count(i),) if message.role == "assistant" else (starts.count(i), ends.count(i))
            if set(counts) != {1}:
                what = "leaves out" if 0 in counts else "repeats"
                raise ValueError(f"it {what} a message of the {message.role}")
