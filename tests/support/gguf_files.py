"""Small GGUF files of every kind that a user may take for a backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np


def write_gguf(path: Path, architecture: str | None, values: Mapping[str, Any], tensors: Sequence[str]) -> Path:
    """A file with these values in its header, and tensors of zeros."""
    writer = gguf.GGUFWriter(path, architecture or "none")
    if architecture is None:
        writer.kv_data[0].pop("general.architecture")
    kinds = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string}
    for key, value in values.items():
        kinds[type(value)](key, value)
    for name in tensors:
        writer.add_tensor(name, np.zeros((4, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
