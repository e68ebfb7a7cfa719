"""Tab: what can follow what is written. The names of commands, their arguments, and files, also those after `@`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from dlp_local.core.paths import user_path
from tui.command_table import matching, parse

Choices = Callable[[str, Sequence[str]], Sequence[str] | None]
"""The words that can follow a command and the words after it; None where a file can."""

MOST = 10_000
"""Entries of a folder that are looked at: a key must never wait for a folder."""

_LAST = re.compile(r'(?<!\S)("[^"]*|[^\s"]\S*)?$')
_MENTION = re.compile(r'(?<!\S)@("[^"]*|\S*)$')
_WORD = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Completion:
    """A text with what all its candidates have in common, and what each of them is, in short."""

    text: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What takes the place of the word that was typed; one that is `open` may be written on without a space."""

    word: str
    short: str
    is_open: bool = False


def words(argument: str) -> list[str]:
    """An argument's words; quotation marks hold one with spaces together."""
    return [quoted or bare for quoted, bare in _WORD.findall(argument)]


def complete(text: str, choices: Choices) -> Completion:
    """`text`, the cursor at its end, as far as it can be told how it goes on."""
    if found := matching(text):
        names = [_Candidate(f"/{c.name}", f"/{c.name}", is_open=not c.argument) for c in found]
        return _completion(text, 0, names)
    if command := parse(text):
        last = _LAST.search(text)
        begin = last.start() if last else len(text)
        before = words(text[len(command[0].name) + 1 : begin])
        following = choices(command[0].name, before)
        typed = text[begin:]
        return _completion(text, begin, _files(typed) if following is None else _words(typed, following))
    if mention := _MENTION.search(text):
        return _completion(text, mention.start(1), _files(mention[1]))
    return Completion(text)


def _completion(text: str, begin: int, candidates: Sequence[_Candidate]) -> Completion:
    if not candidates:
        return Completion(text)
    common = _in_common([candidate.word for candidate in candidates])
    space = " " if len(candidates) == 1 and not candidates[0].is_open else ""
    return Completion(text[:begin] + common + space, tuple(candidate.short for candidate in candidates))


def _in_common(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]


def _words(typed: str, following: Iterable[str]) -> list[_Candidate]:
    """Those that go on as it was typed; in `sql=0.5,sh` it is the part after the comma that is completed."""
    head, comma, last = typed.rpartition(",")
    return [_Candidate(head + comma + word, word) for word in sorted(following) if word.startswith(last)]


def _files(typed: str) -> list[_Candidate]:
    """The files and folders whose path goes on as it was typed; hidden ones only where a dot asks for them."""
    quoted, path = typed.startswith('"'), typed.removeprefix('"')
    folder, name = os.path.split(path)
    typed = path[: len(path) - len(name)]
    try:
        with os.scandir(user_path(folder or ".")) as entries:
            found = [(entry.name, entry.is_dir()) for entry in islice(entries, MOST) if entry.name.startswith(name)]
    except (OSError, ValueError, RuntimeError):
        return []
    shown = sorted((each, is_dir) for each, is_dir in found if name.startswith(".") or not each.startswith("."))
    quoted = quoted or any(" " in typed + each for each, _ in shown)
    return [_file(typed, each, is_dir, quoted) for each, is_dir in shown]


def _file(typed: str, name: str, is_dir: bool, quoted: bool) -> _Candidate:
    short = f"{name}/" if is_dir else name
    word = f'"{typed}{short}' if quoted else f"{typed}{short}"
    return _Candidate(f'{word}"' if quoted and not is_dir else word, short, is_open=is_dir)
