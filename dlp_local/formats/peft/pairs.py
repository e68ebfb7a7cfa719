"""A and B of each module of a folder's LoRA, found by their names and checked against the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlp_local.core.errors import PackError
from dlp_local.formats.gguf import EMBEDDINGS
from dlp_local.formats.peft.config import LoraConfig
from dlp_local.formats.peft.other_layouts import other_layout
from dlp_local.formats.peft.target import BackboneWeight, Target
from dlp_local.formats.peft.tensor_names import LoraTensor, backbones_own, module_of, parse_name, why_not_lora
from dlp_local.formats.safetensors_file import Safetensors

Halves = Mapping[str, tuple[str, LoraTensor]]
"""`A` and `B` → the tensor's whole name, and what it says."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A and B of one weight of the backbone: `strength` / `rank` is the scale of B·A."""

    weight: BackboneWeight
    a: str
    b: str
    rank: int
    strength: float
    is_transposed: bool
    """A and B lie in the file as (inputs, rank) and (rank, outputs)."""

    @property
    def is_table(self) -> bool:
        """Whether this is the embeddings' pair: a table, in which outputs are tokens."""
        return self.weight.name == EMBEDDINGS

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of lora_a and lora_b in a GGUF, slowest dimension first; llama.cpp wants the embeddings' A transposed."""
        inputs, outputs = self.weight.inputs, self.weight.outputs
        return (
            ((outputs, self.rank), (inputs, self.rank))
            if self.is_table
            else ((self.rank, inputs), (outputs, self.rank))
        )


@dataclass(frozen=True, slots=True)
class LoraPairs:
    """The pairs of a file, by the name of the backbone's weight; and what of it is left out."""

    pairs: tuple[Pair, ...]
    norms: tuple[str, ...]
    """The names of norm weights, which llama.cpp takes from no adapter."""


def find_pairs(source: Safetensors, config: LoraConfig, target: Target) -> LoraPairs:
    """Every pair of a file; raises `PackError` for what is none, and for pairs that do not fit the backbone."""
    by_module: dict[str, dict[str, tuple[str, LoraTensor]]] = {}
    others, adapters = [], set()
    for name in source.shapes:
        if (tensor := parse_name(name)) is None:
            others.append(name)
            continue
        halves = by_module.setdefault(tensor.module, {})
        adapters.add(tensor.adapter)
        if tensor.half in halves and len(adapters) < 2:
            raise _refused(source, name, f"{halves[tensor.half][0]} is the {tensor.half} of this module, too")
        halves[tensor.half] = name, tensor
    if len(adapters) > 1:
        names = ", ".join(sorted(name or "one without a name" for name in adapters))
        raise PackError(f"{source.path}: holds several adapters: {names[:200]}. Save one of them by itself.")
    if others and (layout := other_layout(others)):
        raise PackError(f"{source.path}: is {layout}")
    if not by_module:
        if named := next((name for name in others if "lora" in name.lower()), ""):
            raise PackError(
                f"{source.path}: is a LoRA whose tensors have names that are not known here, as {named}. "
                "Save it in PEFT's layout, with the program that trained it."
            )
        whole = "whole weights, and " if others else ""
        raise PackError(f"{source.path}: holds {whole}no LoRA. Name the folder of an adapter.")
    pairs: dict[str, Pair] = {}
    for module, halves in by_module.items():
        try:
            pair = _pair(module, halves, source, config, target)
        except ValueError as error:
            raise _refused(source, module, str(error)) from None
        if pair.weight.name in pairs:
            raise _refused(source, module, f"another module is {pair.weight.name}, too")
        pairs[pair.weight.name] = pair
    norms = [name for name in others if _is_norm(name, source, target)]
    for name in others:
        if name not in norms and not _is_backbones_own(name, source, target):
            raise _refused(source, name, why_not_lora(name), "")
    return LoraPairs(tuple(pairs[name] for name in sorted(pairs)), tuple(norms))


def _pair(module: str, halves: Halves, source: Safetensors, config: LoraConfig, target: Target) -> Pair:
    if len(halves) < 2:
        raise ValueError("only one of A and B is there")
    weight = target.weight(module)
    (a, a_tensor), (b, b_tensor) = halves["A"], halves["B"]
    rank = config.rank(module)
    pair = Pair(weight, a, b, rank, config.strength(module), a_tensor.is_transposed)
    inputs, outputs = (weight.outputs, weight.inputs) if pair.is_table else (weight.inputs, weight.outputs)
    a_shape, b_shape = source.shapes[a], source.shapes[b]
    if pair.is_transposed:
        a_shape, b_shape = a_shape[::-1], b_shape[::-1]
    if a_shape != (rank, inputs) or b_shape != (outputs, rank):
        raise ValueError(
            f"A {source.shapes[a]} and B {source.shapes[b]} are not of rank {rank} for {weight.name} with "
            f"{inputs} inputs and {outputs} outputs"
        )
    for tensor in (a_tensor, b_tensor):
        if tensor.is_transposed != pair.is_transposed or (
            tensor.is_table != pair.is_table and not pair.is_transposed  # MLX names both kinds alike
        ):
            raise ValueError(f"it is not saved as the adapter of {weight.name} is")
    return pair


def _is_norm(name: str, source: Safetensors, target: Target) -> bool:
    """Whether a tensor is the weight of a norm, which llama.cpp takes from no adapter."""
    module = module_of(name.removesuffix(".weight"))
    is_called_so = "norm" in module.rpartition(".")[2].lower() and len(source.shapes[name]) == 1
    return name.endswith(".weight") and (is_called_so or target.is_norm(module))


def _is_backbones_own(name: str, source: Safetensors, target: Target) -> bool:
    """Whether a tensor is a copy of the backbone's own weight or bias, as far as its shape tells."""
    if (own := backbones_own(name)) is None:
        return False
    module, part = own
    try:
        weight = target.weight(module)
    except ValueError:
        return False
    return source.shapes[name] == ((weight.outputs, weight.inputs) if part == "weight" else (weight.outputs,))


def _refused(
    source: Safetensors, name: str, reason: str, advice: str = ". Use an adapter made for this backbone."
) -> PackError:
    return PackError(f"{source.path}: cannot be converted: {name}: {reason}{advice}")
