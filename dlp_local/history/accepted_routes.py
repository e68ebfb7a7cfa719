"""Routes that the user accepted: they saw where a message went, and went on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from dlp_local.history.model import Conversation, StoredTurn, alternatives
from dlp_local.history.store import History

SURE = 0.5
"""Probability under which a route was no decision that could be accepted."""


def accepted_routes(history: History, pack: str) -> dict[str, str]:
    """Text → adapter, or `base`, of the accepted routes of a pack's conversations, corrected messages left out.

    A route counts where the router chose it, its message was answered and followed by another one, nothing was tried in
    its place, and it was the message itself that decided: it began the conversation, or went elsewhere than the message
    before it, so that nothing was carried over. Of a message that was answered in parts each part counts so. Of a text
    that was said in several conversations the newest holds.
    """
    accepted: dict[str, str] = {}
    for info in sorted(history.conversations(limit=-1), key=lambda info: (info.changed_at, info.id)):
        accepted |= dict(_accepted(history.conversation(info.id), pack))
    for correction in history.corrections(pack):
        accepted.pop(correction.text, None)
    return accepted


def _accepted(conversation: Conversation, pack: str) -> Iterator[tuple[str, str]]:
    path = conversation.path()
    before: set[str] = set()
    for turn, _ in pairwise(path):
        labels = _labels(turn) if turn.pack == pack else {}
        if len(alternatives(conversation.turns, turn)) == 1:
            yield from ((text, label) for text, label in labels.items() if label not in before)
        before = set(labels.values())


def _labels(turn: StoredTurn) -> dict[str, str]:
    """Text → where it was routed to: of an answered turn, or of each of its parts.

    Nothing where the mix was given by hand, the router was not sure, or what it chose was vetoed and never answered.
    """
    if turn.state != "done" or not turn.done or turn.done.finish_reason not in ("stop", "length"):
        return {}
    labels = {}
    for route in turn.done.route.parts or (turn.done.route,):
        best = max(route.probabilities, key=route.probabilities.__getitem__, default="")
        if best in route.mix.as_dict() and route.probabilities[best] >= SURE:
            labels[route.text] = best
    return labels
