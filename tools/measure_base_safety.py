"""Measures what a router that was trained on few rows does with messages that belong to no adapter.

    python -m tools.measure_base_safety --data DATA

`router train --out` on 10, 20 or 30 rows each of two or three tasks, drawn anew each time, without rows of `base` and
with thirty of one kind; then `EVERYDAY`, none of which is trained on, and valid rows of the tasks. The same with
domains of `intents`, whose rows are little alike; and with ten tasks of `bbh`, whose messages are long, 100 rows each.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlp_local.core.values import BASE
from dlp_local.packs import bundled_pack
from dlp_local.routing import Encoder, Router
from dlp_local.training.router.background import background_messages
from dlp_local.training.router.train import FILE_NAME, train_file
from tools.data import TASKS, load, read_jsonl

VALID_ROWS = 150
DOMAINS = ("travel", "work", "home", "auto_and_commute", "credit_cards", "banking")
"""Of `intents`; none whose messages are everyday ones."""

Messages = Mapping[str, Sequence[str]]
"""Label → its messages."""

EVERYDAY = (
    "time for bed, good night", "hey, how's it going?", "thanks for nothing", "what can you help me with?",
    "could you draft an email asking my neighbour to keep the noise down?",
    "compose a short poem for my daughter's graduation", "what's a quick dinner I can make with chicken and rice?",
    "how do I get my sourdough to rise?", "explain what a mutex is", "why do we have leap years?",
    "who was Marie Curie?", "how tall is the Eiffel Tower?", "what's the boiling point of water at high altitude?",
    "give me three reasons to learn Latin", "what should I name my kitten?",
    "my knee hurts after running, any advice?", "plan a weekend in Prague for me", "how do I tie a tie?",
    "is it going to be sunny this weekend?", "set an alarm for half past six", "what's 23 times 19?",
    "convert 10 miles to kilometers", "tell me about the history of chocolate",
    "what's the best way to apologize to a friend?", "I feel overwhelmed at work",
    "how do I convince my kids to eat vegetables?", "write a haiku about rain",
    "can you recommend a science fiction novel?", "what are some good icebreakers for a team meeting?",
    "summarize the plot of Romeo and Juliet", "how do black holes form?", "what does it mean to be happy?",
    "do you prefer cats or dogs?", "what's your opinion on pineapple pizza?", "are you a real person?",
    "I don't get it", "that's great, thank you!", "never mind, forget what I said", "how do I remove wallpaper?",
    "which vegetables can I plant in March?", "how much should I tip in Spain?",
    "help me prepare for a salary negotiation", "what's the difference between a virus and a bacterium?",
    "how do I reset my router?", "why is my phone battery draining so fast?", "how do I write a for loop in Rust?",
    "what does the yield keyword do?", "what time does the sun set today?", "say something in Portuguese",
    "teach me a magic trick", "what are good exercises for the lower back?",
    "how do I stop my glasses from fogging up?", "what can I do with leftover bread?",
    "who composed the Four Seasons?", "what's the story behind Halloween?",
    "write a funny caption for a photo of my dog", "is a tomato a fruit?", "how long does it take to get to Mars?",
    "give me a motivational quote", "I just got a promotion!",
)  # fmt: skip
"""Sixty messages that are nobody's."""


def few_rows(data: Path, rng: random.Random) -> tuple[Messages, Messages]:
    """Rows to train on and valid ones of some tasks."""
    tasks, count = rng.sample(TASKS, rng.choice([2, 3])), rng.choice([10, 20, 30])
    train = {task: rng.sample([row.message for row in load(data, task, "train")], count) for task in tasks}
    return train, {task: [row.message for row in load(data, task, "valid")][:VALID_ROWS] for task in tasks}


