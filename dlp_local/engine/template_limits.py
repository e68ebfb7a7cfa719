"""How much a chat template may compute: it is a program of a stranger's, and could run for ever or fill the memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from time import thread_time
from typing import Any, TypeVar

from jinja2.utils import Namespace

SECONDS = 5.0
"""Processor time of one rendering; one of 100,000 tokens takes a twentieth of it."""

SPARE = 1 << 22
"""Characters that a rendering may make, of whatever it is…"""

TIMES = 32
"""…and those of the messages so many times, and once more for each message…"""

MOST = 1 << 27
"""…but never more: each takes up to 12 bytes."""

FRAME = 64
"""Characters that a template writes around a message, or that a message takes as a value."""

ITEM = 8
"""Characters that an item of a list counts for."""

COPIED = 1000
"""Characters that are copied in the time of making one."""

Value = TypeVar("Value")

_WIDTHS = frozenset({"center", "ljust", "rjust", "zfill", "to_bytes", "batch", "slice", "truncate", "round"})
"""Methods and filters whose result may be as large as a number that they are given."""

_PASSING_ON = frozenset(
    {"length", "count", "first", "last", "list", "items", "reverse", "batch", "slice", "random", "default", "d", "attr",
     "map", "select", "reject", "selectattr", "rejectattr"}
)  # fmt: skip
"""Filters that neither write nor compare what is in a list."""

_NUMBER = re.compile(r"\d+")
_WIDTH_ELSEWHERE = re.compile(r"\*|\{[^{}]*\{")
"""In a format, that a width is among what is formatted."""


class TemplateLimitError(Exception):
    """A template computes too much; the text says what, and goes on from `the chat template`."""


class TemplateLimits:
    """What one rendering may still use; `contents` are the messages' texts. Raises `TemplateLimitError` beyond it."""

    def __init__(self, contents: Iterable[str] = ()) -> None:
        sizes = [len(content) + FRAME for content in contents]
        self._left = min(SPARE + sum(sizes) * (TIMES + len(sizes)), MOST)
        self._end = thread_time() + SECONDS

    def step(self) -> None:
        """Counts one round of a loop, a call, a filter."""
        if thread_time() > self._end:
            raise TemplateLimitError("does not come to an end")

    def check(self, size: int) -> None:
        """Sees whether something of this size may be made."""
        if size > self._left:
            raise TemplateLimitError("makes texts or lists without a measure")

    def check_all(self, values: Iterable[Any]) -> None:
        """Sees whether values are small enough to be written or compared."""
        for value in values:
            if isinstance(value, list | tuple | dict | Namespace):
                self.check(_size(value, self._left))

    def made(self, value: Value) -> Value:
        """Counts a new value, and returns it."""
        if isinstance(value, str | bytes):
            size = len(value)
        elif isinstance(value, list | tuple | dict):
            size = ITEM * len(value)
        else:
            return value
        self.check(size)
        self._left -= size
        return value

    def check_operation(self, operator: str, left: Any, right: Any) -> None:
        """Sees whether what an operator gives may be made."""
        if operator == "%" and isinstance(left, str):
            values = right if isinstance(right, tuple) else right.values() if isinstance(right, dict) else (right,)
            self.check(_formatted(left, values))
        elif isinstance(left, int) and isinstance(right, int):
            if operator == "**":
                self.check(left.bit_length() * max(right, 0))
            elif operator == "*":
                self.check(left.bit_length() + right.bit_length())
        elif operator == "*":
            times, repeated = (left, right) if isinstance(left, int) else (right, left)
            if isinstance(times, int) and isinstance(repeated, str | bytes | list | tuple):
                self.check(times * len(repeated) * (1 if isinstance(repeated, str | bytes) else ITEM))

    def check_method(self, name: str, value: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Sees whether what a method or a filter makes of a value may be made."""
        if name not in _PASSING_ON:
            self.check_all((value, *args, *options.values()))
        widest = max((abs(each) for each in _numbers(args, options)), default=0)
        if name in _WIDTHS:
            self.check(widest)
        if name == "tojson":
            self.check(_size(value, self._left) * (1 + widest))
        if isinstance(value, str):
            self.check(_result_size(name, value, args, options))


def _result_size(name: str, text: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> int:
    """At least the characters of what a method or a filter makes of a text, where that may be far more than it has."""
    if name in ("format", "format_map"):
        values = args[0].values() if name == "format_map" and isinstance(args[0], dict) else args
        return _formatted(text, [*values, *options.values()])
    texts = [each for each in (*args, *options.values()) if isinstance(each, str)]
    longest = max(map(len, texts), default=0)
    widest = max((abs(each) for each in _numbers(args, options)), default=0)
    match name:
        case "replace" if texts:
            return len(text) + text.count(texts[0]) * longest
        case "indent":
            return len(text.splitlines()) * (longest + widest)
        case "expandtabs":
            return text.count("\t") * widest
        case "wordwrap":  # a long word is copied once for each line that it takes
            word = max(map(len, text.split()), default=0)
            return max(len(text) * longest, word * word // (COPIED * max(widest, 1)))
        case "urlize":
            return len(text) * longest
        case "split" | "rsplit" | "splitlines":
            return ITEM * (text.count(texts[0]) if longest else len(text.split()) + len(text.splitlines()))
        case "list":
            return ITEM * len(text)
        case "translate" if args and isinstance(args[0], dict):
            return len(text) * max((len(each) for each in args[0].values() if isinstance(each, str)), default=0)
    return 0


def _formatted(text: str, values: Iterable[Any]) -> int:
    """At least the characters of a format that is filled in."""
    values = list(values)
    sizes = [_size(value, MOST) for value in values]
    if _WIDTH_ELSEWHERE.search(text):
        sizes += [abs(value) for value in values if isinstance(value, int)]
    digits = max(_NUMBER.findall(text), key=len, default="0")
    sizes.append(int(digits) if len(digits) < 12 else MOST + 1)
    return (text.count("%") + text.count("{")) * max(sizes)


def _numbers(args: tuple[Any, ...], options: Mapping[str, Any]) -> list[int]:
    return [value for value in (*args, *options.values()) if isinstance(value, int)]


def _size(value: Any, most: int) -> int:
    """The characters and items in a value as it would be written; where that is over `most`, anything over it."""
    size, waiting = 0, [value]
    while waiting and size <= most:
        value = waiting.pop()
        size += len(value) if isinstance(value, str | bytes) else ITEM
        if isinstance(value, Namespace):
            value = object.__getattribute__(value, "_Namespace__attrs")
        if isinstance(value, list | tuple | dict):
            size += ITEM * len(value)
        if size <= most and isinstance(value, dict):
            waiting += chain.from_iterable(value.items())
        elif size <= most and isinstance(value, list | tuple):
            waiting += value
    return size
