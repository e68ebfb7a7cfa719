"""Fits a router: embeddings and labels → calibrated mini-MLP. One recipe for the bundled and for any other router.

    trained = fit_router(embeddings, labels, held_out=(held_out_embeddings, held_out_labels))
    trained.write(Path("router.onnx"), encoder_name="all-MiniLM-L6-v2")

The recipe, measured on CLINC150 and BANKING77 (a tenth of the training rows held out, and the valid rows):

- An ensemble of `Shape.members` MLPs (`mlp`), kept as one.
- A kernel density over anchors (`anchors`), added to the logits: +0.4 points on BANKING77, where rows are few and much
  alike, and better out-of-scope recall.
- The temperature of held-out rows (`calibration`), folded into the weights.
- Background messages, which are nobody's, are rows of `base`; its prior is then set to `BASE_SHARE`, for how many rows
  of `base` a person gives says nothing of how many messages are nobody's. Without them it is raised to that at least.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import InputError
from dlp_local.core.values import BASE
from dlp_local.routing.prototypes import Prototypes
from dlp_local.training.router import anchors, mlp
from dlp_local.training.router.calibration import best_temperature, cross_fitted, softmax
from dlp_local.training.router.metrics import accuracy, calibration_error
from dlp_local.training.router.network import Network
from dlp_local.training.router.write import write_router

MAX_PARAMETERS = 5_000_000
"""The paper's bound on the mini-MLP."""

ROWS_PER_HIDDEN = 8
FEWEST_HIDDEN = 128
"""A member has a hidden number for `ROWS_PER_HIDDEN` rows, these at least and `Shape.hidden` at most."""

BASE_SHARE = 0.15
"""Of all messages, those that belong to no adapter."""

KERNEL_WEIGHT, KERNEL_WEIGHT_OF_FEW = 0.3, 1.0
MANY_ROWS = 100
"""The density's weight where every adapter has `MANY_ROWS`, and the one that it comes near to where they are few.

With 10 to 30 rows of two or three adapters, where 1 % of everyday messages go to an adapter, 9.2 % of valid rows go to
`base` at weight 1 and 10.8 % at 0.3; what is left reads like everyday messages ("Goodbye then!", "Book it please").
"""

Floats = npt.NDArray[np.float32]
Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a router may be: `hidden` numbers of each of its members, `anchors` of a label."""

    members: int = 4
    hidden: int = 1024
    dropout: float = 0.6
    """The share of a member's hidden numbers that a step of its training leaves out: less where there are few."""

    anchors: int = 64


LARGE = Shape()


@dataclass(frozen=True, slots=True)
class TrainedRouter:
    """A router and its figures on held-out rows.

    They are measured crosswise: each half of the held-out rows by what was fitted on the other one.
    """

    network: Network
    labels: tuple[str, ...]
    prototypes: Prototypes
    rows: int
    temperature: float
    accuracy: float
    calibration_error_before: float
    calibration_error: float

    def probabilities(self, embeddings: Floats) -> npt.NDArray[np.float64]:
        """Embeddings (n, d) → probabilities (n, labels), as the file gives them."""
        return softmax(self.network.logits(embeddings))

    def write(self, path: Path, encoder_name: str, is_small: bool = False) -> None:
        """Writes the router as ONNX, with its large matrices as int8 where `is_small`."""
        metadata = {"encoder": encoder_name, "rows": str(self.rows)}
        write_router(self.network, self.labels, self.prototypes, path, metadata, is_small)


