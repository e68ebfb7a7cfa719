"""Ten-turn conversations that change tasks: are turns routed right, and what does the scope `context` cost?"""

from __future__ import annotations

import hashlib
import json
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local import Assistant, open_assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.conversation import followed_by
from dlp_local.core.errors import EngineError
from dlp_local.core.events import ReplyDone
from dlp_local.core.settings import Engine, Settings
from dlp_local.core.values import BASE, Message, Scope, most_probable
from dlp_local.evaluation.answers import whole_lines
from tools.experiments.answered import PATIENCE
from tools.experiments.data_folder import own_data
from tools.experiments.markdown import percent, section, table
from tools.experiments.part import Figures, Part, Setup

TURNS = 10
LONGEST_RUN = 3
"""Turns of a task one after another, at most."""

BASE_SHARE = 0.2
"""Of the changes, those to a message that belongs to no adapter."""

FIRST, FURTHER, BASES = "first of a task", "further of a task", "base"
OWN, ANY = "follow-up of its task", "follow-up of anything"
KINDS = {
    FIRST: "a valid message of another task than the turn before",
    FURTHER: "another valid message of the same task",
    OWN: "goes on with the turn before, in words of its task",
    ANY: "goes on with the turn before, in words that could follow anything",
    BASES: "a message that belongs to no adapter",
}
"""What a turn may be."""

SCOPES: tuple[Scope, ...] = ("turn", "context")
MOST_TOKENS = 32
"""Of an answer: the first one is timed, and the others are there for what follows."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A message, the adapter that it is for (or `base`), and what kind of turn it is."""

    text: str
    right: str
    kind: str


@dataclass(frozen=True, slots=True)
class Messages:
    """What conversations are made of: messages by task, those of base by kind, and follow-ups, of tasks and of any."""

    tasks: Mapping[str, Sequence[str]]
    base: Mapping[str, Sequence[str]]
    follow_ups: Mapping[str, Sequence[str]]
    any_follow_ups: Sequence[str]

    @classmethod
    def of(cls, setup: Setup) -> Messages:
        """The valid messages and the held-out follow-ups of a recipe."""
        corpus = setup.recipe.corpus
        tasks, base = defaultdict[str, list[str]](list), dict[str, Sequence[str]]()
        for kind, texts in corpus.valid(setup.data).items():
            if (label := corpus.labels.get(kind, kind)) == BASE:
                base[kind] = texts
            else:
                tasks[label] += texts
        return cls(tasks, base, corpus.follow_ups, corpus.any_follow_ups)


def conversation(messages: Messages, number: int) -> tuple[Turn, ...]:
    """The conversation of a number: runs of a task, changes to another one, messages for base.

    No message comes twice as long as there are others of its kind.
    """
    rng, turns = random.Random(f"conversation {number}"), list[Turn]()

    def add(texts: Sequence[str], right: str, kind: str) -> None:
        said = {turn.text for turn in turns}
        turns.append(Turn(rng.choice([text for text in texts if text not in said] or texts), right, kind))

    while len(turns) < TURNS:
        before = turns[-1].right if turns else ""
        if messages.base and before != BASE and rng.random() < BASE_SHARE:
            add(messages.base[rng.choice(sorted(messages.base))], BASE, BASES)
            continue
        task = rng.choice([name for name in sorted(messages.tasks) if name != before])
        add(messages.tasks[task], task, FIRST)
        more = rng.randrange(LONGEST_RUN)
        for _ in range(min(more, TURNS - len(turns))):
            ways = {FURTHER: messages.tasks[task], OWN: messages.follow_ups.get(task, ()), ANY: messages.any_follow_ups}
            kind = rng.choice([name for name, texts in ways.items() if texts])
            add(ways[kind], task, kind)
    return tuple(turns)


def play(assistant: Assistant, turns: Sequence[Turn], scope: Scope) -> list[Figures]:
    """Has a conversation as the chat has it, with what is computed in idle time; gives the figures of each turn.

    `routed` is where the turn goes, given the turn before, and `alone` where it would go without that.
    """
    options = ChatOptions(temperature=0, max_tokens=MOST_TOKENS, scope=scope)
    history, previous, found = list[Message](), None, list[Figures]()
    for turn in turns:
        alone = assistant.route(turn.text)
        *_, done = assistant.reply(turn.text, history, options=options, previous_route=previous)
        assert isinstance(done, ReplyDone)
        if done.error:
            raise EngineError(done.error)
        history = followed_by(history, turn.text)
        if done.answer:
            previous, history = done.route, [*history, Message("assistant", done.answer)]
            for _ in assistant.warm(history, options=options):
                pass
        found.append(
            {
                "kind": turn.kind,
                "right": turn.right,
                "routed": most_probable(done.route.carried),
                "alone": most_probable(alone.carried),
                "first_token": round(done.timings.first_token, 2),
                "prompt": done.prompt_tokens,
                "computed": done.prompt_tokens - done.cached_tokens,
            }
        )
    return found


