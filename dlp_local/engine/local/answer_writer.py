"""One answer as it is written: tokens are drawn in the form that is asked for, and read."""

from __future__ import annotations

from collections.abc import Iterator

from dlp_local.core import settings
from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.errors import InputError
from dlp_local.core.events import TokenScores
from dlp_local.engine.answer import AnswerReader, Delta
from dlp_local.engine.answer_grammar import answer_grammar
from dlp_local.engine.calls.reader import CallDelta, ToolCallReader
from dlp_local.engine.local.constraint import Constraint
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.prompt import Prompt, PromptBuilder
from dlp_local.engine.scores import ScoreKeeper

MOST_SPACES = 4
"""Tokens of white space that may stand between reasoning and what the grammar speaks of."""


class AnswerWriter:
    """Draws the tokens of one answer and reads them; `close` frees what it holds.

    A grammar holds from where the answer begins: not for reasoning that the prompt or the model opens, nor for the
    white space after it. What there is of an answer already, `begun`, has to follow it, too. Raises `InputError` for a
    form that cannot be had.
    """

    def __init__(
        self,
        backbone: Backbone,
        prompts: PromptBuilder,
        prompt: Prompt,
        sampling: settings.Sampling,
        answer_format: AnswerFormat,
        begun: str = "",
    ) -> None:
        self._backbone, self._vocabulary = backbone, backbone.vocabulary
        tools = answer_format.offered_tools
        syntax = prompt.syntax
        named = self._vocabulary.tokenize(syntax.opening + syntax.closing, special=True) if tools else []
        shown = {token for token in named if self._vocabulary.kind(token) == "control"}
        self._reader = AnswerReader(self._vocabulary, prompts, prompt, sampling.stop, shown)
        only_calls = answer_format.tool_choice != "auto"
        names = [tool.name for tool in tools]
        self._calls = ToolCallReader(names, syntax, only_calls=only_calls) if tools else None
        best = answer_format.logprobs
        self._scores = None if best is None else ScoreKeeper(self._vocabulary, best)
        self._is_begun, self._has_reasoned, self._spaces = bool(begun), False, 0
        grammar = answer_grammar(answer_format, syntax)
        constraint = Constraint(self._vocabulary, grammar, prompts.end_tokens, shown) if grammar else None
        try:
            if constraint and not constraint.follow(prompts.answer_tokens(begun)):
                raise InputError(
                    "answer format: the beginning of the answer is not of this form. Leave one of them out."
                )
            self._sampler = backbone.sampler(
                sampling, sampling.seed or 0, answer_format.logit_bias, constraint, self._is_free
            )
        except BaseException:
            if constraint:
                constraint.close()
            raise

    @property
    def stopped(self) -> bool:
        """Whether a text has come that ends the answer."""
        return self._reader.stopped

    def next_token(self, row: int) -> int:
        """The next token, from the logits of this row of the newest batch."""
        token = self._sampler.next_token(row)
        if self._scores:
            self._scores.note(token, self._backbone.logits_in_place(row))
        return token

    def is_end(self, token: int) -> bool:
        """Whether the answer ends before this token."""
        return self._reader.is_end(token)

    def feed(self, token: int) -> Iterator[CallDelta | TokenScores]:
        """What comes with the next token."""
        return self._told(self._reader.feed(token))

    def rest(self, *, is_cut: bool) -> Iterator[CallDelta | TokenScores]:
        """What was held back when the answer ended; `is_cut`: the model did not end it itself."""
        yield from self._told(self._reader.rest())
        if self._calls:
            rest = self._calls.rest(is_cut=is_cut)
            yield from self._scores.told(rest) if self._scores else rest

    def _told(self, deltas: Iterator[Delta]) -> Iterator[CallDelta | TokenScores]:
        read = self._calls.told(deltas) if self._calls else deltas
        return self._scores.told(read) if self._scores else read

    def _is_free(self, token: int) -> bool:
        """Whether a token belongs to reasoning, or stands between it and the answer."""
        if self._is_begun:
            return False
        if self._reader.is_reasoning or self._reader.opens_reasoning(token):
            self._has_reasoned = True
            return True
        piece = self._vocabulary.piece(token)
        if self._has_reasoned and self._spaces < MOST_SPACES and piece and not piece.strip():
            self._spaces += 1
            return True
        self._is_begun = True
        return False

    def close(self) -> None:
        """Frees the sampler."""
        self._sampler.close()
