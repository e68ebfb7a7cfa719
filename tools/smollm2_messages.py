"""The messages that the router of the SmolLM2 pack is trained on and measured by."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path

from dlp_local.core.values import BASE
from dlp_local.training.router.background import background_messages
from dlp_local.training.router.fit import Shape
from tools import (
    everyday,
    generated,
    long_texts,
    near_requests,
    proofreading,
    requests,
    router_parts,
    small_requests,
    small_talk,
    smollm2_data,
    units,
)
from tools.booking_rows import is_booking, is_talk
from tools.data import Row, load, read_jsonl
from tools.router_corpus import Corpus
from tools.router_messages import (
    HELD_OUT_ANY_FOLLOW_UPS,
    HELD_OUT_SMALL_TALK,
    NEW_TASK_FOLLOW_UPS,
    SMALL_TALK,
    politely,
    small_talk_alone,
    task_messages,
)
from tools.smollm2_follow_ups import ANY_FOLLOW_UPS, HELD_OUT_FOLLOW_UPS, TASK_FOLLOW_UPS

TASKS = ("actions", "banking", "cron", "dates", "describe", "extract", "json", "regex", "shell", "sql")

ROWS = {
    "actions": 13_600, "banking": 8000, "cron": 3000, "dates": 1200, "describe": 900, "extract": 12_000, "json": 2000,
    "regex": 3000, "shell": 9000, "bash": 7000, "sql": 3500, "everyday": 600,
}  # fmt: skip
"""Training messages of each kind; `bash` and `everyday` are messages for `shell`, too."""

PIECES = {
    "actions": 600, "banking": 1500, "cron": 600, "dates": 150, "extract": 700, "json": 400,
    "regex": 300, "shell": 800, "sql": 1500,
}  # fmt: skip
"""Pieces of a task's messages, which a message in several parts is cut into."""

AS_PARTS, COMPOSITES, REQUEST_COMPOSITES = 0.07, 50, 150
"""The share of a task's messages that are there as parts of a message, too; messages of each pair of tasks, and of each
task and a request to base."""

INTENT_ROWS, REASONING_ROWS, REQUESTS, NEAR_REQUESTS, QUESTIONS, OTHER_ROWS = 100, 20, 1400, 7500, 900, 400
SMALL_REQUESTS, REQUEST_PARTS, PROGRAM_QUESTIONS, LONG_TEXTS = 4000, 1500, 300, 800
"""Messages of `base`: of each intent, of each task of reasoning, requests, those that use an adapter's words, questions
about facts (those of `sql`, without columns), of each task without an adapter; small ones; requests that are there as
parts of a message, too; about the program itself; texts that ask nothing."""

TALK_REPEATS, TASK_FOLLOW_UP_REPEATS, ANY_FOLLOW_UP_REPEATS = 15, 12, 10
"""How often small talk is in the training rows, and each follow-up under each of its labels: few of them, many rows."""

VALID_ROWS = 1000
"""Of each kind, drawn with a fixed seed."""

_OF_ADAPTERS = {
    "banking", "credit_cards", "weather", "play_music", "update_playlist", "exchange_rate", "restaurant_reservation",
    "confirm_reservation", "restaurant_suggestion", "restaurant_reviews", "how_busy", "accept_reservations",
    "cancel_reservation",
}  # fmt: skip
"""Domains and intents of `intents` that some adapter knows in part; their rows are neither `base` nor any adapter's."""

_BANKS_OTHERS = {
    "apr", "application_status", "bill_balance", "bill_due", "credit_limit", "credit_limit_change", "credit_score",
    "improve_credit_score", "interest_rate", "min_payment", "order_checks", "pay_bill", "redeem_rewards",
    "rewards_balance", "routing", "spending_history",
}  # fmt: skip
"""Intents of those domains that are none of the 77 of `banking`."""

_ACTION = re.compile(r"\b(weather|music|playlist)\b", re.IGNORECASE)
"""Words of small talk that is a command here."""

_DO = "restart start stop reload kill install uninstall update reinstall enable disable".split()
_PROGRAMS = (
    "nginx apache docker mysql postgresql redis sshd cups firefox htop ffmpeg nodejs grafana bluetooth gdm"
).split()
_BASH_ASKS = ("how do I {}?", "how to {}", "command to {}", "how can I {}?", "{} please", "I want to {}")


