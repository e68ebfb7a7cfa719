"""Whether a GGUF file can be a backbone: judged by its header, before any of its weights is read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from dlp_local.core.errors import PackError
from dlp_local.formats.gguf import EMBEDDINGS, Header, Value, read_leading_values
from dlp_local.formats.model_numbers import unusable_number
from dlp_local.hub.choice import SHARD

MOST_PARTS = 1000
"""That are looked for, whatever a header promises."""

KINDS = {
    "adapter": "an adapter, which goes with a backbone: dlp-local adapters add FILE --name NAME",
    "mmproj": "a projector, which brings images or sound to a model. Name the file of the model itself",
    "imatrix": "an importance matrix, which helps to quantize a model. Name the file of the model itself",
    "vocab": "a vocabulary without a model. Name the file of the model itself",
}
"""`general.type` of what is no model → what it is and what helps."""

_WRITES = "Name a model that writes, as Llama, Qwen or Gemma"
_IMAGES = f"an image or video model ({{}}): it makes pictures and no text. {_WRITES}"
_SPEECH = f"a speech recognizer ({{}}): it turns sound into text and answers nothing. {_WRITES}"
_VOICE = f"a part of a speech synthesizer ({{}}): it makes sound and no text. {_WRITES}"
_DIFFUSION = (
    "a diffusion language model ({}): it fills in a whole text at once, and answers are written here "
    f"token by token. {_WRITES}"
)
_ARCHITECTURES = {
    **dict.fromkeys(
        "flux sd1 sd2 sd3 sdxl aura ltxv hyvid wan hidream cosmos lumina2 qwen_image pixart chroma".split(), _IMAGES
    ),
    **dict.fromkeys("whisper parakeet moonshine canary".split(), _SPEECH),
    **dict.fromkeys("wavtokenizer-dec kokoro parler-tts dia bark snac".split(), _VOICE),
    **dict.fromkeys("dream llada llada-moe rnd1".split(), _DIFFUSION),
}
"""`general.architecture` of models that answer no message → what they are and what helps.

Sources: city96/ComfyUI-GGUF for images, llama.cpp's `llama_arch` and mmwillet/TTS.cpp for the rest.
"""

_ENCODERS = frozenset(
    "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert gemma-embedding "
    "llama-embed t5encoder".split()
)
"""`general.architecture` of models that make embeddings, whatever else their header says (llama.cpp, `llama_arch`)."""

_IMAGE_TENSORS = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")
"""What the names of a whole image model's tensors begin with (stable-diffusion.cpp states no architecture)."""

_RERANKS = 4
"""llama.cpp's pooling type of rerankers."""


def check_backbone(header: Header, path: Path, source: str) -> None:
    """Raises `PackError` that names the kind of a file which no answer can come from; `source` is its name for people.

    Refused are a part of a split model, adapters, projectors, importance matrices, vocabularies, encoders,
    encoder-decoders, models of images and sound, and whatever else has no token embeddings; then a model with numbers
    in its header that it cannot have.
    """
    if problem := _problem(header, path):
        raise PackError(f"{source}: is {problem}.")
    if problem := unusable_number(header.values):
        raise PackError(f"{source}: cannot be used: {problem}. Get another file of this model.")


def is_adapter(header: Header) -> bool:
    """Whether a file says of itself that it is an adapter."""
    return _text(header.values, "general.type") == "adapter"


def _problem(header: Header, path: Path) -> str:
    values, tensors = header.values, header.tensors
    count = _number(values, "split.count")
    if count > 1:
        return _split(path, _number(values, "split.no") + 1, count)
    general_type = _text(values, "general.type") or "model"
    architecture = _text(values, "general.architecture")
    if general_type == "model" and architecture == "clip":
        if (text := values.get("clip.has_text_encoder")) and text.value:
            return f"CLIP, an encoder of images and texts, which writes none. {_WRITES}"
        general_type = "mmproj"
    if general_type not in KINDS and (kind := _ARCHITECTURES.get(architecture)):
        return kind.format(architecture)
    if any(name.startswith(_IMAGE_TENSORS) for name in tensors):
        return _IMAGES.format(architecture or "Stable Diffusion")
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
    if _number(values, f"{architecture}.pooling_type") == _RERANKS:
        return f"a reranker ({architecture}): it rates texts and writes none. {_WRITES}"
    causal = values.get(f"{architecture}.attention.causal")
    is_causal = not (causal and causal.value is False)
    if architecture in _ENCODERS or not is_causal or _number(values, f"{architecture}.pooling_type"):
        return _encoder(architecture)
    if not architecture or EMBEDDINGS not in tensors:
        return f"no language model{f' ({architecture})' if architecture else ''}. Name the GGUF file of one"
    return ""


def _encoder(architecture: str) -> str:
    return f"an encoder ({architecture}): it makes embeddings of texts and continues none. {_WRITES}"


def _split(path: Path, number: int, count: int) -> str:
    match = SHARD.search(str(path))
    stem = str(path)[: match.start()] if match else ""
    parts = [f"{stem}-{part:05d}-of-{count:05d}.gguf" for part in range(1, min(count, MOST_PARTS) + 1)] if match else []
    missing = [Path(part).name for part in parts if not Path(part).exists()]
    first, whole = parts[0] if parts else "FIRST-PART.gguf", f"{stem or 'WHOLE'}.gguf"
    absent = ""
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        absent = f" Missing beside it: {missing[0]}{more}. Get what is missing first."
    return (
        f"part {number} of {count} of one model, and a pack holds a backbone in one file.{absent} Merge them with "
        f"llama.cpp's tool: `llama-gguf-split --merge {shlex.quote(first)} {shlex.quote(whole)}`"
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
