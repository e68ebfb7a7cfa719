"""From the tokens of a reply to its texts: reasoning apart from the answer, whole characters, up to a stop."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import Literal

from dlp_local.core.events import ReasoningDelta, TextDelta
from dlp_local.engine import reasoning
from dlp_local.engine.prompt import Prompt, PromptBuilder, Vocabulary
from dlp_local.engine.text import StopStrings, held_back

LONGEST_TAG = 32
"""Characters that may be held back at the start of a reply, for they may be a tag."""

State = Literal["start", "reasoning", "header", "answer"]
"""Before the first character; within reasoning; within the header of a harmony message; within the answer."""

Delta = TextDelta | ReasoningDelta


class AnswerReader:
    """Reads one reply. `stops`: texts that end the answer, by id where one is a control token.

    Reasoning begins where the prompt or the model opens it: by tags, which are tokens with a name or plain text at the
    start of the reply, or by a channel other than `final`.
    """

    def __init__(self, vocabulary: Vocabulary, prompts: PromptBuilder, prompt: Prompt, stops: Sequence[str]) -> None:
        self._vocabulary = vocabulary
        self._end_tokens = prompts.end_tokens | {token for stop in stops if (token := self._control(stop)) is not None}
        self._stops = StopStrings((*stops, *prompts.end_texts))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._trims = prompts.pads_answers and bool(prompt.opening)
        self._skips_space = self._trims
        self._held = self._header = ""
        self._has_channels = reasoning.CHANNEL in prompt.opening
        self._closing: tuple[str, ...] = ()
        self._state: State = "start" if prompt.opening else "answer"
        if (closing := reasoning.opened_by(prompt.opening)) is not None:
            self._begin_reasoning(closing)

    @property
    def stopped(self) -> bool:
        """Whether a stop text has come; nothing passes after it."""
        return self._stops.hit

    def _control(self, text: str) -> int | None:
        """The control token that a text names."""
        tokens = self._vocabulary.tokenize(text, special=True)
        return tokens[0] if len(tokens) == 1 and self._vocabulary.kind(tokens[0]) == "control" else None

    def is_end(self, token: int) -> bool:
        """Whether the answer ends before this token; one that ends a channel of reasoning does not end it."""
        if not (self._vocabulary.is_end(token) or token in self._end_tokens):
            return False
        return not (self._has_channels and self._state != "answer" and self._vocabulary.name(token) == reasoning.END)

    def feed(self, token: int) -> Iterator[Delta]:
        """The texts that come with the next token."""
        if self._vocabulary.kind(token) != "normal" and self._is_structure(self._vocabulary.name(token).strip()):
            self._decoder.reset()
            return
        yield from self._read(self._decoder.decode(self._vocabulary.piece(token)))

    def rest(self) -> Iterator[Delta]:
        """What was held back when the reply ended; a character that was cut off is left out."""
        held, self._held = self._held, ""
        if self._state == "reasoning" and held:
            yield ReasoningDelta(held)
        if self._state == "start":
            yield from self._answer(held)
        rest = self._stops.rest()
        if rest := rest.rstrip() if self._trims else rest:
            yield TextDelta(rest)

    def _is_structure(self, name: str) -> bool:
        """Takes note of a token whose name is a tag or a mark of a channel; False for any other."""
        if self._state != "reasoning" and (closing := reasoning.closing_tags(name)):
            self._begin_reasoning(closing)
        elif name in self._closing:
            self._begin_answer()
        elif name in (reasoning.CHANNEL, reasoning.START) or (name == reasoning.END and self._has_channels):
            self._state, self._header, self._has_channels = "header", "", True
        elif name == reasoning.MESSAGE and self._state == "header":
            channel = self._header.split()[:1]
            self._begin_answer() if channel in ([], [reasoning.FINAL], ["assistant"]) else self._begin_reasoning(())
        else:
            return reasoning.is_closing_tag(name)
        return True

    def _begin_reasoning(self, closing: tuple[str, ...]) -> None:
        self._state, self._closing, self._held, self._skips_space = "reasoning", closing, "", True

    def _begin_answer(self) -> None:
        self._state, self._closing, self._held, self._skips_space = "answer", (), "", True

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
        if tag and (closing := reasoning.closing_tags(tag[0])):
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
        if self._skips_space:
            text = text.lstrip()
            self._skips_space = not text
        if safe := self._stops.feed(text):
            yield TextDelta(safe)
