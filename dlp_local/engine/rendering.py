"""A conversation as its chat template writes it, and where in that text each message stands.

The rule: the text is what the template makes of the very contents, whatever it does with them, and contents are text:
none of them is read as a token of the template's. Where the template passes over a message, other shapes of the
conversation are tried; where none comes out whole, it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dlp_local.core.answer_format import Tool
from dlp_local.core.errors import EngineError, PackError
from dlp_local.core.values import Message
from dlp_local.engine.calls.rendering import TracedCalls, left_out
from dlp_local.engine.forging import NamesIn, hidden
from dlp_local.engine.reasoning import TAG, ReasoningTags
from dlp_local.engine.shapes import SHAPES, as_they_are, has_calls
from dlp_local.engine.template import OTHER_TEMPLATE, ChatTemplate
from dlp_local.engine.template_limits import TemplateLimitError
from dlp_local.engine.traced_text import OFFSET_BITS, TEMPLATE, TracedText

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a rendered text that is of one message; `read` counts its content's characters up to the part's end."""

    start: int
    end: int
    message: int
    read: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation's text; `messages` are what the numbers in the spans count.

    Numbers from that of the messages on are those of texts in tools and in calls of them.
    """

    text: str
    spans: tuple[Span, ...]
    messages: tuple[Message, ...]

    @property
    def message_spans(self) -> tuple[Span, ...]:
        """Where the messages stand."""
        return tuple(span for span in self.spans if span.message < len(self.messages))

    def spans_of(self, message: int) -> list[Span]:
        """Where a message stands."""
        return [span for span in self.spans if span.message == message]

    def until(self, end: int, rest: str) -> Rendered:
        """The conversation up to where its last message ends, and the rest of that message."""
        *spans, last = (span for span in self.spans if span.end <= end)
        whole = Span(last.start, end + len(rest), last.message, last.read + len(rest))
        return Rendered(self.text[:end] + rest, (*spans, whole), self.messages)

    def foreign(self, start: int, end: int) -> bytes:
        """1 for each character of a part of the text that is a message's, 0 for the template's."""
        mask = bytearray(end - start)
        for span in self.spans:
            first, last = max(span.start, start), min(span.end, end)
            if first < last:
                mask[first - start : last - start] = b"\x01" * (last - first)
        return bytes(mask)

    @property
    def end(self) -> int:
        """Where the last of all messages ends."""
        return max((span.end for span in self.message_spans), default=0)


class ConversationRefusedError(EngineError):
    """A chat template takes a conversation in no shape, for a `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the chat template of the backbone does not take this conversation: {reason}. Start a new conversation, "
            "leave out the system prompt, or set engine.chat_template to one that does."
        )
        self.reason = reason


class Renderer:
    """Writes conversations by one template.

    `names_in`: the names of tokens in a text that a message must not spell: those that could forge a turn.
    """

    def __init__(self, template: ChatTemplate, names_in: Callable[[str], Iterable[str]]) -> None:
        self._template, self._names_in = template, names_in
        self._tags = ReasoningTags(template.split_at)

    def render(self, messages: Sequence[Message], add_generation_prompt: bool, tools: Sequence[Tool] = ()) -> Rendered:
        """The text of a conversation, and of tools that may be called.

        Some templates refuse contents that spell their tokens; they are then given such contents with those spellings
        made unreadable. Raises `ConversationRefusedError` where the template does not take the conversation, or leaves
        out a message, in any shape, and `PackError` where it computes too much.
        """
        reason = ""
        for hides in (False, True):
            for typed, shaped in _shapes(messages, tools):
                try:
                    return self._attempt(shaped, typed, add_generation_prompt, hides, tools)
                except TemplateLimitError as error:
                    raise PackError(f"the chat template of the backbone {error}. {OTHER_TEMPLATE}") from None
                except Exception as error:  # a template is a program of the model's author and may raise anything
                    reason = reason or str(error)
        raise ConversationRefusedError(reason)

    def _attempt(
        self,
        messages: list[Message],
        typed: bool,
        add_generation_prompt: bool,
        hides: bool,
        tools: Sequence[Tool],
    ) -> Rendered:
        """One shape of a conversation; raises where it is not whole."""
        contents = [TracedText.of_message(number, message.content) for number, message in enumerate(messages)]
        mark = ""
        if hides:
            contents, mark = hidden(contents, [self._hidden_in(message) for message in messages])
        names = {call.id: call.name for message in messages for call in message.tool_calls}
        traced = TracedCalls(len(messages))
        rendering = [
            {
                "role": message.role,
                "content": [{"type": "text", "text": content}] if typed else content,
                **traced.message(message, names),
            }
            for message, content in zip(messages, contents, strict=True)
        ]
        described = traced.tools(tools)
        text = self._template.render(rendering, add_generation_prompt, described, traced.texts)
        text = text.replace(mark, "") if mark else text
        for lost in left_out(traced.texts, text):
            raise ValueError(f"it leaves out {lost[:50]!a} of a tool or a call")
        sources = np.asarray(text.sources, np.int64)
        rendered = Rendered(str.__str__(text), _spans(sources), tuple(messages))
        for number, message in enumerate(messages):
            places = [np.arange(span.start, span.end) for span in rendered.spans_of(number)]
            self._check_whole(message, np.concatenate([np.arange(0), *places]), sources)
        return rendered

    def _hidden_in(self, message: Message) -> NamesIn:
        """What a message may not spell readably: tokens' names; in what is no answer, all that the template looks for.

        So a user may write of a tag at which the template cuts reasoning off.
        """
        if message.role == "assistant":
            return self._names_in
        return lambda text: (*self._names_in(text), *(word for word in self._template.looked_for if word in text))

    def _check_whole(self, message: Message, places: Offsets, sources: Offsets) -> None:
        """Raises `ValueError` unless a message stands in the result once, but for what the template itself takes out.

        It takes out outer white space, and a text that it looks for: a switch. Of answers it may take out any part that
        has such a text or a tag of reasoning in it: reasoning up to its tag.
        """
        offsets = sources[places] & ((1 << OFFSET_BITS) - 1)
        order = np.argsort(offsets, kind="stable")
        repeats = (np.diff(offsets[order]) == 0) & (np.abs(np.diff(places[order])) > 1)
        if repeats.any():
            raise ValueError(f"it repeats a message of the {message.role}")
        is_answer = message.role == "assistant"
        edges = np.concatenate([[-1], offsets[order], [len(message.content)]])
        gaps = np.flatnonzero(np.diff(edges) > 1)
        missing = [(int(edges[gap]) + 1, int(edges[gap + 1])) for gap in gaps]
        if not all(self._may_take_out(message.content, start, end, is_answer) for start, end in missing):
            raise ValueError(f"it leaves out a message of the {message.role}")

    def _may_take_out(self, content: str, start: int, end: int, is_answer: bool) -> bool:
        """Whether a part of a message is nothing, or a switch; of an answer, whether it may be reasoning.

        A switch is a word of its own, and no tag: `/think`, but neither `</think>` nor what is within it.
        """
        part = content[start:end]
        if is_answer and (any(text in part for text in self._template.looked_for) or self._tags.is_in(part)):
            return True
        switches = {text for text in self._template.looked_for - self._template.split_at if not TAG.fullmatch(text)}
        words = [(start + word.start(), start + word.end()) for word in re.finditer(r"\S+", part)]
        return all(content[a:b] in switches and _is_apart(content, a, b) for a, b in words)


def _is_apart(content: str, start: int, end: int) -> bool:
    """Whether a part of a text is no part of a longer word, or of a tag."""
    before, after = content[max(start - 1, 0) : start], content[end : end + 1]
    return not (re.match(r"[\w</\[|]", before) or re.match(r"[\w>/\]|]", after))


def _shapes(messages: Sequence[Message], tools: Sequence[Tool]) -> list[tuple[bool, list[Message]]]:
    """The different shapes of a conversation, each with whether its contents are typed; one of calls has but one."""
    shapes: list[tuple[bool, list[Message]]] = []
    for typed in (False, True):
        for shape in (as_they_are,) if tools or has_calls(messages) else SHAPES:
            if (shaped := (typed, shape(messages))) not in shapes:
                shapes.append(shaped)
    return shapes


def _spans(sources: Offsets) -> tuple[Span, ...]:
    """The runs of characters that are of one message."""
    owners = np.where(sources == TEMPLATE, TEMPLATE, sources >> OFFSET_BITS)
    cuts = [0, *(np.flatnonzero(np.diff(owners)) + 1).tolist(), len(owners)]
    return tuple(
        Span(start, end, int(owners[start]), int(sources[end - 1] & ((1 << OFFSET_BITS) - 1)) + 1)
        for start, end in pairwise(cuts)
        if start < end and owners[start] != TEMPLATE
    )
