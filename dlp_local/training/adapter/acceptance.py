"""Whether a trained adapter may take its place: it must be better, and leave the other adapters their messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from dlp_local.core.text import counted
from dlp_local.training.adapter.events import RoutingEffect, Score

BASE_NAME, PRESENT, NEW = "base", "pack today", "new adapter"
"""What answers held-out rows: the bare backbone, whatever the pack routes them to, and the adapter that was trained."""

MOST_BACKGROUND = 0.02
"""Of messages that are nobody's, the share that a new adapter may get."""

FEWEST_OWN = 0.5
"""Of its own held-out messages, the share that must come to a new adapter: else the router hardly knows it."""

SHOWN = 3


def refusal(scores: Mapping[str, Score], routing: RoutingEffect) -> str:
    """Why an adapter is not put in place, in sentences; empty where nothing is against it."""
    reasons = []
    for name in (BASE_NAME, PRESENT):
        if scores[NEW].value <= scores[name].value:
            reasons.append(
                f"on held-out rows it is no better than {'base' if name == BASE_NAME else 'the pack is today'}"
            )
    return "; ".join((*reasons, *against_routing(routing)))


def against_routing(routing: RoutingEffect) -> Iterator[str]:
    """What is against an adapter's routing alone, a sentence each."""
    if routing.too_many:
        owners = Counter(owner for owner, _ in routing.taken)
        of = ", ".join(f"{count} of {owner}" for owner, count in owners.most_common())
        some = "".join(f", {text!r}" for _, text in [one for one in routing.taken if one[1]][:SHOWN])
        yield f"it would take {counted(len(routing.taken), 'message')} from others ({of}{some})"
    if routing.own < FEWEST_OWN:
        yield f"only {routing.own:.0%} of its own held-out messages would come to it"
    if routing.background > MOST_BACKGROUND:
        yield f"{routing.background:.0%} of everyday messages that are nobody's would come to it"
