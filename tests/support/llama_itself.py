"""llama-cpp-python's own `Llama`, to compare with."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import llama_cpp
from llama_cpp import llama_cpp as lib

from dlp_local.engine.local.library import lays_out_weights


def open_llama(bundled: Path, adapter: str | None = None) -> llama_cpp.Llama:
    """The bundled backbone, with one of its adapters or none."""
    lora = str(bundled / f"{adapter}.gguf") if adapter else None
    params = lib.llama_model_default_params()
    params.use_extra_bufts = lays_out_weights()
    with mock.patch.object(lib, "llama_model_default_params", return_value=params):
        return llama_cpp.Llama(
            str(bundled / "backbone.gguf"), lora_path=lora, n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False
        )


def greedy(llama: llama_cpp.Llama, prompt: str, max_tokens: int) -> tuple[str, int]:
    """Text and number of tokens of its greedy answer to a whole prompt."""
    llama.reset()
    answer: list[int] = []
    for token in llama.generate(llama.tokenize(prompt.encode(), add_bos=False, special=True), temp=0, repeat_penalty=1):
        if token == llama.token_eos() or len(answer) == max_tokens:
            break
        answer.append(token)
    return llama.detokenize(answer).decode("utf-8", "replace"), len(answer)
