"""The router: embeddings → calibrated probability of each adapter and of `base`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import PackError
from dlp_local.routing.onnx_session import NEXT_STEP, open_session

OUTPUTS = ["probabilities", "similarities"]
Floats = npt.NDArray[np.float32]


class Router:
    """A mini-MLP as written by `training.router.write.write_router`.

    The file describes itself: its metadata has `labels` (a JSON list, in the order of the probabilities) and
    `encoder` (which encoder it was trained on). `dims` is the length of the embeddings that it takes. `has_prototypes`:
    whether it has a second output, the cosine of the nearest prototype of each label; one made elsewhere need not.
    """

    def __init__(self, model: Path, threads: int) -> None:
        """Loads the file; raises `PackError` where it is missing, damaged, or not a router."""
        self._session = open_session(model, threads)
        self._path = model
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        names = [value.name for value in outputs]
        if len(shape) != 2 or not isinstance(shape[1], int) or names not in (OUTPUTS[:1], OUTPUTS):
            raise PackError(f"{model}: not a router, it has other inputs or outputs. {NEXT_STEP}")
        self.has_prototypes = names == OUTPUTS
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.dims: int = shape[1]
        self.encoder: str = metadata.get("encoder", "")
        self.labels: tuple[str, ...] = _labels(model, metadata.get("labels"))
        for values in self._run(np.zeros((1, self.dims), np.float32), names):
            if values.ndim != 2 or values.shape[1] != len(self.labels):
                shown = values.shape[-1] if values.ndim else 0
                raise PackError(f"{model}: {shown} probabilities for {len(self.labels)} labels. {NEXT_STEP}")

    def probabilities(self, embeddings: Floats) -> Floats:
        """Embeddings (n, dims) → probabilities (n, labels), each row summing to 1.

        Raises `PackError` for embeddings of another length.
        """
        return self._run(embeddings, OUTPUTS[:1])[0]

    def with_similarities(self, embeddings: Floats) -> tuple[Floats, Floats]:
        """`probabilities`, and cosines (n, labels) with the nearest prototype of each label (`has_prototypes`)."""
        probabilities, similarities = self._run(embeddings, OUTPUTS)
        return probabilities, similarities

    def _run(self, embeddings: Floats, outputs: list[str]) -> list[Floats]:
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dims:
            raise PackError(
                f"{self._path}: takes embeddings (n, {self.dims}), was given {embeddings.shape}: it was trained on "
                f"another encoder ({self.encoder or 'unnamed'}). Train the router again on the pack's own encoder."
            )
        (input_,) = self._session.get_inputs()
        results = self._session.run(outputs, {input_.name: embeddings.astype(np.float32, copy=False)})
        return [np.asarray(values, np.float32) for values in results]


def _labels(model: Path, text: str | None) -> tuple[str, ...]:
    """The labels out of the metadata: a JSON list of different strings."""
    try:
        labels = json.loads(text or "")
    except ValueError:
        labels = None
    named = isinstance(labels, list) and labels and all(isinstance(label, str) and label for label in labels)
    if not named or len(set(labels)) != len(labels):
        raise PackError(f"{model}: no list of labels in its metadata. Train the router again, or fetch the pack again.")
    return tuple(labels)
