"""A router as one ONNX file that describes itself, and the anchors that a later training reads from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

from dlp_local.core.errors import PackError
from dlp_local.core.files import written_aside
from dlp_local.routing.onnx_session import first_line
from dlp_local.routing.prototypes import Prototypes
from dlp_local.routing.router import OUTPUTS
from dlp_local.training.router.network import DENSITY_FLOOR, KERNEL_WIDTH, Network

OPSET = 18
_AXES = {"w1": 0, "anchors": 1}
"""The matrices that a small file has as int8, and along which axis their numbers share a scale."""

Floats = npt.NDArray[np.float32]


def encoder_name(sha256: str) -> str:
    """What a router's file calls the encoder that it was trained on, by the hash of the encoder's file."""
    return f"sha256 {sha256[:12]}"


def write_router(
    network: Network,
    labels: tuple[str, ...],
    prototypes: Prototypes,
    path: Path,
    metadata: dict[str, str],
    is_small: bool = False,
) -> None:
    """Writes float32 (n, d) → `probabilities` (n, k) and `similarities` (n, k): cosines with the labels' prototypes.

    `is_small`: large matrices are stored as int8 with a scale for each hidden number and each anchor, prototypes as
    float16, and computed with as float32.
    """
    by_label = [prototypes.centers[prototypes.owners == index] for index in range(len(labels))]
    most = max(map(len, by_label))
    padded = np.stack([np.concatenate([own, np.repeat(own[:1], most - len(own), axis=0)]) for own in by_label])
    dims = network.w1.shape[0]
    constants: dict[str, Any] = {
        "w1": network.w1, "b1": network.b1, "w2": network.w2, "b2": network.b2,
        "anchors": network.anchors, "shares": network.shares, "one": np.float32(1), "floor": DENSITY_FLOOR,
        "width": np.float32(KERNEL_WIDTH), "kernel_weight": np.float32(network.kernel_weight),
        "prototypes": padded.reshape(-1, dims), "shape": np.array([-1, len(labels), most], np.int64),
        "last_axis": np.array([2], np.int64),
    }  # fmt: skip
    node, casts = helper.make_node, []
    if is_small:
        constants["prototypes_half"] = constants.pop("prototypes").astype(np.float16)
        casts.append(node("Cast", ["prototypes_half"], ["prototypes"], to=TensorProto.FLOAT))
        for name, axis in _AXES.items():
            constants |= _as_int8(name, constants.pop(name), axis)
            # not DequantizeLinear, which onnxruntime leaves in the graph: it would be computed for each message
            casts.append(node("Cast", [f"{name}_int8"], [f"{name}_whole"], to=TensorProto.FLOAT))
            casts.append(node("Mul", [f"{name}_whole", f"{name}_scale"], [name]))
    nodes = [
        *casts,
        node("Gemm", ["embeddings", "w1", "b1"], ["inner"]),
        node("Relu", ["inner"], ["hidden"]),
        node("Gemm", ["hidden", "w2", "b2"], ["mlp"]),
        node("Gemm", ["embeddings", "anchors"], ["cosines"], transB=1),
        node("Sub", ["cosines", "one"], ["distances"]),
        node("Div", ["distances", "width"], ["exponents"]),
        node("Exp", ["exponents"], ["kernel"]),
        node("MatMul", ["kernel", "shares"], ["density"]),
        node("Add", ["density", "floor"], ["floored"]),
        node("Log", ["floored"], ["log_density"]),
        node("Mul", ["log_density", "kernel_weight"], ["weighted"]),
        node("Add", ["mlp", "weighted"], ["logits"]),
        node("Softmax", ["logits"], [OUTPUTS[0]], axis=-1),
        node("Gemm", ["embeddings", "prototypes"], ["prototype_cosines"], transB=1),
        node("Reshape", ["prototype_cosines", "shape"], ["cosines_by_label"]),
        node("ReduceMax", ["cosines_by_label", "last_axis"], [OUTPUTS[1]], keepdims=0),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "router",
        [value("embeddings", TensorProto.FLOAT, ["n", dims])],
        [value(name, TensorProto.FLOAT, ["n", len(labels)]) for name in OUTPUTS],
        [numpy_helper.from_array(np.asarray(constant), name) for name, constant in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    helper.set_model_props(model, {"labels": json.dumps(labels)} | metadata)
    checker.check_model(model)
    with written_aside(path) as part:
        part.write_bytes(model.SerializeToString())


def _as_int8(name: str, matrix: Floats, axis: int) -> dict[str, npt.NDArray[Any]]:
    """The constants of a matrix as int8, whose numbers along an axis share a scale."""
    scale = np.maximum(np.abs(matrix).max(axis=axis, keepdims=True), 1e-12).astype(np.float32) / np.float32(127)
    return {f"{name}_int8": np.round(matrix / scale).astype(np.int8), f"{name}_scale": scale}


def _stored_anchors(constants: Mapping[str, onnx.TensorProto]) -> Floats | None:
    """The anchors (m, d) among a router's constants, however they are stored; None where it has none."""
    if "anchors_int8" in constants:
        whole, scale = (numpy_helper.to_array(constants[name]) for name in ("anchors_int8", "anchors_scale"))
        return np.asarray(whole * scale, np.float32)
    stored = constants.get("anchors", constants.get("anchors_half"))
    return None if stored is None else numpy_helper.to_array(stored).astype(np.float32)


def read_anchors(path: Path) -> tuple[Floats, tuple[str, ...]]:
    """The anchors (m, d) of a router, and the label of each; none for a file without anchors.

    Raises `PackError` for a file that cannot be read.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        labels = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "labels"))
        constants = {constant.name: constant for constant in model.graph.initializer}
        anchors = _stored_anchors(constants)
        if anchors is None or "shares" not in constants:
            return np.zeros((0, 0), np.float32), ()
        owners = numpy_helper.to_array(constants["shares"]).argmax(axis=1)
        return anchors, tuple(str(labels[owner]) for owner in owners)
    except Exception as error:  # protobuf's errors have no common base but this
        raise PackError(f"{path}: not a usable router: {first_line(error)}. Fetch or build the pack again.") from None
