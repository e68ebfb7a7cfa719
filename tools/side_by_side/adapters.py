"""Several LoRA adapters of one backbone, trained side by side: one tensor for each group of weights.

Read and written as PEFT folders (`adapter_config.json`, `adapter_model.safetensors`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tools.side_by_side.backbone import GROUPS, Low, Shape

Tensor = Any
ALPHA_OVER_RANK = 2.0
"""The scale of every adapter here: alpha is twice its rank."""


class AdapterBank:
    """Adapters by name; their numbers in `tensors`, `GROUP.a` and `GROUP.b`.

    With n adapters of rank r, a group of g weights has A (layers, n, g·r, inputs) and B (layers, n, outputs, g·r): the
    A of its weights one above the other, their B as the blocks of a diagonal. An adapter of a smaller rank leaves the
    rest at zero, and there it stays: the gradient of a row of A has B's column as a factor, and the reverse.
    """

    def __init__(self, names: Sequence[str], shape: Shape, rank: int, device: str = "cpu", seed: int = 0) -> None:
        self.names, self.shape, self.rank, self.device = tuple(names), shape, rank, device
        self.ranks = dict.fromkeys(names, rank)
        self.tensors: dict[str, Tensor] = {}
        self._pattern: dict[str, Tensor] = {}
        for group in GROUPS:
            outputs, inputs = shape.outputs(group), shape.inputs(group)
            width = rank * len(outputs)
            a = torch.zeros(shape.layers, len(names), width, inputs)
            b = torch.zeros(shape.layers, len(names), sum(outputs.values()), width)
            pattern = torch.block_diag(*(torch.ones(count, rank) for count in outputs.values()))
            self._pattern[group] = pattern.to(device)
            self.tensors[f"{group}.a"], self.tensors[f"{group}.b"] = a.to(device), b.to(device)
        for i, name in enumerate(names):
            self.start(name, rank, seed + i)
        for tensor in self.tensors.values():
            tensor.requires_grad_(True)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def start(self, name: str, rank: int, seed: int) -> None:
        """Makes an adapter a new one: A drawn as PEFT draws it (uniform within 1/√inputs), B zero."""
        if not 1 <= rank <= self.rank:
            raise ValueError(f"{name}: rank {rank} is not between 1 and {self.rank}")
        draw = torch.Generator().manual_seed(seed)
        index = self.names.index(name)
        self.ranks[name] = rank
        for group in GROUPS:
            a, b = self.tensors[f"{group}.a"][:, index], self.tensors[f"{group}.b"][:, index]
            a.zero_()
            b.zero_()
            bound = 1 / math.sqrt(self.shape.inputs(group))
            for i in range(len(self.shape.outputs(group))):
                fresh = torch.empty(self.shape.layers, rank, a.shape[-1]).uniform_(-bound, bound, generator=draw)
                a[:, i * self.rank : i * self.rank + rank] = fresh.to(a.device)

    def slots(self, indices: Tensor, dtype: Any) -> list[dict[str, Low]]:
        """A and B of each slot's adapter, by layer and group; `indices` (S,) are places in `names`."""
        lows: list[dict[str, Low]] = [{} for _ in range(self.shape.layers)]
        for group in GROUPS:
            a = self.tensors[f"{group}.a"].to(dtype).index_select(1, indices)
            b = (self.tensors[f"{group}.b"] * (self._pattern[group] * ALPHA_OVER_RANK)).to(dtype)
            for low, a_of_layer, b_of_layer in zip(
                lows, a.unbind(0), b.index_select(1, indices).unbind(0), strict=True
            ):
                low[group] = Low(a_of_layer, b_of_layer)
        return lows

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def load(self, name: str, folder: Path) -> None:
        """Reads an adapter from a PEFT folder. Raises `ValueError` where it is not of this backbone and scale."""
        config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        rank = int(config["r"])
        if config["lora_alpha"] != ALPHA_OVER_RANK * rank:
            raise ValueError(f"{folder}: alpha {config['lora_alpha']} is not twice its rank {rank}")
        self.start(name, rank, 0)
        index = self.names.index(name)
        saved = load_file(folder / "adapter_model.safetensors")
        for group in GROUPS:
            a, b = self.tensors[f"{group}.a"][:, index], self.tensors[f"{group}.b"][:, index]
            for layer, column, rows, module in self._places(group):
                columns = slice(column, column + rank)
                a[layer, columns] = saved[f"{module}.lora_A.weight"].to(a)
                b[layer, rows, columns] = saved[f"{module}.lora_B.weight"].to(b)

    def _places(self, group: str) -> list[tuple[int, int, slice, str]]:
        places = []
        for layer in range(self.shape.layers):
            row = 0
            for i, (weight, count) in enumerate(self.shape.outputs(group).items()):
                module = f"base_model.model.model.layers.{layer}.{weight}"
                places.append((layer, i * self.rank, slice(row, row + count), module))
                row += count
        return places

    def state(
        self, name: str, tensors: dict[str, Tensor] | None = None, dtype: Any = torch.float16
    ) -> dict[str, Tensor]:
        """An adapter's A and B by PEFT's names, on the CPU; of `tensors` shaped as the bank's own where given."""
        index, rank = self.names.index(name), self.ranks[name]
        state = {}
        for group in GROUPS:
            source = tensors or self.tensors
            a, b = (source[f"{group}.{part}"][:, index].detach().to(dtype).cpu() for part in "ab")
            for layer, column, rows, module in self._places(group):
                columns = slice(column, column + rank)
                state[f"{module}.lora_A.weight"] = a[layer, columns].contiguous()
                state[f"{module}.lora_B.weight"] = b[layer, rows, columns].contiguous()
        return state

    def save(
        self, name: str, folder: Path, invocation: Sequence[int] = (), tensors: dict[str, Tensor] | None = None
    ) -> None:
        """Writes an adapter as a PEFT folder, in float16; `invocation`: the tokens that turn it on."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state(name, tensors), folder / "adapter_model.safetensors", {"format": "pt"})
        rank = self.ranks[name]
        config: dict[str, Any] = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": rank,
            "lora_alpha": int(ALPHA_OVER_RANK * rank),
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": [weight.split(".")[1] for group in GROUPS for weight in self.shape.outputs(group)],
        }
        if invocation:
            config["alora_invocation_tokens"] = list(invocation)
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
