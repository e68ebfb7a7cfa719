"""`router train`: what a pack, its user and their files know of where messages belong → a router that is not worse.

Rows come from the examples of the adapters, from the routes that the user accepted, from files, and from corrections;
where two say different things of a text, the later kind is right. A part of the rows is held out by the hash of their
texts, so it is the same part each time, and both routers, the old and the new, are judged by it, without the
prototypes and corrections that would know it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import HistoryError, InputError
from dlp_local.core.files import temporary_folder
from dlp_local.core.paths import embeddings_file, history_file
from dlp_local.core.values import BASE
from dlp_local.history import History
from dlp_local.history.accepted_routes import accepted_routes
from dlp_local.packs import Pack, open_pack
from dlp_local.packs.examples import read_labelled_rows
from dlp_local.packs.router import place_router
from dlp_local.packs.transaction import check_changeable
from dlp_local.routing import MessageRouter, Router
from dlp_local.routing.embedding_cache import EmbeddingCache
from dlp_local.routing.encoder import Encoder
from dlp_local.training.router.fit import TrainedRouter, check_installed, train_router
from dlp_local.training.router.metrics import Figures, figures
from dlp_local.training.router.write import read_anchors

__all__ = ["Figures", "Report", "evaluate", "train_file", "train_pack"]

FEWEST = 10
"""Rows of an adapter under which its prototype routes better than a network that saw so few."""

HELD_OUT, MOST_HELD_OUT = 500, 0.2
"""About so many rows are held out, or this share of them where they are few.

Of CLINC150's 15,100 rows 500 tell accuracy and temperature as well as 5 % of them; the rest, trained on, is worth 0.2
points on the valid rows.
"""

CHUNK = 512
"""Texts that are embedded between two signs of progress."""

Floats = npt.NDArray[np.float32]
Rows = Mapping[str, str]
"""Text → label."""

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a training did; `before` and `after` are figures on the rows that were held out, where there were any."""

    rows: int
    held_out: int
    labels: tuple[str, ...]
    left_to_prototypes: tuple[str, ...]
    remembered: int
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
            "remembered": self.remembered,
            "before": self.before.as_dict() if self.before else None,
            "after": self.after.as_dict() if self.after else None,
            "in_place": self.in_place,
        }


@dataclass(frozen=True, slots=True)
class _Parts:
    """Embeddings and labels, those to train on and those held out."""

    x: Floats
    y: tuple[str, ...]
    x_held: Floats
    y_held: tuple[str, ...]

    def of(self, labels: Iterable[str]) -> _Parts:
        """The rows of some labels."""
        fit, held = ([label in labels for label in side] for side in (self.y, self.y_held))
        return _Parts(
            self.x[fit],
            tuple(label for label in self.y if label in labels),
            self.x_held[held],
            tuple(label for label in self.y_held if label in labels),
        )


def train_pack(folder: Path, files: Sequence[Path], *, force: bool, progress: Progress) -> Report:
    """Trains a pack's router anew and puts it in place where it is not worse, or by `force`.

    Raises `InputError` for rows that cannot be used and where they are too few; the pack then stays as it was.
    """
    check_changeable(folder)
    check_installed()
    pack = open_pack(folder, only_routing=True)
    manifest = pack.manifest
    rows = pack_rows(pack, files)
    encoder = _encoder(pack)
    held = held_out_texts(rows)
    parts = _split(rows, held, _embed(pack, encoder, list(rows), progress))
    old = pack.path(manifest.router) if manifest.router else None
    labels = {*manifest.adapters, BASE}
    anchors, owners = _memory(old, labels, encoder.dims)
    counts = Counter(rows.values())
    trained = {label for label, count in counts.items() if count >= FEWEST} | set(owners)
    _check_enough(trained, counts, labels.intersection(Router(old, 1).labels) if old and not force else ())
    used = parts.of(trained)
    router = train_router(
        np.concatenate([used.x, anchors]),
        used.y + owners,
        held_out=(used.x_held, used.y_held),
        remembered=Counter(owners),
        progress=lambda done: progress("training", done),
    )
    examples = {name: [text for text in pack.examples(name) if text not in held] for name in manifest.adapters}
    with _written(router, manifest.encoder.sha256) as new:
        before = _judge(pack, old, examples, parts)
        after = _judge(pack, new, examples, parts)
        is_better = bool(before and after and after.accuracy >= before.accuracy)
        if is_better or force:
            place_router(folder, new, manifest, f"trained by dlp-local on {len(used.y)} rows")
    return Report(
        rows=len(rows),
        held_out=len(parts.y_held),
        labels=router.labels,
        left_to_prototypes=tuple(sorted({*rows.values()} - trained)),
        remembered=len(owners),
        before=before,
        after=after,
        in_place=is_better or force,
    )


