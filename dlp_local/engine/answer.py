"""From the tokens of a reply to its texts: reasoning apart from the answer, whole characters, up to a stop."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from dlp_local.core.events import AnswerWasReasoning, ReasoningDelta, TextDelta
from dlp_local.engine import reasoning
from dlp_local.engine.answer_stops import AnswerStops
from dlp_local.engine.prompt import Prompt, PromptBuilder, Vocabulary
from dlp_local.engine.text import held_back

LONGEST_TAG = 32
"""Characters that may be held back at the start of a reply, for they may be a tag."""

_QUOTES = ("`", '"', "'", "“", "‘", "«")

State = Literal["start", "reasoning", "header", "answer"]
"""Before the first character; within reasoning; within the header of a harmony message; within the answer."""

Delta = TextDelta | ReasoningDelta | AnswerWasReasoning


class AnswerReader:
    """Reads one reply. `stops`: texts that end the answer; names of control tokens in them match the tokens. `shown`:
    control tokens whose names are text here.

    Reasoning begins where the prompt or the model opens it: by tags, which are tokens with a name or plain text at the
    start of the reply, or by a channel other than `final`. Where a tag comes that only ends reasoning, what came before
    it was reasoning all along.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        prompts: PromptBuilder,
        prompt: Prompt,
        stops: Sequence[str],
        shown: Collection[int] = (),
    ) -> None:
        self._vocabulary, self._tags = vocabulary, prompts.tags
        self._stops = AnswerStops(stops, vocabulary, prompts)
        self._end_tokens = prompts.end_tokens | self._stops.tokens
        self._shown = frozenset(shown)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._trims = prompts.pads_answers and bool(prompt.opening)
        if self._trims:
            self._stops.skip_space()
        self._held = self._header = self._said = self._last_mark = ""
        self._skips_space = False
        self._may_be_reasoning = bool(prompt.opening)
        self._has_channels = reasoning.CHANNEL in prompt.opening
        self._closing: tuple[str, ...] = ()
        self._state: State = "start" if prompt.opening else "answer"
        if (closing := self._tags.opened_by(prompt.opening)) is not None:
            self._begin_reasoning(closing)

    @property
    def stopped(self) -> bool:
        """Whether a stop text has come; nothing passes after it."""
        return self._stops.hit

    @property
    def is_reasoning(self) -> bool:
        """Whether what comes next is reasoning, or the header of a channel."""
        return self._state in ("reasoning", "header")

    def opens_reasoning(self, token: int) -> bool:
        """Whether a token begins reasoning, or a channel, at the start of the reply."""
        name = "" if self._vocabulary.kind(token) == "normal" else self._vocabulary.name(token).strip()
        is_opening = bool(self._tags.closing_tags(name)) or name in (reasoning.CHANNEL, reasoning.START)
        return bool(name) and is_opening and (self._state == "start" or self._has_channels)

    def is_end(self, token: int) -> bool:
        """Whether the answer ends before this token; one that ends a channel of reasoning does not end it."""
        if not (self._vocabulary.is_end(token) or token in self._end_tokens):
            return False
        self._last_mark = self._stops.mark(token)
        return not (self._has_channels and self._state != "answer" and self._vocabulary.name(token) == reasoning.END)

    def feed(self, token: int) -> Iterator[Delta]:
        """The texts that come with the next token."""
        name = "" if self._vocabulary.kind(token) == "normal" else self._vocabulary.name(token).strip()
        if name and self._may_be_reasoning and self._tags.is_closing(name):
            self._decoder.reset()
            yield from self._take_back()
        elif token in self._shown:
            yield from self._read(name)
        elif name and self._is_structure(name):
            self._decoder.reset()
        else:
            yield from self._read(self._decoder.decode(self._vocabulary.piece(token)) + self._stops.mark(token))

    def feed_text(self, text: str) -> Iterator[Delta]:
        """The texts that come with a piece of the reply of which no token is known."""
        yield from self._read(text)

    def rest(self) -> Iterator[Delta]:
        """What was held back when the reply ended; a character that was cut off is left out."""
        held, self._held = self._held, ""
        if self._state == "reasoning":
            if held:
                yield ReasoningDelta(held)
            return
        rest = self._stops.feed(held + self._last_mark) + self._stops.rest()
        if rest := rest.rstrip() if self._trims else rest:
            yield TextDelta(rest)

    def _is_structure(self, name: str) -> bool:
        """Takes note of a token whose name is a tag or a mark of a channel; False for any other."""
        if self._state != "reasoning" and (closing := self._tags.closing_tags(name)):
            self._begin_reasoning(closing)
        elif name in self._closing:
            self._begin_answer()
        elif name in (reasoning.CHANNEL, reasoning.START) or (name == reasoning.END and self._has_channels):
            self._state, self._header, self._has_channels = "header", "", True
        elif name == reasoning.MESSAGE and self._state == "header":
            channel = self._header.split()[:1]
            self._begin_answer() if channel in ([], [reasoning.FINAL], ["assistant"]) else self._begin_reasoning(())
        else:
            return self._tags.is_closing(name)
        return True

    def _begin_reasoning(self, closing: tuple[str, ...]) -> None:
        self._state, self._closing, self._held, self._skips_space = "reasoning", closing, "", True
        self._may_be_reasoning = False

    def _begin_answer(self) -> None:
        self._state, self._closing, self._held = "answer", (), ""
        self._may_be_reasoning = False
        self._stops.skip_space()

    def _take_back(self) -> Iterator[Delta]:
        """Ends the reasoning that was taken for an answer."""
        yield from self._pass(self._held)
        if rest := self._stops.rest():
            yield TextDelta(rest)
        if self._said:
            yield AnswerWasReasoning()
        self._begin_answer()

    def _read(self, text: str) -> Iterator[Delta]:
        match self._state:
            case "start":
                yield from self._read_start(text)
            case "reasoning":
                yield from self._read_reasoning(text)
            case "header":
                self._header += text
            case "answer":
                yield from self._answer(text)

    def _read_start(self, text: str) -> Iterator[Delta]:
        self._held += text
        shown = self._held.lstrip()
        tag = reasoning.TAG.match(shown)
        if tag and (closing := self._tags.closing_tags(tag[0])):
            self._begin_reasoning(closing)
            yield from self._read_reasoning(shown[tag.end() :])
        elif shown and (tag or shown[0] not in "<[◁" or len(shown) > LONGEST_TAG or any(map(str.isspace, shown))):
            held, self._held, self._state = self._held, "", "answer"
            yield from self._answer(held)

    def _read_reasoning(self, text: str) -> Iterator[Delta]:
        self._held += text
        if self._skips_space:
            self._held = self._held.lstrip()
            self._skips_space = not self._held
        ends = [(at, tag) for tag in self._closing if (at := self._held.find(tag)) >= 0]
        if ends:
            at, tag = min(ends)
            shown, answer = self._held[:at], self._held[at + len(tag) :]
            self._begin_answer()
            if shown:
                yield ReasoningDelta(shown)
            yield from self._answer(answer)
            return
        cut = len(self._held) - held_back(self._held, self._closing)
        shown, self._held = self._held[:cut], self._held[cut:]
        if shown:
            yield ReasoningDelta(shown)

    def _answer(self, text: str) -> Iterator[Delta]:
        if not self._may_be_reasoning:
            yield from self._pass(text)
            return
        self._held += text
        for tag in reasoning.TAG.finditer(self._held):
            if self._tags.is_closing(tag[0]) and self._is_lone(tag):
                after, self._held = self._held[tag.end() :], self._held[: tag.start()]
                yield from self._take_back()
                yield from self._answer(after)
                return
        begun = reasoning.BEGUN_TAG.search(self._held)
        cut = begun.start() if begun else len(self._held)
        passed, self._held = self._held[:cut], self._held[cut:]
        yield from self._pass(passed)

    def _is_lone(self, tag: re.Match[str]) -> bool:
        """Whether a closing tag has no opening one before it, and is not quoted or mentioned in a sentence."""
        before = self._said + self._held[: tag.start()]
        line = before[before.rfind("\n") + 1 :]
        is_mentioned = before.endswith(_QUOTES) or (line.strip() and line[-1].isspace()) or before.count("```") % 2
        return not (is_mentioned or self._tags.is_opened(tag[0], before))

    def _pass(self, text: str) -> Iterator[Delta]:
        if self._may_be_reasoning:
            self._said += text
        if shown := self._stops.feed(text):
            yield TextDelta(shown)
