"""Answers that the user writes as they should have been: what can be mended of a turn, and what is a lesson."""

from __future__ import annotations

from collections.abc import Sequence

from dlp_local.core.conversation import followed_by
from dlp_local.core.errors import InputError
from dlp_local.core.names import check_adapter_name
from dlp_local.core.values import BASE, Lesson, Message, Route
from dlp_local.history.model import StoredTurn
from dlp_local.history.open_conversation import OpenConversation


def teachable(conversation: OpenConversation, turn: StoredTurn, pack: str) -> tuple[Lesson, ...]:
    """The answer of a turn, or that of each of its parts, as lessons that are still to be mended.

    Each is for the adapter that had the most of its mix; for none where that was base, or is not known.
    """
    said = list(conversation.history_messages(turn.parent))
    if conversation.options.system:
        said.insert(0, Message("system", conversation.options.system))
    replies = (turn.done.parts or (turn.done,)) if turn.done else ()
    answered = [(reply.text, reply.answer, _main_adapter(reply.route)) for reply in replies]
    return tuple(
        Lesson(adapter, pack, tuple(followed_by(said, text)), answer, answer)
        for text, answer, adapter in answered or [(turn.text, turn.answer, "")]
    )


def _main_adapter(route: Route) -> str:
    weights = route.mix.as_dict()
    main = max(weights, key=weights.__getitem__)
    return "" if main == BASE else main


def mended(lessons: Sequence[Lesson]) -> tuple[Lesson, ...]:
    """Those whose answers were changed; raises `InputError` where there is none, or one that cannot be learnt."""
    changed = tuple(lesson for lesson in lessons if lesson.right.strip() != lesson.wrong.strip())
    if not changed:
        raise InputError("the answer is as it was, so there is nothing to learn. Write what it should have been.")
    for lesson in changed:
        if not lesson.right.strip():
            raise InputError("an adapter cannot learn to answer nothing. Write what the answer should have been.")
        if not lesson.adapter:
            raise InputError("base answered this. Say which adapter is to learn it; a new name begins a new adapter.")
        check_adapter_name(lesson.adapter)
    return changed
