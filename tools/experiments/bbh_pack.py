"""A pack of the adapters of BIG-Bench Hard, made as `pack create` and `adapters add` do it, and its router."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dlp_local.core.files import make_folder
from dlp_local.core.paths import packs_folder
from dlp_local.core.settings import Routing, Settings
from dlp_local.core.user_message import UserMessage
from dlp_local.core.values import AdapterChange, most_probable
from dlp_local.opening import open_router
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import add_adapter
from dlp_local.packs.create import remove_pack, start_pack
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.router import place_router
from dlp_local.training.router.background import Background
from dlp_local.training.router.data import Split, held_out_texts
from dlp_local.training.router.fit import fit_router
from dlp_local.training.router.write import encoder_name
from tools.experiments.bbh_rows import BbhTask
from tools.experiments.classifiers import Floats, of_file
from tools.experiments.data_folder import own_data
from tools.experiments.part import Figures, Setup
from tools.experiments.router import embeddings, judged


def train_router(setup: Setup, tasks: Sequence[BbhTask], seed: int, *, with_base: bool = True) -> Path:
    """A router of the tasks' training rows; with `base` beside them, as the product has it, or of the tasks alone.

    It is kept by what it was made of, and not trained again.
    """
    rows = {row.message: task.name for task in tasks for row in task.train}
    encoder = open_pack(setup.pack, only_routing=True).manifest.encoder.sha256
    made_of = json.dumps([list(rows.items()), encoder, seed, with_base])
    file = setup.build / "bbh" / "routers" / f"{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.onnx"
    if not file.exists():
        embed = _embed(setup)
        split = Split.of(rows, held_out_texts(rows), embed(list(rows)))
        background = Background.embedded(embed).away_from(split.of_adapters()).x if with_base else None
        trained = fit_router(split.x, split.y, held_out=(split.x_held, split.y_held), background=background, seed=seed)
        make_folder(file.parent)
        trained.write(file, encoder_name(encoder))
    return file


@contextmanager
def made_pack(setup: Setup, adapters: Mapping[str, Path], router: Path, name: str = "bbh") -> Iterator[Path]:
    """The folder of a pack of the setup's backbone with these adapters and this router; it is gone after the block."""
    source = open_pack(setup.pack)
    backbone = source.manifest.backbone
    about: dict[str, Any] = {"context": backbone.context, "stop": list(backbone.stop)}
    about["chat_template"] = source.chat_template()
    with own_data(setup.build / "bbh" / "data"):
        if (packs_folder() / name).exists():
            remove_pack(name)  # of a run that was cut
        said = {key: value for key, value in about.items() if value}
        folder = start_pack(name, source.backbone_path, said, in_place=True)
        try:
            for adapter, trained in adapters.items():
                add_adapter(folder, trained, adapter, AdapterChange(scope="turn"))
            place_router(folder, router, read_manifest(folder), "trained on BIG-Bench Hard (MIT)")
            yield folder
        finally:
            remove_pack(name)


def routed_right(setup: Setup, tasks: Sequence[BbhTask], pack: Path) -> Figures:
    """How many of all valid rows the product routes to their task, by task, and what is taken for what most often."""
    router = open_router(open_pack(pack, only_routing=True), Settings.model_construct())
    options = Routing(split=False)
    wrong = Counter[tuple[str, str]]()
    shares, count, right = {}, 0, 0
    for task in tasks:
        chosen = [most_probable(router.route(row.text, options).probabilities) for row in task.valid]
        wrong.update((task.name, label) for label in chosen if label != task.name)
        hits = chosen.count(task.name)
        shares[task.name] = round(hits / len(chosen), 4)
        count, right = count + len(chosen), right + hits
    return {
        "rows": count,
        "accuracy": round(right / count, 4),
        "tasks": shares,
        "confused": [[task, label, times] for (task, label), times in wrong.most_common(10)],
    }


def judged_alone(setup: Setup, tasks: Sequence[BbhTask], router: Path) -> Figures:
    """A router's accuracy and calibration error on the embeddings of all valid rows."""
    rows = [row for task in tasks for row in task.valid]
    classifier = of_file(router)
    found = judged(classifier, _embed(setup)([row.text for row in rows]), [row.task for row in rows])
    return found | {"labels": len(classifier.labels), "parameters": classifier.parameters}


def _embed(setup: Setup) -> Callable[[Sequence[str]], Floats]:
    """Embeddings of what messages ask for, as `router train` has them."""
    known = embeddings(setup)

    def embed(texts: Sequence[str]) -> Floats:
        return np.asarray(known.of([UserMessage.parse(text).routed for text in texts]))

    return embed
