"""A tiny GGUF backbone that says what it is told to: each token is followed by the one that a script names.

One layer of the llama architecture whose attention and feed-forward are zero. Each token's embedding is a unit vector
of its own, and a row of the output layer says which token comes next; one without a successor is followed by the end.
So a fault of templates, tokens or stops shows in the text, which is known to the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

WIDTH, FEED_FORWARD, HEADS = 512, 32, 8
UNKNOWN, CONTROL, USER_DEFINED, BYTE, NORMAL = 2, 3, 4, 6, 1
END = "</s>"
ROLES = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
"""A chat template that takes every role and writes contents as they are."""


def bytes_of(text: str) -> list[str]:
    """The tokens of a text's bytes."""
    return [f"<0x{byte:02X}>" for byte in text.encode()]


def write_scripted_model(
    path: Path,
    script: Iterable[str],
    *,
    control: Iterable[str] = (),
    user_defined: Iterable[str] = ("[assistant]",),
    template: str | None = ROLES,
    has_space: bool = True,
    context: int = 512,
    more: Callable[[gguf.GGUFWriter], None] = lambda _: None,
) -> Path:
    """Writes a model that says the tokens of `script` one after the other, from its first one on.

    `control` tokens print nothing; `user_defined` ones are one token wherever they stand. Without a space among its
    tokens each space of a text is three tokens. `more` adds to the header.
    """
    script = list(script)
    kinds = {"<unk>": UNKNOWN, "<s>": CONTROL, END: CONTROL}
    kinds |= dict.fromkeys((f"<0x{byte:02X}>" for byte in range(256)), BYTE)
    kinds |= dict.fromkeys(control, CONTROL) | dict.fromkeys(user_defined, USER_DEFINED)
    kinds |= {word.replace(" ", "\u2581"): NORMAL for word in script if word not in kinds}
    kinds |= {"\u2581": NORMAL} if has_space else {}
    numbers = {token: number for number, token in enumerate(kinds)}
    followers = {numbers[a.replace(" ", "\u2581")]: numbers[b.replace(" ", "\u2581")] for a, b in pairwise(script)}
    output = np.zeros((len(kinds), WIDTH), np.float32)
    for number in range(len(kinds)):
        output[followers.get(number, numbers[END]), number] = 10
    _write(path, kinds, np.eye(len(kinds), WIDTH, dtype=np.float32), output, template, context, more)
    return path


def _write(
    path: Path,
    kinds: Mapping[str, int],
    embeddings: np.ndarray,
    output: np.ndarray,
    template: str | None,
    context: int,
    more: Callable[[gguf.GGUFWriter], None],
) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(kinds))
    writer.add_token_scores([-float(number) for number in range(len(kinds))])
    writer.add_token_types(list(kinds.values()))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    if template:
        writer.add_chat_template(template)
    more(writer)
    zero = np.zeros((WIDTH, WIDTH), np.float32)
    tensors = {
        "token_embd": embeddings,
        "output_norm": np.ones(WIDTH, np.float32),
        "output": output,
        "blk.0.attn_norm": np.ones(WIDTH, np.float32),
        "blk.0.ffn_norm": np.ones(WIDTH, np.float32),
        **{f"blk.0.attn_{name}": zero for name in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{name}": np.zeros((FEED_FORWARD, WIDTH), np.float32) for name in ("gate", "up")},
        "blk.0.ffn_down": np.zeros((WIDTH, FEED_FORWARD), np.float32),
    }
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
