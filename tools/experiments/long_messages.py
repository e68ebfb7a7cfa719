"""Requests before or after a longer text, and such texts alone: by the whole message, and with its ends."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE, most_probable
from dlp_local.routing import MessageRouter
from dlp_local.routing.ends import LONG
from tools.experiments.markdown import percent, section, table
from tools.experiments.part import Figures, Part, Setup
from tools.experiments.router import message_router

ROOT = Path(__file__).parents[2]
TEXTS = (
    *sorted(Path(__file__).with_name("texts").glob("*.txt")),
    ROOT / "LICENSE",
    ROOT / "tools" / "dates.py",
)
"""Letters, prose, a log, a license and code; each is longer than the longest of `LENGTHS`."""

LENGTHS = (300, 600, 1100, 2000)
REQUESTS = 2
"""Of each kind."""

SHORT = 250
"""Characters of a request at most."""

Pairs = list[tuple[bool, bool]]
"""Of messages, whether each is routed right by the whole, and with its ends."""


def beginning(text: str, length: int) -> str:
    """The beginning of a text, to its last whole line or sentence."""
    cut = text[:length]
    end = max(cut.rfind(". ") + 1, cut.rfind("\n"))
    return cut[:end].strip() if end > length // 2 else cut


class Bench:
    """The pack's router, by the whole of a message and as the product has it."""

    def __init__(self, router: MessageRouter) -> None:
        self._router = router
        self._options = Routing(split=False)

    def by_the_whole(self, text: str) -> str:
        """The label of a message as one embedding."""
        return self._router.labels[int(self._router.probabilities(self._router.embeddings([text])).argmax())]

    def routed(self, text: str) -> str:
        """The label of a message whose ends are looked at, too."""
        probabilities = self._router.route(text, self._options).probabilities
        return most_probable(probabilities)

    def judged(self, messages: Iterable[tuple[str, str]]) -> Figures:
        """The figures of (text, right label)."""
        pairs: Pairs = [(self.by_the_whole(text) == label, self.routed(text) == label) for text, label in messages]
        return {
            "messages": len(pairs),
            "whole": round(sum(whole for whole, _ in pairs) / len(pairs), 4) if pairs else None,
            "ends": round(sum(ends for _, ends in pairs) / len(pairs), 4) if pairs else None,
        }


def requests(setup: Setup, bench: Bench) -> list[tuple[str, str]]:
    """(text, adapter): a few short valid rows of each kind that are routed right alone."""
    corpus, rng, found = setup.recipe.corpus, random.Random(0), list[tuple[str, str]]()
    for kind, texts in corpus.valid(setup.data).items():
        label = corpus.labels.get(kind, kind)
        if label != BASE:
            short = (text for text in rng.sample(texts, len(texts)) if len(text) <= SHORT)
            right = ((text, label) for text in short if bench.by_the_whole(text) == label)
            found += islice(right, REQUESTS)
    return found


def joined(setup: Setup) -> Figures:
    """Requests joined with a blank line to the beginnings of texts, and these alone."""
    bench = Bench(message_router(setup))
    asked, texts = requests(setup, bench), [path.read_text("utf-8").strip() for path in TEXTS]
    found: Figures = {"requests": len(asked), "texts": len(texts), "lengths": {}}
    for length in LENGTHS:
        cut = [beginning(text, length) for text in texts]
        found["lengths"][str(length)] = {
            "before": bench.judged((f"{request}\n\n{text}", label) for text in cut for request, label in asked),
            "after": bench.judged((f"{text}\n\n{request}", label) for text in cut for request, label in asked),
            "alone": bench.judged((text, BASE) for text in cut),
        }
    return found


def rows(setup: Setup) -> Figures:
    """Valid rows that are long themselves."""
    bench, corpus = Bench(message_router(setup)), setup.recipe.corpus
    return {
        kind: bench.judged((text, corpus.labels.get(kind, kind)) for text in long[: setup.per_class])
        for kind, texts in corpus.valid(setup.data).items()
        if (long := [text for text in texts if len(text) > LONG])
    }


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    blocks = [
        "## Requests beside a longer text",
        "In percent of messages that go to the right adapter, or to base. `whole`: the message as one embedding; "
        f"`ends`: as the product routes it, which looks at the ends of a message of more than {LONG} characters, too.",
    ]
    if of_joined := found.get("joined"):
        lines = (
            [length, *(cell for place in ("before", "after", "alone") for cell in _cells(of[place]))]
            for length, of in of_joined["lengths"].items()
        )
        header = [f"{place}: {way}" for place in ("before", "after", "alone") for way in ("whole", "ends")]
        blocks += [
            f"{of_joined['requests']} short valid rows that are routed right alone, {REQUESTS} of each kind at most, "
            f"before or after the beginnings of {of_joined['texts']} texts, with a blank line between: a letter, a "
            "story, an article, a log, a license and code, which stand in this repository. `alone`: the texts, which "
            "are for base.",
            table(["characters of the text", *header], lines),
        ]
    if of_rows := found.get("rows"):
        blocks += [
            f"### Valid rows of more than {LONG} characters",
            table(
                ["valid rows of", "rows", "whole", "ends"],
                ([kind, str(of["messages"]), *_cells(of)] for kind, of in of_rows.items()),
            ),
        ]
    blocks.append("**The paper beside ours.** Its messages are the rows of its tasks: it has no figure for this.")
    return section(*blocks)


def _cells(of: Figures) -> tuple[str, str]:
    return percent(of["whole"]), percent(of["ends"])


PART = Part("long-messages", ("per_class",), {"joined": joined, "rows": rows}, page)
