"""The messages that the bundled pack's router is trained on and measured by: the six tasks, `base`, and follow-ups.

A follow-up leaves out what the turn before it said. Where it names a thing of its task ("make it five people") it
has that task as its label; where it could follow anything ("and the next one?") it is in the training rows for
every label, so that the router is unsure about it and the turn before decides (`dlp_local.routing.follow_up`).
"""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path

from dlp_local.core.values import BASE
from dlp_local.training.router.fit import Shape
from tools import long_texts, small_talk
from tools.data import TASKS, canonical, load, load_base, read_jsonl, worded
from tools.router_corpus import Corpus

LABELS = tuple(sorted((*TASKS, BASE)))

ROWS = {"shell": 4000, "sql": 2000, "describe": 1500, "extract": 7500, "banking": 5000, "dates": 2000, BASE: 11_000}
"""Training messages of each label, at most: more for those that could be taken for one another."""

PERSON_SHARE = 0.5
"""The share of the training messages in a person's wording, where a task has one (`tools.data.worded`)."""

_POLITE = ("please {}", "can you help? {}", "hi, {}", "hello, {}", "hey, {}", "ok, now {}", "{} please", "{}, thanks")

TASK_FOLLOW_UPS: dict[str, tuple[str, ...]] = {
    "shell": (
        "now with verbose output", "and recursively", "do the same for a directory", "and as root",
        "without asking for confirmation", "now for all files in the folder", "and quietly", "exclude hidden files",
        "write the output to a file instead", "same thing but with gzip", "in the background", "and show the progress",
    ),
    "sql": (
        "now only the bigger ones", "only those after 1990", "and how many are there?", "sort them by year",
        "what is the average instead?", "only where the score is above 10", "count them", "the largest one only",
        "and the lowest?", "which of them came first?", "just the distinct names", "only the rows from 2005",
    ),
    "describe": (
        "now with a high customer rating", "and make it family friendly", "say it is near the river",
        "the same place but cheap", "now for a pub instead", "change the food to Italian", "put it in the city centre",
        "and not family friendly", "describe it again in other words", "now call it The Golden Lion",
    ),
    "extract": (
        "make it five people", "actually at 9pm", "no, on Saturday", "under the name of Maria Lopez instead",
        "we will be one more", "half an hour later please", "and for Sunday evening", "change it to three of us",
        "sorry, I meant eight o'clock", "make that a table for two", "the day after instead", "my last name is Brown",
    ),
    "banking": (
        "and how long will that take?", "will I be charged for it?", "does it work abroad too?", "and the pending one?",
        "it still has not arrived", "can I cancel it?", "what if it was stolen?", "why was it declined again?",
        "and for the virtual one?", "it is still not working", "how much is the fee?", "and in another currency?",
    ),
    "dates": (
        "and the day after", "and the 5th of March?", "now the same day in 1999", "and 12/11/04?", "the next day too",
        "and Christmas 2020", "what about July 4th 1976", "same day next year", "and the 31st", "now Feb 2 88",
    ),
}  # fmt: skip

ANY_FOLLOW_UPS = (
    "and the next one?", "again", "try again", "once more", "now the other one", "and the second one?",
    "do it again but shorter", "the same for the other one", "what about the last one?", "and that one?",
    "now do the opposite", "no, the other way round", "change it back", "make it shorter", "make it simpler",
    "and without it?", "what if there are two?", "now both", "same again please", "all of them", "only the first",
    "not that one", "something else instead", "and the rest?", "the previous one again", "one more like that",
    "that is wrong, do it again", "and with the other name?", "now a bigger one", "keep the rest as it was",
)  # fmt: skip

SMALL_TALK = (
    "good day", "evening!", "hello again", "hi, I am new here", "heya", "hey you", "good to see you", "how are things?",
    "how do you do?", "okay then", "oh ok", "I see", "got it", "lovely", "hmm", "wow", "awesome", "that helps, thanks",
    "thank you so much!", "thanks again", "have a nice day", "take care", "later!", "sleep well", "are you human?",
    "are you alive?", "can you think?", "do you like music?", "do you remember me?", "what language do you speak?",
    "can you learn?", "how big are you?", "how many parameters do you have?", "do you need the internet?",
    "is this private?", "how does the routing work?", "what is a LoRA adapter?", "what is 5 plus 3?", "what is 12 / 4?",
    "how much is 9 times 9?", "who wrote Hamlet?", "what is the capital of Italy?", "who is the queen of Denmark?",
    "how far away is the moon?", "why do cats purr?", "explain gravity", "write a story about a dragon",
    "write an essay about freedom", "summarise this text", "translate hello into French", "say bread in Spanish",
    "tell me something interesting", "give me a riddle", "sing a song", "what should I cook tonight?", "I am bored",
    "I feel sad today", "you are funny", "you are wrong", "I do not understand", "what do you mean?", "why?", "really?",
)  # fmt: skip
"""Small talk beside the rows of `tools.small_talk` and `intents`."""

