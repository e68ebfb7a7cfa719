"""The text that the bundled backbone is trained on: the language of every task, but no task.

Prompts and answers of the data sets go in as separate documents (`<|text|>…<|end|>`), so the backbone knows what
commands, queries and bookings look like without having seen which answer belongs to which prompt. Beside them
stand conversations in the chat frame, answered as in `small_talk.py`, and exercises in copying: every adapter's answer
takes words from its message, and a small model learns to copy late unless much of its text asks for it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from tools import data, small_talk
from tools.frame import END, TEXT, render

TEXT_REPEATS = {"shell": 2, "sql": 1, "describe": 2, "extract": 2, "banking": 2, "dates": 1}
"""How often the text of each task goes in; the large data sets weigh enough as they are."""

DATE_TEXTS = 12_000
DIALOGUES = 22_000
EXERCISES = 60_000


def _by_tool(texts: list[tuple[str, str]], rng: random.Random) -> list[str]:
    """Groups (tool, text) pairs into pages of up to six lines of one tool, as a manual would."""
    pages: defaultdict[str, list[str]] = defaultdict(list)
    for tool, text in texts:
        pages[tool].append(text)
    documents = []
    for lines in pages.values():
        rng.shuffle(lines)
        documents += ["\n".join(lines[i : i + 6]) for i in range(0, len(lines), 6)]
    return documents


def plain_texts(rows: dict[str, list[data.Row]], rng: random.Random) -> list[str]:
    """Unpaired documents of every task: its messages, and apart from them its answers."""
    documents: list[str] = []
    for task, repeats in TEXT_REPEATS.items():
        chosen = rows[task][:DATE_TEXTS] if task == "dates" else rows[task]
        for _ in range(repeats):
            if task == "shell":
                documents += _by_tool([(row.group, row.message) for row in chosen], rng)
                documents += _by_tool([(row.group, row.answer) for row in chosen], rng)
            else:
                documents += [row.message for row in chosen]
                documents += [row.answer for row in chosen]
    return documents


def dialogues(rows: dict[str, list[data.Row]], base: list[data.Row], count: int, rng: random.Random) -> list[str]:
    """Conversations of one to four turns, answered by the base behavior alone."""
    tasks = list(rows)
    conversations = []
    for _ in range(count):
        turns: list[tuple[str, str]] = []
        if rng.random() < 0.15:
            turns.append(("system", small_talk.system_prompt(rng)))
        previous = ""
        for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
            kind = rng.random()
            if kind < 0.25:
                message, answer = small_talk.own_pair(rng)
            elif kind < 0.5:
                row = rng.choice(base)
                message, answer = small_talk.intent_pair(row.message, row.answer, rng)
            elif kind < 0.82:
                row = rng.choice(rows[rng.choice(tasks)])
                message, answer = small_talk.repeat_pair(rng.choice([row.message, row.answer, row.answer]), rng)
            elif kind < 0.95 or not previous:
                message, answer = rng.choice(rows[rng.choice(tasks)]).message, small_talk.NEEDS_ADAPTER
            else:
                message, answer = small_talk.recall_pair(previous, rng)
            turns += [("user", message), ("assistant", answer)]
            previous = message
        conversations.append(render(turns))
    return conversations


_SYLLABLES = ("ka lo mi ren tar vos el an or is gra shu fen dor ny pel zi qua bar tol ex um ith ow sk ch").split()


def _made_up(rng: random.Random) -> str:
    word = "".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4)))
    return rng.choice([word, word.capitalize(), word.upper(), str(rng.randrange(3000))])


def exercises(rows: dict[str, list[data.Row]], count: int, rng: random.Random) -> list[str]:
    """One-turn conversations that copy: whole texts, quoted ones, parts, and the value of a name.

    Half of the texts are the data sets', half are words drawn at random, which nothing but copying can predict.
    """
    tasks = list(rows)
    sample = [rng.choice(rows[task]) for task in tasks for _ in range(3000)]
    words = [word for row in sample for text in (row.message, row.answer) for word in text.split()]

    def some(low: int, high: int) -> str:
        n = rng.randint(low, high)
        return " ".join(_made_up(rng) if rng.random() < 0.25 else rng.choice(words) for _ in range(n))

    conversations = []
    for _ in range(count):
        row = rng.choice(rows[rng.choice(tasks)])
        text = some(2, 16) if rng.random() < 0.5 else rng.choice([row.message, row.answer])
        kind = rng.random()
        if kind < 0.35:
            pair = small_talk.repeat_pair(text, rng)
        elif kind < 0.55:
            pair = small_talk.quote_pair(text, rng)
        elif kind < 0.8:
            pair = small_talk.span_pair(text, rng)
        else:
            pair = small_talk.look_up_pair({some(1, 2): some(1, 4) for _ in range(rng.randint(2, 6))}, rng)
        conversations.append(render([("user", pair[0]), ("assistant", pair[1])]))
    return conversations


def documents(folder: Path, seed: int) -> list[str]:
    """Every document of the backbone's training, shuffled; the same for the same folder and seed."""
    rng = random.Random(f"backbone-{seed}")
    rows = {task: data.training_rows(folder, task, rng) for task in data.TASKS}
    base = data.load_base(folder, "train")
    texts = [f"{TEXT}{text}{END}" for text in plain_texts(rows, rng) + [row.message for row in base]]
    everything = texts + dialogues(rows, base, DIALOGUES, rng) + exercises(rows, EXERCISES, rng)
    rng.shuffle(everything)
    return everything
