"""The router against other classifiers on the same features: the pack's tasks, `intents`, `banking`."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE
from dlp_local.pack_router import pack_router
from dlp_local.packs import open_pack
from dlp_local.routing import MessageRouter
from dlp_local.training.router.background import Background
from dlp_local.training.router.data import Split, held_out_texts
from dlp_local.training.router.fit import LARGE, Shape
from dlp_local.training.router.metrics import calibration_error
from tools.data import read_jsonl
from tools.experiments.classifiers import (
    OTHERS,
    Classifier,
    Floats,
    Rows,
    milliseconds,
    of_file,
    ours,
    without_earlier_layers,
)
from tools.experiments.markdown import percent, section, table
from tools.experiments.part import Figures, Part, Setup
from tools.train_router import Embeddings

MOST_LOST = 0.03
"""Of rows in scope, those that may be taken for out of scope."""

SHIPPED, OURS, EMBEDDING_ALONE = "the pack's router", "our recipe", "the same, embedding alone"


@dataclass(frozen=True, slots=True)
class Trial:
    """Text → label to train on and (text, label) to judge by; `shipped` is a router that was trained on more.

    Where `background`, messages that are nobody's are rows of `base` besides, for every classifier.
    """

    train: Mapping[str, str]
    valid: Sequence[tuple[str, str]]
    shape: Shape = LARGE
    shipped: Path | None = None
    background: bool = True
    base_lift: float = 0.0


def embeddings(setup: Setup) -> Embeddings:
    """The pack's encoder, and what it embedded before."""
    pack = open_pack(setup.pack, only_routing=True)
    encoder = pack.manifest.encoder
    return Embeddings(pack.path(encoder), pack.path(encoder.tokenizer), setup.build / "embeddings")


def shipped_router(setup: Setup) -> Path:
    """The file of the pack's router."""
    pack = open_pack(setup.pack, only_routing=True)
    assert pack.router_path is not None
    return pack.router_path


def message_router(setup: Setup, adapters: Mapping[str, Sequence[str]] | None = None) -> MessageRouter:
    """The pack's router as the product opens it, with other adapters (name → examples) beside the pack's own."""
    pack = open_pack(setup.pack, only_routing=True)
    return pack_router(
        pack,
        Routing().encoder_threads,
        {**dict.fromkeys(pack.manifest.enabled, ()), **(adapters or {})},
        router=pack.router_path,
        cache=setup.build / "embeddings" / "examples.sqlite",
    )


def labelled_rows(data: Path, name: str, split: str) -> list[tuple[str, str]]:
    """(text, label) rows of a data set; what is out of scope is `base`'s."""
    found = read_jsonl(data / name / f"{split}.jsonl.gz")
    return [(row["prompt"], BASE if row["answer"] == "oos" else row["answer"]) for row in found]


def capped(rows: Iterable[tuple[str, str]], per_class: int, seed: int = 0) -> dict[str, str]:
    """Text → label, each text once, so many of a label at most, drawn with a seed; no text of several labels."""
    labels = defaultdict[str, set[str]](set)
    for text, label in rows:
        labels[text].add(label)
    by_label = defaultdict[str, list[str]](list)
    for text, own in labels.items():
        if len(own) == 1:
            by_label[min(own)].append(text)
    drawn = {
        label: random.Random(f"{seed} {label}").sample(texts, min(per_class, len(texts)))
        for label, texts in sorted(by_label.items())
    }
    return {text: label for label, texts in drawn.items() for text in texts}


def pack_trial(setup: Setup) -> Trial:
    """The pack's tasks and base: training messages of its recipe, its valid messages of every kind."""
    corpus = setup.recipe.corpus
    valid = [
        (text, corpus.labels.get(kind, kind))
        for kind, texts in corpus.valid(setup.data).items()
        for text in texts[: setup.per_class]
    ]
    unseen = {text for text, _ in valid}
    rows = (row for row in corpus.training(setup.data, random.Random(0)) if row[0] not in unseen)
    train = capped(rows, setup.per_class)
    return Trial(train, valid, corpus.shape, shipped_router(setup), background=False, base_lift=corpus.base_lift)


def data_trial(name: str) -> Callable[[Setup], Trial]:
    """A data set of intents; what is out of scope is `base`'s."""

    def trial(setup: Setup) -> Trial:
        train = capped(labelled_rows(setup.data, name, "train"), setup.per_class)
        valid = capped(labelled_rows(setup.data, name, "valid"), setup.per_class)
        return Trial(train, list(valid.items()))

    return trial


def split_rows(train: Mapping[str, str], embed: Callable[[Sequence[str]], Floats], background: bool = True) -> Rows:
    """Rows, text → label, as classifiers are trained on them; with the bundled background messages, or without."""
    split = Split.of(train, held_out_texts(train), embed(list(train)))
    nobodys = Background.embedded(embed).away_from(split.of_adapters()).x if background else split.x[:0]
    return Rows(split.x, split.y, split.x_held, split.y_held, nobodys)


def compare(trial: Trial, encoder: Embeddings, file: Path) -> Figures:
    """The figures of every classifier; `file` is where the router that is trained is put."""
    embed = encoder.of
    rows = split_rows(trial.train, embed, trial.background)
    classifiers = {SHIPPED: of_file(trial.shipped)} if trial.shipped else {}
    classifiers[OURS] = ours(rows, file, trial.shape, trial.base_lift)
    alone = without_earlier_layers(
        rows, encoder.embedding_dims, file.with_stem(f"{file.stem}-alone"), trial.shape, trial.base_lift
    )
    classifiers[EMBEDDING_ALONE] = alone
    classifiers |= {name: make(rows) for name, make in OTHERS.items()}
    x, truth = embed([text for text, _ in trial.valid]), [label for _, label in trial.valid]
    took = milliseconds(classifiers, x)
    return {
        "training_rows": len(trial.train) + len(rows.background),
        "valid_rows": len(truth),
        "labels": len(classifiers[OURS].labels),
        "classifiers": {
            name: judged(classifier, x, truth)
            | {"parameters": classifier.parameters, "milliseconds": took[name]}
            for name, classifier in classifiers.items()
        },
    }  # fmt: skip


