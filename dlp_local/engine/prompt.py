"""Messages → tokens, through the backbone's chat template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal, Protocol

from dlp_local.core.answer_format import Tool
from dlp_local.core.errors import EngineError
from dlp_local.core.values import BLANK_LINE, Message, ToolCall
from dlp_local.engine.calls.plain import call_text, in_plain_words
from dlp_local.engine.calls.syntax import PLAIN_SYNTAX, PROBE_ARGUMENTS, PROBE_NAME, CallSyntax, syntax_in
from dlp_local.engine.forging import foreign_cuts
from dlp_local.engine.reasoning import ReasoningTags
from dlp_local.engine.rendering import ConversationRefusedError, Rendered, Renderer
from dlp_local.engine.shapes import has_calls
from dlp_local.engine.template import PLAIN_TEMPLATE, ChatTemplate

FRAME_TOKENS = 4
"""What a chat template adds to a message, about."""

CACHED_LENGTH = 20_000
"""Longer texts are tokenized anew each time; so the cache stays small."""

_PAD = "\ue000"
"""A character that no tokenizer joins with what follows it."""

TokenKind = Literal["normal", "control", "user defined"]
Tokens = tuple[int, ...]


class Vocabulary(Protocol):
    """A backbone's tokenizer."""

    @property
    def opening_tokens(self) -> Sequence[int]:
        """What the model wants before every prompt: its begin token, or nothing."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of a text; only with `special` are the names of control tokens read as such."""

    def piece(self, token: int) -> bytes:
        """The bytes that a token prints; none for control tokens."""

    def is_end(self, token: int) -> bool:
        """Whether the model's header says that a token ends the answer."""

    def name(self, token: int) -> str:
        """The text by which a prompt names a token."""

    def kind(self, token: int) -> TokenKind:
        """`user defined` tokens are always read as such, and print their name."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens of a conversation up to where its answer starts or goes on.

    `turns`: one entry for what stands before the first user's message, one for each complete turn, and last the turn
    to be answered. A template that ends its answers differently from place to place gives fewer, longer entries.
    `opening`: what the template itself writes at the end; nothing where a begun answer goes on. `syntax`: how a call is
    written in it.
    """

    turns: tuple[Tokens, ...]
    opening: str
    syntax: CallSyntax = PLAIN_SYNTAX


