"""Adapters that the router was never trained on: each task of the pack as if it were new, and up to a thousand."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dlp_local.core.values import BASE, most_probable
from dlp_local.routing.classifier import Classifier
from dlp_local.routing.corrections import Corrections
from dlp_local.routing.message_router import moved_to_base
from dlp_local.routing.router import Router
from tools.experiments.answered import training_rows
from tools.experiments.classifiers import Floats
from tools.experiments.markdown import percent, section, table
from tools.experiments.part import Figures, Part, Setup
from tools.experiments.router import embeddings, labelled_rows, shipped_router

EXAMPLES = (1, 5, 20)
DRAWS = 3
"""Of the examples, for each task and number of them."""

COUNTS = (8, 100, 1000)
VALID = 300
"""Messages that each pool of adapters is judged by."""

NEW = "new"
"""What the adapter is called that a task is known by when it is as if it were new."""

Embed = Callable[[Sequence[str]], Floats]


def known_by_examples(
    router: Router | None, examples: Mapping[str, Floats], dims: int, absent: Sequence[str]
) -> Classifier:
    """What the product makes of adapters that the router was not trained on; `absent` are gone from the pack."""
    nothing = Corrections((), np.zeros((0, dims), np.float32), ())
    return Classifier.of(router, examples, nothing, dims, frozenset(absent))


def chosen(classifier: Classifier, x: Floats) -> list[str]:
    """The most probable label of each message; what adapters have that are gone is `base`'s."""
    best = []
    for row in x:
        probabilities = moved_to_base(classifier.probabilities(row[None]), classifier.absent)
        best.append(most_probable(probabilities))
    return best


def tasks(setup: Setup) -> Figures:
    """Each task of the pack, its label taken out of the router, known by a few of its training messages."""
    corpus, embed = setup.recipe.corpus, embeddings(setup).of
    router = Router(shipped_router(setup), threads=1)
    kinds = {kind: messages[: setup.rows] for kind, messages in corpus.valid(setup.data).items()}
    valid = {task: embed(kinds[task]) for task in corpus.tasks}
    base = embed([text for kind, messages in kinds.items() if corpus.labels.get(kind) == BASE for text in messages])
    found: Figures = {
        "rows": {task: len(x) for task, x in valid.items()},
        "base_rows": len(base),
        "draws": DRAWS,
        "tasks": {},
    }
    for task in corpus.tasks:
        messages = [row.message for row in training_rows(setup.recipe, setup.data, task)]
        others = {label: x for label, x in valid.items() if label != task}
        gone = known_by_examples(router, {}, router.dims, [task])
        before = _shares(gone, others, base)
        trained = known_by_examples(router, {}, router.dims, [])
        found["tasks"][task] = {"trained": round(_share(chosen(trained, valid[task]), task), 4)}
        for count in EXAMPLES:
            draws = [
                _draw(router, task, embed, messages, count, draw, valid[task], others, base) for draw in range(DRAWS)
            ]
            found["tasks"][task][str(count)] = {
                "routed": round(float(np.mean([routed for routed, _, _ in draws])), 4),
                "least": round(min(routed for routed, _, _ in draws), 4),
                "others_lost": round(before[0] - float(np.mean([of_others for _, of_others, _ in draws])), 4),
                "base_lost": round(before[1] - float(np.mean([of_base for _, _, of_base in draws])), 4),
            }
    return found


def _draw(
    router: Router, task: str, embed: Embed, messages: Sequence[str], count: int, draw: int,
    own: Floats, others: Mapping[str, Floats], base: Floats,
) -> tuple[float, float, float]:  # fmt: skip
    """The shares routed right with one draw of examples: of the task's rows, of the others', of base's."""
    examples = random.Random(f"{task} {count} {draw}").sample(list(messages), count)
    classifier = known_by_examples(router, {NEW: embed(examples)}, router.dims, [task])
    return _share(chosen(classifier, own), NEW), *_shares(classifier, others, base)


def _shares(classifier: Classifier, others: Mapping[str, Floats], base: Floats) -> tuple[float, float]:
    return (
        float(np.mean([_share(chosen(classifier, x), label) for label, x in others.items()])),
        _share(chosen(classifier, base), BASE),
    )


def _share(labels: Sequence[str], right: str) -> float:
    return labels.count(right) / max(1, len(labels))


def pools(setup: Setup) -> Figures:
    """8, 100 and 1,000 adapters known by examples alone; a thousand are several for each of the 150 intents."""
    embed = embeddings(setup).of
    by_intent: dict[str, list[str]] = {}
    for text, intent in labelled_rows(setup.data, "intents", "train"):
        by_intent.setdefault(intent, []).append(text)
    by_intent.pop(BASE, None)
    valid = labelled_rows(setup.data, "intents", "valid")
    return {f"{count} by {few}": pool(embed, by_intent, valid, count, few) for count in COUNTS for few in (5, 20)}


