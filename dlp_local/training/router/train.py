"""`router train`: rows → a router, put in the pack's place where it is not worse than the one that is there.

Both are judged by the held-out rows, without the prototypes and corrections that would know these, and by background
messages that neither was trained on.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, temporary_folder
from dlp_local.core.paths import embeddings_file
from dlp_local.core.user_message import UserMessage
from dlp_local.core.values import BASE
from dlp_local.pack_router import pack_router
from dlp_local.packs import Pack, open_pack
from dlp_local.packs.example_rows import read_labelled_rows
from dlp_local.packs.router import place_router
from dlp_local.packs.transaction import check_changeable
from dlp_local.routing import Encoder, Router
from dlp_local.routing.embedding_cache import EmbeddingCache
from dlp_local.training.router.background import Background
from dlp_local.training.router.data import Split, held_out_texts, pack_rows
from dlp_local.training.router.fit import TrainedRouter, fit_router
from dlp_local.training.router.metrics import Figures, figures
from dlp_local.training.router.write import encoder_name, read_anchors

FEWEST = 10
"""Rows of an adapter under which its prototype routes better than a network that saw so few."""

FEW = 2_500
"""Rows of files up to which a router, once it has been judged, is trained on all of them: a fifth of them is held out.

With 10 to 30 rows of each of two or three tasks (eight draws) it then sends 8.7 % of their valid rows to `base`, not
13.4 %; with as many of wide domains 7.2 %, not 9.0 %. Of 60 everyday messages 1.1 and 2.9 go to an adapter, not 0.9 and
2.6 (5 at most in one draw, not 2 and 4), often of its subject ("is it going to be sunny?" where an adapter tells the
weather). No threshold, similarity or linear probe does better at as many everyday messages, nor do more background
messages or rows in other words.
A pack's router is not trained so: the next one is judged against it by rows that neither has seen.
"""

CHUNK = 512
"""Texts that are embedded between two signs of progress."""

MOST_BACKGROUND = 0.05
"""Of the background messages, those that a router in place may send to adapters, unless the one before sent more."""

FILE_NAME = "router.onnx"
Floats = npt.NDArray[np.float32]
Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a training did; `before` and `after` are figures on the rows that were held out, where there were any."""

    rows: int
    held_out: int
    labels: tuple[str, ...]
    left_to_prototypes: tuple[str, ...]
    rehearsed: int
    """Anchors of the old router that were trained on beside the rows."""

    before: Figures | None
    after: Figures | None
    in_place: bool

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "rows": self.rows,
            "held_out": self.held_out,
            "labels": list(self.labels),
            "left_to_prototypes": list(self.left_to_prototypes),
            "rehearsed": self.rehearsed,
            "before": self.before.as_dict() if self.before else None,
            "after": self.after.as_dict() if self.after else None,
            "in_place": self.in_place,
        }


def train_pack(folder: Path, files: Sequence[Path], *, force: bool, progress: Progress) -> Report:
    """Trains a pack's router on everything that is known, and puts it in place if it is not worse, or by `force`.

    Where no row could be held out there is nothing to judge it by, so it needs `force`. Raises `InputError` for too few
    rows, for rows that cannot be used, and for what `place_router` refuses; the pack then stays as it was.
    """
    check_changeable(folder)
    pack = open_pack(folder, only_routing=True)
    manifest = pack.manifest
    rows = pack_rows(pack, files)
    encoder = _open_encoder(pack)
    held_out = held_out_texts(rows)
    embed = partial(_embed, pack, encoder, progress)
    split = Split.of(rows, held_out, embed(list(rows)))
    old = pack.router_path
    labels = {*manifest.adapters, BASE}
    anchors, anchor_labels = _rehearsal(old, labels, encoder.dims)
    counts = Counter(rows.values())
    trained = {label for label, count in counts.items() if count >= FEWEST} | set(anchor_labels)
    _check_enough(trained, counts, set(Router(old, 1).labels) & set(manifest.adapters) if old and not force else ())
    used = split.only(trained)
    background = Background.embedded(embed, anchors[[label == BASE for label in anchor_labels]])
    background = background.away_from(split.of_adapters())
    is_adapters = [label != BASE for label in anchor_labels]
    rehearsed = tuple(label for label in anchor_labels if label != BASE)
    router = fit_router(
        np.concatenate([used.x, anchors[is_adapters]]),
        used.y + rehearsed,
        held_out=(used.x_held, used.y_held),
        background=background.x,
        rehearsed=Counter(rehearsed),
        progress=lambda share: progress("training", share),
    )
    examples = {name: [text for text in pack.examples(name) if text not in held_out] for name in manifest.adapters}
    with _temporary_file(router, manifest.encoder.sha256) as new:
        before = _judge(pack, old, examples, split, background)
        after = _judge(pack, new, examples, split, background)
        is_better = bool(before and after and _is_not_worse(after, before))
        if is_better or force:
            about = f"trained by dlp-local on {len(used.y)} rows"
            place_router(folder, new, manifest, about, forced=not is_better)
    return Report(
        rows=len(rows),
        held_out=len(split.y_held),
        labels=router.labels,
        left_to_prototypes=tuple(sorted({*rows.values()} - trained)),
        rehearsed=len(rehearsed),
        before=before,
        after=after,
        in_place=is_better or force,
    )


