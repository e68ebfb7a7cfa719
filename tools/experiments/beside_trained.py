"""New adapters known by examples beside a router that was trained on many: what they get, what the others lose."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np

from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE
from dlp_local.routing.router import Router
from dlp_local.training.router.fit import LARGE
from tools.experiments.classifiers import Floats, ours
from tools.experiments.markdown import percent, section, table
from tools.experiments.new_adapters import COUNTS, EXAMPLES, Embed, chosen, known_by_examples
from tools.experiments.part import Figures, Part, Setup, summarized
from tools.experiments.router import capped, embeddings, labelled_rows, message_router, split_rows

NEW = 10
"""Intents that are as if they were new, beside those that the router is trained on."""

DRAWS = 5
"""Of these intents, and of their examples; a router is trained for each."""

EXAMPLES_OF_MANY = 5
TIMED = 300
"""Messages that routes are timed with."""

Rows = Sequence[tuple[str, str]]
"""(text, label)."""


def intents(setup: Setup) -> Figures:
    """Ten intents by their examples beside the 140 others of `intents` that a router is trained on."""
    embed = embeddings(setup).of
    train = capped(labelled_rows(setup.data, "intents", "train"), setup.per_class)
    valid = list(capped(labelled_rows(setup.data, "intents", "valid"), setup.per_class).items())
    draws = [draw(setup, embed, train, valid, number) for number in range(DRAWS)]
    return {
        "draws": DRAWS,
        "new": NEW,
        "trained": len({*train.values()} - {BASE}) - NEW,
        "examples": {str(count): summary([of[count] for of in draws]) for count in EXAMPLES},
    }


def draw(setup: Setup, embed: Embed, train: Mapping[str, str], valid: Rows, number: int) -> dict[int, Figures]:
    """Number of examples → the shares of valid rows that are routed right; without the new ones, too."""
    rng = random.Random(number)
    new = set(rng.sample(sorted({*train.values()} - {BASE}), NEW))
    known = {text: label for text, label in train.items() if label not in new}
    file = setup.build / f"beside-trained-{number}.onnx"
    ours(split_rows(known, embed), file, LARGE)
    router = Router(file, threads=1)
    x, truth = embed([text for text, _ in valid]), [label for _, label in valid]
    before = _shares(router, {}, x, truth, new)
    found = {}
    for count in EXAMPLES:
        texts = {label: [text for text, own in train.items() if own == label] for label in sorted(new)}
        examples = {label: embed(rng.sample(own, min(count, len(own)))) for label, own in texts.items()}
        after = _shares(router, examples, x, truth, new)
        found[count] = {
            "new": after["new"],
            "others_lost": before["others"] - after["others"],
            "base_before": before["base"],
            "base": after["base"],
        }
    return found


def _shares(
    router: Router, examples: Mapping[str, Floats], x: Floats, truth: Sequence[str], new: set[str]
) -> dict[str, float]:
    """The shares that are routed right: of the new intents' messages, of the others', of those out of scope."""
    classifier = known_by_examples(router, examples, router.dims, ())
    right = np.array([label == own for label, own in zip(chosen(classifier, x), truth, strict=True)])
    groups = np.array(["base" if label == BASE else "new" if label in new else "others" for label in truth])
    return {group: float(right[groups == group].mean()) for group in ("new", "others", "base")}


def summary(draws: Sequence[Mapping[str, float]]) -> Figures:
    """Mean, least and greatest of each figure."""
    return summarized(draws, lambda _: {"mean": mean, "least": min, "greatest": max})


def times(setup: Setup) -> Figures:
    """A route's milliseconds, embedding and all, with up to a thousand adapters beside those that the pack has."""
    texts = [text for text, _ in labelled_rows(setup.data, "banking", "train")]
    messages = [text for text, _ in labelled_rows(setup.data, "banking", "valid")][:TIMED]
    found: Figures = {}
    for count in (0, *COUNTS):
        examples = {
            f"adapter {number}": texts[EXAMPLES_OF_MANY * number : EXAMPLES_OF_MANY * (number + 1)]
            for number in range(count)
        }
        router, options = message_router(setup, examples), Routing()
        router.route(messages[0], options)
        took = [router.route(text, options).total_ms for text in messages]
        found[str(count)] = {
            "labels": len(router.labels),
            "median": round(float(np.median(took)), 2),
            "of_95": round(float(np.quantile(took, 0.95)), 2),
        }
    return found


def _cell(of: Mapping[str, float], signed: bool = False) -> str:
    mean, least, greatest = (percent(of[name], signed) for name in ("mean", "least", "greatest"))
    return f"{mean} ({least}…{greatest})"


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    blocks = ["## New adapters beside a trained router"]
    if of := found.get("intents"):
        rows = (
            [count, _cell(few["new"]), _cell(few["others_lost"], signed=True), _cell(few["base_before"]),
             _cell(few["base"])]
            for count, few in of["examples"].items()
        )  # fmt: skip
        blocks += [
            f"Of the intents of CLINC150 {of['new']} are as if they were new adapters, known by training messages "
            f"alone, beside {of['trained']} that a router of `router train`'s recipe is trained on. `new`: their valid "
            "messages that go to them; `others lose`: points by which the others' are routed right less often than "
            f"without them; and those out of scope that stay with base. In percent, mean of {of['draws']} draws of "
            "intents and examples, with the least and the greatest.",
            table(["examples", "new", "others lose", "base found without them", "base found"], rows),
        ]
    if of_times := found.get("times"):
        counts = (
            [count, str(of["labels"]), f"{of['median']:.1f}", f"{of['of_95']:.1f}"] for count, of in of_times.items()
        )
        blocks += [
            "### What a route takes",
            f"With adapters known by {EXAMPLES_OF_MANY} examples each beside the pack's own, which its router was "
            "trained on: a customer's message to a bank from text to mix, with its embedding.",
            table(["new adapters", "labels", "ms, median", "ms, 95 of 100"], counts),
        ]
    blocks.append(
        "**The paper beside ours.** Its router is trained for all of its adapters; it has no figure for one that was "
        "added later."
    )
    return section(*blocks)


PART = Part("beside-trained", ("per_class",), {"intents": intents, "times": times}, page)