class PromptBuilder:
    """Tokenizes conversations for one backbone."""

    def __init__(self, vocabulary: Vocabulary, template: ChatTemplate) -> None:
        self._vocabulary, self._written = vocabulary, template.source
        self._cached = lru_cache(maxsize=1024)(self._tokenize_now)
        self._renderer = Renderer(template, self._token_names)
        self._opening = tuple(vocabulary.opening_tokens)
        self._pads = vocabulary.piece(vocabulary.tokenize("a", special=False)[0]).startswith(b" ")
        self._turn_end: str | None = None
        self._user_frame = ""
        self.end_tokens: frozenset[int] = frozenset()
        """The tokens with which the template ends an answer."""

        self.end_texts: tuple[str, ...] = ()
        """The texts that end an answer: where the template writes no token after one, what it does write."""

        self.ends_by_text = False
        """Whether the model may go on with somebody's next turn: there is no template, or it ends answers by text."""

        self.tags = ReasoningTags(tag for tag in template.split_at if not self._is_around_answers(tag))

        self.pads_answers = False
        """Whether the template writes white space before an answer, which the model writes itself when it answers."""

        self._learn_frame(template)
        self._syntax = self._learn_syntax()

    def _learn_frame(self, template: ChatTemplate) -> None:
        """Looks at a small conversation; nothing is learnt where the template does not take it."""
        talk = (Message("user", "One."), Message("assistant", "Two."), Message("user", "Three."))
        try:
            asked, finished, followed = (self._renderer.render(talk[:n], n != 2) for n in (1, 2, 3))
        except EngineError:
            return
        self._written += self._system_frame() + followed.text
        ending, between = (_after_answer(rendered) for rendered in (finished, followed))
        self._turn_end = ending if between.startswith(ending) else self._through_first_name(between)
        self._user_frame = between[len(self._turn_end) :]
        firsts = (self._tokenize(text.lstrip(), True)[:1] for text in (ending, between))
        self.end_tokens = frozenset(token for first in firsts for token in first if self._is_named(token))
        self.ends_by_text = template.source == PLAIN_TEMPLATE or not self.end_tokens
        if not self.end_tokens and between.strip():
            self.end_texts = (between.rstrip(),)
        before_answer = finished.text[: finished.spans_of(1)[0].start]
        self.pads_answers = before_answer.removeprefix(asked.text).isspace()

    def _learn_syntax(self) -> CallSyntax | None:
        """How the template writes calls; None where it knows none, or writes them in a way that is not read."""
        tool = Tool(PROBE_NAME, "Two.", '{"type": "object", "properties": {"one_argument": {"type": "string"}}}')
        call = Message("assistant", "", (ToolCall(PROBE_NAME, json.dumps(PROBE_ARGUMENTS), "abcdefgh1"),))
        result = Message("tool", "Three.", tool_call_id="abcdefgh1")
        ask = Message("user", "One.")
        try:
            asked, called = (self._renderer.render(talk, True, (tool,)) for talk in ((ask,), (ask, call, result)))
        except EngineError:
            return None
        written = called.text[asked.end :].removeprefix(asked.text[asked.end :])
        ending = written.find(self._turn_end.rstrip()) if self._turn_end and self._turn_end.strip() else -1
        return syntax_in(written[:ending]) if ending >= 0 else None

    def _is_around_answers(self, closing_tag: str) -> bool:
        """Whether the template keeps of an answer what stands within some tags, and not what stands after them."""
        answer = Message("assistant", f"{closing_tag.replace('</', '<', 1)}Two.{closing_tag}Three.")
        try:
            rendered = self._renderer.render((Message("user", "One."), answer, Message("user", "Four.")), True).text
        except EngineError:
            return False
        return "Two." in rendered and "Three." not in rendered

    def _system_frame(self) -> str:
        try:
            return self._renderer.render((Message("system", "Four."), Message("user", "One.")), True).text
        except EngineError:
            return ""

    def _through_first_name(self, text: str) -> str:
        """A text through its first token with a name, and the white space after it; nothing without such a token."""
        for token in self._tokenize(text, True):
            if self._is_named(token):
                head, name, tail = text.partition(self._vocabulary.name(token))
                return head + name + tail[: len(tail) - len(tail.lstrip())]
        return ""

    def _is_named(self, token: int) -> bool:
        return self._vocabulary.kind(token) != "normal"

    def _token_names(self, text: str) -> Iterator[str]:
        """The names of control tokens in a text, and of user-defined tokens that the template writes."""
        for token in set(self._tokenize(text, True)):
            kind, name = self._vocabulary.kind(token), self._vocabulary.name(token)
            if kind == "control" or (kind == "user defined" and name.strip() and name in self._written):
                yield name

    # ---- tokens ----

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Prompt:
        """The tokens of a conversation that ends with a user's message, a result, or the beginning of an answer.

        Tools, calls and results are in it as the template has them, or in plain words where it does not take them.
        Raises `EngineError` where the template does not take the conversation or leaves a message out.
        """
        if not tools and not has_calls(messages):
            return self._prompt(messages, ())
        if self._syntax:
            with suppress(ConversationRefusedError, ValueError):
                return replace(self._prompt(messages, tools), syntax=self._syntax)
        return self._prompt(in_plain_words(messages, tools), ())

    def _prompt(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Prompt:
        if messages[-1].role != "assistant":
            rendered = self._renderer.render(messages, True, tools)
            return Prompt(self._turns(rendered), rendered.text[rendered.end :])
        try:
            rendered = self._renderer.render(messages, False, tools)
        except EngineError:  # it takes no conversation that ends with an answer
            return self._begun(messages, tools)
        last = len(rendered.messages) - 1
        begun, spans = rendered.messages[last].content, rendered.spans_of(last)
        written = "".join(rendered.text[span.start : span.end] for span in spans)
        if not spans or written.strip() != begun.strip():  # it takes something out, as it does with reasoning
            return self._begun(messages, tools)
        return Prompt(self._turns(rendered.until(spans[-1].end, begun[spans[-1].read :])), "")

    def _begun(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Prompt:
        """The prompt of an answer, and the answer's beginning after it; reasoning that the prompt opens is ended."""
        asked = self._prompt(messages[:-1], tools)
        *turns, last = asked.turns
        closing = self.tags.opened_by(asked.opening)
        end = self._tokenize(f"{closing[0]}{BLANK_LINE}", True) if closing else ()
        return Prompt((*turns, last + end + self._tokenize(messages[-1].content, False)), "")

    def answer_tokens(self, begun: str) -> Tokens:
        """The tokens of an answer's beginning, as they follow what stands before it."""
        return self._tokenize_after_text(begun) if begun else ()

    def length(self, message: Message, most: int) -> int:
        """About how many tokens a message takes in a conversation: its content, and a few for its frame.

        Where a text has more than `most`, those of its rest do not count.
        """
        texts = (message.content, *(call_text(call) for call in message.tool_calls))
        return sum(self._count(text, most) for text in texts) + FRAME_TOKENS

    def _count(self, text: str, most: int) -> int:
        """The tokens of a text, read in pieces until they are more than `most`: all other answers wait meanwhile."""
        count = 0
        for start in range(0, len(text), CACHED_LENGTH):
            count += len(self._tokenize(text[start : start + CACHED_LENGTH], False))
            if count > most:
                break
        return count

    def _turns(self, rendered: Rendered) -> tuple[Tokens, ...]:
        """The tokens of a rendered conversation, cut where its turns end."""
        tokens: list[Tokens] = []
        follows_text = False
        for start, end in pairwise([0, *self._cuts(rendered), len(rendered.text)]):
            ids: list[int] = []
            for run in self._runs(rendered, start, end):
                ids += self._tokenize_after_text(run) if follows_text else self._tokenize(run, True)
                follows_text = bool(ids) and not self._is_named(ids[-1])
            tokens.append(tuple(ids))
        if tokens[0][: len(self._opening)] != self._opening:
            tokens[0] = self._opening + tokens[0]
        if len(tokens) > 1 and tokens[0] == self._opening:
            tokens[:2] = [tokens[0] + tokens[1]]
        return tuple(tokens)

    def _cuts(self, rendered: Rendered) -> list[int]:
        """Where the first user's message begins, with its frame, and where turns end."""
        cuts: list[int] = []
        if self._turn_end is None:
            return cuts
        for span in rendered.message_spans:
            role, following = rendered.messages[span.message].role, rendered.messages[span.message + 1 :][:1]
            if following and (following[0].role == "tool" or following[0].tool_call_id):
                continue  # the turn goes on with the results of calls
            if role == "assistant" and rendered.text.startswith(self._turn_end, span.end):
                cuts.append(span.end + len(self._turn_end))
            elif role == "user" and not cuts and self._user_frame.strip():
                start = span.start - len(self._user_frame)
                if start > 0 and rendered.text.startswith(self._user_frame, start):
                    cuts.append(start)
        return cuts

    def _runs(self, rendered: Rendered, start: int, end: int) -> list[str]:
        """A part of the text in pieces that are tokenized apart, so that no message spells a token's name."""
        text = rendered.text[start:end]
        cuts = foreign_cuts(text, rendered.foreign(start, end), self._token_names)
        return [text[first:last] for first, last in pairwise([0, *cuts, len(text)])]

    def _tokenize(self, text: str, special: bool) -> Tokens:
        return self._cached(text, special) if len(text) <= CACHED_LENGTH else self._tokenize_now(text, special)

    def _tokenize_now(self, text: str, special: bool) -> Tokens:
        return tuple(self._vocabulary.tokenize(text, special=special))

    def _tokenize_after_text(self, text: str) -> Tokens:
        """Tokens of a text that goes on with another one: without the space that some tokenizers put before a text."""
        if self._pads:
            pad, ids = self._tokenize(_PAD, True), self._tokenize(_PAD + text, True)
            if ids[: len(pad)] == pad:
                return ids[len(pad) :]
        return self._tokenize(text, True)


def _after_answer(rendered: Rendered) -> str:
    """What the template writes after message 1, up to the next message."""
    following = [span.start for span in rendered.spans_of(2)]
    return rendered.text[rendered.spans_of(1)[-1].end : following[0] if following else None]
