"""Characters and white space of JSON, as parts of a grammar."""

from __future__ import annotations

from collections.abc import Iterable

from dlp_local.engine.constraints.grammar import Chars, Node, Rule, Text, choice, optional, repeat, sequence

Ranges = tuple[tuple[int, int], ...]
"""Code points, first and last of each run, in order and apart."""

LAST = 0x10FFFF
ALL: Ranges = ((0, LAST),)
HEX = Chars(((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)))
DIGIT = Chars(((0x30, 0x39),))

_NEVER_AS_IT_IS: Ranges = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF))
"""What stands in no string of JSON as it is; and delete and surrogates, which stand in no text that is shown."""

_ESCAPES = {0x22: '\\"', 0x5C: "\\\\", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}

CHARACTER = choice(
    [
        Chars(_NEVER_AS_IT_IS[:-1], negated=True),
        sequence("\\", Chars(tuple((ord(mark), ord(mark)) for mark in '"/\\bfnrt'))),
        sequence(
            "\\u", Chars(((0x30, 0x39), (0x41, 0x43), (0x45, 0x46), (0x61, 0x63), (0x65, 0x66))), repeat(HEX, 3, 3)
        ),
        sequence("\\u", Chars(((0x44, 0x44), (0x64, 0x64))), Chars(((0x30, 0x37),)), repeat(HEX, 2, 2)),
    ]
)
"""One character of a string, as it is or escaped; a half of a surrogate pair is none."""

SPACE = optional(choice([" ", sequence("\n", repeat(Chars(((0x09, 0x09), (0x20, 0x20))), 0, 20))]))
"""White space between the parts of JSON; a model cannot go on with it for ever."""


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges in order, and apart."""
    runs: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))
    return tuple(runs)


def complement(ranges: Ranges) -> Ranges:
    """All other code points."""
    bounds = [-1, *(bound for run in ranges for bound in run), LAST + 1]
    gaps = ((bounds[at] + 1, bounds[at + 1] - 1) for at in range(0, len(bounds), 2))
    return tuple((first, last) for first, last in gaps if first <= last)


_AS_IT_IS = complement(_NEVER_AS_IT_IS)


def unescaped(ranges: Ranges) -> Ranges:
    """Those of some characters that stand in a string of JSON as they are."""
    shared = ((max(first, a), min(last, b)) for first, last in ranges for a, b in _AS_IT_IS)
    return tuple((first, last) for first, last in shared if first <= last)


def in_string(ranges: Ranges) -> Node | None:
    """One character out of some, as a string of JSON holds it; None where no string holds any of them."""
    plain = unescaped(ranges)
    escaped = [Text(text) for point, text in _ESCAPES.items() if any(first <= point <= last for first, last in ranges)]
    options: list[Node] = [Chars(plain)] if plain else []
    return choice([*options, *escaped]) if options or escaped else None


def quoted(content: Node, space: Rule) -> Node:
    """A string of JSON with this content, and white space after it."""
    return sequence('"', content, '"', space)
