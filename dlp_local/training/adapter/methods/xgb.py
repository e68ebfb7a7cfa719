"""XGBLoRA (arXiv 2410.19694): gradient boosting with weak learners, rank-1 LoRAs on a random part of the layers.

Each booster is trained for κ steps, kept fixed, and another one begins: ΔW = Σ over boosters of s·b·aᵀ. The file has
those of a weight as one stack, whose rank differs from layer to layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch

from dlp_local.training.adapter.methods.method import Factors, Method, Pair, Tensor, Tensors

_LAYER = re.compile(r"\.(\d+)\.")


def layer_of(weight: str) -> str:
    """The layer that a weight belongs to: what its name has as a number."""
    found = _LAYER.search(weight)
    return found[1] if found else weight


class BoostedLora(Method):
    """`choices.booster_steps` steps a booster, on the share `choices.booster_layers` of the layers."""

    def build(self) -> None:
        """The first booster; `enter` makes the others."""
        self.scale = self.choices.alpha / self.choices.rank
        self.layers = sorted({layer_of(name) for name in self.weights})
        self.boosters: list[dict[str, Pair]] = []
        self.enter(0)

    def groups(self) -> Mapping[str, Tensors]:
        """A and B of each booster."""
        return {
            f"{side}{number}": {name: getattr(pair, side) for name, pair in booster.items()}
            for number, booster in enumerate(self.boosters)
            for side in ("a", "b")
        }

    def factors(self, weight: str, owners: Tensor) -> Factors:
        """The boosters of a weight so far, one above the other; those that are done get no gradient."""
        shape, done = self.weights[weight], self.boosters[:-1]
        pairs = [Pair(pair.a.detach(), pair.b.detach()) for booster in done if (pair := booster.get(weight))]
        if weight in self.boosters[-1]:
            pairs.append(self.boosters[-1][weight])
        if not pairs:
            sizes = (0, shape.inputs), (shape.outputs, 0)
            return Factors(*(torch.zeros(size, device=self.device) for size in sizes))
        return Factors(torch.cat([pair.a for pair in pairs]), torch.cat([pair.b for pair in pairs], -1) * self.scale)

    def exported(self, weight: str, task: int) -> Factors | None:
        """None for a weight that no booster changed."""
        return super().exported(weight, task) if any(weight in booster for booster in self.boosters) else None

    def pairs(self) -> list[Pair]:
        """Those of the present booster."""
        return list(self.boosters[-1].values())

    def stage_starts(self, of_steps: int) -> Sequence[int]:
        """A stage is a booster: κ steps, the last one those that are left."""
        return range(0, of_steps, self.choices.booster_steps)

    def enter(self, stage: int) -> None:
        """Keeps the boosters before as they are, and makes the others up to the one of this stage."""
        super().enter(stage)
        del self.boosters[stage + 1 :]
        self.boosters += [self._booster(number) for number in range(len(self.boosters), stage + 1)]

    def _booster(self, number: int) -> dict[str, Pair]:
        """A booster as it begins: its layers and its a's are drawn by the seed and its number alone, its b's zero."""
        self.draw.manual_seed(self.choices.seed * 1_000_003 + number)
        count = max(1, round(self.choices.booster_layers * len(self.layers)))
        chosen = {self.layers[i] for i in torch.randperm(len(self.layers), generator=self.draw)[:count].tolist()}
        return {
            name: Pair(self.kaiming(1, shape.inputs), self.parameter(torch.zeros(shape.outputs, 1)))
            for name, shape in self.weights.items()
            if layer_of(name) in chosen
        }


METHOD = BoostedLora