TALK_REPEATS = 6
"""How often small talk is in the training rows: `extract` has much of it too ("Thank you for your help!")."""

LONG_TEXTS = 250
"""Longer texts that ask nothing, which are for `base`."""

TASK_FOLLOW_UP_REPEATS, ANY_FOLLOW_UP_REPEATS = 6, 10
"""How often each follow-up is in the training rows of a label."""

HELD_OUT_TASK_FOLLOW_UPS: dict[str, tuple[str, ...]] = {
    "shell": (
        "now make it recursive", "and without sudo?", "only the files changed today", "also print the sizes",
        "do that for every subfolder", "same, but to standard output", "with the long option names", "skip symlinks",
    ),
    "sql": (
        "now only the bigger ones from Spain", "just the top one", "and the total?", "only the ones before 1980",
        "how many different ones?", "and the maximum?", "leave out those with zero points", "what about the minimum?",
    ),
    "describe": (
        "now make it expensive", "say that children are welcome", "but with a rating of 1 out of 5",
        "the same one, only French", "let it be near the cinema", "phrase it differently",
        "and a coffee shop this time",
    ),
    "extract": (
        "make it six people", "actually half past seven", "Thursday would be better", "we are four now",
        "put it under Miller", "an hour earlier please", "two more are coming", "tomorrow instead",
    ),
    "banking": (
        "and when will I get it?", "is there a charge for that?", "it was not me", "can I do that in euros?",
        "so why is it still pending?", "and if I lost it?", "does that cost anything?", "can it be reversed?",
    ),
    "dates": (
        "and the 6th?", "the day before that", "and in 1987?", "now 03/11/99", "and New Year's Eve 2010",
        "the same date ten years later", "what about the 1st of May", "one week later",
    ),
}  # fmt: skip

NEW_TASK_FOLLOW_UPS: dict[str, tuple[str, ...]] = {
    "shell": (
        "and now to /home instead", "the same into another folder", "but keep the original", "as a different user",
        "this time for the whole disk", "and only one level deep",
    ),
    "sql": (
        "and the ones from Brazil?", "sorted the other way", "without the duplicates", "and for 2012?",
        "only the names", "how about the youngest?",
    ),
    "describe": (
        "but make it Chinese food", "it should also be cheap", "add that kids are allowed", "and now by the park",
        "call it something else",
    ),
    "extract": (
        "sorry, rather seven of us", "oh, and at 6 instead", "could we come on Monday?", "it's under Petrovic",
        "let's say noon then",
    ),
    "banking": (
        "and how do I unblock it?", "will it happen again?", "who can see that?", "so where is the money now?",
        "can I change it later?",
    ),
    "dates": (
        "and the one before?", "and in leap years?", "then 5/6/07", "and 12 Oct 1492",
        "what about New Year's Day 2000?",
    ),
}  # fmt: skip
"""Written after `carry_over` was chosen."""

HELD_OUT_ANY_FOLLOW_UPS = (
    "and another one", "do that again", "the first one instead", "what about the others?", "no, not this one",
    "a shorter one", "now the rest", "repeat that for the second", "and the one after?", "the same but different",
    "undo that", "more of those",
)  # fmt: skip

HELD_OUT_SMALL_TALK = (
    "hiya", "hello you", "hi there, what are you able to help me with?", "so what exactly are you?", "morning!",
    "tell me what you can do", "what are you capable of?", "do you have feelings?", "are you a person?", "thank you!!",
    "many thanks for your help", "that was great, thanks", "see you tomorrow", "bye for now", "good night then",
    "nice to meet you", "how is it going?", "what's up", "do you know any jokes?", "say something funny",
    "which things do you understand?", "is there a smarter version of you?", "how can I load a larger model?",
    "where can I download a proper backbone?", "you are a bit dumb", "who trained you?", "what is your purpose?",
    "what did I tell you before?", "say: good evening", "repeat: the quick brown fox", "echo one two three", "ok then",
    "who is the president of France?", "what is the capital of Peru?", "write me a poem", "why is the sky blue?",
    "what is 17 times 4?", "translate cheese into German", "what's the weather like?", "play some music",
)  # fmt: skip


