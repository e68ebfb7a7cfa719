"""Reads the public data sets and words them as the messages that the bundled pack is trained on and routed by.

A folder of data sets holds `NAME/{train,valid}.jsonl.gz`, one JSON object a line with `prompt` and `answer`.
`valid` rows keep the canonical wording of their task; a part of the `train` rows is worded as a person might.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import augment, dates, everyday

TASKS = ("shell", "sql", "describe", "extract", "banking", "dates")
SHARED_DOMAINS = frozenset({"banking", "credit_cards", "kitchen_and_dining"})
"""Domains of `intents` that the adapters' own tasks share; their rows are neither `base` nor any adapter's."""

DATE_ROWS = {"train": 60_000, "valid": 1_000}


@dataclass(frozen=True, slots=True)
class Row:
    """One training example: what the user writes, what the assistant answers, and a label of its group."""

    message: str
    answer: str
    group: str = ""


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All objects of a gzipped JSON-lines file, in order."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


_BROKEN_OPTION = re.compile(r"\[\.\w+(?=\s|$)")
"""`source.tar[.gz` where a page had `source.tar[.gz|.bz2]`: what is left of an alternative after its `|` was cut."""


def canonical(task: str, row: dict[str, Any]) -> Row:
    """The canonical wording of a data row (`shell`: `{tool}: {prompt}`; `sql`: with its columns on a second line)."""
    if task == "shell":
        return Row(f"{row['tool']}: {row['prompt']}", row["answer"], row["tool"])
    if task == "sql":
        return Row(f"{row['prompt']}\ncolumns: {', '.join(row['columns'])}", row["answer"])
    return Row(row["prompt"], row["answer"])


def load(data: Path, task: str, split: str) -> list[Row]:
    """The rows of a task's split in canonical wording."""
    if task == "dates":
        return [Row(message, answer) for message, answer in dates.make_rows(DATE_ROWS[split], split)]
    return [canonical(task, row) for row in read_jsonl(data / task / f"{split}.jsonl.gz")]


def load_base(data: Path, split: str) -> list[Row]:
    """`intents` rows that no adapter shares, with their intent as `answer` and their domain as `group`."""
    rows = read_jsonl(data / "intents" / f"{split}.jsonl.gz")
    return [Row(row["prompt"], row["answer"], row["domain"]) for row in rows if row["domain"] not in SHARED_DOMAINS]


# ---- a person's wording ----------------------------------------------------------------------------------------

_SHELL_ASKS = ("how do I {} with {tool}?", "how do i {} using {tool}", "how to {} with {tool}", "use {tool} to {}",
               "{tool} command to {}", "what is the {tool} command to {}?", "show me how to {} with {tool}",
               "{} with {tool}", "how can I {} using {tool}?", "{tool}: {}", "{tool}: how do I {}?")  # fmt: skip
_VERBS = {"extract": ("unpack", "extract", "decompress"), "display": ("show", "print"), "list": ("show", "list"),
          "delete": ("remove", "delete"), "create": ("make", "create"), "remove": ("delete", "remove"),
          "download": ("get", "fetch"), "start": ("launch", "run"), "convert": ("turn", "convert"),
          "search": ("look", "search"), "open": ("open",), "run": ("execute", "run")}  # fmt: skip
_SQL_ASKS = ("{q} (columns: {c})", "columns: {c}\n{q}", "table t has the columns {c}. {q}", "{q}\ncolumns {c}",
             "{q} The columns are {c}.", "write SQL: {q}\ncolumns: {c}")  # fmt: skip
_DESCRIBE_ASKS = ("describe: {}", "describe {}", "write a sentence: {}", "Describe this restaurant: {}")

_PATH = re.compile(r"path/to/[\w.\-/]+")
_NOUN = re.compile(
    r"\b(?:(?:a|an|the|one) )?"
    r"(?:(?:specific|given|specified|particular|local|single|compressed|\(compressed\)|existing) )*"
    r"(?:archive file|archive|image|video|audio|script|document|file|directory|folder)\b(?: file)?"
)
_DIR_NOUN = re.compile(r"\b(?:a|an|the) (?:(?:specific|given|specified|target|output|current) )*(?:directory|folder)\b")


def _file_name(placeholder: str, rng: random.Random) -> str:
    """A file or folder name in place of `path/to/placeholder`, with the placeholder's extension where it has one."""
    last = placeholder.rsplit("/", 1)[-1]
    if "dir" in last or "folder" in last:
        return rng.choice(everyday.FOLDERS)
    stem = rng.choice(everyday.STEMS) + rng.choice(["", "", "", "2", "_old", "-final", "2021"])
    _, dot, extension = last.partition(".")
    if dot:
        return f"{stem}.{extension}"
    return stem if rng.random() < 0.2 else f"{stem}.{rng.choice(everyday.EXTENSIONS)}"


