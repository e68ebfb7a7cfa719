"""The messages that the router of the SmolLM2 pack is trained on and measured by."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path

from dlp_local.core.values import BASE
from dlp_local.training.router.background import background_messages
from dlp_local.training.router.fit import Shape
from tools import everyday, generated, proofreading, requests, small_talk, smollm2_data, units
from tools.data import Row, load, read_jsonl
from tools.router_corpus import Corpus
from tools.router_messages import (
    ANY_FOLLOW_UP_REPEATS,
    ANY_FOLLOW_UPS,
    HELD_OUT_ANY_FOLLOW_UPS,
    HELD_OUT_SMALL_TALK,
    HELD_OUT_TASK_FOLLOW_UPS,
    NEW_TASK_FOLLOW_UPS,
    SMALL_TALK,
    TALK_REPEATS,
    TASK_FOLLOW_UP_REPEATS,
    politely,
    small_talk_alone,
    task_messages,
)
from tools.router_messages import TASK_FOLLOW_UPS as OF_THE_BUNDLED

TASKS = ("actions", "banking", "cron", "dates", "describe", "extract", "json", "regex", "shell", "sql")

ROWS = {
    "actions": 2600, "banking": 2800, "cron": 1300, "dates": 900, "describe": 700, "extract": 3600, "json": 900,
    "regex": 1300, "shell": 2600, "bash": 3600, "sql": 1600, "everyday": 300,
}  # fmt: skip
"""Training messages of each kind; `bash` and `everyday` are messages for `shell`, too."""

INTENT_ROWS, REASONING_ROWS, REQUESTS, OTHER_ROWS = 50, 12, 1100, 350
"""Messages of `base`: of each intent, of each task of reasoning, requests, and of each task that has no adapter."""

VALID_ROWS = 250
"""Of each kind, drawn with a fixed seed."""

_OF_ADAPTERS = {
    "banking", "credit_cards", "weather", "play_music", "update_playlist", "exchange_rate", "restaurant_reservation",
    "confirm_reservation", "restaurant_suggestion", "restaurant_reviews", "how_busy", "accept_reservations",
    "cancel_reservation",
}  # fmt: skip
"""Domains and intents of `intents` that some adapter knows in part; their rows are neither `base` nor any adapter's."""

_ACTION = re.compile(r"\b(weather|music|playlist)\b", re.IGNORECASE)
"""Words of small talk that is a command here."""

_BASH_ASKS = ("how do I {}?", "how to {}", "command to {}", "how can I {}?", "{} please", "I want to {}")

TASK_FOLLOW_UPS = OF_THE_BUNDLED | {
    "actions": (
        "now something by Miles Davis", "and for tomorrow?", "add it to my party playlist",
        "give it four stars instead", "and in Berlin?", "no, on spotify", "play the newest one",
        "what about the weekend forecast?",
        "the same album on youtube", "make that a table for two in Boston", "and the one by Queen", "rate it 2 of 6",
    ),
    "cron": (
        "now only on weekdays", "and at midnight instead", "make it every ten minutes", "the same but hourly",
        "and on the first of the month", "but not on Sundays", "twice a day instead", "now at quarter past",
    ),
    "json": (
        "now this one: {'a': 1,}", "and this: [1, 2", "another broken one: {\"x\": True}", "fix this too: {a: 1}",
        "and {\"k\": \"v\"", "this one does not parse either: {\"n\": 01,}",
    ),
    "regex": (
        "now with an optional minus sign", "and only at the start of the line", "also allow underscores",
        "make it case-insensitive", "exactly three of them", "and ending with a digit", "followed by a comma",
        "but for capital letters", "now match the whole line",
    ),
}  # fmt: skip

HELD_OUT_FOLLOW_UPS = HELD_OUT_TASK_FOLLOW_UPS | {
    "actions": ("now play something by Bach", "and on Sunday?", "give it one star", "put it on my running playlist",
                "and what about the forecast for Rome?", "no, use deezer"),
    "cron": ("and every five minutes?", "only on Mondays", "the same at noon", "now every other hour"),
    "json": ("and {'b': 2,}", "this one too: [true, False]", "fix this as well: {x: 2}"),
    "regex": ("now at the end of the line", "two of them instead", "and allow dots", "but for small letters"),
}  # fmt: skip


def training_messages(data: Path, rng: random.Random) -> list[tuple[str, str]]:
    """All (message, label) rows that the router is trained on; a follow-up of anything has every label."""
    rows = [(message, task) for task in TASKS for message in _of_task(data, task, rng)]
    rows = [(message, task) for message, task in rows if not small_talk_alone(message)]
    rows += [(message, BASE) for message in _of_base(data, rng)]
    rows += [(message, task) for task, said in TASK_FOLLOW_UPS.items() for message in said] * TASK_FOLLOW_UP_REPEATS
    rows += [(message, label) for message in ANY_FOLLOW_UPS for label in (*TASKS, BASE)] * ANY_FOLLOW_UP_REPEATS
    return rows


