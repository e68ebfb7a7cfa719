"""One row that a pack is measured by: a message, and the answers that are right."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property

from dlp_local.core.serialize import messages_json
from dlp_local.core.values import Message

OTHER = "rows"
"""What the task of rows is called that belong to no adapter."""


@dataclass(frozen=True)
class EvalRow:
    """A message, the conversation before it, and the answers that are right; `line` is where it stands in its file.

    `adapter` is whose it is, `base` included; None where nobody said. `metric` is the name of one of `METRICS`.
    """

    text: str
    answers: tuple[str, ...]
    metric: str
    adapter: str | None = None
    history: tuple[Message, ...] = ()
    choices: tuple[str, ...] = ()
    line: int = 0

    @property
    def task(self) -> str:
        """The row's adapter, or what all rows without one are called."""
        return self.adapter or OTHER

    @cached_property
    def identity(self) -> str:
        """A hash of what the row says, wherever it stands: rows are put in order and drawn by it."""
        said = [self.text, messages_json(self.history), self.answers, self.metric, self.adapter, self.choices]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @cached_property
    def question(self) -> str:
        """A hash of all that the row says but for its answers."""
        return replace(self, answers=()).identity

    def is_asked_by(self, other: EvalRow) -> bool:
        """Whether another row has the same message in the same conversation."""
        return (self.text.strip(), self.history) == (other.text.strip(), other.history)