def name_paths(prompt: str, command: str, rng: random.Random) -> tuple[str, str]:
    """Puts real names for up to two placeholder paths of a command into both the request and the command.

    `Extract an archive` / `tar xf path/to/source.tar` → `Extract notes.tar` / `tar xf notes.tar`. A row whose
    command holds no placeholder, or too many, stays as it is.
    """
    paths = list(dict.fromkeys(_PATH.findall(command)))
    if not 1 <= len(paths) <= 2 or "..." in command:
        return prompt, command
    for path in paths:
        name = _file_name(path, rng)
        is_folder = name in everyday.FOLDERS
        preposition = "into" if any(word in prompt.lower() for word in ("extract", "unpack", "copy", "save")) else "in"
        pattern = _DIR_NOUN if is_folder else _NOUN
        if pattern.search(prompt) and name not in prompt:
            prompt = pattern.sub(name, prompt, count=1)
        else:
            prompt += f" {preposition} {name}" if is_folder else f" {rng.choice(['for', 'from', 'of', 'with'])} {name}"
        command = command.replace(path, name)
    return prompt, command


def _shell(row: dict[str, Any], rng: random.Random) -> Row:
    prompt, answer, tool = row["prompt"], _BROKEN_OPTION.sub("", row["answer"]), row["tool"]
    if rng.random() < 0.4:
        prompt, answer = name_paths(prompt, answer, rng)
    if rng.random() < 0.3:
        first, _, rest = prompt.partition(" ")
        verbs = _VERBS.get(first.lower())
        if verbs:
            verb = rng.choice(verbs)
            prompt = f"{verb.capitalize() if first[0].isupper() else verb} {rest}"
    if rng.random() < 0.4:
        return _asked(tool, prompt, answer, rng)
    return Row(f"{tool}: {prompt}", answer, tool)


def _asked(tool: str, prompt: str, command: str, rng: random.Random) -> Row:
    return Row(rng.choice(_SHELL_ASKS).format(prompt[0].lower() + prompt[1:], tool=tool), command, tool)


def _everyday(rng: random.Random) -> Row:
    tool, prompt, command = everyday.request(rng)
    if rng.random() < 0.5:
        return Row(f"{tool}: {prompt}", command, tool)
    return _asked(tool, prompt, command, rng)


def worded(task: str, row: dict[str, Any], rng: random.Random) -> Row:
    """A data row worded as a person might; `extract`, `banking` and `dates` rows are a person's words already."""
    plain = canonical(task, row)
    if task == "shell":
        return _shell(row, rng)
    if task == "sql":
        columns = list(row["columns"])
        rng.shuffle(columns)
        return Row(rng.choice(_SQL_ASKS).format(q=row["prompt"], c=", ".join(columns)), row["answer"])
    if task == "describe":
        return Row(rng.choice(_DESCRIBE_ASKS).format(row["prompt"]), row["answer"])
    return plain


WORDED_SHARE = {"shell": 0.1, "sql": 0.08, "describe": 0.1}
"""The share of a task's training rows in a person's wording; the others keep the canonical one."""

EVERYDAY_SHARE = 0.05
"""Requests for everyday commands beside the rows of `shell`, as a share of them."""


def training_rows(data: Path, task: str, rng: random.Random) -> list[Row]:
    """The training rows of a task, shuffled; each call words and varies a share of them anew."""
    rows = load(data, task, "train")
    if task == "extract":
        pairs = augment.swap_slots([(row.message, row.answer) for row in rows], rng)
        pairs += [augment.booking(rng) for _ in range(round(len(pairs) * augment.BOOKINGS_SHARE))]
        rows = [Row(message, answer) for message, answer in pairs]
    elif task == "banking":
        rows = [Row(augment.vary_words(row.message, rng), row.answer) for row in rows]
    elif task in WORDED_SHARE:
        rows = [
            worded(task, raw, rng) if rng.random() < WORDED_SHARE[task] else row
            for raw, row in zip(read_jsonl(data / task / "train.jsonl.gz"), rows, strict=True)
        ]
    if task == "shell":
        rows += [_everyday(rng) for _ in range(round(len(rows) * EVERYDAY_SHARE))]
    rng.shuffle(rows)
    return rows