def ragged_rows(data: Path, rng: random.Random) -> tuple[Messages, Messages]:
    """Rows to train on and valid ones of some domains of `intents`, of 15 intents each."""
    train, valid = (_by(read_jsonl(data / "intents" / f"{split}.jsonl.gz"), "domain") for split in ("train", "valid"))
    domains, count = rng.sample(DOMAINS, rng.choice([2, 3])), rng.choice([10, 20, 30])
    return (
        {domain: rng.sample(train[domain], count) for domain in domains},
        {domain: valid[domain][:VALID_ROWS] for domain in domains},
    )


def long_rows(data: Path, rng: random.Random) -> tuple[Messages, Messages]:
    """Rows to train on and valid ones of ten tasks of `bbh`."""
    train, valid = (_by(read_jsonl(data / "bbh" / f"{split}.jsonl.gz"), "subtask") for split in ("train", "valid"))
    tasks = rng.sample(sorted(train), 10)
    return {task: train[task][:100] for task in tasks}, {task: valid[task] for task in tasks}


def _by(rows: Iterable[Mapping[str, str]], field: str) -> dict[str, list[str]]:
    """The messages of rows, by what they have in a field."""
    messages: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        messages[row[field]].append(row["prompt"])
    return messages


def measure(encoder: Encoder, train: Messages, valid: Messages, base: Sequence[str]) -> dict[str, float]:
    """Trains as the command does; how many of `EVERYDAY` go to an adapter, and which share of valid rows to `base`."""
    rows = [(text, label) for label, texts in {**train, BASE: base}.items() for text in texts]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "rows.jsonl"
        file.write_text("".join(json.dumps({"text": text, "adapter": label}) + "\n" for text, label in rows), "utf-8")
        report = train_file(bundled_pack(), [file], Path(temporary), progress=lambda *_: None)
        router = Router(Path(temporary) / FILE_NAME, 1)
    names = np.array(router.labels)

    def chosen(texts: Sequence[str]) -> npt.NDArray[np.str_]:
        return np.asarray(
            names[router.probabilities(np.concatenate([encoder.encode([text]) for text in texts])).argmax(axis=1)]
        )

    routed = {label: chosen(texts) for label, texts in valid.items()}
    return {
        "everyday_to_an_adapter": float((chosen(EVERYDAY) != BASE).sum()),
        "valid_to_base": float(np.mean([(labels == BASE).mean() for labels in routed.values()])),
        "accuracy": float(np.mean([(labels == label).mean() for label, labels in routed.items()])),
        "held_out_to_base": report.after.base_share if report.after else 0.0,
        "background_to_an_adapter": (report.after.background_share or 0.0) if report.after else 0.0,
    }


def summary(draws: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """Mean and worst of each figure."""
    worst: dict[str, Callable[[list[float]], float]] = defaultdict(lambda: max, accuracy=min)
    columns = {name: [draw[name] for draw in draws] for name in draws[0]}
    return {name: f"{np.mean(values):.4f} (worst {worst[name](values):.4f})" for name, values in columns.items()}


def main() -> None:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--draws", type=int, default=8)
    arguments = parser.parse_args()
    assert not set(EVERYDAY) & set(background_messages())
    folder = bundled_pack()
    encoder = Encoder(folder / "encoder.onnx", folder / "encoder_tokenizer.json", threads=1)
    intents = read_jsonl(arguments.data / "intents" / "train.jsonl.gz")
    greetings = [row["prompt"] for row in intents if row["answer"] == "greeting"][:30]
    for name, draw, base in (
        ("few rows, none of base", few_rows, ()),
        ("few rows, thirty greetings as base", few_rows, greetings),
        ("few rows little alike, none of base", ragged_rows, ()),
        ("ten tasks of long messages, none of base", long_rows, ()),
    ):
        count = max(1, arguments.draws // 4) if draw is long_rows else arguments.draws
        draws = [measure(encoder, *draw(arguments.data, random.Random(seed)), base) for seed in range(count)]
        print(json.dumps({name: summary(draws)}, indent=1), flush=True)


if __name__ == "__main__":
    main()
