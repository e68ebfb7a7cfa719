"""Rows → the tokens that will run: as the backbone's own chat template and tokenizer write them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from dlp_local.core.errors import EngineError, InputError
from dlp_local.core.values import Message, Scope
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.prompt import PromptBuilder, Tokens, Vocabulary
from dlp_local.packs.backbone_kind import trained_context
from dlp_local.training.adapter.batches import Example
from dlp_local.training.adapter.rows import TrainingRow

IN_A_CONVERSATION = 0.15
"""The share of the rows that are trained on as the second turn of a conversation, where they stand alone."""

LONGEST = 1024
"""Tokens of a row, with what stands before it; what attention computes grows with their square."""

SHOWN = 50
"""Characters of a row that is told."""


@contextmanager
def open_row_encoder(
    backbone: Path, chat_template: str, scope: Scope, system: str, context: int = LONGEST
) -> Iterator[RowEncoder]:
    """The encoder of rows for a backbone, none longer than the `context` it runs with, or was trained with.

    Raises `PackError` for a file that has no vocabulary or no template.
    """
    longest = min(context, trained_context(backbone) or context, LONGEST)
    with open_vocabulary(backbone) as vocabulary:
        prompts = PromptBuilder(vocabulary, vocabulary.template(chat_template))
        yield RowEncoder(prompts, vocabulary, sorted(vocabulary.ends), scope, system, longest)


class RowEncoder:
    """Writes rows for one backbone; `system` is the system prompt of a row without one of its own.

    With `scope` "context" the adapter is on from the first token, else from the last user's turn on. `ends` are the
    tokens with which the model's header ends answers. `longest`: tokens that a row may have, all in all.
    """

    def __init__(
        self,
        prompts: PromptBuilder,
        vocabulary: Vocabulary,
        ends: Sequence[int],
        scope: Scope,
        system: str = "",
        longest: int = LONGEST,
    ) -> None:
        self._prompts, self._scope, self._longest = prompts, scope, longest
        self.vocabulary = vocabulary
        self._system = (Message("system", system),) if system.strip() else ()
        self._end = self._answer_end(ends)

    def _answer_end(self, ends: Sequence[int]) -> Tokens:
        """What the model is to write after an answer: the template's end token, or text, or else the header's."""
        of_template = sorted(self._prompts.end_tokens, key=lambda token: (token not in ends, token))
        if of_template:
            return (of_template[0],)
        if self._prompts.end_texts:
            return self._prompts.answer_tokens(self._prompts.end_texts[0])
        return tuple(ends[:1])

    @property
    def invocation(self) -> Tokens:
        """The tokens with which a user's turn begins, at which the adapter goes on; none where it is always on."""
        if self._scope == "context":
            return ()
        talk = (Message("user", "One."), Message("assistant", "Two."))
        turns = [self._prompts.prompt((*talk, Message("user", text))).turns[-1] for text in ("1", "Zwei")]
        return tuple(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*turns, strict=False)))

    def messages(self, row: TrainingRow) -> tuple[Message, ...]:
        """The conversation of a row as the model sees it, up to the message to be answered."""
        has_own = any(message.role == "system" for message in row.messages)
        return row.messages if has_own else (*self._system, *row.messages)

    def answer_length(self, answer: str) -> int:
        """The tokens of an answer, its end counted in."""
        return len(self._prompts.answer_tokens(answer)) + len(self._end)

    def encode(self, row: TrainingRow) -> Example:
        """A row's tokens; raises `InputError` where the template does not take the conversation."""
        try:
            prompt = self._prompts.prompt(self.messages(row))
        except EngineError as error:
            raise InputError(f"the row {row.prompt[:SHOWN]!r}: {error}") from None
        before = () if self._scope == "context" else tuple(token for turn in prompt.turns[:-1] for token in turn)
        asked = tuple(token for turn in prompt.turns for token in turn)[len(before) :]
        answer = f" {row.answer}" if self._prompts.pads_answers else row.answer
        return Example(before, (*asked, *self._prompts.answer_tokens(answer), *self._end), len(asked))

    def encode_all(self, rows: Sequence[TrainingRow], seed: int) -> tuple[list[Example], list[TrainingRow]]:
        """The tokens of rows, some of them after another row's turn, and the rows that they are of.

        Rows that are too long are left out. Raises `InputError` where none is left, or the template takes one not.
        """
        draw = random.Random(seed)
        encoded, kept = [], []
        for row in rows:
            other = draw.choice(rows)
            after_another = len(row.messages) == 1 == len(other.messages) and draw.random() < IN_A_CONVERSATION
            earlier = (*other.messages, Message("assistant", other.answer)) if after_another else ()
            example = self.encode(replace(row, messages=(*earlier, *row.messages)))
            if earlier and not self.fits(example):
                example = self.encode(row)
            if self.fits(example):
                encoded.append(example)
                kept.append(row)
        self._check_some(kept)
        return encoded, kept

    def encode_held_out(self, rows: Sequence[TrainingRow]) -> tuple[list[Example], list[TrainingRow]]:
        """The tokens of rows each on its own, and the rows that they are of; else as `encode_all`."""
        encoded = [(self.encode(row), row) for row in rows]
        kept = [(example, row) for example, row in encoded if self.fits(example)]
        self._check_some(kept)
        return [example for example, _ in kept], [row for _, row in kept]

    def fits(self, example: Example) -> bool:
        """Whether a row, with what stands before it, is short enough."""
        return len(example.prefix) + len(example.tokens) <= self._longest

    def _check_some(self, kept: Sequence[object]) -> None:
        if not kept:
            raise InputError(
                f"every row has more than {self._longest} tokens, the system prompt counted in. Shorten them."
            )
