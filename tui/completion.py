"""What can follow what is written: the words of a list, and files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from dlp_local.core.errors import InputError
from dlp_local.core.paths import user_path

MOST = 10_000
"""Entries of a folder that are looked at: a key must never wait for a folder."""

_LAST = re.compile(r'(?<!\S)("[^"]*|[^\s"]\S*)?$')
_MENTION = re.compile(r'(?<![^\s(\[{])@("[^"]*|\S*)$')
_WORD = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A way to go on: the whole text with it, its short name for a list, and what it is for."""

    text: str
    label: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A text as far as it can only go on in one way, and all ways to go on."""

    text: str
    suggestions: tuple[Suggestion, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may take the place of the word that was typed; after one that `goes_on` no space is put."""

    word: str
    label: str
    help: str = ""
    goes_on: bool = False


def words(argument: str) -> list[str]:
    """An argument's words; quotation marks hold one with spaces together."""
    return [quoted or bare for quoted, bare in _WORD.findall(argument)]


def last_word(text: str) -> int:
    """Where the word at the end of a text begins; its end where a space is there."""
    last = _LAST.search(text)
    return last.start() if last else len(text)


def mention(text: str) -> int | None:
    """Where the path of an unfinished `@path` at the end of a text begins."""
    at = _MENTION.search(text)
    return at.start(1) if at else None


def completed(text: str, begin: int, candidates: Sequence[Candidate]) -> Completion:
    """`text`, of which the part from `begin` on is to be one of the candidates."""
    if not candidates:
        return Completion(text)
    suggestions = tuple(
        Suggestion(text[:begin] + each.word + ("" if each.goes_on else " "), each.label, each.help)
        for each in candidates
    )
    if len(suggestions) == 1:
        return Completion(suggestions[0].text, suggestions)
    return Completion(text[:begin] + _in_common([each.word for each in candidates]), suggestions)


def _in_common(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]


def matching_words(typed: str, choices: Iterable[str]) -> list[Candidate]:
    """Those that go on as it was typed; in `sql=0.5,sh` it is the part after the comma that is completed."""
    head, comma, last = typed.rpartition(",")
    return [Candidate(head + comma + word, word) for word in sorted(choices) if word.startswith(last)]


def matching_files(typed: str) -> list[Candidate]:
    """The files and folders whose path goes on as it was typed; hidden ones only where a dot asks for them."""
    quoted, path = typed.startswith('"'), typed.removeprefix('"')
    folder, name = os.path.split(path)
    typed = path[: len(path) - len(name)]
    try:
        with os.scandir(user_path(folder or ".")) as entries:
            matches = [(entry.name, entry.is_dir()) for entry in islice(entries, MOST) if entry.name.startswith(name)]
    except (OSError, ValueError, InputError):
        return []
    offered = sorted((each, is_dir) for each, is_dir in matches if name.startswith(".") or not each.startswith("."))
    quoted = quoted or any(" " in typed + each for each, _ in offered)
    return [_file(typed, each, is_dir, quoted) for each, is_dir in offered]


def _file(typed: str, name: str, is_dir: bool, quoted: bool) -> Candidate:
    label = f"{name}/" if is_dir else name
    word = f'"{typed}{label}' if quoted else f"{typed}{label}"
    return Candidate(f'{word}"' if quoted and not is_dir else word, label, goes_on=is_dir)
