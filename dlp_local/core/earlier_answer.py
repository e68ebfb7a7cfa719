"""Answers that a message has already, when another one is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dlp_local.core.events import ReplyDone
from dlp_local.core.values import Mix


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """What was answered to a text, a whole message or a part of one, under a mix; None: under whatever mix."""

    text: str
    answer: str
    mix: Mix | None = None

    def is_to(self, text: str, mix: Mix) -> bool:
        """Whether an answer to a text under a mix is to be another one than this."""
        return self.text == text and self.mix in (None, mix)


def earlier_answers(replies: Iterable[ReplyDone]) -> tuple[EarlierAnswer, ...]:
    """What replies, or their parts, answered."""
    each = [part for reply in replies for part in reply.parts or (reply,)]
    return tuple(EarlierAnswer(reply.text, reply.answer, reply.route.mix) for reply in each)
