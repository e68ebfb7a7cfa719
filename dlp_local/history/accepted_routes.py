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
    before it, so that nothing was carried over. Of a text that was said in several conversations the newest holds.
    """
    accepted: dict[str, str] = {}
    for info in sorted(history.conversations(limit=-1), key=lambda info: (info.changed_at, info.id)):
        accepted |= dict(_accepted(history.conversation(info.id), pack))
    for correction in history.corrections():
        accepted.pop(correction.text, None)
    return accepted


def _accepted(conversation: Conversation, pack: str) -> Iterator[tuple[str, str]]:
    path = conversation.path()
    before = ""
    for turn, _ in pairwise(path):
        label = _label(turn) if turn.pack == pack else ""
        if label and label != before and len(alternatives(conversation.turns, turn)) == 1:
            yield turn.text, label
        before = label


def _label(turn: StoredTurn) -> str:
    """Where an answered turn was routed to.

    Nothing where its mix was given by hand, the router was not sure, or what it chose was vetoed and never answered.
    """
    if turn.state != "done" or not turn.done or turn.done.finish_reason not in ("stop", "length"):
        return ""
    probabilities = turn.done.route.probabilities
    best = max(probabilities, key=probabilities.__getitem__, default="")
    return best if best in turn.done.route.mix.as_dict() and probabilities[best] >= SURE else ""
