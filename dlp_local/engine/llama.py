"""The only module that imports llama_cpp: the backbone, its adapters, its KV cache and its sampler, as Python values.

Low-level llama-cpp-python: the high-level `Llama` takes one adapter, fixed when it is made.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np
import psutil
from jinja2 import TemplateError
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from numpy.typing import NDArray

from dlp_local import settings
from dlp_local.engine.anonymous_file import anonymous_files
from dlp_local.engine.memory import keeps_scores
from dlp_local.engine.stacking import Stack
from dlp_local.errors import EngineError, PackError
from dlp_local.gguf_header import EMBEDDINGS, MAGIC, read_header
from dlp_local.lora_file import LoraFile, check_fits

FLASH_ATTENTION = {
    "auto": lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
KV_TYPES = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0, "q4_0": lib.GGML_TYPE_Q4_0}

SMALL_BACKBONE = 32_000_000
"""Bytes of a file."""

KEPT_HISTORIES = 4
"""Histories in the KV cache beside the branch: the spine, and those under the last mixes with `scope = "context"`."""

_LOG: deque[str] = deque(maxlen=20)
_LOG_ERROR = 4
_NOTHING_NEW = "failed to load model"
"""llama.cpp's last words over any broken file; the reason stands in the line before."""


def _keep_log(level: int, text: bytes, _: object) -> None:
    if level == _LOG_ERROR and (line := text.decode("utf-8", "replace").strip()):
        _LOG.append(line)


_LOG_CALLBACK = lib.llama_log_callback(_keep_log)
"""Kept for as long as the process runs: llama.cpp calls it whenever it has something to say."""


def _last_log() -> str:
    """What llama.cpp last complained about."""
    return next((line for line in reversed(_LOG) if _NOTHING_NEW not in line), "it gives no reason")


_started = threading.Lock()
_is_started = False


def _start_library() -> None:
    global _is_started
    with _started:
        if not _is_started:
            lib.llama_log_set(_LOG_CALLBACK, ctypes.c_void_p(0))
            lib.llama_backend_init()
            _is_started = True


def default_threads(backbone: Path) -> int:
    """One for each physical core, but one alone for a backbone under `SMALL_BACKBONE`.

    Its matrices take microseconds, so what threads save they lose in waiting for each other: on two cores the bundled
    one writes 1,000 tokens a second with one thread and 1,200 with two, but 400 against 100 beside two busy programs.
    """
    return 1 if backbone.stat().st_size < SMALL_BACKBONE else usable_cores()


def usable_cores() -> int:
    """Physical cores that this process may run on."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(physical, allowed))


def library() -> tuple[str, str, bool]:
    """llama-cpp-python's version, what llama.cpp uses on this machine, and whether layers can go to a GPU."""
    _start_library()
    features = lib.llama_print_system_info().decode("utf-8", "replace").replace(" = 1", "").strip(" |")
    return llama_cpp.__version__, features, bool(lib.llama_supports_gpu_offload())


def offloads(options: settings.Engine) -> bool:
    """Whether layers go to a graphics card, whose memory is then what counts."""
    return bool(options.gpu_layers and lib.llama_supports_gpu_offload())


def check_gguf(path: Path) -> None:
    """Raises `PackError` unless the file is there, can be read and starts as a GGUF file does."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Check the pack and the file's rights.") from None
    if magic != MAGIC:
        raise PackError(f"{path}: is not a GGUF file. Convert the model to GGUF or name another file in pack.toml.")


class Adapter:
    """A loaded LoRA or stack of LoRAs, `size` bytes large; belongs to the backbone that loaded it.

    A stack is several of llama.cpp's adapters, each of other weights. At `scale` it is as strong as it was made to be.
    """

    def __init__(self, handles: Sequence[lib.llama_adapter_lora_p], size: int, scale: float = 1.0) -> None:
        self.handles = handles
        self.size = size
        self.scale = scale


class Sampler(Protocol):
    """Draws tokens of one answer."""

    def next_token(self) -> int:
        """The next token, from the newest logits."""

    def close(self) -> None:
        """Frees it."""


class ChainSampler:
    """llama.cpp's sampler chain: repeat penalty, top-k, top-p, min-p, temperature, seeded draw; greedy at 0."""

    def __init__(self, chain: lib.llama_sampler_p, context: lib.llama_context_p) -> None:
        self._chain, self._context = chain, context

    def next_token(self) -> int:
        """The next token, of which the repeat penalty takes note."""
        return int(lib.llama_sampler_sample(self._chain, self._context, -1))

    def close(self) -> None:
        """Frees the chain."""
        lib.llama_sampler_free(self._chain)