def train_file(encoder_of: Path, files: Sequence[Path], out: Path, *, progress: Progress) -> Report:
    """Trains a router for any labels on rows of files alone and writes `out/router.onnx`.

    The encoder is that of the pack in the folder `encoder_of`. The figures are of a router that has not seen the rows
    that are held out; the one that is written is trained on these, too, where the rows are few. Raises `InputError`.
    """
    pack = open_pack(encoder_of, only_routing=True)
    rows = {text: label for file in files for text, label in read_labelled_rows(file)}
    embed = partial(_embed, pack, _open_encoder(pack), progress)
    split = Split.of(rows, held_out_texts(rows), embed(list(rows)))
    background = Background.embedded(embed).away_from(split.of_adapters())
    fit = partial(fit_router, background=background.x, progress=lambda share: progress("training", share))
    router = fit(split.x, split.y, held_out=(split.x_held, split.y_held))
    held, nobodys = router.probabilities(split.x_held), router.probabilities(background.x_held)
    after = figures(held, router.labels, split.y_held, nobodys) if split.y_held else None
    if split.y_held and len(rows) <= FEW:
        everything = np.concatenate([split.x, split.x_held]), split.y + split.y_held
        router = fit(*everything, held_out=(split.x_held[:0], ()), temperature=router.temperature)
    _write(router, out / FILE_NAME, pack.manifest.encoder.sha256)
    return Report(len(rows), len(split.y_held), router.labels, (), 0, None, after, True)


@contextlib.contextmanager
def _temporary_file(router: TrainedRouter, encoder_sha256: str) -> Iterator[Path]:
    """A router's file, which is gone at the end."""
    with temporary_folder() as folder:
        file = folder / FILE_NAME
        _write(router, file, encoder_sha256)
        yield file


def _write(router: TrainedRouter, file: Path, encoder_sha256: str) -> None:
    try:
        make_folder(file.parent)
        router.write(file, encoder_name(encoder_sha256))
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{file}: cannot be written ({reason}). Free some room, or name another place.") from None


def _open_encoder(pack: Pack) -> Encoder:
    manifest = pack.manifest
    threads = min(os.cpu_count() or 1, 8)
    return Encoder(pack.path(manifest.encoder), pack.path(manifest.encoder.tokenizer), threads)


def _embed(pack: Pack, encoder: Encoder, progress: Progress, texts: Sequence[str]) -> Floats:
    """Embeddings (n, dims) of what the rows ask for, those that were embedded before from the cache."""

    def encode(new: Sequence[str]) -> Floats:
        embeddings = np.zeros((len(new), encoder.dims), np.float32)
        for start in range(0, len(new), CHUNK):
            progress("reading", start / len(new))
            embeddings[start : start + CHUNK] = encoder.encode(new[start : start + CHUNK])
        progress("reading", 1.0)
        return embeddings

    requests = [UserMessage.parse(text).routed for text in texts]
    return EmbeddingCache(embeddings_file(pack.manifest.encoder.sha256), encoder.dims).of(requests, encode)


def _rehearsal(router: Path | None, labels: set[str], dims: int) -> tuple[Floats, tuple[str, ...]]:
    """The old router's anchors of labels that there still are, and the label of each.

    They are trained on beside the rows, as exemplars of rows that need not be there any more.
    """
    anchors, owners = read_anchors(router) if router else (np.zeros((0, dims), np.float32), ())
    if not len(anchors) or anchors.shape[1] != dims:
        anchors, owners = np.zeros((0, dims), np.float32), ()
    is_known = [owner in labels for owner in owners]
    return anchors[is_known], tuple(owner for owner in owners if owner in labels)


def _check_enough(trained: set[str], counts: Counter[str], to_lose: Iterable[str]) -> None:
    """Raises `InputError` where there is too little to train on, or to keep what the router in place knows.

    Its anchors alone do not: trained again on them, the bundled router routes 92.3 % of valid rows rightly, not 98.5 %.
    """
    if not trained - {BASE}:
        raise InputError(
            f"router: training needs {FEWEST} rows of an adapter. Messages go to adapters with fewer by their examples "
            "alone. Give more with --examples FILE.jsonl, or correct routes in the chat."
        )
    if few := sorted(label for label in to_lose if counts[label] < FEWEST):
        raise InputError(
            f"router: the one in place was trained on {', '.join(few)}, and there are fewer than {FEWEST} rows of "
            f"{'it' if len(few) == 1 else 'each'}: the new one would know less. Give rows with --examples, or add "
            "--force. New adapters are routed to by their examples without any training."
        )


def _is_not_worse(after: Figures, before: Figures) -> bool:
    most = max(before.background_share or 0.0, MOST_BACKGROUND)
    return after.accuracy >= before.accuracy and (after.background_share or 0.0) <= most


def _judge(
    pack: Pack, router: Path | None, examples: Mapping[str, Sequence[str]], split: Split, background: Background
) -> Figures | None:
    """A router's figures on the held-out rows and background messages; None where no row is held out."""
    if not split.y_held:
        return None
    judged = pack_router(pack, 1, examples, router=router)
    nobodys = judged.probabilities(background.x_held)
    return figures(judged.probabilities(split.x_held), judged.labels, split.y_held, nobodys)