def training_messages(data: Path, rng: random.Random) -> list[tuple[str, str]]:
    """All (message, label) rows that the router is trained on; a follow-up of anything has every label.

    No valid row is one of them, whatever its case and its marks.
    """
    valid = {_words_of(message) for messages in _valid(data).values() for message in messages}

    def usable(messages: list[str]) -> list[str]:
        return [message for message in messages if _words_of(message) not in valid]

    of_tasks = {
        task: [text for text in usable(_of_task(data, task, _own(rng))) if not small_talk_alone(text)] for task in TASKS
    }
    talk = usable(_talk(_own(rng)))
    bookings = load(data, "extract", "train")
    talk_in_bookings = [row.message for row in bookings if not is_booking(row) and is_talk(row.message)]
    rows = [(message, task) for task, messages in of_tasks.items() for message in messages]
    as_parts, pieces, composites = _own(rng), _own(rng), _own(rng)
    rows += [
        (router_parts.as_part(message, as_parts), task)
        for message, task in as_parts.sample(rows, round(AS_PARTS * len(rows)))
    ]
    rows += [row for row in router_parts.piece_rows(of_tasks, PIECES, pieces) if not small_talk_alone(row[0])]
    of_base, asked = usable(_of_base(data, _own(rng))), _requests(_own(rng))
    rows += router_parts.composite_rows(of_tasks, COMPOSITES, talk, composites)
    rows += router_parts.request_rows(of_tasks, REQUEST_COMPOSITES, asked, composites)
    rows += [(message, BASE) for message in [*talk, *usable(talk_in_bookings), *of_base, *asked]]
    rows += [(router_parts.as_part(message, as_parts), BASE) for message in as_parts.sample(asked, REQUEST_PARTS)]
    rows = [(message, label) for message, label in rows if _words_of(message) not in valid]
    rows += [(message, task) for task, said in TASK_FOLLOW_UPS.items() for message in said] * TASK_FOLLOW_UP_REPEATS
    rows += [(message, label) for message in ANY_FOLLOW_UPS for label in (*TASKS, BASE)] * ANY_FOLLOW_UP_REPEATS
    return rows


def _own(rng: random.Random) -> random.Random:
    """Draws of its own for a kind of messages: how many another kind draws does not change them."""
    return random.Random(rng.getrandbits(40))


def _words_of(message: str) -> str:
    """A message's words and marks that count, for looking whether two messages are the same."""
    return " ".join(message.casefold().split()).strip(" .?!")


def _of_task(data: Path, task: str, rng: random.Random) -> list[str]:
    """A task's training messages, as people write them."""
    if task in smollm2_data.GENERATED:
        pairs = generated.make_rows(smollm2_data.GENERATED[task], task, ROWS[task], "train")
        return [politely(message, rng) for message, _ in pairs]
    if task == "extract":
        rows = load(data, task, "train") + smollm2_data.training_rows(data, task, rng)
        messages = list(dict.fromkeys(row.message for row in rows if is_booking(row)))
        return [politely(message, rng) for message in messages[: ROWS[task]]]
    if task == "actions":
        rows = smollm2_data.training_rows(data, task, rng)[: ROWS[task]]
        return [politely(row.message, rng) for row in rows]
    messages = task_messages(data, task, ROWS[task], rng)
    if task == "shell":
        messages += [_question(row.message, rng) for row in rng.sample(load(data, "bash", "train"), ROWS["bash"])]
        messages += [_question(everyday.request(rng)[1], rng) for _ in range(ROWS["everyday"])]
        messages += [f"{verb} {program}" for verb in _DO for program in _PROGRAMS]
    return messages


def _question(prompt: str, rng: random.Random) -> str:
    """What to do in the shell, as it is or asked for."""
    if rng.random() < 0.3:
        return rng.choice(_BASH_ASKS).format(prompt[:1].lower() + prompt[1:].rstrip("."))
    text = prompt[:1].lower() + prompt[1:] if rng.random() < 0.4 else prompt
    return politely(text.rstrip(".") if rng.random() < 0.3 else text, rng)


def _talk(rng: random.Random) -> list[str]:
    """Small talk that is no command here."""
    talk = [*SMALL_TALK, *(message for message, _ in small_talk.own_messages())] * TALK_REPEATS
    talk += [small_talk.own_pair(rng)[0] for _ in range(500)]
    return [text for text in talk if not _ACTION.search(text)]