def fit_router(
    embeddings: Floats,
    labels: Sequence[str],
    *,
    held_out: tuple[Floats, Sequence[str]],
    background: Floats | None = None,
    rehearsed: Mapping[str, int] = MappingProxyType({}),
    shape: Shape = LARGE,
    seed: int = 0,
    temperature: float | None = None,
    progress: Progress = lambda _: None,
) -> TrainedRouter:
    """Fits embeddings (n, d) of unit length with n labels; `held_out` is (embeddings (m, d), m labels), m ≥ 0.

    `background` (b, d) are rows of `base` besides. `rehearsed`: how many rows of a label are another router's anchors;
    the label gets as many anchors again. Held-out rows with labels that are not trained on do not count. `temperature`
    is that of an earlier fit, where the rows that it was found on are trained on. Raises `InputError` for fewer than
    two labels, and for so many that the network would pass `MAX_PARAMETERS`.
    """
    x, all_labels = np.asarray(embeddings, np.float32), list(labels)
    if background is not None and len(background):
        x, all_labels = np.concatenate([x, background]), [*all_labels, *[BASE] * len(background)]
    names = np.unique(np.asarray(all_labels))
    y = np.searchsorted(names, np.asarray(all_labels))
    hidden = _hidden_numbers(len(x), x.shape[1], len(names), shape)
    ensemble = mlp.train_ensemble(
        x, y, len(names), shape.members, hidden, shape.dropout, seed, lambda share: progress(0.9 * share)
    )
    fewest = [max(anchors.FEWEST_ANCHORS, rehearsed.get(str(name), 0)) for name in names]
    density = anchors.find_anchors(x, y, fewest, shape.anchors, seed, lambda share: progress(0.9 + 0.1 * share))
    raw = Network(*ensemble, *density, kernel_weight=_kernel_weight(all_labels))

    held_labels = np.asarray(held_out[1], dtype=object).astype(str)
    known = np.isin(held_labels, names)
    x_held, y_held = np.asarray(held_out[0], np.float32)[known], np.searchsorted(names, held_labels[known])
    logits = raw.logits(x_held) if len(x_held) else np.zeros((0, len(names)))
    offset = _base_offset(names, y, is_share_known=background is None)
    probabilities = cross_fitted(logits, y_held, offset)
    temperature = temperature or best_temperature(logits, y_held)
    progress(1.0)
    return TrainedRouter(
        network=raw.calibrated(temperature, offset),
        labels=tuple(map(str, names)),
        prototypes=Prototypes.of({str(name): x[y == index] for index, name in enumerate(names)}, x.shape[1]),
        rows=len(x),
        temperature=temperature,
        accuracy=accuracy(probabilities, y_held),
        calibration_error_before=calibration_error(softmax(logits + offset), y_held),
        calibration_error=calibration_error(probabilities, y_held),
    )


def _kernel_weight(labels: Sequence[str]) -> float:
    counts = [count for label, count in Counter(labels).items() if label != BASE]
    share = min(1.0, min(counts, default=MANY_ROWS) / MANY_ROWS)
    return KERNEL_WEIGHT_OF_FEW + share * (KERNEL_WEIGHT - KERNEL_WEIGHT_OF_FEW)


def _hidden_numbers(rows: int, dims: int, labels: int, shape: Shape) -> int:
    """Hidden numbers of each member of the ensemble; raises `InputError` for labels that cannot be told apart."""
    if labels < 2:
        raise InputError("router: all rows have the same label. Give rows of two labels at least.")
    if labels * (dims + labels) > anchors.MAX_NUMBERS:
        raise InputError(f"router: {labels:,} labels are too many for {MAX_PARAMETERS:,} parameters.")
    wanted = min(shape.hidden, max(FEWEST_HIDDEN, rows // ROWS_PER_HIDDEN))
    return min(wanted, (MAX_PARAMETERS - anchors.MAX_NUMBERS) // (shape.members * (dims + labels + 2)))


def _base_offset(names: npt.NDArray[np.str_], y: npt.NDArray[np.intp], is_share_known: bool) -> npt.NDArray[np.float64]:
    """What changes the log odds of `base` from its part of the rows to `BASE_SHARE`; 0 for all other labels.

    Where the rows are known to be as messages are, a greater part stays as it is.
    """
    is_base = names == BASE
    if not is_base.any():
        return np.zeros(len(names))
    trained = float(is_base[y].mean())
    prior = max(BASE_SHARE, trained) if is_share_known else BASE_SHARE
    return np.where(is_base, _log_odds(prior) - _log_odds(trained), 0.0)


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))
