"""Rows that a person teaches by: read from JSONL, CSV or a folder of pairs, checked whole, and split.

A row is `{"prompt": …, "answer": …}` (`text` is the same as `prompt`) or `{"messages": […]}`, a conversation as OpenAI
has it whose last message is the answer. A CSV file has the columns `prompt` and `answer`; a folder has
`NAME.prompt.txt` beside `NAME.answer.txt`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.files import decode, read_bytes, written_aside
from dlp_local.core.json_text import parse_json
from dlp_local.core.serialize import messages_json
from dlp_local.core.text import counted, is_unicode
from dlp_local.core.values import Message
from dlp_local.training.router.data import hash_position

MAX_BYTES = 256 << 20
SHOWN = 10
"""Bad rows that are told one by one."""

FEWEST = 10
"""Different messages under which nothing can be held out that would show anything."""

HELD_OUT, FEWEST_HELD_OUT, MOST_HELD_OUT = 0.2, 5, 100
"""The share of the rows that is held out, and how many at least and at most."""

PROMPT_FILE, ANSWER_FILE = ".prompt.txt", ".answer.txt"
ROW = 'Write {"prompt": "…", "answer": "…"} or {"messages": […]}.'
PAIR = f"Put NAME{PROMPT_FILE} and NAME{ANSWER_FILE} into it."
_PROMPT_KEYS = ("prompt", "text")
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A conversation that ends with the message to be answered, and its answer."""

    messages: tuple[Message, ...]
    answer: str

    @property
    def prompt(self) -> str:
        """The message to be answered."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The rows of a file, each once; `duplicates` were left out, `ambiguous` have several answers to one message."""

    rows: tuple[TrainingRow, ...]
    duplicates: int = 0
    ambiguous: int = 0


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Rows to train on and those held out; `leaked` rows to train on were left out, for they are held out, too."""

    train: tuple[TrainingRow, ...]
    held_out: tuple[TrainingRow, ...]
    leaked: int = 0


def read_training_rows(path: Path) -> TrainingRows:
    """Every row of a file or a folder; raises `InputError` with the place and the reason of each that is none."""
    if path.is_dir():
        found = _of_folder(path)
    else:
        text = decode(read_bytes(path, MAX_BYTES, "Give fewer rows."), str(path))
        found = _of_csv(text, path) if path.suffix.lower() == ".csv" else _of_jsonl(text, path)
    rows, problems = [], []
    for read in found:
        try:
            rows.append(read())
        except InputError as error:
            problems.append(str(error))
    if problems:
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        listing = "\n".join(f"  {problem}" for problem in problems[:SHOWN])
        raise InputError(f"{path}: {counted(len(problems), 'row')} cannot be learnt from:\n{listing}{more}")
    if not rows:
        raise InputError(f"{path}: holds no rows. {PAIR if path.is_dir() else ROW}")
    each = tuple(dict.fromkeys(rows))
    ambiguous = len(each) - len({row.messages for row in each})
    return TrainingRows(each, len(rows) - len(each), ambiguous)


def split_rows(rows: Sequence[TrainingRow], held_out: Sequence[TrainingRow] | None = None) -> SplitRows:
    """Holds a part of the rows out, the same each time and all rows of one conversation together; or rows of one's own.

    Raises `InputError` for too few rows.
    """
    if held_out is None:
        conversations = sorted({row.messages for row in rows}, key=_position)
        if len(conversations) < FEWEST:
            raise InputError(
                f"training needs {FEWEST} rows of different messages, some to judge by, and there "
                f"{'is' if len(conversations) == 1 else 'are'} {len(conversations)}. Write some more."
            )
        count = min(max(round(HELD_OUT * len(conversations)), FEWEST_HELD_OUT), MOST_HELD_OUT)
        out = set(conversations[:count])
        return SplitRows(
            tuple(row for row in rows if row.messages not in out), tuple(row for row in rows if row.messages in out)
        )
    out = {row.messages for row in held_out}
    train = tuple(row for row in rows if row.messages not in out)
    if not train:
        raise InputError("every row to train on is held out, too. Hold other rows out.")
    return SplitRows(train, tuple(held_out), len(rows) - len(train))


def kept_rows(folder: Path, name: str) -> Path:
    """Where, in the folder of a training, the rows of an adapter are kept for a later one."""
    return folder / f"{name}.jsonl"


def write_rows(path: Path, rows: Sequence[TrainingRow]) -> None:
    """Writes rows as JSONL, whole or not at all; raises `OSError`."""
    with written_aside(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(map(row_line, rows))


def row_line(row: TrainingRow) -> str:
    """A row as a line of JSONL."""
    messages = messages_json((*row.messages, Message("assistant", row.answer)))
    return json.dumps({"messages": messages}, ensure_ascii=False) + "\n"


def _position(messages: Sequence[Message]) -> float:
    return hash_position("\0".join(f"{message.role}\0{message.content}" for message in messages))


Found = Iterator[Callable[[], TrainingRow]]
"""Rows that are read when they are called, which raises `InputError` for a bad one."""


def _of_jsonl(text: str, path: Path) -> Found:
    if text.lstrip().startswith("["):
        raise InputError(f"{path}: is one list. Write one object a line, as `jq -c .[]` does.")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield lambda line=line, number=number: _of_line(line, f"line {number}")  # type: ignore[misc]


def _of_line(line: str, place: str) -> TrainingRow:
    values = parse_json(line, place, "Write one object a line.", only_finite=False)
    if not isinstance(values, dict):
        raise InputError(f"{place}: is no object. {ROW}")
    return _of_messages(values["messages"], place) if "messages" in values else _of_pair(values, place)


def _of_csv(text: str, path: Path) -> Found:
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        if "answer" not in names or not any(key in names for key in _PROMPT_KEYS):
            raise InputError(f"{path}: has no columns prompt and answer. Write these two names into its first line.")
        reader.fieldnames = names
        for values in reader:
            place = f"line {reader.line_num}"
            yield lambda values=values, place=place: _of_pair(values, place)  # type: ignore[misc]
    except csv.Error as error:
        line = reader.line_num + 1  # lines that were read before it
        raise InputError(f"{path}, line {line}: is no CSV ({error}). Mend the line.") from None


def _of_folder(folder: Path) -> Found:
    names = {file.name.removesuffix(end) for end in (PROMPT_FILE, ANSWER_FILE) for file in folder.glob(f"*{end}")}
    for name in sorted(names):
        yield lambda name=name: _of_files(folder, name)  # type: ignore[misc]


def _of_files(folder: Path, name: str) -> TrainingRow:
    values = {}
    for key, ending in (("prompt", PROMPT_FILE), ("answer", ANSWER_FILE)):
        file = folder / f"{name}{ending}"
        if not file.is_file():
            raise InputError(f"{file.name}: is not there, and the other file of the pair is. Write it.")
        values[key] = decode(read_bytes(file, MAX_BYTES, "Shorten it."), file.name)
    return _of_pair(values, name)


def _of_pair(values: dict[str, Any], place: str) -> TrainingRow:
    prompt = next((values[key] for key in _PROMPT_KEYS if values.get(key) is not None), None)
    return TrainingRow((Message("user", _text(prompt, "prompt", place)),), _text(values.get("answer"), "answer", place))


def _of_messages(messages: Any, place: str) -> TrainingRow:
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise InputError(f"{place}: messages is no list of objects. {ROW}")
    read = []
    for message in messages:
        if message.get("role") not in _ROLES:
            raise InputError(f"{place}: a message has the role {message.get('role')!r}. Use {', '.join(_ROLES)}.")
        read.append(Message(message["role"], _text(message.get("content"), "content", place)))
    roles = [message.role for message in read]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != ["user", "assistant"] * (len(turns) // 2):
        raise InputError(f"{place}: user and assistant do not take turns, the answer last. Leave out what is beside.")
    return TrainingRow(tuple(read[:-1]), read[-1].content)


def _text(value: Any, key: str, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place}: has no {key}. {ROW}")
    if not is_unicode(value):
        raise InputError(f"{place}: its {key} holds half a character. Write it as UTF-8.")
    return value.strip()