def train_file(encoder_of: Path, files: Sequence[Path], out: Path, *, progress: Progress) -> Report:
    """Trains a router for any labels on rows of files alone and writes `out/router.onnx`.

    The encoder is that of the pack in the folder `encoder_of`. Raises `InputError`.
    """
    check_installed()
    pack = open_pack(encoder_of, only_routing=True)
    rows = {text: label for file in files for text, label in read_labelled_rows(file)}
    parts = _split(rows, held_out_texts(rows), _embed(pack, _encoder(pack), list(rows), progress))
    router = train_router(
        parts.x, parts.y, held_out=(parts.x_held, parts.y_held), progress=lambda done: progress("training", done)
    )
    _write(router, out / "router.onnx", pack.manifest.encoder.sha256)
    after = figures(router.probabilities(parts.x_held), router.labels, parts.y_held) if parts.y_held else None
    return Report(len(rows), len(parts.y_held), router.labels, (), 0, None, after, True)


@contextlib.contextmanager
def _written(router: TrainedRouter, encoder_sha256: str) -> Iterator[Path]:
    """A router's file, which is gone at the end."""
    with temporary_folder() as folder:
        file = folder / "router.onnx"
        _write(router, file, encoder_sha256)
        yield file


def _write(router: TrainedRouter, file: Path, encoder_sha256: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        router.write(file, f"sha256 {encoder_sha256[:12]}")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{file}: cannot be written ({reason}). Free some room, or name another place.") from None


def pack_rows(pack: Pack, files: Sequence[Path]) -> dict[str, str]:
    """Every row that is known for a pack: text → adapter or `base`; raises `InputError` for an adapter it has not."""
    known = {*pack.manifest.adapters, BASE}
    rows = {text: name for name in sorted(pack.manifest.adapters) for text in pack.examples(name)}
    corrections: list[tuple[str, str]] = []
    if history_file().exists():
        with contextlib.suppress(HistoryError), contextlib.closing(History(history_file())) as history:
            rows |= {text: label for text, label in accepted_routes(history, pack.name).items() if label in known}
            corrections = [(correction.text, correction.right) for correction in history.corrections()]
    for file in files:
        given = dict(read_labelled_rows(file))
        check_labels(given.values(), known, file)
        rows |= given
    return rows | {text: label for text, label in corrections if label in known}


def check_labels(labels: Iterable[str], known: Iterable[str], file: Path) -> None:
    """Raises `InputError` for rows of an adapter that there is not."""
    if unknown := sorted(set(labels) - set(known)):
        raise InputError(
            f"{file}: has rows of '{unknown[0]}', which is no adapter of this pack. There are: "
            f"{', '.join(sorted(known))}. Add the adapter first, or leave its rows out."
        )


def evaluate(pack: Pack, router: MessageRouter, file: Path) -> Figures:
    """How a pack's routing does on the rows of a file; raises `InputError` for rows that cannot be used."""
    rows = read_labelled_rows(file)
    check_labels((label for _, label in rows), {*pack.manifest.adapters, BASE}, file)
    probabilities = router.probabilities(router.embeddings([text for text, _ in rows]))
    return figures(probabilities, router.labels, [label for _, label in rows])


def held_out_texts(rows: Rows) -> set[str]:
    """The texts of the rows that are held out; a label that would lose all of its rows keeps them."""
    share = min(MOST_HELD_OUT, HELD_OUT / max(len(rows), 1))
    held = {text for text in rows if _is_held_out(text.encode("utf-8", "surrogatepass"), share)}
    kept = {label for text, label in rows.items() if text not in held}
    return {text for text in held if rows[text] in kept}


def _is_held_out(key: bytes, share: float) -> bool:
    """The same `share` of all rows each time, and a part of any greater share: no router was trained on it before."""
    return int.from_bytes(hashlib.sha256(key).digest()[:4], "big") < share * 2**32


def _encoder(pack: Pack) -> Encoder:
    manifest = pack.manifest
    threads = min(os.cpu_count() or 1, 8)
    return Encoder(pack.path(manifest.encoder), pack.path(manifest.encoder.tokenizer), threads)


def _embed(pack: Pack, encoder: Encoder, texts: list[str], progress: Progress) -> Floats:
    """Embeddings (n, dims) of the rows, those that were embedded before from the cache."""

    def encode(new: Sequence[str]) -> Floats:
        found = np.zeros((len(new), encoder.dims), np.float32)
        for start in range(0, len(new), CHUNK):
            progress("reading", start / len(new))
            found[start : start + CHUNK] = encoder.encode(new[start : start + CHUNK])
        progress("reading", 1.0)
        return found

    return EmbeddingCache(embeddings_file(pack.manifest.encoder.sha256), encoder.dims).of(texts, encode)


def _split(rows: Rows, held_out: set[str], embeddings: Floats) -> _Parts:
    held = np.array([text in held_out for text in rows], bool)
    labels = np.array(list(rows.values()), dtype=object)
    return _Parts(embeddings[~held], tuple(labels[~held]), embeddings[held], tuple(labels[held]))


def _memory(router: Path | None, labels: set[str], dims: int) -> tuple[Floats, tuple[str, ...]]:
    """The old router's anchors of labels that there still are: what it was trained on need not be there any more."""
    anchors, owners = read_anchors(router) if router else (np.zeros((0, dims), np.float32), ())
    if not len(anchors) or anchors.shape[1] != dims:
        anchors, owners = np.zeros((0, dims), np.float32), ()
    kept = [owner in labels for owner in owners]
    return anchors[kept], tuple(owner for owner in owners if owner in labels)


def _check_enough(trained: set[str], counts: Counter[str], to_lose: Iterable[str]) -> None:
    """Raises `InputError` where there is too little to train on, or to keep what the router in place knows.

    Its anchors alone do not: trained again on them, the bundled router routes 92.3 % of valid rows rightly, not 98.5 %.
    """
    if len(trained) < 2:
        raise InputError(
            f"router: training needs {FEWEST} rows each of two adapters, or of one and of base. Messages go to "
            "adapters with fewer by their examples alone. Give more with --examples FILE.jsonl, or correct routes in "
            "the chat."
        )
    if few := sorted(label for label in to_lose if counts[label] < FEWEST):
        raise InputError(
            f"router: the one in place was trained on {', '.join(few)}, and there are fewer than {FEWEST} rows of "
            f"{'it' if len(few) == 1 else 'each'}: the new one would know less. Give rows with --examples, or add "
            "--force. New adapters are routed to by their examples without any training."
        )


def _judge(pack: Pack, router: Path | None, examples: Mapping[str, Sequence[str]], parts: _Parts) -> Figures | None:
    if not parts.y_held:
        return None
    manifest = pack.manifest
    judged = MessageRouter(
        pack.path(manifest.encoder),
        pack.path(manifest.encoder.tokenizer),
        router,
        1,
        examples,
        cache=embeddings_file(manifest.encoder.sha256),
    )
    return figures(judged.probabilities(parts.x_held), judged.labels, parts.y_held)