def judged(classifier: Classifier, x: Floats, truth: Sequence[str]) -> dict[str, Any]:
    """Accuracy and calibration error; where rows are `base`'s, how many of them are found as well.

    `among_adapters` is the accuracy of the others where `base` is no choice.

    `recall_at` is the share of `base`'s rows that is found where a row is `base`'s from such odds on that `MOST_LOST`
    of the other rows are lost: rightly classified among the others, and taken for `base`'s. The odds are those of these
    very rows, for all classifiers alike.
    """
    index = {label: number for number, label in enumerate(classifier.labels)}
    probabilities = np.asarray(classifier.probabilities(x), np.float64)
    right = np.array([index.get(label, -1) for label in truth])
    chosen, is_base = probabilities.argmax(axis=1), np.array([label == BASE for label in truth])
    found: dict[str, Any] = {
        "accuracy": round(float((chosen == right)[~is_base].mean()), 4),
        "calibration_error": round(calibration_error(probabilities, right), 4),
    }
    if is_base.any() and BASE in index:
        others = np.delete(probabilities, index[BASE], axis=1)
        names = np.delete(np.arange(len(index)), index[BASE])
        odds = np.log(probabilities[:, index[BASE]] + 1e-12) - np.log(others.max(axis=1) + 1e-12)
        is_right = names[others.argmax(axis=1)] == right
        found |= {
            "among_adapters": round(float(is_right[~is_base].mean()), 4),
            "recall": round(float((chosen == index[BASE])[is_base].mean()), 4),
            "recall_at": round(recall_at(odds, is_base, is_right & ~is_base), 4),
        }
    return found


def recall_at(odds: Floats, is_base: Any, is_right: Any, most_lost: float = MOST_LOST) -> float:
    """The share of `base`'s rows over the least odds at which at most `most_lost` of the others are lost."""
    lost = np.sort(odds[is_right])[::-1]
    allowed = int(most_lost * np.count_nonzero(~is_base))
    threshold = lost[allowed] if allowed < len(lost) else -np.inf
    return float((odds[is_base] > threshold).mean())


def _step(name: str, trial: Callable[[Setup], Trial]) -> Callable[[Setup], Figures]:
    def step(setup: Setup) -> Figures:
        return compare(trial(setup), embeddings(setup), setup.build / f"router-{name}.onnx")

    return step


TITLES = {"pack": "The pack's own tasks", "intents": "`intents` (CLINC150)", "banking": "`banking` (BANKING77)"}


def _table(name: str, found: Figures) -> str:
    has_base = any("recall" in figures for figures in found["classifiers"].values())
    header = ["classifier", "in scope, %" if has_base else "accuracy, %"]
    header += (
        ["in scope without base, %", "base found, %", "base found where 3 % in scope are lost, %"] if has_base else []
    )
    header += ["calibration error, %", "parameters", "ms a message"]
    rows = []
    for classifier, figures in found["classifiers"].items():
        base = (
            [percent(figures.get("among_adapters")), percent(figures.get("recall")), percent(figures.get("recall_at"))]
            if has_base
            else []
        )
        sizes = [f"{figures['parameters']:,}", f"{figures['milliseconds']:.3f}"]
        cells = [classifier, percent(figures["accuracy"]), *base, percent(figures["calibration_error"]), *sizes]
        rows.append(cells)
    told = f"{found['labels']} labels, {found['training_rows']:,} rows to train on, {found['valid_rows']:,} valid rows."
    return section(f"### {TITLES[name]}", told, table(header, rows))


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    return section(
        "## The router against other classifiers",
        "What the pack's encoder gives (all-MiniLM-L6-v2, int8: the embedding, and the words and the third layer "
        "beside it, 512 numbers), the same rows for all, in one run. `our recipe` is that of `router train`, on these "
        "rows, once on the embedding's 384 numbers alone; the pack's router was trained by it on all rows of the "
        "pack's recipe, many more than these, which are capped for each label. Rows of `base` are what is out of "
        "scope; for `intents` and `banking` the bundled background messages are rows of it for every classifier. `in "
        "scope without base`: where `base` is no choice. "
        "About 500 rows are held out: ours and the centroids find their temperature by them, logistic regression "
        "its C; `MLPClassifier` (512 hidden) stops by a tenth of its own. `base found where 3 % in scope are "
        "lost`: with the threshold for `base` that takes so many rightly classified rows, found on these very "
        "valid rows for each classifier, so all are flattered alike; without it the most probable label counts. "
        "ms: the classifier alone, one message at a time, in turns, median; the embedding costs the same for all. "
        "A router's parameters are those of its MLPs and its anchors.",
        *(_table(name, figures) for name, figures in found.items()),
        "**The paper beside ours.** It reports one router, of at most 5 M parameters, with 98.45 %. The messages "
        "here are others, and one of the labels is `base`, no adapter at all: the figures cannot be compared.",
    )


PART = Part(
    "router",
    ("per_class",),
    {
        "pack": _step("pack", pack_trial),
        "intents": _step("intents", data_trial("intents")),
        "banking": _step("banking", data_trial("banking")),
    },
    page,
)
