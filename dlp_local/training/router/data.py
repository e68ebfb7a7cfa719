"""What a router is trained on and judged by: rows of a pack, of its user and of files, and which are held out."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import InputError
from dlp_local.core.paths import history_file
from dlp_local.core.values import BASE
from dlp_local.history import History
from dlp_local.history.accepted_routes import accepted_routes
from dlp_local.packs import Pack
from dlp_local.packs.example_rows import read_labelled_rows

HELD_OUT, MOST_HELD_OUT = 500, 0.2
"""About so many rows are held out, or this share of them where they are few.

Of CLINC150's 15,100 rows 500 tell accuracy and temperature as well as 5 % of them; the rest, trained on, is worth 0.2
points on the valid rows.
"""

Floats = npt.NDArray[np.float32]
Rows = Mapping[str, str]
"""Text → label."""


@dataclass(frozen=True, slots=True)
class Split:
    """Embeddings (n, d) and n labels to train on, and those (m, d) and m that are held out."""

    x: Floats
    y: tuple[str, ...]
    x_held: Floats
    y_held: tuple[str, ...]

    @classmethod
    def of(cls, rows: Rows, held_out: Collection[str], embeddings: Floats) -> Split:
        """Rows, whose texts are held out where they are in `held_out`, and their embeddings (n, d)."""
        is_held = np.array([text in held_out for text in rows], bool)
        labels = np.array(list(rows.values()), dtype=object)
        return cls(embeddings[~is_held], tuple(labels[~is_held]), embeddings[is_held], tuple(labels[is_held]))

    def only(self, labels: Collection[str]) -> Split:
        """The rows of some labels."""
        train, held = ([label in labels for label in side] for side in (self.y, self.y_held))
        return Split(
            self.x[train],
            tuple(label for label in self.y if label in labels),
            self.x_held[held],
            tuple(label for label in self.y_held if label in labels),
        )

    def of_adapters(self) -> Floats:
        """The embeddings of the rows to train on that are not `base`'s."""
        return self.x[[label != BASE for label in self.y]]


def pack_rows(pack: Pack, files: Sequence[Path]) -> dict[str, str]:
    """Every row that is known for a pack: text → adapter or `base`.

    From the adapters' examples, the routes that the user accepted, files, and corrections; of two rows of one text the
    later kind holds. Raises `InputError` for an adapter that the pack has not, `HistoryError` for a history that cannot
    be read: a router without the user's corrections would be another one.
    """
    known = {*pack.manifest.adapters, BASE}
    rows = {text: name for name in sorted(pack.manifest.adapters) for text in pack.examples(name)}
    corrections: list[tuple[str, str]] = []
    if history_file().exists():
        with contextlib.closing(History(history_file())) as history:
            rows |= {text: label for text, label in accepted_routes(history, pack.name).items() if label in known}
            corrections = [(correction.text, correction.right) for correction in history.corrections(pack.name)]
    for file in files:
        of_file = dict(read_labelled_rows(file))
        check_labels(of_file.values(), known, file)
        rows |= of_file
    return rows | {text: label for text, label in corrections if label in known}


def check_labels(labels: Iterable[str], known: Iterable[str], file: Path) -> None:
    """Raises `InputError` for rows of an adapter that there is not."""
    if unknown := sorted(set(labels) - set(known)):
        raise InputError(
            f"{file}: has rows of '{unknown[0]}', which is no adapter of this pack. There are: "
            f"{', '.join(sorted(known))}. Add the adapter first, or leave its rows out."
        )


def held_out_texts(rows: Rows) -> set[str]:
    """The texts of the rows that are held out, chosen by their hashes; a label that would lose all rows keeps them.

    They are the same each time, and a part of those of any smaller number of rows: no router was trained on them
    before.
    """
    share = min(MOST_HELD_OUT, HELD_OUT / max(len(rows), 1))
    held = {text for text in rows if hash_position(text) < share}
    kept = {label for text, label in rows.items() if text not in held}
    return {text for text in held if rows[text] in kept}


def hash_position(text: str) -> float:
    """A text's hash as a number from 0 to 1."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4], "big") / 2**32