def _of_task(data: Path, task: str, rng: random.Random) -> list[str]:
    """A task's training messages, as people write them."""
    if task in smollm2_data.GENERATED:
        pairs = generated.make_rows(smollm2_data.GENERATED[task], task, ROWS[task], "train")
        return [politely(message, rng) for message, _ in pairs]
    if task == "actions":
        rows = smollm2_data.training_rows(data, task, rng)[: ROWS[task]]
        return [politely(row.message, rng) for row in rows]
    messages = task_messages(data, task, ROWS[task], rng)
    if task == "shell":
        messages += [_question(row.message, rng) for row in rng.sample(load(data, "bash", "train"), ROWS["bash"])]
        messages += [_question(everyday.request(rng)[1], rng) for _ in range(ROWS["everyday"])]
    return messages


def _question(prompt: str, rng: random.Random) -> str:
    """What to do in the shell, as it is or asked for."""
    if rng.random() < 0.3:
        return rng.choice(_BASH_ASKS).format(prompt[:1].lower() + prompt[1:].rstrip("."))
    text = prompt[:1].lower() + prompt[1:] if rng.random() < 0.4 else prompt
    return politely(text.rstrip(".") if rng.random() < 0.3 else text, rng)


def _of_base(data: Path, rng: random.Random) -> list[str]:
    """Messages for no adapter: small talk, requests, `intents`, reasoning, and tasks that have no adapter."""
    talk = [*SMALL_TALK, *(message for message, _ in small_talk.own_messages())] * TALK_REPEATS
    talk += [small_talk.own_pair(rng)[0] for _ in range(500)]
    intents: defaultdict[str, list[str]] = defaultdict(list)
    for row in _intents(data, "train"):
        intents[row.answer].append(row.message)
    messages = [text for texts in intents.values() for text in rng.sample(texts, min(INTENT_ROWS, len(texts)))]
    out_of_scope = intents["oos"] * 2
    background = [text for text in background_messages() if not _ACTION.search(text)] * 2
    reasoning: defaultdict[str, list[str]] = defaultdict(list)
    for raw in read_jsonl(data / "bbh" / "train.jsonl.gz"):
        if raw["subtask"] != "date_understanding":
            reasoning[raw["subtask"]].append(raw["prompt"])
    questions = [text for texts in reasoning.values() for text in rng.sample(texts, REASONING_ROWS)]
    sentences = smollm2_data.sentence_source(data)
    others = generated.make_rows(units.make, "units", OTHER_ROWS, "train")
    others += generated.make_rows(lambda draw: proofreading.make(draw, sentences), "proofread", OTHER_ROWS, "train")
    return [
        *(text for text in talk if not _ACTION.search(text)),
        *messages,
        *out_of_scope,
        *background,
        *questions,
        *requests.make_requests(REQUESTS, rng),
        *(message for message, _ in others),
    ]


def _intents(data: Path, split: str) -> list[Row]:
    """The rows of `intents` that no adapter shares."""
    rows = read_jsonl(data / "intents" / f"{split}.jsonl.gz")
    return [
        Row(row["prompt"], row["answer"], row["domain"])
        for row in rows
        if not {row["domain"], row["answer"]} & _OF_ADAPTERS
    ]


def valid_messages(data: Path) -> dict[str, list[str]]:
    """Kind → its valid messages, `VALID_ROWS` at most."""
    valid = {task: [row.message for row in smollm2_data.valid_rows(data, task)] for task in TASKS}
    valid["bash"] = [row.message for row in load(data, "bash", "valid")]
    intents = _intents(data, "valid")
    valid["intents"] = [row.message for row in intents if row.answer != "oos"]
    valid["out of scope"] = [row.message for row in intents if row.answer == "oos"]
    valid["small talk"] = [text for text in HELD_OUT_SMALL_TALK if not _ACTION.search(text)]
    valid["everyday"] = list(requests.HELD_OUT)
    rng = random.Random(0)
    return {kind: rng.sample(texts, min(len(texts), VALID_ROWS)) for kind, texts in valid.items()}


CORPUS = Corpus(
    tasks=TASKS,
    training=training_messages,
    valid=valid_messages,
    labels={"bash": "shell", "intents": BASE, "out of scope": BASE, "small talk": BASE, "everyday": BASE},
    follow_ups=HELD_OUT_FOLLOW_UPS,
    any_follow_ups=HELD_OUT_ANY_FOLLOW_UPS,
    new_follow_ups=NEW_TASK_FOLLOW_UPS,
    shape=Shape(members=1, hidden=256, dropout=0.3, anchors=24),
    base_lift=0.5,
)