def task_messages(data: Path, task: str, count: int, rng: random.Random) -> list[str]:
    """Different training messages of a task, many of them as a person would put it."""
    if task == "dates":
        messages = [row.message for row in load(data, task, "train")[:count]]
    else:
        data_rows = read_jsonl(data / task / "train.jsonl.gz")
        rng.shuffle(data_rows)
        rows = [worded(task, row, rng) if rng.random() < PERSON_SHARE else canonical(task, row) for row in data_rows]
        messages = [row.message for row in rows]
    return [politely(message, rng) for message in list(dict.fromkeys(messages))[:count]]


def base_messages(data: Path, count: int, rng: random.Random) -> list[str]:
    """`count` messages for no adapter: small talk, plain and varied, `intents` rows, and parts of them to repeat."""
    intents = [row.message for row in load_base(data, "train")]
    rng.shuffle(intents)
    parts = [" ".join(text.split()[: rng.randint(1, 5)]) for text in intents[:250]]
    talk = [*SMALL_TALK, *(message for message, _ in small_talk.own_messages())] * TALK_REPEATS
    talk += [small_talk.own_pair(rng)[0] for _ in range(2000)]
    talk += [small_talk.recall_pair("", rng)[0] for _ in range(20)]
    talk += [small_talk.repeat_pair(part, rng)[0] for part in parts]
    return [*talk, *dict.fromkeys(intents)][:count]


def training_messages(data: Path, rng: random.Random) -> list[tuple[str, str]]:
    """All (message, label) rows that the router is trained on; a follow-up of anything has every label.

    A task's row of small talk's words alone ("Thank you! Bye!" as a booking message) is left out.
    """
    rows = [(message, task) for task in TASKS for message in task_messages(data, task, ROWS[task], rng)]
    rows = [(message, task) for message, task in rows if not small_talk_alone(message)]
    rows += [(message, BASE) for message in base_messages(data, ROWS[BASE], rng)]
    rows += [(text, BASE) for text in long_texts.make_texts(LONG_TEXTS, rng)]
    rows += [(message, task) for task, said in TASK_FOLLOW_UPS.items() for message in said] * TASK_FOLLOW_UP_REPEATS
    rows += [(message, label) for message in ANY_FOLLOW_UPS for label in LABELS] * ANY_FOLLOW_UP_REPEATS
    return rows


def valid_messages(data: Path, sql_rows: int = 1600) -> dict[str, list[str]]:
    """Kind → its valid messages: whole, but for sql, of which every n-th row makes `sql_rows`."""
    valid = {task: [row.message for row in load(data, task, "valid")] for task in TASKS}
    valid["sql"] = valid["sql"][:: max(1, len(valid["sql"]) // sql_rows)][:sql_rows]
    valid["intents"] = [row.message for row in load_base(data, "valid")]
    valid["small talk"] = list(HELD_OUT_SMALL_TALK)
    return valid


def small_talk_alone(message: str) -> bool:
    """Whether a message has no word but small talk's."""
    return _words(message) <= _talk_words()


@functools.cache
def _talk_words() -> set[str]:
    return {word for message, _ in small_talk.own_messages() for word in _words(message)}


def _words(message: str) -> set[str]:
    return set(re.findall(r"[^\W_]+|_", message.lower()))


def politely(message: str, rng: random.Random) -> str:
    """One message in twelve with a greeting or a polite word around it, as they do not make it small talk."""
    return rng.choice(_POLITE).format(message) if rng.random() < 1 / 12 else message


CORPUS = Corpus(
    tasks=TASKS,
    training=training_messages,
    valid=valid_messages,
    labels={"intents": BASE, "small talk": BASE},
    follow_ups=HELD_OUT_TASK_FOLLOW_UPS,
    any_follow_ups=HELD_OUT_ANY_FOLLOW_UPS,
    new_follow_ups=NEW_TASK_FOLLOW_UPS,
    shape=Shape(members=1, hidden=128, dropout=0.2, anchors=16),
)
"""Seven labels need no larger router, and a pack that comes along is to be small: with twice the hidden numbers it is
0.1 points better on the tasks and 0.2 MB larger."""
