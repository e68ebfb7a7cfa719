"""Where an answer ends within its text: at a stop string, or at somebody's next turn."""

from __future__ import annotations

from collections.abc import Sequence

from dlp_local.engine.next_turn import NextTurn
from dlp_local.engine.prompt import PromptBuilder, Vocabulary
from dlp_local.engine.text import StopStrings

_FIRST_MARK = 0xD800
"""A surrogate: no text that was decoded holds one."""


class AnswerStops:
    """Passes an answer's text on up to its end.

    A stop string may name control tokens, of which nothing is printed: such a token has a mark, a character that stands
    for it in the text. `tokens`: those that end an answer wherever they come, for a stop names them alone.
    """

    def __init__(self, stops: Sequence[str], vocabulary: Vocabulary, prompts: PromptBuilder) -> None:
        self._vocabulary = vocabulary
        self._marks: dict[int, str] = {}
        alone, marked = set[int](), []
        for stop in stops:
            tokens = vocabulary.tokenize(stop, special=True)
            controls = [token for token in tokens if vocabulary.kind(token) == "control"]
            if controls and len(tokens) == 1:
                alone.update(controls)
            elif controls:
                marked.append(self._marked(stop, controls))
        self.tokens = frozenset(alone)
        self._strings = StopStrings((*stops, *marked, *prompts.end_texts))
        self._next_turn = NextTurn() if prompts.ends_by_text else None
        self._skips_space = False

    @property
    def hit(self) -> bool:
        """Whether the end has come; nothing passes after it."""
        return self._strings.hit or bool(self._next_turn and self._next_turn.hit)

    def mark(self, token: int) -> str:
        """What stands for a token in the text; nothing for one that no stop string names."""
        return self._marks.get(token, "")

    def _marked(self, stop: str, controls: Sequence[int]) -> str:
        for token in controls:
            mark = self._marks.setdefault(token, chr(_FIRST_MARK + len(self._marks)))
            stop = stop.replace(self._vocabulary.name(token), mark)
        return stop

    def skip_space(self) -> None:
        """Leaves out the white space that comes next."""
        self._skips_space = True

    def feed(self, text: str) -> str:
        """Takes the next text and returns what is certain to stand before the end."""
        return self._before_stop(self._next_turn.feed(text) if self._next_turn else text)

    def rest(self) -> str:
        """What was held back when the text ended."""
        passed = self._before_stop(self._next_turn.rest()) if self._next_turn else ""
        return passed + self._unmarked(self._strings.rest())

    def _before_stop(self, text: str) -> str:
        if self._skips_space:
            text = text.lstrip()
            self._skips_space = not text
        return self._unmarked(self._strings.feed(text))

    def _unmarked(self, text: str) -> str:
        for mark in self._marks.values():
            text = text.replace(mark, "")
        return text