def pool(
    embed: Embed, by_intent: Mapping[str, Sequence[str]], valid: Sequence[tuple[str, str]], count: int, few: int
) -> Figures:
    """A pool of so many adapters, each known by so many messages of an intent, or by fewer where they run out.

    A message is routed right where it goes to any adapter of its intent.
    """
    rng = random.Random(f"{count} {few}")
    intents = rng.sample(sorted(by_intent), min(count, len(by_intent)))
    copies = -(-count // len(intents))
    examples: dict[str, Floats] = {}
    for copy in range(copies):
        for intent in intents[: count - len(examples)]:
            own = by_intent[intent]
            size = min(few, len(own) // copies)
            examples[f"{intent} {copy}"] = embed(own[copy * size : (copy + 1) * size])
    classifier = known_by_examples(None, examples, len(next(iter(examples.values()))[0]), ())
    inside = [row for row in valid if row[1] in intents]
    inside = rng.sample(inside, min(VALID, len(inside)))
    outside = [text for text, label in valid if label == BASE][:VALID]
    took, right = [], []
    for text, intent in inside:
        (x,) = embed([text])
        start = time.perf_counter()
        (label,) = chosen(classifier, x[None])
        took.append(1e3 * (time.perf_counter() - start))
        right.append(label.rpartition(" ")[0] == intent)
    return {
        "adapters": len(examples),
        "intents": len(intents),
        "examples": max(len(x) for x in examples.values()),
        "rows": len(inside),
        "routed": round(float(np.mean(right)), 4),
        "base_rows": len(outside),
        "base_found": round(_share(chosen(classifier, embed(outside)), BASE), 4),
        "milliseconds": round(float(np.median(took)), 3),
    }


def _tasks_table(found: Figures) -> str:
    header = ["task", "trained"] + [f"by {count}" for count in EXAMPLES]
    header += [f"others lose by {count}" for count in EXAMPLES]
    rows = []
    for task, of in [*found["tasks"].items(), ("mean", _mean(found["tasks"]))]:
        counts = [of[str(count)] for count in EXAMPLES]
        rows.append([task, percent(of["trained"]), *(percent(c["routed"]) for c in counts),
                     *(percent(c["others_lost"], signed=True) for c in counts)])  # fmt: skip
    return table(header, rows)


def _mean(of_tasks: Mapping[str, Figures]) -> Figures:
    found: Figures = {"trained": float(np.mean([of["trained"] for of in of_tasks.values()]))}
    for count in EXAMPLES:
        of_count = [of[str(count)] for of in of_tasks.values()]
        found[str(count)] = {key: float(np.mean([of[key] for of in of_count])) for key in of_count[0]}
    return found


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    blocks = ["## Adapters that the router was not trained on"]
    if of_tasks := found.get("tasks"):
        mean = _mean(of_tasks["tasks"])
        lost = ", ".join(f"{percent(mean[str(count)]['base_lost'], signed=True)} by {count}" for count in EXAMPLES)
        blocks += [
            "Each task of the pack as if it had just been added: its label is taken out of the router as the "
            "product does when an adapter is gone, and an adapter for it is known by 1, 5 or 20 training messages "
            "alone. `trained`: the router as it is. In percent of valid messages that go to the adapter; `others "
            "lose`: points by which the other tasks' messages are routed right less often than without it, mean of "
            f"the tasks. Mean of {of_tasks['draws']} draws of examples. A message that goes to its adapter is "
            "answered as by the oracle, so these are the shares of the oracle that top-1 keeps, as far as base has "
            "no share of its own.",
            _tasks_table(of_tasks),
            f"Of {of_tasks['base_rows']} messages of base, those that are no longer found, in points: {lost}.",
        ]
    if of_pools := found.get("pools"):
        rows = (
            [str(of["adapters"]), str(of["intents"]), str(of["examples"]), percent(of["routed"]),
             percent(of["base_found"]), f"{of['milliseconds']:.2f}"]
            for of in of_pools.values()
        )  # fmt: skip
        blocks += [
            "### 8, 100 and 1,000 adapters",
            "Every adapter is known by examples alone, and none is trained: intents of CLINC150. Of more adapters than "
            "there are intents several are for one, each by other messages (fewer than 20 where these run out), and a "
            "message that goes to any of them is right. Routing only: there are no such adapters to answer. ms: median "
            "of a message whose embedding is known.",
            table(
                ["adapters", "intents", "examples", "routed right, %", "out of scope found, %", "ms a message"], rows
            ),
        ]
    blocks.append(
        "**The paper beside ours.** The paper has no figure for this. LORAUTER (arXiv 2601.21795) reports 101.2 % "
        "of the task's own adapter with it in the pool, and 88.4 % held out, which is with the row's own adapter "
        "taken away. Here the adapter is there, and it is the router that was not trained on it: these are figures "
        "of another thing."
    )
    return section(*blocks)


PART = Part("new-adapters", ("rows",), {"tasks": tasks, "pools": pools}, page)
