"""A message of several tasks: where it can be cut, and which of its pieces belong together. Pure functions.

A message is cut into pieces, the router says whose each one is, and neighbors of one task are joined to parts. What is
nobody's for sure (a greeting, half a question) goes along with a neighbor as its context. A request to `base` is a part
of its own, too, where it can be understood without the rest. Parts count only where the router is surer of each than of
the whole: most of what looks like another task within a message is a piece of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from dlp_local.core.values import BASE

MOST_PIECES = 12
"""A message with more of them is one text, a list or a file say, and not several requests."""

SURE_OF_WHOLE = 0.999
"""Probability of an adapter from which on a message is of its task alone, and its pieces need not be looked at."""

UNSURE_OF_WHOLE = 0.95
"""Probability of an adapter from which on nothing of a message is for `base`: what looks like it is the adapter's."""

_ALSO = r"(?:(?:and(?:\ (?:then|also))?|then|also),?[ \t]+)?"
_VALUES = r"\w+:[ \t]*[\w-]+(?:,[ \t]*[\w-]+)+(?=\s*(?:$|[\n.;]|,?[ \t]+(?:and|then)\b))"
"""What belongs to the line before it: a list of values, `columns: name, year`."""

_JOINT = re.compile(
    rf"""
      \s*\n(?!\s*{_VALUES})\s*{_ALSO}                      # a line break
    | (?:(?<=[.!?])|(?<=[.!?]["')\]]))[ \t]+{_ALSO}       # the end of a sentence
    | ;[ \t]+{_ALSO}
    | ,?[ \t]+(?:and(?:\ (?:then|also))?|then)[ \t]+      # a joining word
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ABBREVIATION = re.compile(
    r"""\b(?:[a-z]|e\.g|i\.e|mrs?|ms|dr|st|no|vs|etc|ft|feat
          |jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\.$""",
    re.VERBOSE | re.IGNORECASE,
)
"""What ends with a full stop that ends no sentence."""

_FENCE = "```"

FEWEST_WORDS = 3
"""Words of a request to `base` that is a part of its own."""

_ASKS = re.compile(
    r"""(?:(?:please|also|now|then|next|finally|can\ you|could\ you|would\ you|i\ want\ you\ to),?\ )*
        (?:write|tell|explain|give|describe|translate|summari[sz]e|suggest|recommend|name|list|compose|draft|invent
          |define|compare|teach|help|what|who|whose|why|how|when|where|which)(?:'s)?\b""",
    re.VERBOSE | re.IGNORECASE,
)
_REFERS = re.compile(
    r""":|\b(?:this|that|these|those|it|its|them|they|he|she|his|her|there|same|ones?|above|below|following
            |(?<!how\ do\ )i)\b""",
    re.VERBOSE | re.IGNORECASE,
)
"""What leans on another piece: a word for something said before or after, a colon, a question about one's own case."""


def split(
    text: str, where: Sequence[slice], probabilities: Sequence[Mapping[str, float]], whole: float, sure: float
) -> list[tuple[str, Mapping[str, float]]]:
    """The parts of a message of several tasks, each with its probabilities; empty where it is not sure to be several.

    `where` are the message's pieces, `probabilities` those of each on its own. Each part belongs to an adapter, or to
    `base`, with a probability of `sure` or more, and of more than `whole`, the greatest that an adapter has for the
    whole message; `base` has parts of those alone that no adapter is rather sure of (`UNSURE_OF_WHOLE`). The
    probabilities of a part of several pieces are those of its surest one: what is nobody's beside it is its context,
    and takes nothing from it.
    """
    texts = [text[piece] for piece in where]
    owners = [
        owner(piece, p, sure, base=whole < UNSURE_OF_WHOLE) for piece, p in zip(texts, probabilities, strict=True)
    ]
    parts = []
    for run in joined(probabilities, owners):
        name = next(filter(None, (owners[index] for index in run)))
        surest = max((probabilities[index] for index in run), key=lambda p: p.get(name, 0.0))
        if surest[name] <= whole:
            return []
        parts.append((text[where[run.start].start : where[run.stop - 1].stop], surest))
    return parts


def pieces(text: str) -> tuple[slice, ...]:
    """Where the pieces of a message stand in it: its lines, its sentences, and what `and` or `then` joins.

    Nothing for a message that cannot be several requests: of one piece, of too many, and with a fenced block in it.
    """
    if _FENCE in text or not _JOINT.search(text.strip()):
        return ()
    places, start = [], len(text) - len(text.lstrip())
    end = len(text.rstrip())
    for joint in _JOINT.finditer(text, start, end):
        if (_ABBREVIATION.search(text, start, joint.start()) and "\n" not in joint[0]) or joint.start() <= start:
            continue
        places.append(slice(start, joint.start()))
        start = joint.end()
    if start < end:
        places.append(slice(start, end))
    return tuple(places) if 2 <= len(places) <= MOST_PIECES else ()


def owner(text: str, probabilities: Mapping[str, float], sure: float, base: bool) -> str:
    """Whose a piece is with a probability of `sure` or more: an adapter's, or a request of its own to `base`.

    Empty where it is nobody's for sure, and for what is said beside a request: a greeting, a remark, a question about
    what was said before. `base`: whether `base` may have a piece.
    """
    best = max(probabilities, key=probabilities.__getitem__, default=BASE)
    is_sure = probabilities.get(best, 0.0) >= sure
    return best if is_sure and (best != BASE or (base and is_request(text))) else ""


def is_request(text: str) -> bool:
    """Whether a piece asks for something and needs no other piece to be understood."""
    return len(text.split()) >= FEWEST_WORDS and bool(_ASKS.match(text)) and not _REFERS.search(text)


def joined(probabilities: Sequence[Mapping[str, float]], owners: Sequence[str]) -> tuple[range, ...]:
    """Which pieces belong together, given the probabilities and the owner of each: one range for each part, in order.

    Every piece is in one part, every part has an owner, and neighbors have different ones. What is nobody's between two
    owners goes to the one that it rather belongs to. Nothing where there are not two owners.
    """
    owned = [(index, name) for index, name in enumerate(owners) if name]
    cuts = [_cut(probabilities, left, right) for left, right in pairwise(owned) if left[1] != right[1]]
    return tuple(range(a, b) for a, b in pairwise((0, *cuts, len(probabilities)))) if cuts else ()


def _cut(probabilities: Sequence[Mapping[str, float]], left: tuple[int, str], right: tuple[int, str]) -> int:
    """The first piece of the right part: what is between goes where it is most probable; equals go left."""
    between = range(left[0] + 1, right[0])

    def likeliness(cut: int) -> float:
        return sum(probabilities[i].get((left if i < cut else right)[1], 0.0) for i in between)

    return max(reversed(range(left[0] + 1, right[0] + 1)), key=likeliness)
