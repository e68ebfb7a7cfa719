"""A router as one ONNX file, which describes itself, and what a later training takes over from it. Needs `onnx`.

onnx is imported where it is used, so this module imports without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlp_local.core.errors import PackError
from dlp_local.core.files import written_aside
from dlp_local.routing.onnx_session import first_line
from dlp_local.routing.prototypes import Prototypes
from dlp_local.routing.router import OUTPUTS

OPSET = 18
KERNEL_WIDTH = 0.04
"""T in exp((cos - 1) / T), the weight of an anchor."""

_FLOOR = np.float32(1e-12)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Network:
    """What a router computes, of embeddings x (n, d) of unit length.

    logits = relu(x·w1 + b1)·w2 + b2 + kernel_weight · log Σⱼ shares[j, label] · exp((x·anchorⱼ - 1) / T)

    The sum is a kernel density of each label over its `anchors` (m, d), centres of its training rows; `shares` (m, k)
    says which part of which label's rows an anchor stands for.
    """

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    anchors: Floats
    shares: Floats
    kernel_weight: float

    @property
    def parameters(self) -> int:
        """Numbers of the MLP and its anchors."""
        return sum(part.size for part in (self.w1, self.b1, self.w2, self.b2, self.anchors, self.shares))

    def logits(self, x: Floats) -> Floats:
        """Logits (n, k)."""
        kernel = np.exp((x @ self.anchors.T - 1) / np.float32(KERNEL_WIDTH))
        density = np.log(kernel @ self.shares + _FLOOR)
        mlp = np.maximum(x @ self.w1 + self.b1, 0) @ self.w2 + self.b2
        return np.asarray(mlp + np.float32(self.kernel_weight) * density, np.float32)


def write_router(
    network: Network, labels: tuple[str, ...], prototypes: Prototypes, path: Path, metadata: dict[str, str]
) -> None:
    """Writes float32 (n, d) → `probabilities` (n, k) and `similarities` (n, k): cosines with the labels' prototypes."""
    from onnx import TensorProto, checker, helper, numpy_helper

    owned = [prototypes.centres[prototypes.owners == index] for index in range(len(labels))]
    most = max(map(len, owned))
    padded = np.stack([np.concatenate([own, np.repeat(own[:1], most - len(own), axis=0)]) for own in owned])
    dims = network.w1.shape[0]
    constants: dict[str, Any] = {
        "w1": network.w1, "b1": network.b1, "w2": network.w2, "b2": network.b2,
        "anchors": network.anchors, "shares": network.shares, "one": np.float32(1), "floor": _FLOOR,
        "width": np.float32(KERNEL_WIDTH), "kernel_weight": np.float32(network.kernel_weight),
        "prototypes": padded.reshape(-1, dims), "by_label": np.array([-1, len(labels), most], np.int64),
        "last": np.array([2], np.int64),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Gemm", ["embeddings", "w1", "b1"], ["inner"]),
        node("Relu", ["inner"], ["hidden"]),
        node("Gemm", ["hidden", "w2", "b2"], ["mlp"]),
        node("Gemm", ["embeddings", "anchors"], ["cosines"], transB=1),
        node("Sub", ["cosines", "one"], ["apart"]),
        node("Div", ["apart", "width"], ["scaled"]),
        node("Exp", ["scaled"], ["kernel"]),
        node("MatMul", ["kernel", "shares"], ["density"]),
        node("Add", ["density", "floor"], ["floored"]),
        node("Log", ["floored"], ["evidence"]),
        node("Mul", ["evidence", "kernel_weight"], ["weighted"]),
        node("Add", ["mlp", "weighted"], ["logits"]),
        node("Softmax", ["logits"], [OUTPUTS[0]], axis=-1),
        node("Gemm", ["embeddings", "prototypes"], ["near"], transB=1),
        node("Reshape", ["near", "by_label"], ["near_by_label"]),
        node("ReduceMax", ["near_by_label", "last"], [OUTPUTS[1]], keepdims=0),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "router",
        [value("embeddings", TensorProto.FLOAT, ["n", dims])],
        [value(name, TensorProto.FLOAT, ["n", len(labels)]) for name in OUTPUTS],
        [numpy_helper.from_array(np.asarray(part), name) for name, part in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    helper.set_model_props(model, {"labels": json.dumps(labels)} | metadata)
    checker.check_model(model)
    with written_aside(path) as part:
        part.write_bytes(model.SerializeToString())


def read_anchors(path: Path) -> tuple[Floats, tuple[str, ...]]:
    """What a router keeps of the rows it was trained on: anchors (m, d) and the label of each.

    None for a file without anchors. Raises `PackError` for one that cannot be read.
    """
    import onnx
    from onnx import numpy_helper

    try:
        model = onnx.load(str(path), load_external_data=False)
        labels = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "labels"))
        kept = {part.name: part for part in model.graph.initializer}
        if "anchors" not in kept or "shares" not in kept:
            return np.zeros((0, 0), np.float32), ()
        anchors = numpy_helper.to_array(kept["anchors"]).astype(np.float32)
        owners = numpy_helper.to_array(kept["shares"]).argmax(axis=1)
        return anchors, tuple(str(labels[owner]) for owner in owners)
    except Exception as error:  # protobuf's errors have no common base but this
        raise PackError(f"{path}: not a usable router: {first_line(error)}. Fetch or build the pack again.") from None
