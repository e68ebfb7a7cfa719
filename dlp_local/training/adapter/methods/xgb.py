"""XGBLoRA (arXiv 2410.19694): gradient boosting with weak learners, rank-1 LoRAs on a random part of the layers.

Each booster is trained for κ steps, kept fixed, and another one begins: ΔW = Σ over boosters of s·b·aᵀ. The file has
those of a weight as one stack, whose rank differs from layer to layer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors, copied, take_over

_LAYER = re.compile(r"\.(\d+)\.")


def layer_of(weight: str) -> str:
    """The layer that a weight belongs to: what its name has as a number."""
    found = _LAYER.search(weight)
    return found[1] if found else weight


class BoostedLora(Method):
    """`choices.booster_steps` steps a booster, on the share `choices.booster_layers` of the layers."""

    def build(self) -> None:
        """No booster yet; `enter` begins each."""
        self.scale = self.choices.alpha / self.choices.rank
        self.layers = sorted({layer_of(name) for name in self.weights})
        self.done_a: dict[str, list[Tensor]] = defaultdict(list)
        self.done_b: dict[str, list[Tensor]] = defaultdict(list)
        self.a: Tensors = {}
        self.b: Tensors = {}
        self.stage = -1
        self.enter(0)

    def chosen(self, stage: int) -> set[str]:
        """The layers of a booster, drawn by the seed and its number alone."""
        draw = torch.Generator().manual_seed(self.choices.seed * 1_000_003 + stage)
        count = max(1, round(self.choices.booster_layers * len(self.layers)))
        return {self.layers[i] for i in torch.randperm(len(self.layers), generator=draw)[:count].tolist()}

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The boosters of a weight so far, one above the other; those that are done get no gradient."""
        a, b = list(self.done_a[weight]), list(self.done_b[weight])
        if weight in self.a:
            a.append(self.a[weight])
            b.append(self.b[weight])
        shape = self.weights[weight]
        if not a:
            device = self.device
            return Factors(torch.zeros(0, shape.inputs, device=device), torch.zeros(shape.outputs, 0, device=device))
        return Factors(torch.cat(a), torch.cat(b, -1) * self.scale)

    def exported(self, weight: str, task: int) -> Factors | None:
        """None for a weight that no booster changed."""
        both = self.factors(weight, torch.tensor([task]))
        return both if len(both.a) else None

    def pairs(self) -> list[Pair]:
        """Those of the present booster."""
        return [Pair(self.a[name], self.b[name]) for name in self.a]

    def stage_at(self, step: int, of_steps: int) -> int:
        """A stage is a booster."""
        return step // self.choices.booster_steps

    def stage_steps(self, stage: int, of_steps: int) -> tuple[int, int]:
        """κ steps, the last one those that are left."""
        count = self.choices.booster_steps
        return stage * count, min((stage + 1) * count, of_steps)

    def enter(self, stage: int) -> None:
        """Keeps the booster before as it is, and draws another one."""
        if stage == self.stage:
            return
        for name in self.a:
            self.done_a[name].append(self.a[name].detach())
            self.done_b[name].append(self.b[name].detach())
        self.stage, chosen = stage, self.chosen(stage)
        names = [name for name in self.weights if layer_of(name) in chosen]
        self.a = {name: self.kaiming(1, self.weights[name].inputs) for name in names}
        self.b = {name: self.parameter(torch.zeros(self.weights[name].outputs, 1)) for name in names}

    def state(self) -> dict[str, Any]:
        """The boosters that are done and the present one."""
        done = {"done_a": dict(self.done_a), "done_b": dict(self.done_b), "draw": self.draw.get_state()}
        return {"stage": self.stage, "a": copied(self.a), "b": copied(self.b)} | {
            key: {name: [one.clone() for one in values] for name, values in value.items()}
            if isinstance(value, dict)
            else value
            for key, value in done.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The boosters as they were."""
        self.a, self.b = {}, {}
        self.enter(state["stage"])
        take_over(self.a, state["a"])
        take_over(self.b, state["b"])
        self.done_a, self.done_b = (
            defaultdict(list, {name: list(values) for name, values in state[key].items()})
            for key in ("done_a", "done_b")
        )
        self.draw.set_state(state["draw"])


METHOD = BoostedLora
