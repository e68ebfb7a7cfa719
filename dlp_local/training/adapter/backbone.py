"""The backbone in torch: the GGUF's own weights, dequantized and frozen, computed by transformers.

An adapter is so trained on the weights that run, and learns to mend what quantization broke (CA-LoRA, arXiv
2307.07705). What stands before the last user's turn is computed once, by the bare backbone and without gradient, and
kept: an adapter runs after it (Activated LoRA, arXiv 2512.17910), and so it is trained.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dlp_local.core.errors import PackError
from dlp_local.formats.peft.target import Target
from dlp_local.training.adapter.batches import Batch, Tokens, visible
from dlp_local.training.adapter.gguf_model import load_model
from dlp_local.training.adapter.methods.method import Factors, WeightShape

Tensor = Any
KeyValues = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of each layer, (1, key-value heads, tokens, head size)."""

Thin = Callable[[Tensor], Tensor]
"""Leaves some numbers of a tensor out."""

MOST_KEPT = 16_384
"""Tokens of prefixes whose keys and values are kept."""


class AdaptedLinear(nn.Module):  # type: ignore[misc]
    """A frozen product W·x, and B·(A·x) beside it while there are `factors`; `thin`, where it is set, of A's x."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.factors: Factors | None = None
        self.thin: Thin | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(rows, tokens, inputs) → (rows, tokens, outputs)."""
        if self.factors is None:
            return functional.linear(x, self.weight, self.bias)
        a, b = (factor.to(x.dtype) for factor in self.factors)
        if a.dim() == 2 and self.thin is None and not torch.is_autocast_enabled(x.device.type):
            return _AdaptedProduct.apply(x, self.weight, self.bias, a, b)
        seen = self.thin(x) if self.thin else x
        return functional.linear(x, self.weight, self.bias) + (seen @ a.mT) @ b.mT


class _AdaptedProduct(torch.autograd.Function):  # type: ignore[misc]
    """x·Wᵀ + (x·Aᵀ)·Bᵀ with W frozen, A and B the same for all rows.

    The second product is added in place, there and in the gradient of x, where autograd keeps both and adds them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
        """Of x (…, inputs), W (outputs, inputs), A (rank, inputs) and B (outputs, rank): (…, outputs)."""
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ a.mT
        ctx.save_for_backward(flat, low, weight, a, b)
        return functional.linear(flat, weight, bias).addmm_(low, b.mT).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of x, A and B."""
        flat, low, weight, a, b = ctx.saved_tensors
        (outer,) = gradients
        grad = outer.reshape(-1, outer.shape[-1])
        of_low = grad @ b
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (grad @ weight).addmm_(of_low, a).view(*outer.shape[:-1], -1)
        return of_x, None, None, of_low.mT @ flat, grad.mT @ low


