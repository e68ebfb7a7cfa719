"""Strings that know which of their characters come from which message.

A chat template is a program that may read the contents of messages in any way: compare, measure, split, replace. It is
therefore given the very contents, as strings that behave as any others, and each character carries where it comes from
through whatever the template does. llama.cpp's template engine tells contents from the template's text in the same way
(common/jinja, "input marking").
"""

# mypy: disable-error-code="override"

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import count
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

OFFSET_BITS = 32
TEMPLATE = -1
"""The source of a character that is in no message. Others are `number of the message << OFFSET_BITS | offset`."""

_PRIVATE_USE = range(0xE000, 0xF8FF)

Sources: TypeAlias = "array[int]"


class TracedText(str):
    """A string with the source of each of its characters; the template's where none are said."""

    sources: Sources

    def __new__(cls, text: str = "", sources: Sources | None = None) -> TracedText:  # noqa: D102
        traced = super().__new__(cls, text)
        traced.sources = _sources(text) if sources is None else sources
        return traced

    @classmethod
    def of_message(cls, number: int, text: str) -> TracedText:
        """The text of message `number`."""
        start = number << OFFSET_BITS
        return cls(text, array("q", np.arange(start, start + len(text), dtype=np.int64).tobytes()))

    def __str__(self) -> TracedText:
        return self

    def __getitem__(self, key: SupportsIndex | slice) -> TracedText:
        text = str.__getitem__(self, key)
        return TracedText(text, self.sources[key] if isinstance(key, slice) else array("q", [self.sources[key]]))

    def __iter__(self) -> Iterator[TracedText]:
        return (self[at] for at in range(len(self)))

    def __add__(self, other: str) -> TracedText:
        return concat((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> TracedText:
        return concat((other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> TracedText:
        return TracedText(str.__mul__(self, times), self.sources * int(times))

    __rmul__ = __mul__

    def join(self, texts: Iterable[str]) -> TracedText:
        """As `str.join`."""
        texts = list(texts)
        str.join(self, texts)  # raises for what are no strings
        return concat(part for text in texts for part in (self, text)).removeprefix(self) if texts else TracedText()

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> TracedText:
        """As `str.replace`."""
        if not old:
            return self._respelled(str.replace(self, old, new, count))
        return TracedText(new).join(self.split(old, count))

    def lstrip(self, characters: str | None = None) -> TracedText:
        """As `str.lstrip`."""
        return self[len(self) - len(str.lstrip(self, characters)) :]

    def rstrip(self, characters: str | None = None) -> TracedText:
        """As `str.rstrip`."""
        return self[: len(str.rstrip(self, characters))]

    def strip(self, characters: str | None = None) -> TracedText:
        """As `str.strip`."""
        return self.lstrip(characters).rstrip(characters)

    def removeprefix(self, prefix: str) -> TracedText:
        """As `str.removeprefix`."""
        return self[len(self) - len(str.removeprefix(self, prefix)) :]

    def removesuffix(self, suffix: str) -> TracedText:
        """As `str.removesuffix`."""
        return self[: len(str.removesuffix(self, suffix))]

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[TracedText]:
        """As `str.split`."""
        return self._found_in_order(str.split(self, sep, maxsplit), len(sep or ""))

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[TracedText]:
        """As `str.rsplit`."""
        return self._found_in_order(str.rsplit(self, sep, maxsplit), len(sep or ""))

    def splitlines(self, keepends: bool = False) -> list[TracedText]:
        """As `str.splitlines`."""
        lines = self._found_in_order(str.splitlines(self, True), 0)
        return lines if keepends else [line[: len(str.splitlines(line)[0])] for line in lines]

    def partition(self, sep: str) -> tuple[TracedText, TracedText, TracedText]:
        """As `str.partition`."""
        return self._cut(*str.partition(self, sep))

    def rpartition(self, sep: str) -> tuple[TracedText, TracedText, TracedText]:
        """As `str.rpartition`."""
        return self._cut(*str.rpartition(self, sep))

    def _found_in_order(self, pieces: Iterable[str], gap: int) -> list[TracedText]:
        """Pieces of the text that follow one another, `gap` characters apart at least."""
        parts, at = [], 0
        for piece in pieces:
            at = self.index(piece, at)
            parts.append(self[at : at + len(piece)])
            at += len(piece) + gap
        return parts

    def _cut(self, before: str, separator: str, _: str) -> tuple[TracedText, TracedText, TracedText]:
        start, end = len(before), len(before) + len(separator)
        return self[:start], self[start:end], self[end:]

    def _respelled(self, text: str) -> TracedText:
        """What became of the text as a whole: character by character, but for white space; else stretched over it."""
        new, old = len(text), len(self)
        if new == old:
            return TracedText(text, self.sources)
        if not old:
            return TracedText(text)
        places = _aligned(str.__str__(self), text) or _stretched(old, new)
        return TracedText(text, array("q", [self.sources[at] for at in places]))


def _aligned(old: str, new: str) -> list[int]:
    """Where each character of `new` stands in `old`, if they differ by white space alone; else nothing.

    White space that was put in goes with the character before it.
    """
    places = [at for at, character in enumerate(old) if not character.isspace()]
    if not places or [old[at] for at in places] != [character for character in new if not character.isspace()]:
        return []
    aligned, last, bounds = [], -1, iter([*places, len(old)])
    bound = next(bounds)
    for character in new:
        if character.isspace():
            last = min(last + 1, bound - 1)
        else:
            last, bound = bound, next(bounds)
        aligned.append(max(last, 0))
    return aligned


def _stretched(old: int, new: int) -> list[int]:
    return [at * old // new for at in range(new)]


def _respelling(method: Callable[..., str]) -> Callable[..., TracedText]:
    """A method of strings that changes how a text is written, or what stands around it."""

    @wraps(method)
    def respelled(self: TracedText, *args: Any) -> TracedText:
        return self._respelled(method(self, *args))

    return respelled


for _name in ("capitalize", "casefold", "lower", "swapcase", "title", "upper", "translate",
              "center", "expandtabs", "ljust", "rjust", "zfill"):  # fmt: skip
    setattr(TracedText, _name, _respelling(getattr(str, _name)))


def concat(parts: Iterable[str]) -> TracedText:
    """The texts one after the other; a plain string is the template's."""
    texts = [str(part) for part in parts]
    sources: Sources = array("q")
    for text in texts:
        sources.extend(_sources(text))
    return TracedText("".join(texts), sources)


def traced(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function gives, and if that is a string made of traced ones among its arguments, with its sources.

    They are seen by giving it placeholders. Where it does something to what it is given, the whole result is taken to
    be the messages'.
    """
    result = function(*args, **kwargs)
    texts = [value for value in (*args, *kwargs.values()) if isinstance(value, TracedText)]
    if not texts or not isinstance(result, str) or isinstance(result, TracedText):
        return result
    taken = {*result, *"".join(texts)}
    mark = next(chr(code) for code in _PRIVATE_USE if chr(code) not in taken)
    numbers = count()

    def placed(value: Any) -> Any:
        return f"{mark}{next(numbers)}{mark}" if isinstance(value, TracedText) else value

    try:
        filled = function(*map(placed, args), **{name: placed(value) for name, value in kwargs.items()})
        pieces = re.split(rf"{mark}(\d+){mark}", filled)
    except Exception:  # it does not take any text
        pieces = []
    exact = concat(texts[int(piece)] if at % 2 else piece for at, piece in enumerate(pieces))
    return exact if exact == result else concat(texts)._respelled(result)


def traced_within(function: Callable[[Any], Any], value: Any) -> Any:
    """As `traced`, for a function of a list or a dictionary that writes the texts in it."""
    return traced(lambda *texts: function(_with_texts(value, iter(texts))), *_texts_in(value))


def _texts_in(value: Any) -> Iterator[str]:
    """The strings in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts_in(key)
            yield from _texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item)


def _with_texts(value: Any, texts: Iterator[str]) -> Any:
    """The value with other strings in their places."""
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, dict):
        return {_with_texts(key, texts): _with_texts(item, texts) for key, item in value.items()}
    return [_with_texts(item, texts) for item in value] if isinstance(value, list | tuple) else value


def _sources(text: str) -> Sources:
    return text.sources if isinstance(text, TracedText) else array("q", [TEMPLATE]) * len(text)
