"""A router as another program might write it: probabilities, and nothing of the rows it was trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_plain_router(path: Path, labels: Sequence[str], dims: int = 512) -> Path:
    """One matrix of random numbers and a softmax, as ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(dims, len(labels))).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["embeddings", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "router",
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", dims])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(labels)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"labels": json.dumps(list(labels))})
    path.write_bytes(model.SerializeToString())
    return path
