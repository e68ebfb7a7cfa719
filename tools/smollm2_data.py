"""The rows that the adapters of the SmolLM2 pack are trained on, endlessly varied, and those they are measured by."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dlp_local.core.values import Message
from tools import augment, cron, data, everyday, generated, json_repair, proofreading, regexes, small_talk, units
from tools.data import Row

GENERATED: dict[str, Callable[[random.Random], generated.Made]] = {
    "cron": cron.make, "units": units.make, "json": json_repair.make, "regex": regexes.make,
}  # fmt: skip
TASKS = ("shell", "sql", "describe", "extract", "banking", "dates", "actions", *GENERATED, "proofread")
GENERATED_ROWS = {"train": 1000, "valid": 1000}
"""Rows drawn at a time: training draws anew each time."""

_SMALL_SHARE = 0.3
_EVERYDAY = 0.04
_NAME = re.compile(r"[\w~*./-]*\w\.\w+|/[\w./-]+|\b\d+\b|\"[\w .-]+\"|'[\w .-]+'")


def renamed(prompt: str, command: str, rng: random.Random) -> tuple[str, str]:
    """A question and its command with other file names, numbers and quoted words in both."""
    for name in dict.fromkeys(_NAME.findall(prompt)):
        core = name.strip("'\"")
        whole = re.compile(rf"(?<![\w.]){re.escape(core)}(?![\w])")
        if len(whole.findall(command)) != 1 or len(whole.findall(prompt)) != 1 or rng.random() < 0.4:
            continue
        if core.isdigit():
            other = str(
                rng.choice([rng.randrange(2, 10), rng.randrange(10, 100), rng.randrange(100, 1000)][: len(core)])
            )
            if len(core) >= 3 and core[0] in "0467" and set(core) <= set("01234567"):
                continue
        elif name[0] in "'\"":
            other = rng.choice(everyday.STEMS) if core.islower() and " " not in core else core
        elif "." in core and not core.startswith(("*", "/", ".", "~")):
            other = f"{rng.choice(everyday.STEMS)}.{core.rsplit('.', 1)[1]}"
        elif core.startswith("*."):
            other = f"*.{rng.choice(everyday.EXTENSIONS)}"
        elif core.startswith("/") and core.count("/") > 1:
            other = core.rsplit("/", 1)[0] + "/" + rng.choice(everyday.STEMS)
        else:
            continue
        other = other.replace("\\", r"\\")
        prompt, command = whole.sub(other, prompt), whole.sub(other, command)
    return prompt, command


def _bash(row: Row, rng: random.Random) -> Row:
    prompt, answer = row.message, row.answer
    if rng.random() < 0.35:
        prompt, answer = renamed(prompt, answer, rng)
    kind = rng.random()
    if kind < 0.15:
        prompt = prompt[:1].lower() + prompt[1:]
    elif kind < 0.2:
        prompt = rng.choice(["how do I {}?", "how to {}", "command to {}", "how can I {}"]).format(
            prompt[:1].lower() + prompt[1:].rstrip(".")
        )
    if rng.random() < 0.1:
        prompt = prompt.rstrip(".")
    return Row(prompt, answer, "bash")


_TEXT_CONDITION = re.compile(r"(\w+) = '([^']+)'")


def _sql_values(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The texts that a column is compared with, by column."""
    values: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        for column, value in _TEXT_CONDITION.findall(row["answer"]):
            values[column].append(value)
    return values


def _sql(raw: dict[str, Any], values: dict[str, list[str]], rng: random.Random) -> Row:
    question, answer, columns = raw["prompt"], raw["answer"], list(raw["columns"])
    if rng.random() < 0.15:
        for column, value in _TEXT_CONDITION.findall(answer):
            if question.count(value) == 1 and answer.count(f"'{value}'") == 1 and len(value) > 2:
                other = rng.choice(values[column])
                question, answer = question.replace(value, other), answer.replace(f"'{value}'", f"'{other}'")
    kind = rng.random()
    if kind < 0.12:
        return data.worded("sql", {"prompt": question, "columns": columns, "answer": answer}, rng)
    if kind < 0.3:
        rng.shuffle(columns)
    return Row(f"{question}\ncolumns: {', '.join(columns)}", answer)


def _shell(raw: dict[str, Any], rng: random.Random) -> Row:
    if "tool" not in raw:
        return _bash(Row(raw["prompt"], raw["answer"]), rng)
    if rng.random() < _EVERYDAY:
        return _everyday(rng)
    return data.worded("shell", raw, rng) if rng.random() < 0.2 else data.canonical("shell", raw)


def _renamed_place(row: Row, names: Sequence[str], rng: random.Random) -> Row:
    """A restaurant's row with another name in attributes and sentence."""
    match = re.match(r"name\[([^\]]+)\]", row.message)
    if (
        match is None
        or row.answer.count(match[1]) != row.answer.lower().count(match[1].lower())
        or match[1] not in row.answer
    ):
        return row
    other = rng.choice(names)
    return Row(row.message.replace(match[1], other), row.answer.replace(match[1], other))


