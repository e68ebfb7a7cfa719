"""How often a backbone's answers to everyday messages loop, greedy and under the defaults of base.

    python -m tools.bench.loops BACKBONE.gguf

Each of 40 messages is answered alone, by the backbone without adapters: greedily, up to the former limit of 512 tokens,
and under the defaults, until the context is full. An answer loops where the same eight words come four times or more,
which also finds a list that only counts on. Beside it stands how the answers ended, `loop` where the engine ended one.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from itertools import islice
from pathlib import Path

from dlp_local.core.events import Generated, TextDelta
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.engine import LocalEngine

WORDS, TIMES = 8, 4
MESSAGES = (
    "Good morning!",
    "How are you today?",
    "Tell me a short story about a lighthouse.",
    "What is the capital of Portugal?",
    "Write a poem about autumn.",
    "Explain photosynthesis to a child.",
    "Give me ten ideas for a birthday party.",
    "What should I cook tonight with eggs, rice and spinach?",
    "Write an email asking my landlord to fix the heating.",
    "Why is the sky blue?",
    "List the months of the year.",
    "How do I learn to play the guitar?",
    "Recommend some books about the sea.",
    "What is the difference between weather and climate?",
    "Write a thank-you note to my grandmother.",
    "Help me plan a weekend in Rome.",
    "How can I sleep better?",
    "Tell me a joke.",
    "What are the rules of chess?",
    "Summarize the story of Cinderella.",
    "Give me twenty names for a cat.",
    "How does a bicycle stay upright?",
    "Write a Python function that reverses a string.",
    "What are some good questions for a job interview?",
    "Explain what inflation is.",
    "How do I remove a coffee stain from a shirt?",
    "Write a slogan for a small bakery.",
    "What is the meaning of life?",
    "Describe the taste of a ripe mango.",
    "Make a packing list for a camping trip.",
    "Who was Marie Curie?",
    "How do plants drink water?",
    "Write a dialogue between a fox and a crow.",
    "What can I do on a rainy Sunday?",
    "Give me tips for saving money.",
    "How do I say thank you in French, Spanish and German?",
    "Write a table of five planets and their sizes.",
    "What happened in 1969?",
    "I feel a little sad today.",
    "Thanks, good night!",
)
WAYS = {"greedy, 512 tokens at most": Sampling(max_tokens=512), "the defaults of base": Sampling().for_base()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--way", choices=WAYS, help="this one alone")
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="over the way's own")
    parser.add_argument("--answers", type=Path, help="a file for the answers that loop")
    args = parser.parse_args()
    own = dict(pair.split("=", 1) for pair in args.set)
    engine = LocalEngine(args.backbone, [], Options(threads=1))
    for name, sampling in WAYS.items():
        if args.way in (None, name):
            chosen = Sampling.model_validate(sampling.model_dump() | own)
            print(f"{name}: {_measure(engine, chosen, args.answers)}", flush=True)
    engine.close()


def _measure(engine: LocalEngine, sampling: Sampling, answers: Path | None) -> str:
    looping, tokens, endings = 0, 0, Counter[str]()
    for seed, message in enumerate(MESSAGES):
        seeded = sampling if sampling.seed is not None else sampling.model_copy(update={"seed": seed})
        *events, done = engine.generate([Message("user", message)], Mix(), seeded)
        assert isinstance(done, Generated)
        answer = "".join(event.text for event in events if isinstance(event, TextDelta))
        tokens += done.answer_tokens
        endings[done.finish_reason] += 1
        if loops(answer):
            looping += 1
            if answers:
                with answers.open("a", encoding="utf-8") as file:
                    file.write(f"## {message} ({done.finish_reason}, {done.answer_tokens} tokens)\n\n{answer}\n\n")
    ended = ", ".join(f"{count} {reason}" for reason, count in endings.most_common())
    return f"{looping} of {len(MESSAGES)} loop; {ended}; {tokens / len(MESSAGES):.0f} tokens an answer"


def loops(answer: str) -> bool:
    """Whether the same `WORDS` words come `TIMES` times or more."""
    words = re.findall(r"\w+", answer.lower())
    parts = Counter(zip(*(islice(words, start, None) for start in range(WORDS)), strict=False))
    return max(parts.values(), default=0) >= TIMES


if __name__ == "__main__":
    main()