def best_device() -> str:
    """Where torch computes fastest on this machine: `cuda`, Apple's `mps`, or `cpu`."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


class Backbone:
    """A causal language model out of a GGUF file; `weights` are those of its layers that an adapter may change.

    Raises `PackError` for a file that `load_model` does not read, or that has no such weights.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self.path, self.device = path, device
        target = Target(path)
        self._model = load_model(path, target).to(device).eval().requires_grad_(False)
        self._layers = self._adapted(target)
        if not self._layers:
            raise PackError(f"{path}: has no weights that adapters are trained for here. Use another backbone.")
        self.weights: Mapping[str, WeightShape] = {
            name: WeightShape(*layer.weight.shape) for name, layer in self._layers.items()
        }
        parameters = inspect.signature(self._model.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"
        self._kept: dict[Tokens, KeyValues] = {}

    def _adapted(self, target: Target) -> dict[str, AdaptedLinear]:
        """Every linear product of the layers for which llama.cpp takes adapters, in the place of the plain one."""
        adapted = {}
        for name, module in list(self._model.named_modules()):
            if isinstance(module, nn.Linear) and _is_in_a_layer(name):
                try:
                    target.weight(name)
                except ValueError:
                    continue
                adapted[name] = AdaptedLinear(module)
                self._model.set_submodule(name, adapted[name])
        return adapted

    @property
    def vocabulary_size(self) -> int:
        """How many tokens it knows."""
        return int(self._model.get_input_embeddings().num_embeddings)

    def mixed_precision(self) -> torch.autocast:
        """Within it products are computed in bfloat16, on a GPU that has it; everywhere else nothing changes."""
        kind = torch.device(self.device).type
        has_bfloat16 = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast(kind, torch.bfloat16, enabled=has_bfloat16)

    def learned_logits(
        self, batch: Batch, factors: Callable[[str], Factors | None] | None = None, thin: Thin | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The logits (n, vocabulary) where a token is learned, the n tokens, and their weights, in the order of rows.

        `factors`: A and B of a weight, None where it is not changed; none at all: the bare backbone. `thin`: what is
        done to the numbers that A sees.
        """
        rows, columns = batch.weights.nonzero()
        kept, inverse = np.unique(columns, return_inverse=True)
        cache = self._cache(batch)
        self._set(factors, thin)
        try:
            given = self._model(
                input_ids=self._moved(batch.ids),
                position_ids=self._moved(batch.positions),
                attention_mask=self._masks(batch),
                logits_to_keep=self._moved(kept),
                use_cache=cache is not None,
                **{self._cache_name: cache},
            )
        finally:
            self._set(None)
        logits = given.logits.flatten(0, 1)
        if len(batch.ids) > 1:  # of a single row every token that is kept is learnt
            logits = logits[self._moved(rows * len(kept) + inverse)]
        logits = logits.float()
        return logits, self._moved(batch.targets[rows, columns]), self._moved(batch.weights[rows, columns])

    def _set(self, factors: Callable[[str], Factors | None] | None, thin: Thin | None = None) -> None:
        for name, layer in self._layers.items():
            layer.factors, layer.thin = factors(name) if factors else None, thin

    def _moved(self, array: Any) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _masks(self, batch: Batch) -> Any:
        """What is added to attention's scores, (rows, 1, length, P + length), or one for each kind of layer."""
        config = self._model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ())
        window = getattr(config, "sliding_window", None)
        if "sliding_attention" in kinds and window:
            masks = {"full_attention": None, "sliding_attention": window}
            return {kind: self._mask(batch, masks[kind]) for kind in kinds}
        is_sliding = window and not kinds and getattr(config, "use_sliding_window", True)
        return self._mask(batch, window if is_sliding else None)

    def _mask(self, batch: Batch, window: int | None) -> Tensor:
        seen = torch.from_numpy(visible(batch, window)).to(self.device)
        dtype = self._model.dtype
        return torch.zeros(seen.shape, dtype=dtype, device=self.device).masked_fill_(~seen, torch.finfo(dtype).min)[
            :, None
        ]

    def _cache(self, batch: Batch) -> Any:
        """Transformers' cache with the prefixes of a batch one after the other; None where there are none."""
        from transformers import DynamicCache

        prefixes = [self._prefix(prefix) for prefix in batch.prefixes if prefix]
        if not prefixes:
            return None
        cache, rows = DynamicCache(), len(batch.ids)
        for layer, parts in enumerate(zip(*prefixes, strict=True)):
            k, v = (torch.cat([part[side] for part in parts], 2).expand(rows, -1, -1, -1) for side in (0, 1))
            cache.update(k, v, layer)
        return cache

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _prefix(self, tokens: Tokens) -> KeyValues:
        """The keys and values of one prefix, computed by the bare backbone, once."""
        from transformers import DynamicCache

        if tokens not in self._kept:
            cache = DynamicCache()
            ids = torch.tensor([tokens], device=self.device)
            self._model(input_ids=ids, use_cache=True, logits_to_keep=1, **{self._cache_name: cache})
            if sum(map(len, self._kept)) + len(tokens) > MOST_KEPT:
                self._kept.clear()
            self._kept[tokens] = tuple((layer.keys, layer.values) for layer in cache.layers)
        return self._kept[tokens]


def _is_in_a_layer(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))
