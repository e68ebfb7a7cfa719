"""The files that an adapter is saved as, of PEFT's and of MLX's, told by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
MLX_WEIGHTS = "adapters.safetensors"
OLD_MLX = "adapters.npz"

SHOWN = 10
_CHECKPOINT = re.compile(r"(?:checkpoint|epoch|step|iter)s?[-_]?(\d+)", re.IGNORECASE)
_MLX_CHECKPOINT = re.compile(r"(\d+)_adapters\.safetensors")
_SHARD = re.compile(r"adapter_model-\d+-of-\d+\.safetensors")


def is_shard(name: str) -> bool:
    """Whether a file is a part of an adapter's tensors, which are in several files."""
    return bool(_SHARD.fullmatch(name))


def about_shards(names: Iterable[str]) -> str:
    """What an adapter in several files is, and what helps; `names` are those of its folder."""
    shards = sum(map(is_shard, names))
    return (
        f"its tensors are in {shards} files, and {WEIGHTS} is read alone. "
        "Load it with PEFT, and save it with a larger max_shard_size."
    )


def is_mlx_checkpoint(name: str) -> bool:
    """Whether a file is an adapter as MLX saves it while it is trained."""
    return bool(_MLX_CHECKPOINT.fullmatch(name))


def about_mlx_checkpoints(names: Iterable[str]) -> str:
    """What a folder with nothing but checkpoints of MLX's is, and what helps; `names` are those of its files."""
    steps = {int(match[1]): name for name in names if (match := _MLX_CHECKPOINT.fullmatch(name))}
    newest = steps[max(steps)]
    return (
        f"holds checkpoints of a training with MLX, and no {MLX_WEIGHTS} beside them. "
        f"The newest is {newest}: copy it to {MLX_WEIGHTS}."
    )


def adapters_in(paths: Iterable[str]) -> list[str]:
    """The folders beneath one, with / between, that hold an adapter, by the paths of all files in it."""
    files = map(PurePosixPath, paths)
    return sorted(str(path.parent) for path in files if path.name == CONFIG and len(path.parts) > 1)


def which_adapter(folders: Sequence[str], prefix: str) -> str:
    """What is said of a folder whose adapters are in others beneath it; `prefix` goes before their names."""
    numbers = {folder: int(match[1]) for folder in folders if (match := _CHECKPOINT.fullmatch(folder))}
    if len(numbers) == len(folders):
        newest = max(folders, key=numbers.__getitem__)
        return f"holds checkpoints of a training, and no adapter beside them. The newest is {prefix}{newest}: name it."
    if len(folders) == 1:
        return f"holds its adapter in a folder. Name it: {prefix}{folders[0]}."
    more = f" and {len(folders) - SHOWN} more" if len(folders) > SHOWN else ""
    return f"holds several adapters. Name one of them: {', '.join(f'{prefix}{f}' for f in folders[:SHOWN])}{more}."
