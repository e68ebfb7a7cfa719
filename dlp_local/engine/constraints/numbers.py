"""Numbers of JSON within bounds, as parts of a grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import Chars, Node, Text, choice, optional, repeat, sequence
from dlp_local.engine.constraints.text_rules import DIGIT

DIGITS = 16
"""Of a whole number without a bound, and of a fraction: a model does not go on with them for ever."""

MOST_DIGITS = 40

FRACTION = sequence(".", repeat(DIGIT, 1, DIGITS))
ANY_INTEGER = sequence(optional("-"), choice(["0", sequence(Chars(((0x31, 0x39),)), repeat(DIGIT, 0, DIGITS - 1))]))
_SIGN = Chars(((0x2B, 0x2B), (0x2D, 0x2D)))
_EXPONENT = sequence(Chars(((0x45, 0x45), (0x65, 0x65))), optional(_SIGN), repeat(DIGIT, 1, 2))
ANY_NUMBER = sequence(ANY_INTEGER, optional(FRACTION), optional(_EXPONENT))


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest number, whole numbers; where `above` or `below`, they are not among those meant."""

    least: int | None = None
    most: int | None = None
    above: bool = False
    below: bool = False

    def mirrored(self) -> Bounds:
        """The bounds of the numbers with the other sign."""
        least, most = (None if bound is None else -bound for bound in (self.most, self.least))
        return Bounds(least, most, self.below, self.above)


def integer(bounds: Bounds) -> Node:
    """A whole number within bounds; raises `InputError` where there is none."""
    least = bounds.least + 1 if bounds.least is not None and bounds.above else bounds.least
    most = bounds.most - 1 if bounds.most is not None and bounds.below else bounds.most
    return _signed(Bounds(least, most), _whole)


def number(bounds: Bounds) -> Node:
    """A number within bounds, as a decimal fraction; raises `InputError` where there is none."""
    return _signed(bounds, _decimals)


def _signed(bounds: Bounds, unsigned: Callable[[Bounds], Iterator[Node]]) -> Node:
    """The numbers of both signs; `unsigned` gives those within bounds of 0 and more."""
    if any(bound is not None and abs(bound) >= 10**MOST_DIGITS for bound in (bounds.least, bounds.most)):
        raise InputError(f"a bound has more than {MOST_DIGITS} digits")
    options = list(unsigned(_not_negative(bounds)))
    options += [sequence("-", node) for node in unsigned(_not_negative(bounds.mirrored()))]
    if not options:
        raise InputError("no number lies within its bounds")
    return choice(options)


def _not_negative(bounds: Bounds) -> Bounds:
    return bounds if bounds.least is not None and bounds.least >= 0 else Bounds(0, bounds.most, False, bounds.below)


def _whole(bounds: Bounds) -> Iterator[Node]:
    yield from _between(bounds.least or 0, bounds.most)


def _decimals(bounds: Bounds) -> Iterator[Node]:
    """Numbers from `least` ≥ 0 on: the whole ones below `most` with any fraction, and what is left at both bounds."""
    least, most = bounds.least or 0, bounds.most
    if most is not None and (most < least or (most == least and (bounds.above or bounds.below))):
        return
    for whole in _between(least + 1 if bounds.above else least, None if most is None else most - 1):
        yield sequence(whole, optional(FRACTION))
    if bounds.above:
        yield sequence(f"{least}.", repeat(DIGIT, 0, DIGITS - 1), Chars(((0x31, 0x39),)))
    if most is not None and not bounds.below:
        yield sequence(str(most), optional(".", repeat(Text("0"), 1, DIGITS)))


def _between(least: int, most: int | None) -> Iterator[Node]:
    """The whole numbers from `least` ≥ 0 to `most`, by their number of digits."""
    last = 10 ** max(DIGITS, len(str(least))) - 1 if most is None else most
    for digits in range(len(str(least)), len(str(max(last, 0))) + 1):
        first, end = max(least, 10 ** (digits - 1) if digits > 1 else 0), min(last, 10**digits - 1)
        if first <= end:
            yield _of_equal_length(str(first), str(end))


def _of_equal_length(first: str, last: str) -> Node:
    """The numbers from one to another that has as many digits."""
    if first == last:
        return Text(first)
    rest = len(first) - 1
    low, high = first[0], last[0]
    if low == high:
        return sequence(low, _of_equal_length(first[1:], last[1:]))
    options: list[Node] = []
    if first[1:] != "0" * rest:
        options.append(sequence(low, _of_equal_length(first[1:], "9" * rest)))
        low = chr(ord(low) + 1)
    whole_end = last[1:] == "9" * rest
    top = high if whole_end else chr(ord(high) - 1)
    if low <= top:
        options.append(sequence(Chars(((ord(low), ord(top)),)), *([repeat(DIGIT, rest, rest)] if rest else [])))
    if not whole_end:
        options.append(sequence(high, _of_equal_length("0" * rest, last[1:])))
    return choice(options)
