"""One answer that a remote server writes, read as it comes: reasoning, text, calls of tools, to its end."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing

from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.errors import InputError
from dlp_local.core.values import FinishReason
from dlp_local.engine.answer import AnswerReader, Delta
from dlp_local.engine.answer_grammar import answer_grammar
from dlp_local.engine.calls.reader import CallDelta, ToolCallReader
from dlp_local.engine.loops import LoopDetector
from dlp_local.engine.prompt import Prompt, PromptBuilder, Vocabulary
from dlp_local.engine.remote.connection import BrokenStreamError
from dlp_local.engine.remote.remote_server import Finish, Piece, Pieces


class RemoteAnswer:
    """Reads one answer. `grammar`: what the server has to have it follow, from its first token on.

    Raises `InputError` for a form that cannot be had: a grammar where the prompt has begun reasoning, or the answer.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        prompts: PromptBuilder,
        prompt: Prompt,
        stops: Sequence[str],
        answer_format: AnswerFormat,
    ) -> None:
        self._vocabulary = vocabulary
        tools, syntax = answer_format.offered_tools, prompt.syntax
        named = vocabulary.tokenize(syntax.opening + syntax.closing, special=True) if tools else []
        shown = {token for token in named if vocabulary.kind(token) == "control"}
        self._reader = AnswerReader(vocabulary, prompts, prompt, stops, shown)
        only_calls = answer_format.tool_choice != "auto"
        names = [tool.name for tool in tools]
        self._calls = ToolCallReader(names, syntax, only_calls=only_calls) if tools else None
        self.grammar = answer_grammar(answer_format, syntax)
        if self.grammar and (self._reader.is_reasoning or not prompt.opening):
            raise InputError(
                "answer format: where reasoning or the answer has begun already, this engine cannot have it follow a "
                "grammar. Leave that out, or use the local engine."
            )
        self.finish_reason: FinishReason = "cancelled"
        """What it is where the pieces end by themselves: the server says how any other answer ended."""

        self.cached_tokens = 0
        self.error = ""
        self.tokens = 0
        self.first_token_at = 0.0

    def read(self, pieces: Pieces) -> Generator[CallDelta, None, None]:
        """What comes of the pieces; where they break off, what had come is kept, and `error` says why."""
        deltas = self._deltas(pieces)
        yield from self._calls.told(deltas) if self._calls else deltas
        if self._calls:
            yield from self._calls.rest(is_cut=self.finish_reason != "stop")

    def _deltas(self, pieces: Pieces) -> Generator[Delta, None, None]:
        with closing(pieces):
            try:
                yield from self._read(pieces)
            except BrokenStreamError as broken:
                self.finish_reason, self.error = "error", str(broken)
        yield from self._reader.rest()

    def _read(self, pieces: Pieces) -> Generator[Delta, None, None]:
        loops = LoopDetector()
        for piece in pieces:
            if isinstance(piece, Finish):
                self.finish_reason = piece.reason
                return
            self.first_token_at = self.first_token_at or time.perf_counter()
            self.cached_tokens = piece.cached_tokens
            is_spelled = not piece.text or piece.text == self._spelled(piece)
            for token in piece.tokens:
                if self._reader.is_end(token):
                    self.finish_reason = "stop"
                    return
                self.tokens += 1
                if is_spelled:
                    yield from self._reader.feed(token)
                if self._reader.stopped or loops.feed(token):
                    self.finish_reason = "stop" if self._reader.stopped else "loop"
                    return
            if not is_spelled:
                yield from self._reader.feed_text(piece.text)
                if self._reader.stopped:
                    self.finish_reason = "stop"
                    return

    def _spelled(self, piece: Piece) -> str:
        return b"".join(map(self._vocabulary.piece, piece.tokens)).decode("utf-8", "replace")