class Kept:
    """The conversations that were had before, in a file, a line each."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[Figures]] = {
            line["key"]: line["turns"] for line in map(json.loads, whole_lines(file))
        }

    def of(self, setup: Setup, assistant: Assistant, turns: Sequence[Turn], scope: Scope) -> list[Figures]:
        """The figures of a conversation, which is had where it was not before."""
        made_of = [setup.setting(("threads",)), scope, MOST_TOKENS, [turn.text for turn in turns]]
        key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]
        if key not in self._known:
            self._known[key] = play(assistant, turns, scope)
            with self._file.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps({"key": key, "turns": self._known[key]}) + "\n")
        return self._known[key]


def measured(setup: Setup) -> Figures:
    """As many conversations as rows, each under both scopes, one after the other; each scope has a pack of its own."""
    messages = Messages.of(setup)
    kept = Kept(setup.build / "conversations.jsonl")
    settings = Settings.model_construct(engine=Engine(threads=setup.threads, response_timeout=PATIENCE))
    had: dict[Scope, list[list[Figures]]] = {scope: [] for scope in SCOPES}
    with (
        own_data(setup.build / "data"),
        open_assistant(settings, setup.pack) as of_turn,
        open_assistant(settings, setup.pack) as of_context,
    ):
        for number in range(setup.rows):
            turns = conversation(messages, number)
            for scope, assistant in zip(SCOPES, (of_turn, of_context), strict=True):
                had[scope].append(kept.of(setup, assistant, turns, scope))
            print(f"  conversation {number + 1} of {setup.rows}", file=sys.stderr, flush=True)
    return {
        "conversations": setup.rows,
        "routing": routing(had["turn"]),
        "scopes": {scope: times(played) for scope, played in had.items()},
        "longer": _longer(had),
    }


def routing(played: Sequence[Sequence[Mapping[str, Any]]]) -> Figures:
    """For each kind of turns: how many, and the share routed right, given the turn before and without it."""
    turns = [turn for one in played for turn in one]
    found: Figures = {}
    for kind in KINDS:
        own = [turn for turn in turns if turn["kind"] == kind]
        if own:
            shares = {way: statistics.mean(turn[way] == turn["right"] for turn in own) for way in ("routed", "alone")}
            found[kind] = {"turns": len(own)} | {way: round(share, 4) for way, share in shares.items()}
    return found


def times(played: Sequence[Sequence[Mapping[str, Any]]]) -> Figures:
    """Milliseconds to the first token of the turns after the first, and tokens of the prompt, all and computed."""
    later = [turn for one in played for turn in one[1:]]
    took = [turn["first_token"] for turn in later]
    return {
        "median": round(statistics.median(took), 1),
        "least": round(min(took), 1),
        "greatest": round(max(took), 1),
        "prompt": statistics.median(turn["prompt"] for turn in later),
        "computed": statistics.median(turn["computed"] for turn in later),
        "by_turn": [round(statistics.median(one[at]["first_token"] for one in played), 1) for at in range(1, TURNS)],
    }


def _longer(had: Mapping[Scope, Sequence[Sequence[Mapping[str, Any]]]]) -> float:
    """The median of how many times as long a turn after the first waits under `context` as under `turn`."""
    ratios: list[float] = [
        context["first_token"] / turn["first_token"]
        for of_turn, of_context in zip(had["turn"], had["context"], strict=True)
        for turn, context in list(zip(of_turn, of_context, strict=True))[1:]
    ]
    return round(statistics.median(ratios), 2)


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    of = found["measured"]
    routed = (
        [f"{kind}: {KINDS[kind]}", str(shares["turns"]), percent(shares["routed"]), percent(shares["alone"])]
        for kind, shares in of["routing"].items()
    )
    scopes = (
        [
            *(f"`{scope}`", f"{entry['median']:.0f}", f"{entry['least']:.0f}", f"{entry['greatest']:.0f}"),
            *(f"{entry['prompt']:.0f}", f"{entry['computed']:.0f}"),
            *(f"{entry['by_turn'][at - 2]:.0f}" for at in (2, 6, 10)),
        ]
        for scope, entry in of["scopes"].items()
    )
    header = ["scope", "median ms", "least", "greatest", "tokens of the prompt", "computed"]
    return section(
        "## Conversations that change tasks",
        f"{of['conversations']} conversations of {TURNS} turns, made of valid messages: one to {LONGEST_RUN} turns of "
        "a task, then another task or a message for base, and among them held-out follow-ups that name no task. Each "
        "is had through the product as the chat has it: with the history, the route of the turn before, its own "
        f"answers (greedy, at most {MOST_TOKENS} tokens), and what is computed in idle time after each.",
        "### Routed right",
        "`routed right`: the most probable adapter is that of the turn, and of a follow-up that of the turn before; "
        "`alone`: the same message without the turn before.",
        table(["turn", "turns", "routed right, %", "alone, %"], routed),
        "### To the first token, by the scope of the adapters",
        "Under `turn` an adapter is on from the last message, so that the history in the cache is good for any mix. "
        "Under `context` it is on for the history, too, which is computed under each new mix. Milliseconds from the "
        f"message to the first token, routing included, of turns 2 to {TURNS}; `computed`: tokens of the prompt that "
        "were not in the cache, median. Each conversation is had under both, one after the other, on engines of their "
        f"own; a turn waits {of['longer']:.2f} times as long under `context`, median. At turn 2, 6 and 10: medians.",
        table([*header, "turn 2", "turn 6", "turn 10"], scopes),
        "**The paper beside ours.** It fuses adapters for each sentence, and says nothing about the keys and values of "
        "earlier turns, which another mix makes wrong, nor about follow-ups: there is nothing to put beside these "
        "figures.",
    )


PART = Part("conversations", ("rows", "threads"), {"measured": measured}, page)
