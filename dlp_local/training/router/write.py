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
CONTRIB = "com.microsoft"
"""The domain of onnxruntime's own operators."""

LARGEST_BLOCK, SMALLEST_BLOCK = 128, 16
"""Numbers of a row that `MatMulNBits` takes together: a power of two."""

INT8_ACTIVATIONS = 4
"""Its `accuracy_level` for activations that are quantized to int8 as they come, each block by itself."""

ZERO = 128
"""The stored byte that stands for 0."""

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

    `is_small`: the two large matrices are stored and computed with as int8, with a scale for each hidden number and
    each anchor, in half the time; prototypes are stored as float16.
    """
    by_label = [prototypes.centers[prototypes.owners == index] for index in range(len(labels))]
    most = max(map(len, by_label))
    padded = np.stack([np.concatenate([own, np.repeat(own[:1], most - len(own), axis=0)]) for own in by_label])
    dims = network.w1.shape[0]
    constants: dict[str, Any] = {
        "b1": network.b1, "w2": network.w2, "b2": network.b2,
        "shares": network.shares, "one": np.float32(1), "floor": DENSITY_FLOOR,
        "width": np.float32(KERNEL_WIDTH), "kernel_weight": np.float32(network.kernel_weight),
        "shape": np.array([-1, len(labels), most], np.int64), "last_axis": np.array([2], np.int64),
    }  # fmt: skip
    node, flat = helper.make_node, padded.reshape(-1, dims)
    if is_small:
        constants |= {"prototypes_half": flat.astype(np.float16)} | _as_int8("w1", network.w1.T)
        constants |= _as_int8("anchors", network.anchors)
        large = [
            node("Cast", ["prototypes_half"], ["prototypes"], to=TensorProto.FLOAT),
            _int8_product("w1", network.w1.T.shape, "products"),
            node("Add", ["products", "b1"], ["inner"]),
            _int8_product("anchors", network.anchors.shape, "cosines"),
        ]
    else:
        constants |= {"prototypes": flat, "w1": network.w1, "anchors": network.anchors}
        large = [
            node("Gemm", ["embeddings", "w1", "b1"], ["inner"]),
            node("Gemm", ["embeddings", "anchors"], ["cosines"], transB=1),
        ]
    nodes = [
        *large,
        node("Relu", ["inner"], ["hidden"]),
        node("Gemm", ["hidden", "w2", "b2"], ["mlp"]),
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
    opsets = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(CONTRIB, 1)] if is_small else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, {"labels": json.dumps(labels)} | metadata)
    checker.check_model(model)
    with written_aside(path) as part:
        part.write_bytes(model.SerializeToString())


def _as_int8(name: str, rows: Floats) -> dict[str, npt.NDArray[Any]]:
    """The constants of `MatMulNBits` for a matrix whose rows (m, d) each have one scale: in blocks, padded with 0."""
    block = _block(rows.shape[1])
    scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / np.float32(127)
    whole = np.round(rows / scale).astype(np.int16) + ZERO
    padded = np.pad(whole, ((0, 0), (0, -rows.shape[1] % block)), constant_values=ZERO).astype(np.uint8)
    blocks = padded.reshape(len(rows), -1, block)
    return {f"{name}_blocks": blocks, f"{name}_scales": np.repeat(scale, blocks.shape[1], axis=1)}


def _int8_product(name: str, shape: tuple[int, ...], output: str) -> onnx.NodeProto:
    """The product of the embeddings with each row of such a matrix (m, d)."""
    rows, dims = shape
    return helper.make_node(
        "MatMulNBits", ["embeddings", f"{name}_blocks", f"{name}_scales"], [output], domain=CONTRIB,
        N=rows, K=dims, bits=8, block_size=_block(dims), accuracy_level=INT8_ACTIVATIONS,
    )  # fmt: skip


def _block(dims: int) -> int:
    """The largest block that a row of so many numbers fills."""
    return min(LARGEST_BLOCK, max(SMALLEST_BLOCK, 1 << (dims.bit_length() - 1)))


def _stored_anchors(constants: Mapping[str, onnx.TensorProto], dims: int) -> Floats | None:
    """The anchors (m, dims) among a router's constants, however they are stored; None where it has none."""
    if "anchors" in constants:
        return np.asarray(numpy_helper.to_array(constants["anchors"]), np.float32)
    if "anchors_blocks" not in constants:
        return None
    blocks, scales = (numpy_helper.to_array(constants[name]) for name in ("anchors_blocks", "anchors_scales"))
    rows = (blocks.astype(np.float32) - ZERO) * scales[:, :, None]
    return np.asarray(rows.reshape(len(blocks), -1)[:, :dims], np.float32)


def read_anchors(path: Path) -> tuple[Floats, tuple[str, ...]]:
    """The anchors (m, d) of a router, and the label of each; none for a file without anchors.

    Raises `PackError` for a file that cannot be read.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        labels = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "labels"))
        constants = {constant.name: constant for constant in model.graph.initializer}
        (embeddings,) = model.graph.input
        anchors = _stored_anchors(constants, embeddings.type.tensor_type.shape.dim[1].dim_value)
        if anchors is None or "shares" not in constants:
            return np.zeros((0, 0), np.float32), ()
        owners = numpy_helper.to_array(constants["shares"]).argmax(axis=1)
        return anchors, tuple(str(labels[owner]) for owner in owners)
    except Exception as error:  # protobuf's errors have no common base but this
        raise PackError(f"{path}: not a usable router: {first_line(error)}. Fetch or build the pack again.") from None