def _of_base(data: Path, rng: random.Random) -> list[str]:
    """Messages for no adapter but small talk: requests, `intents`, reasoning, and tasks that have no adapter."""
    intents: defaultdict[str, list[str]] = defaultdict(list)
    for row in _intents(data, "train"):
        intents[row.answer].append(row.message)
    messages = [text for texts in intents.values() for text in rng.sample(texts, min(INTENT_ROWS, len(texts)))]
    out_of_scope = intents["oos"] * 2
    questions = [raw["prompt"] for raw in rng.sample(read_jsonl(data / "sql" / "train.jsonl.gz"), QUESTIONS)]
    background = [text for text in background_messages() if not _ACTION.search(text)] * 2
    reasoning: defaultdict[str, list[str]] = defaultdict(list)
    for raw in read_jsonl(data / "bbh" / "train.jsonl.gz"):
        if raw["subtask"] != "date_understanding":
            reasoning[raw["subtask"]].append(raw["prompt"])
    questions += [text for texts in reasoning.values() for text in rng.sample(texts, REASONING_ROWS)]
    sentences = smollm2_data.sentence_source(data)
    others = generated.make_rows(units.make, "units", OTHER_ROWS, "train")
    others += generated.make_rows(lambda draw: proofreading.make(draw, sentences), "proofread", OTHER_ROWS, "train")
    return [
        *messages,
        *out_of_scope,
        *background,
        *questions,
        *near_requests.make_requests(NEAR_REQUESTS, rng),
        *(message for message, _ in others),
        *near_requests.about_the_program(PROGRAM_QUESTIONS, rng),
        *long_texts.make_texts(LONG_TEXTS, rng),
    ]


def _requests(rng: random.Random) -> list[str]:
    """Requests that base answers on their own, whatever stands beside them."""
    return requests.make_requests(REQUESTS, rng) + small_requests.make_requests(SMALL_REQUESTS, rng)


def _intents(data: Path, split: str) -> list[Row]:
    """The rows of `intents` that no adapter shares."""
    rows = read_jsonl(data / "intents" / f"{split}.jsonl.gz")
    return [
        Row(row["prompt"], row["answer"], row["domain"])
        for row in rows
        if row["answer"] in _BANKS_OTHERS or not {row["domain"], row["answer"]} & _OF_ADAPTERS
    ]


def _valid(data: Path) -> dict[str, list[str]]:
    """Kind → all its valid messages, which nothing is trained on."""
    valid = {task: [row.message for row in smollm2_data.valid_rows(data, task)] for task in TASKS}
    bookings = smollm2_data.valid_rows(data, "extract")
    valid["extract"] = [row.message for row in bookings if is_booking(row)]
    valid["talk in a booking"] = [row.message for row in bookings if not is_booking(row)]
    valid["bash"] = [row.message for row in load(data, "bash", "valid")]
    intents = _intents(data, "valid")
    valid["intents"] = [row.message for row in intents if row.answer != "oos"]
    valid["out of scope"] = [row.message for row in intents if row.answer == "oos"]
    valid["small talk"] = [text for text in HELD_OUT_SMALL_TALK if not _ACTION.search(text)]
    valid["everyday"] = list(requests.HELD_OUT)
    valid["near an adapter"] = list(near_requests.HELD_OUT)
    valid["small requests"] = list(small_requests.HELD_OUT)
    return valid


def valid_messages(data: Path) -> dict[str, list[str]]:
    """Kind → its valid messages, `VALID_ROWS` at most."""
    rng = random.Random(0)
    return {kind: rng.sample(texts, min(len(texts), VALID_ROWS)) for kind, texts in _valid(data).items()}


KINDS_OF_BASE = (
    "talk in a booking",
    "intents",
    "out of scope",
    "small talk",
    "everyday",
    "near an adapter",
    "small requests",
)

CORPUS = Corpus(
    tasks=TASKS,
    training=training_messages,
    valid=valid_messages,
    labels={"bash": "shell"} | dict.fromkeys(KINDS_OF_BASE, BASE),
    follow_ups=HELD_OUT_FOLLOW_UPS,
    any_follow_ups=HELD_OUT_ANY_FOLLOW_UPS,
    new_follow_ups=NEW_TASK_FOLLOW_UPS,
    shape=Shape(members=4, hidden=400, dropout=0.5, anchors=400),
    base_lift=-0.2,
)
