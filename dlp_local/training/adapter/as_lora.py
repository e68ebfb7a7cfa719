"""An adapter of another of PEFT's kinds (LoHa, LoKr, VeRA …) → a LoRA close to it, by PEFT's own `save_as_lora`.

ΔW of each weight is divided by its singular values, and the largest are kept. What that loses is measured: against what
the adapter adds to the weights where PEFT merges it. The folder is untrusted: tensors come out of its safetensors file
alone, its regular expressions are matched in bounded time, and nothing is fetched.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.text import counted, visible
from dlp_local.formats.file_signature import READ, begins_as_safetensors, kind_of_file
from dlp_local.formats.peft.folder import OtherFolder, read_other_folder
from dlp_local.formats.peft.other_kinds import MERGE
from dlp_local.formats.peft.rank_patterns import Patterns
from dlp_local.formats.peft.target import Target
from dlp_local.training.adapter.choices import MOST_RANK
from dlp_local.training.adapter.gguf_model import load_model

Tensor = Any
_OF_OTHERS = ("auto_mapping", "base_model_name_or_path", "revision", "runtime_config", "peft_version")
"""What a configuration says of where things are fetched from, and of what made it."""

_PATTERNS = ("target_modules", "exclude_modules", "layers_pattern")
"""Fields that PEFT matches the names of modules with."""

MUCH = 0.1
"""An error from which on it is told how less is lost."""

_MOST_RANK_OF_KIND = 65_536
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%")
_RANK = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a LoRA keeps of an adapter: of so many weights, `error` is ‖ΔW − B·A‖ / ‖ΔW‖, in Frobenius' norm of all."""

    kind: str
    weights: int
    least_rank: int
    most_rank: int
    error: float


class AsLora:
    """The conversion, to be handed to `packs.adapters.add_adapter`; `kept` is there when it is done.

    `rank`: of every weight, or as a share (`99%`) of ΔW's squared norm, for which each weight gets the rank that it
    needs. Raises `InputError` for another text.
    """

    def __init__(self, rank: str) -> None:
        self.kept: Kept | None = None
        written = rank.strip()
        share = _SHARE.fullmatch(written)
        self._rank: int | float
        if share and 0 < float(share[1]) <= 100:
            self._rank = float(share[1]) / 100
        elif _RANK.fullmatch(written) and 1 <= int(written) <= MOST_RANK:
            self._rank = int(written)
        else:
            raise InputError(
                f"--as-lora: {rank[:32]!a} is neither a rank from 1 to {MOST_RANK} nor a share such as 99%."
            )

        try:
            import peft.tuners.lora.conversion  # noqa: F401
        except ImportError:
            raise InputError("--as-lora: this PEFT does not convert adapters. Update it: pip install -U peft") from None

    @property
    def kept_text(self) -> str:
        """What came out, in a sentence; empty before there is anything."""
        if (kept := self.kept) is None:
            return ""
        ranks = f"{kept.least_rank}" if kept.least_rank == kept.most_rank else f"{kept.least_rank} to {kept.most_rank}"
        more = "; a larger rank, or a share such as 99%, keeps more" if kept.error > MUCH else ""
        return (
            f"a LoRA of rank {ranks} in place of the {kept.kind}: what it adds to {counted(kept.weights, 'weight')} "
            f"is {kept.error:.1%} off{more}"
        )

    def __call__(self, folder: Path, backbone: Path, out: Path) -> None:
        """Writes the adapter in a folder as PEFT's LoRA into another.

        Raises `PackError` for one that is damaged, does not fit the backbone or cannot be a LoRA, and for a backbone
        that is not opened here; `InputError` for a rank that it cannot have.
        """
        source = read_other_folder(folder)
        config = _checked_config(source)
        model = load_model(backbone, Target(backbone))
        _check_patterns(source, [name for name, _ in model.named_modules()])
        with _quiet(), _told(source, backbone):
            adapted = _adapted(model, config, source)
            _save(adapted, self._rank, out, source)
            self.kept = _kept(adapted, out, source)
        if self.kept.most_rank > MOST_RANK:
            raise InputError(
                f"--as-lora: that takes a rank of {self.kept.most_rank}, and an adapter here has {MOST_RANK} at most. "
                f"Give a rank, or a smaller share."
            )


def _checked_config(source: OtherFolder) -> Any:
    """PEFT's own configuration; raises `PackError` for a kind that it does not convert, and for what no LoRA holds."""
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    content = {key: value for key, value in source.content.items() if key not in _OF_OTHERS}
    path = source.config
    if (kind := PEFT_TYPE_TO_CONFIG_MAPPING.get(source.kind)) is None:
        raise PackError(f"{path}: PEFT {peft.__version__} has no {source.kind[:32]!a}. Update it: pip install -U peft")
    unknown = [name for name in content if name not in kind.__dataclass_fields__ and content[name]]
    if unknown:
        raise PackError(
            f"{path}: says {visible(unknown[0])[:64]!a}, which PEFT {peft.__version__} does not know. "
            "Update it: pip install -U peft"
        )
    if content.get("modules_to_save"):
        raise PackError(f"{path}: it trains whole modules (modules_to_save), which no LoRA holds. Use another adapter.")
    ranks = [content.get("r"), *(content.get("rank_pattern") or {}).values()]
    if any(type(rank) is not int or not 1 <= rank <= _MOST_RANK_OF_KIND for rank in ranks if rank is not None):
        raise PackError(f"{path}: has a rank that is no number up to {_MOST_RANK_OF_KIND}. Get the file again.")
    known = {name: value for name, value in content.items() if name in kind.__dataclass_fields__}
    try:
        with _quiet():
            return kind(**known)
    except Exception as error:  # each kind checks its fields with errors of its own
        raise PackError(f"{path}: describes no adapter ({_reason(error)}). Get the file again.") from None


