"""Each token of a batch under its own mix: llama.cpp's graph multiplies its row of A·x by its own weights.

With the adapters of all mixes in one of summed rank, A = [A₁; A₂; …], B = [B₁, B₂, …], a token's own mix is
B·(w ∘ A·x), where its row w repeats each adapter's weight over its ranks and is 0 where an adapter is off (FLoRA, arXiv
2312.05677). llama.cpp makes three nodes of an adapter for a weight: A·x, B·(A·x), and that times the adapter's scale,
which is 1 here. Before it computes a graph it asks its evaluation callback about every node; this one then turns the
last two nodes into (A·x) ∘ w and B·((A·x) ∘ w), in the memory that they have, and never asks to stop. So a batch of
many mixes takes one more product of rows for each weight, and no call while it computes.

The callback is compiled by numba: an empty one, called back 1,000 times, as often as a graph has nodes, takes 8 µs, and
about 0.5 ms by ctypes (libc's qsort over either).
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from dlp_local.engine.local.library import lib
from dlp_local.engine.local.tensor_layout import DATA, NAME, NB, NE, OP, SOURCES, WORDS, Operations, describe_rows

IS_ON, MUL_MAT, GET_ROWS, MUL, SCALE, ALL_ROWS, OUTPUT_ROWS, APPLIED, REFUSED = range(9)
"""What the callback is told, and counts, in words: whether to change graphs at all; the operations' numbers; the
addresses of the tensors with the weights of all tokens, and of those whose logits are asked for, which alone reach the
end of the last layer; how many weights of the backbone it has changed, and how many it could not."""

STATE_WORDS = 9
_LOWER = 0xFFFFFFFF
_LORA = np.frombuffer(b".lora_", np.uint8)


@intrinsic
def _pointer(_context: Any, _address: Any) -> Any:
    """An address as a pointer."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@njit
def _tensor(address: int) -> Any:
    return carray(_pointer(address), WORDS, np.int64)


@njit
def _operation(tensor: Any) -> int:
    return int(tensor[OP] & _LOWER)


@njit
def _is_half(address: int, half: int) -> bool:
    """Whether a tensor is named as that half of an adapter."""
    name = carray(_pointer(address + NAME * 8), 64, np.uint8)
    length = 0
    while length < 64 and name[length] != 0:
        length += 1
    start = length - 1 - len(_LORA)
    return bool(start >= 0 and name[length - 1] == half and np.array_equal(name[start : length - 1], _LORA))


@njit
def _is_mixed(tensor: Any, state: Any) -> bool:
    """Whether a node is what `_mix` made of one: graphs are computed again for a batch of the same shape."""
    if _operation(tensor) != state[MUL_MAT]:
        return False
    source = _tensor(tensor[SOURCES + 1])
    rows = source[SOURCES + 1]
    return bool(_operation(source) == state[MUL] and (rows == state[ALL_ROWS] or rows == state[OUTPUT_ROWS]))


@njit
def _mix(scaled: Any, state: Any) -> None:
    """Changes the nodes B·(A·x) and its multiple, where the scaled one is asked about."""
    product_at = scaled[SOURCES]
    product = _tensor(product_at)
    if _operation(product) != state[MUL_MAT] or not _is_half(product[SOURCES], 98):
        return
    b_at, inner_at = product[SOURCES], product[SOURCES + 1]
    inner = _tensor(inner_at)
    is_product = _operation(inner) == state[MUL_MAT] or _operation(inner) == state[GET_ROWS]
    if not is_product or not _is_half(inner[SOURCES], 97):
        return
    state[APPLIED] += 1
    if inner[NE + 1] == 0:
        return
    rows_at = state[ALL_ROWS]
    if _tensor(rows_at)[NE + 1] != inner[NE + 1]:
        rows_at = state[OUTPUT_ROWS]
    rows = _tensor(rows_at)
    end, scaled_end = inner[DATA] + inner[NE + 1] * inner[NB + 1], scaled[DATA] + scaled[NE + 1] * scaled[NB + 1]
    overlaps = scaled[DATA] < end and inner[DATA] < scaled_end
    if rows[NE] != inner[NE] or rows[NE + 1] != inner[NE + 1] or inner[NE + 2] != 1 or overlaps:
        state[REFUSED] += 1
        return
    product[OP] = product[OP] - _operation(product) + state[MUL]
    product[SOURCES], product[SOURCES + 1] = inner_at, rows_at
    product[NE : NE + 4], product[NB : NB + 4] = inner[NE : NE + 4], inner[NB : NB + 4]
    product[DATA] = inner[DATA]
    scaled[OP] = state[MUL_MAT]  # with no parameters: the upper half is the first, the next word the second
    scaled[OP + 1] -= scaled[OP + 1] & _LOWER
    scaled[SOURCES], scaled[SOURCES + 1] = b_at, product_at


@cfunc(types.boolean(types.voidptr, types.boolean, types.voidptr), cache=True)
def _on_node(node: Any, _asks: Any, told: Any) -> Any:
    state = carray(told, STATE_WORDS, np.int64)
    if state[IS_ON] == 0:
        return False
    tensor = carray(node, WORDS, np.int64)
    if _operation(tensor) == state[SCALE]:
        _mix(tensor, state)
    elif _is_mixed(tensor, state):
        state[APPLIED] += 1
    return False


class TokenWeights:
    """The callback of one context, and the weights of the tokens of its next batch."""

    def __init__(self, operations: Operations) -> None:
        self._state = np.zeros(STATE_WORDS, np.int64)
        self._tensors = np.zeros((2, WORDS), np.int64)
        self._rows: tuple[NDArray[np.float32], ...] = ()
        self._state[MUL_MAT], self._state[GET_ROWS] = operations.mul_mat, operations.get_rows
        self._state[MUL], self._state[SCALE] = operations.mul, operations.scale
        self._state[ALL_ROWS], self._state[OUTPUT_ROWS] = (tensor.ctypes.data for tensor in self._tensors)
        self.callback = ctypes.cast(_on_node.address, lib.ggml_backend_sched_eval_callback)
        self.user_data: int = self._state.ctypes.data

    def use(self, rows: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
        """Sets the weights of all tokens, (tokens, ranks), and of those whose logits are asked for, in their order."""
        self._rows = rows, outputs  # the graph reads them where they are
        for tensor, weights in zip(self._tensors, self._rows, strict=True):
            describe_rows(weights, tensor)
        self._state[IS_ON], self._state[APPLIED], self._state[REFUSED] = 1, 0, 0

    def stop(self) -> None:
        """From now on graphs stay as they are."""
        self._state[IS_ON] = 0

    @property
    def applied(self) -> int:
        """To how many of the backbone's weights they were applied since they were set; -1 where one was refused."""
        return -1 if self._state[REFUSED] else int(self._state[APPLIED])