def training_rows(folder: Path, task: str, rng: random.Random) -> list[Row]:
    """One pass over a task's training rows, varied anew and shuffled."""
    if task in GENERATED:
        pairs = generated.make_rows(GENERATED[task], task, GENERATED_ROWS["train"], "train", rng.getrandbits(40))
        return [Row(message, answer) for message, answer in pairs]
    if task == "proofread":
        source = sentence_source(folder)
        pairs = generated.make_rows(
            lambda draw: proofreading.make(draw, source), task, GENERATED_ROWS["train"], "train", rng.getrandbits(40)
        )
        return [Row(message, answer) for message, answer in pairs]
    if task == "actions":
        rows = data.load(folder, task, "train")
        rows = [Row(*pair) for pair in augment.swap_slots([(row.message, row.answer) for row in rows], rng)]
        rows = [Row(row.message.rstrip("."), row.answer) if rng.random() < 0.05 else row for row in rows]
    elif task == "describe":
        rows = data.load(folder, task, "train")
        names = sorted(
            {row.message.split("]")[0].removeprefix("name[") for row in rows if row.message.startswith("name[")}
        )
        rows = [_renamed_place(row, names, rng) if rng.random() < _SMALL_SHARE else row for row in rows]
        raw = data.read_jsonl(folder / "describe" / "train.jsonl.gz")
        rows += [data.worded("describe", row, rng) for row in rng.sample(raw, len(raw) // 10)]
    else:
        return data.training_rows(folder, task, rng)
    rng.shuffle(rows)
    return rows


def _everyday(rng: random.Random) -> Row:
    tool, prompt, command = everyday.request(rng)
    kind = rng.random()
    if kind < 0.4:
        return Row(prompt, command, tool)
    return Row(f"{tool}: {prompt}" if kind < 0.7 else f"how do I {prompt}?", command, tool)


def valid_rows(folder: Path, task: str) -> list[Row]:
    """A task's valid rows, in the wording of the data; `bash` is one of them here."""
    if task in GENERATED:
        pairs = generated.make_rows(GENERATED[task], task, GENERATED_ROWS["valid"], "valid")
        return [Row(message, answer) for message, answer in pairs]
    if task == "proofread":
        source = sentence_source(folder)
        pairs = generated.make_rows(
            lambda draw: proofreading.make(draw, source), task, GENERATED_ROWS["valid"], "valid"
        )
        return [Row(message, answer) for message, answer in pairs]
    return data.load(folder, task, "valid")


_sentences: dict[Path, list[str]] = {}


def sentence_source(folder: Path) -> list[str]:
    """The sentences that `proofread` puts slips into: of tldr-pages, E2E, BANKING77 and BIG-Bench Hard."""
    if folder not in _sentences:
        texts = [row["answer"] for row in data.read_jsonl(folder / "describe" / "train.jsonl.gz")]
        texts += [row["prompt"] for row in data.read_jsonl(folder / "banking" / "train.jsonl.gz")]
        texts += [row["prompt"].split("\nOptions")[0] for row in data.read_jsonl(folder / "bbh" / "train.jsonl.gz")]
        texts += [f"{row['prompt']}." for row in data.read_jsonl(folder / "shell" / "train.jsonl.gz")]
        texts += [row["prompt"] for row in data.read_jsonl(folder / "bash" / "train.jsonl.gz")]
        _sentences[folder] = proofreading.sentences(texts)
    return _sentences[folder]


def endless(folder: Path, task: str, seed: int) -> Iterator[Row]:
    """A task's training rows, pass after pass."""
    rng = random.Random(f"{task}-{seed}")
    if task == "sql":
        raw = data.read_jsonl(folder / "sql" / "train.jsonl.gz")
        values = _sql_values(raw)
        while True:
            rng.shuffle(raw)
            yield from (_sql(row, values, rng) for row in raw)
    if task == "shell":
        bash = data.read_jsonl(folder / "bash" / "train.jsonl.gz")
        raw = data.read_jsonl(folder / "shell" / "train.jsonl.gz") + bash + bash
        while True:
            rng.shuffle(raw)
            yield from (_shell(row, rng) for row in raw)
    while True:
        yield from training_rows(folder, task, rng)


def conversation(earlier: Sequence[Row], rng: random.Random) -> tuple[Message, ...]:
    """A system prompt, at times, and earlier turns."""
    turns: list[Message] = []
    if rng.random() < 0.25:
        turns.append(Message("system", small_talk.system_prompt(rng)))
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
        row = rng.choice(earlier)
        message, answer = small_talk.own_pair(rng) if rng.random() < 0.25 else (row.message, row.answer)
        turns += [Message("user", message), Message("assistant", answer)]
    return tuple(turns)