def _check_patterns(source: OtherFolder, modules: list[str]) -> None:
    """Raises `PackError` for regular expressions that could take for ever on the names of these modules."""
    written = [source.content.get(field) for field in _PATTERNS] + [list(source.content.get("rank_pattern") or {})]
    patterns = [text for value in written for text in (value if isinstance(value, list) else [value]) if text]
    try:
        for pattern in dict.fromkeys(patterns):
            bounded = Patterns({str(pattern): 0})
            for module in modules:
                bounded.value(module, 0)
    except ValueError as error:
        raise PackError(f"{source.config}: {error}.") from None


def _adapted(model: Any, config: Any, source: OtherFolder) -> Any:
    """The backbone with the adapter on it; raises `PackError` where the two do not fit each other."""
    from peft import get_peft_model
    from peft.utils.save_and_load import get_peft_model_state_dict, set_peft_model_state_dict

    before = {name: _sum(module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    adapted = get_peft_model(model, config, low_cpu_mem_usage=True).eval()
    layers = {name.removeprefix("base_model.model."): layer for name, layer in _layers(adapted)}
    if not layers or not all(layer.supports_lora_conversion() for layer in layers.values()):
        raise PackError(f"{source.config}: PEFT makes no LoRA of this {source.kind}. {MERGE}")
    tensors = _read_tensors(source.weights)
    wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    _compare({name: tuple(tensor.shape) for name, tensor in wanted.items()}, tensors, source.weights)
    set_peft_model_state_dict(adapted, tensors, low_cpu_mem_usage=True)
    if any(before.get(name) != _sum(layer.get_base_layer()) for name, layer in layers.items()):
        raise PackError(
            f"{source.config}: its training changed the backbone's own weights (init_weights), which no LoRA holds. "
            "Use another adapter."
        )
    return adapted


def _sum(module: Any) -> float:
    """A number that tells whether a module's weight is still the same."""
    return float(module.weight.detach().double().sum())


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, floats as float32; raises `PackError` for one that is damaged."""
    try:
        with path.open("rb") as file:
            first = file.read(READ)
        if not begins_as_safetensors(first) and (kind := kind_of_file(first)):
            raise PackError(f"{path}: is {kind}.")
        tensors: dict[str, Tensor] = load_file(path)
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from None
    except SafetensorError as error:
        raise PackError(f"{path}: is damaged ({visible(str(error))[:100]}). Get the file again.") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = tensor.float()
            if not tensors[name].isfinite().all():
                raise PackError(f"{path}: {visible(name)[:100]} holds NaN or infinity. Train the adapter again.")
    return tensors


def _compare(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises `PackError` where a file has not the tensors that its configuration and the backbone ask for."""
    missing, left = sorted(wanted.keys() - tensors), sorted(tensors.keys() - wanted)
    others = [name for name in sorted(wanted.keys() & tensors) if wanted[name] != tuple(tensors[name].shape)]
    if missing or left or others:
        first = (missing or others or left)[0]
        what = "lacks" if missing else "has in another shape" if others else "has beside what fits"
        raise PackError(
            f"{path}: does not fit this backbone: it {what} {counted(len(missing or others or left), 'tensor')} "
            f"({visible(first)[:100]}). Use an adapter made for this backbone."
        )


def _save(adapted: Any, rank: int | float, out: Path, source: OtherFolder) -> None:
    from peft.tuners.lora.conversion import save_as_lora

    if isinstance(rank, int):
        smallest = min(min(layer.get_base_layer().weight.shape) for _, layer in _layers(adapted))
        if rank > smallest:
            raise InputError(
                f"--as-lora: {rank} is more than the {smallest} inputs or outputs of a weight that {source.kind} "
                f"changes. Give {smallest} or less, or a share such as 99%."
            )
    save_as_lora(out, adapted, rank)


def _layers(adapted: Any) -> Iterator[tuple[str, Any]]:
    """The backbone's layers that are adapted, by name."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return ((name, module) for name, module in adapted.named_modules() if isinstance(module, BaseTunerLayer))


@torch.no_grad()  # type: ignore[untyped-decorator]
def _kept(adapted: Any, out: Path, source: OtherFolder) -> Kept:
    """What the LoRA in a folder keeps of an adapter, which is merged into its backbone for that, weight by weight."""
    halves = load_file(out / "adapter_model.safetensors")
    lost = whole = 0.0
    ranks = []
    for name, layer in _layers(adapted):
        before = layer.get_base_layer().weight.clone()
        layer.merge()
        change = layer.get_base_layer().weight - before
        a, b = (halves[f"{name}.lora_{side}.weight"] for side in "AB")
        ranks.append(len(a))
        lost += float((change - b @ a).double().square().sum())
        whole += float(change.double().square().sum())
    if not whole:
        raise PackError(f"{source.weights}: changes nothing. Use another adapter.")
    return Kept(source.kind, len(ranks), min(ranks), max(ranks), math.sqrt(lost / whole))


@contextmanager
def _told(source: OtherFolder, backbone: Path) -> Iterator[None]:
    """What PEFT raises over an adapter that does not fit becomes a `PackError`."""
    try:
        yield
    except (InputError, PackError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:  # PEFT has no errors of its own
        raise PackError(
            f"{source.config}: cannot be put on {backbone.name} ({_reason(error)}). "
            "Use an adapter made for this backbone."
        ) from None


def _reason(error: Exception) -> str:
    return visible(str(error).split("\n")[0].strip() or type(error).__name__)[:200]


@contextmanager
def _quiet() -> Iterator[None]:
    """PEFT without its hints: they ask for nothing that could be done here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