class GreedySampler:
    """The first of the most probable tokens, as llama.cpp's greedy sampler.

    That one sorts a table of the whole vocabulary into memory first: 0.28 ms of a token for 151,936, and this 0.02.
    """

    def __init__(self, logits: Callable[[], NDArray[np.float32]]) -> None:
        self._logits = logits

    def next_token(self) -> int:
        """The next token."""
        return int(self._logits().argmax())

    def close(self) -> None:
        """Nothing is held."""


class Backbone:
    """One GGUF model with one context whose KV cache holds several sequences in the same cells.

    Raises `PackError` for a file that is not a model and `EngineError` where llama.cpp cannot run it.
    Not thread-safe but for `interrupt`.
    """

    def __init__(self, path: Path, options: settings.Engine) -> None:
        check_gguf(path)
        _start_library()
        self.path = path
        self.closed = False
        self._template = options.chat_template.encode("utf-8", "replace")
        _LOG.clear()
        self._stack = ExitStack()
        try:
            self._load(options)
        except BaseException:
            self._stack.close()
            raise

    def _load(self, options: settings.Engine) -> None:
        model_params = lib.llama_model_default_params()
        model_params.n_gpu_layers = options.gpu_layers if offloads(options) else 0
        self._model = lib.llama_model_load_from_file(os.fsencode(self.path), model_params)
        if not self._model:
            raise PackError(f"{self.path}: llama.cpp cannot load it: {_last_log()}. Get the file again.")
        self._stack.callback(lib.llama_model_free, self._model)
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.vocab_size: int = lib.llama_vocab_n_tokens(self._vocab)
        trained = lib.llama_model_n_ctx_train(self._model)

        params = lib.llama_context_default_params()
        threads = options.threads or default_threads(self.path)
        params.n_ctx = min(options.context, trained)
        params.n_batch = params.n_ubatch = min(options.batch, params.n_ctx)
        params.n_seq_max = 1 + KEPT_HISTORIES
        params.n_outputs_max = params.n_seq_max  # logits of one token a batch, not of all: megabytes less
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        without_flash = keeps_scores(options) and not offloads(options)
        params.flash_attn_type = FLASH_ATTENTION["off" if without_flash else options.flash_attention]
        params.type_k = params.type_v = KV_TYPES[options.kv_type]
        self._context = lib.llama_init_from_model(self._model, params)
        if not self._context:
            raise EngineError(
                f"{self.path}: no room for a context of {params.n_ctx} tokens ({_last_log()}). "
                "Set engine.context to less, or engine.kv_type to f16 where engine.flash_attention is off."
            )
        self._stack.callback(lib.llama_free, self._context)
        self._memory = lib.llama_get_memory(self._context)
        self.context_size: int = lib.llama_n_ctx(self._context)
        self.batch_size: int = lib.llama_n_batch(self._context)
        self._batch = lib.llama_batch_init(self.batch_size, 0, 1)
        self._stack.callback(lib.llama_batch_free, self._batch)
        self._interrupted = False
        self._abort = lib.ggml_abort_callback(lambda _: self._interrupted)
        self._no_abort = lib.ggml_abort_callback()
        self._adapters: set[Adapter] = set()

    # ---- text ----

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of a text; only with `special` are the names of control tokens read as such."""
        raw = text.encode("utf-8", "surrogatepass")
        size = len(raw) + 8
        buffer = (lib.llama_token * size)()
        count = lib.llama_tokenize(self._vocab, raw, len(raw), buffer, size, False, special)
        if count < 0:
            raise EngineError(f"{self.path}: the text could not be tokenised. Shorten the message.")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes of a token; none for control tokens."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_end(self, token: int) -> bool:
        """Whether a token ends the answer."""
        return bool(lib.llama_vocab_is_eog(self._vocab, token))

    @property
    def opening_tokens(self) -> list[int]:
        """What the model's header wants before every prompt: its begin token, or nothing."""
        return [lib.llama_vocab_bos(self._vocab)] if lib.llama_vocab_get_add_bos(self._vocab) else []

    def chat_formatter(self) -> Callable[..., str] | None:
        """The chat template as `format(messages, add_generation_prompt)`, sandboxed; None without one.

        It is that of the options, or else the header's. Raises `PackError` for a template that is no Jinja.
        """
        template = self._template or lib.llama_model_chat_template(self._model, None)
        if not template:
            return None
        bos, eos = (self._token_text(get(self._vocab)) for get in (lib.llama_vocab_bos, lib.llama_vocab_eos))

        def render(messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
            formatter = formatters[add_generation_prompt]
            return str(formatter(messages=messages).prompt)

        try:
            source = template.decode("utf-8")
            formatters = {
                flag: Jinja2ChatFormatter(source, eos, bos, add_generation_prompt=flag) for flag in (False, True)
            }
        except (TemplateError, UnicodeDecodeError) as error:
            raise PackError(f"{self.path}: its chat template cannot be read ({error}). Use another one.") from None
        return render

    def _token_text(self, token: int) -> str:
        if token < 0:
            return ""
        return (lib.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")

    # ---- adapters ----

    def load_adapter(self, lora: LoraFile) -> Adapter:
        """Loads a checked LoRA; raises `PackError` where it does not fit this backbone."""
        if EMBEDDINGS in lora.pairs:  # what else does not fit, llama.cpp refuses itself
            check_fits(lora, read_header(self.path))
        _LOG.clear()
        handle = lib.llama_adapter_lora_init(self._model, os.fsencode(lora.path))
        if not handle:
            raise PackError(
                f"{lora.path}: does not load on {self.path.name}: {_last_log()}. Use an adapter made for it."
            )
        adapter = Adapter([handle], lora.size)
        self._adapters.add(adapter)
        return adapter

    def load_stack(self, stack: Stack) -> Adapter:
        """Builds and loads a stack of adapters."""
        with ExitStack() as loaded:
            handles = []
            for path in anonymous_files(stack.files()):
                handle = lib.llama_adapter_lora_init(self._model, os.fsencode(path))
                if not handle:
                    reason = _last_log()
                    raise EngineError(f"llama.cpp refused a stack of adapters: {reason}. Set engine.stack to false.")
                handles.append(handle)
                loaded.callback(lib.llama_adapter_lora_free, handle)
            loaded.pop_all()
        adapter = Adapter(handles, stack.size, stack.scale)
        self._adapters.add(adapter)
        return adapter

    def free_adapter(self, adapter: Adapter) -> None:
        """Frees an adapter that is not set."""
        self._adapters.remove(adapter)
        for handle in adapter.handles:
            lib.llama_adapter_lora_free(handle)

    def set_adapters(self, scaled: Sequence[tuple[Adapter, float]]) -> None:
        """Replaces the whole set of active adapters; what is decoded from now on runs under it."""
        pairs = [(handle, scale) for adapter, scale in scaled for handle in adapter.handles]
        count = len(pairs)
        handles = (lib.llama_adapter_lora_p_ctypes * count)(
            *(ctypes.cast(handle, lib.llama_adapter_lora_p_ctypes) for handle, _ in pairs)
        )
        scales = (ctypes.c_float * count)(*(scale for _, scale in pairs))
        if lib.llama_set_adapters_lora(self._context, handles, count, scales) != 0:
            raise EngineError(f"llama.cpp refused the adapters: {_last_log()}. Ask with --mix base.")

    # ---- cache and computation ----

    def decode(self, tokens: Sequence[int], position: int, sequence: int) -> bool:
        """Computes tokens onto a sequence, the first at `position`; logits are kept for the last one.

        Returns False where `interrupt` ended it early; the sequence then holds an unknown part of the tokens.
        Raises `EngineError` where llama.cpp fails, and once the backbone is closed.
        """
        self.check_open()
        for start in range(0, len(tokens), self.batch_size):
            chunk = tokens[start : start + self.batch_size]
            if not self._decode_batch(chunk, position + start, sequence, start + len(chunk) == len(tokens)):
                return False
        return True

    def _decode_batch(self, tokens: Sequence[int], position: int, sequence: int, is_last: bool) -> bool:
        batch, count = self._batch, len(tokens)
        batch.n_tokens = count
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = False
        batch.logits[count - 1] = is_last
        # Asked between the nodes of the graph: worth it for a prompt, not for a single token.
        if count > 1:
            lib.llama_set_abort_callback(self._context, self._abort, ctypes.c_void_p(0))
        status = lib.llama_decode(self._context, batch)
        if count > 1:
            lib.llama_set_abort_callback(self._context, self._no_abort, ctypes.c_void_p(0))
        if status == 2 or (self._interrupted and count > 1):
            return False
        if status != 0:
            raise EngineError(f"llama.cpp could not compute the next tokens (code {status}): {_last_log()}.")
        return True

    def interrupt(self) -> None:
        """Ends a running `decode`, from any thread; lasts until `resume`."""
        self._interrupted = True

    def resume(self) -> None:
        """Takes an `interrupt` back."""
        self._interrupted = False

    def logits(self) -> NDArray[np.float32]:
        """A copy of the newest logits, shape (vocabulary,)."""
        return self._newest_logits().copy()

    def _newest_logits(self) -> NDArray[np.float32]:
        """The newest logits in place: the next `decode` overwrites them."""
        return np.ctypeslib.as_array(lib.llama_get_logits_ith(self._context, -1), (self.vocab_size,))

    def copy_sequence(self, source: int, target: int) -> None:
        """Lets `target` share all cells of `source`."""
        lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, sequence: int, start: int = 0) -> bool:
        """Forgets a sequence from a position on; False where the model's memory cannot do that."""
        return self.closed or bool(lib.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def sampler(self, options: settings.Sampling, seed: int) -> Sampler:
        """A new sampler; its repeat penalty sees the answer alone, not the prompt."""
        if options.temperature == 0 and options.repeat_penalty == 1:
            return GreedySampler(self._newest_logits)
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        stages = []
        if options.repeat_penalty != 1:
            look_back = self.context_size if options.repeat_last < 0 else options.repeat_last
            stages.append(
                lib.llama_sampler_init_penalties(self.vocab_size, look_back, options.repeat_penalty, 0.0, 0.0)
            )
        if options.temperature == 0:
            stages.append(lib.llama_sampler_init_greedy())
        else:
            stages += [
                lib.llama_sampler_init_top_k(options.top_k),
                lib.llama_sampler_init_top_p(options.top_p, 1),
                lib.llama_sampler_init_min_p(options.min_p, 1),
                lib.llama_sampler_init_temp(options.temperature),
                lib.llama_sampler_init_dist(seed),
            ]
        for stage in stages:
            lib.llama_sampler_chain_add(chain, stage)
        return ChainSampler(chain, self._context)

    # ---- end ----

    def check_open(self) -> None:
        """Raises `EngineError` once the backbone is closed."""
        if self.closed:
            raise EngineError("the engine is closed. Open the assistant again.")

    def close(self) -> None:
        """Frees the adapters, the context and the model; what still runs on them ends with an error."""
        if self.closed:
            return
        self.closed = True
        if self._adapters:
            self.set_adapters(())
        for adapter in list(self._adapters):
            self.free_adapter(adapter)
        self._stack.close()

    def __enter__(self) -> Backbone:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
