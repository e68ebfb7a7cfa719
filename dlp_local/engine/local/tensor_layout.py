"""Where llama.cpp's library keeps what of a tensor: looked at in tensors made for it, never assumed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlp_local.engine.local.library import load_tensor_library

WORDS = 42
"""A `ggml_tensor` in 64-bit words."""

NE, NB, OP, SOURCES, DATA, NAME = 2, 6, 10, 19, 31, 32
"""The words in which its sizes (4), its strides (4), its operation (the lower half), its sources, the address of its
data and its name begin."""

F32, I32 = 0, 26
"""Types of its numbers."""

CPU_DEVICE = 0


@dataclass(frozen=True, slots=True)
class Operations:
    """The numbers of some operations in this build."""

    mul_mat: int
    get_rows: int
    mul: int
    scale: int


class _Params(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def operations() -> Operations | None:
    """The operations' numbers; None where tensors do not lie in memory as is said here, or not on the CPU alone."""
    try:
        ggml, devices = load_tensor_library()
        for name in ("ggml_init", "ggml_new_tensor_2d", "ggml_mul_mat", "ggml_get_rows", "ggml_mul", "ggml_scale"):
            getattr(ggml, name).restype = ctypes.c_void_p
        devices.ggml_backend_dev_get.restype = ctypes.c_void_p
        found = [devices.ggml_backend_dev_get(ctypes.c_size_t(i)) for i in range(devices.ggml_backend_dev_count())]
        on_cpu = all(ggml.ggml_backend_dev_type(ctypes.c_void_p(device)) == CPU_DEVICE for device in found)
    except (OSError, AttributeError, RuntimeError):
        return None
    return _look(ggml) if on_cpu else None


def _look(ggml: ctypes.CDLL) -> Operations | None:
    context = ctypes.c_void_p(ggml.ggml_init(_Params(1 << 20, None, False)))
    try:

        def call(name: str, *args: object) -> ctypes.c_void_p:
            return ctypes.c_void_p(getattr(ggml, name)(context, *args))

        a = call("ggml_new_tensor_2d", F32, ctypes.c_int64(16), ctypes.c_int64(3))
        x = call("ggml_new_tensor_2d", F32, ctypes.c_int64(16), ctypes.c_int64(5))
        rows = call("ggml_new_tensor_2d", I32, ctypes.c_int64(2), ctypes.c_int64(1))
        ggml.ggml_set_name(a, b"blk.0.lora_a")
        made = {
            "mul_mat": call("ggml_mul_mat", a, x),
            "get_rows": call("ggml_get_rows", a, rows),
            "mul": call("ggml_mul", x, x),
            "scale": call("ggml_scale", x, ctypes.c_float(1.0)),
        }
        product, words = _words(made["mul_mat"]), _words(a)
        is_known = (
            list(words[NE : NE + 4]) == [16, 3, 1, 1]
            and list(words[NB : NB + 4]) == [4, 64, 192, 192]
            and ctypes.string_at((a.value or 0) + NAME * 8) == b"blk.0.lora_a"
            and list(product[NE : NE + 4]) == [3, 5, 1, 1]
            and list(product[SOURCES : SOURCES + 2]) == [a.value, x.value]
            and list(_words(made["get_rows"])[SOURCES : SOURCES + 2]) == [a.value, rows.value]
            and words[DATA] == _data(ggml, a)
        )
        numbers = {name: int(_words(tensor)[OP]) & 0xFFFFFFFF for name, tensor in made.items()}
        return Operations(**numbers) if is_known and len(set(numbers.values())) == len(numbers) else None
    finally:
        ggml.ggml_free(context)


def _data(ggml: ctypes.CDLL, tensor: ctypes.c_void_p) -> int:
    """The address of a tensor's data, as the library says it."""
    ggml.ggml_get_data.restype = ctypes.c_void_p
    return int(ggml.ggml_get_data(tensor) or 0)


def _words(tensor: ctypes.c_void_p) -> NDArray[np.int64]:
    return np.ctypeslib.as_array(ctypes.cast(tensor, ctypes.POINTER(ctypes.c_int64)), (WORDS,))


def describe_rows(rows: NDArray[np.float32], words: NDArray[np.int64]) -> None:
    """Makes `words` a tensor with this data, of shape (rows, columns)."""
    count, width = rows.shape
    words[:] = 0
    words[NE : NE + 4] = width, count, 1, 1
    words[NB : NB + 4] = 4, 4 * width, 4 * width * count, 4 * width * count
    words[DATA] = rows.ctypes.data
