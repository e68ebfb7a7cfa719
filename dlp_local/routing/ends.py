"""A request before or after a longer text: the ends of a long message are looked at on their own. Pure functions.

An embedding is the mean of a text's tokens, so a letter or a log around a request outweighs it. The outer paragraphs of
a long message, or its outer lines where these are long, too, have probabilities of their own; where the router is sure
whose one of them is, and surer than of the whole, this one decides.

Of 22 requests before or after 300 to 2,000 characters of a letter, a story, an article, a log, a license and code, 99 %
or more are routed rightly so in the SmolLM2 pack, and 20 to 64 % by the whole (docs/experiments.md, `long-messages`).

Long valid rows of one task stay as they are, and so do long tasks that a router was trained on (`bbh`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dlp_local.core.values import BASE

LONG = 150
"""Characters from which on a message is long."""

LONGEST_END = 250
"""Characters of an end at most: a longer one is no request beside a text, but the text."""

SURE = 0.9
"""Probability of an adapter from which on an end decides.

With 0.95, 97 to 100 % of requests beside a text are routed rightly in the SmolLM2 pack, with 0.98 95 to 100 %; then 19
of 24 texts alone stay with `base`, and 15 with 0.9, for the title of a license looks like a command.
"""

_JOINTS = re.compile(r"\s*\n[ \t]*\n\s*"), re.compile(r"\s*\n\s*")


def ends(text: str) -> tuple[str, ...]:
    """The first and the last paragraph of a long text, or their outer lines, without those that are no request.

    The salutation and the closing of a letter are none: their first line ends with a comma.
    """
    text = text.strip()
    if len(text) <= LONG:
        return ()
    outer = (_end(text, 0), _end(text, -1))
    return tuple(end for end in outer if end and not end.split("\n")[0].rstrip().endswith(","))


def _end(text: str, side: int) -> str:
    """The outermost paragraph or, where that is too long, line on a side (0 or -1); empty where all are too long."""
    for joint in _JOINTS:
        pieces = joint.split(text)
        if len(pieces) > 1 and len(pieces[side]) <= LONGEST_END:
            return pieces[side]
        text = pieces[side]
    return ""


def decisive(whole: Mapping[str, float], of_ends: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """The probabilities that a message is routed by, given those of the whole and of its ends.

    Those of the end that is surest of an adapter, where it is `SURE` of it and surer than the whole is of any.
    """
    surest = max(of_ends, key=_of_an_adapter, default=whole)
    return surest if _of_an_adapter(surest) >= max(SURE, _of_an_adapter(whole)) else whole


def _of_an_adapter(probabilities: Mapping[str, float]) -> float:
    """The greatest probability of an adapter."""
    return max((p for name, p in probabilities.items() if name != BASE), default=0.0)
