"""Whether a GGUF file can be a backbone: judged by its header, before any of its weights is read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from dlp_local.core.errors import PackError
from dlp_local.formats.gguf import EMBEDDINGS, Header, Value, read_leading_values

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""How llama.cpp's llama-gguf-split calls the parts."""

KINDS = {
    "adapter": "an adapter, which goes with a backbone: dlp-local adapters add FILE --name NAME",
    "mmproj": "a projector, which brings images or sound to a model. Name the file of the model itself",
    "imatrix": "an importance matrix, which helps to quantize a model. Name the file of the model itself",
    "vocab": "a vocabulary without a model. Name the file of the model itself",
}
"""`general.type` of what is no model → what it is and what helps."""


def check_backbone(header: Header, source: str) -> None:
    """Raises `PackError` that names the kind of a file which no answer can come from; `source` is its name for people.

    Refused are a part of a split model, adapters, projectors, importance matrices, vocabularies, encoders,
    encoder-decoders, and whatever else has no token embeddings.
    """
    if problem := _problem(header, source):
        raise PackError(f"{source}: is {problem}.")


def is_adapter(header: Header) -> bool:
    """Whether a file says of itself that it is an adapter."""
    return _text(header.values, "general.type") == "adapter"


def _problem(header: Header, source: str) -> str:
    values, tensors = header.values, header.tensors
    count = _number(values, "split.count")
    if count > 1:
        return _split(source, _number(values, "split.no") + 1, count)
    general_type = _text(values, "general.type") or "model"
    architecture = _text(values, "general.architecture")
    if general_type == "model" and architecture == "clip":
        general_type = "mmproj"
    if general_type == "model" and not tensors:
        general_type = "vocab"
    if general_type != "model":
        return KINDS.get(general_type, f"GGUF of the kind '{general_type}', no language model. Name the file of one")
    if any(name.startswith("enc.") for name in tensors):
        if any(name.startswith("dec.") for name in tensors):
            return (
                f"an encoder-decoder ({architecture}): it turns one text into another and continues none. "
                "Name a model that only decodes, as Llama, Qwen or Gemma"
            )
        return _encoder(architecture)
    causal = values.get(f"{architecture}.attention.causal")
    if (causal and causal.value is False) or _number(values, f"{architecture}.pooling_type"):
        return _encoder(architecture)
    if not architecture or EMBEDDINGS not in tensors:
        return f"no language model{f' ({architecture})' if architecture else ''}. Name the GGUF file of one"
    return ""


def _encoder(architecture: str) -> str:
    return (
        f"an encoder ({architecture}): it makes embeddings of texts and continues none. "
        "Name a model that writes, as Llama, Qwen or Gemma"
    )


def _split(source: str, number: int, count: int) -> str:
    match = _PART.search(source)
    stem = source[: match.start()] if match else ""
    first = f"{stem}-00001-of-{count:05d}.gguf" if match else "FIRST-PART.gguf"
    whole = f"{stem or 'WHOLE'}.gguf"
    return (
        f"part {number} of {count} of one model, and a pack holds a backbone in one file. Merge them with llama.cpp's "
        f"tool: `llama-gguf-split --merge {shlex.quote(first)} {shlex.quote(whole)}`"
    )


def trained_context(backbone: Path) -> int | None:
    """Tokens of context that a backbone was trained for, as its header says; raises `PackError` for a broken one."""
    values = read_leading_values(backbone)
    return _number(values, f"{_text(values, 'general.architecture')}.context_length") or None


def context_notice(backbone: Path, wanted: int | None) -> str:
    """What there is to say where more tokens of context are wanted than the backbone was trained for; else nothing."""
    trained = trained_context(backbone) if wanted else None
    if wanted is None or trained is None or wanted <= trained:
        return ""
    return (
        f"a context of {wanted} tokens is asked for, and the backbone was trained for {trained}: {trained} are used. "
        f"Set context to {trained} or less."
    )


def _number(values: Mapping[str, Value], key: str) -> int:
    entry = values.get(key)
    return entry.value if entry and isinstance(entry.value, int) else 0


def _text(values: Mapping[str, Value], key: str) -> str:
    entry = values.get(key)
    return entry.value if entry and isinstance(entry.value, str) else ""
