"""llama.cpp as Python values: the backbone, its adapters, its KV cache, and what it computes."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from dlp_local.core import settings
from dlp_local.core.errors import EngineError, PackError
from dlp_local.core.job import Cancellation, returned
from dlp_local.engine.local.batch_support import open_token_weights
from dlp_local.engine.local.constraint import ConstrainedSampler, Constraint
from dlp_local.engine.local.context_params import adapts_threads, context_params
from dlp_local.engine.local.library import (
    clear_log,
    default_threads,
    last_log,
    lib,
    offloads,
)
from dlp_local.engine.local.memory import kept_contexts
from dlp_local.engine.local.memory_files import anonymous_files
from dlp_local.engine.local.model_file import load_model
from dlp_local.engine.local.sampler import LAST_ROW, Biases, ChainSampler, GreedySampler, Sampler, is_plain_greedy
from dlp_local.engine.local.stacking import Stack
from dlp_local.engine.local.threads import ThreadChooser, ladder
from dlp_local.engine.local.vocabulary import LlamaVocabulary
from dlp_local.formats.gguf import EMBEDDINGS, read_header
from dlp_local.formats.lora import LoraFile, check_fits


class Adapter:
    """A loaded LoRA or stack of LoRAs, `size` bytes large; belongs to the backbone that loaded it.

    A stack is several of llama.cpp's adapters, each of other weights. At `scale` it is as strong as it was made to be.
    """

    def __init__(self, handles: Sequence[lib.llama_adapter_lora_p], size: int, scale: float = 1.0) -> None:
        self.handles = handles
        self.size = size
        self.scale = scale


class Backbone:
    """One GGUF model with one context whose KV cache holds several sequences in the same cells.

    `branches`: so many replies run at a time. `sequences`: numbers from 0 to below it. `cells`: tokens that all of them
    hold, shared ones once; `context_size`: tokens of one of them. `batch_size`: tokens of a batch, at most.

    Raises `PackError` for a file that is not a model and `EngineError` where llama.cpp cannot run it.
    Not thread-safe.
    """

    def __init__(self, path: Path, options: settings.Engine) -> None:
        self.path = path
        self.closed = False
        self._stack = ExitStack()
        try:
            self._load(options)
        except BaseException:
            self._stack.close()
            raise

    def _load(self, options: settings.Engine) -> None:
        self._model = load_model(self.path, gpu_layers=options.gpu_layers if offloads(options) else 0)
        self._stack.callback(lib.llama_model_free, self._model)
        self.vocabulary = LlamaVocabulary(self._model, self.path)
        threads = options.threads or default_threads(self.path)
        trained = lib.llama_model_n_ctx_train(self._model)
        params = context_params(options, trained if trained > 0 else options.context, threads)
        self._threads = ThreadChooser(ladder(threads) if adapts_threads(options) else (threads,))
        self.token_weights = open_token_weights(options)
        if self.token_weights:
            params.cb_eval, params.cb_eval_user_data = self.token_weights.callback, self.token_weights.user_data
        self._context = lib.llama_init_from_model(self._model, params)
        if not self._context:
            raise EngineError(
                f"{self.path}: no room for a context of {params.n_ctx} tokens ({last_log()}). "
                "Set engine.context to less, or engine.kv_type to f16 where engine.flash_attention is off."
            )
        self._stack.callback(lib.llama_free, self._context)
        self._memory = lib.llama_get_memory(self._context)
        self.cells: int = lib.llama_n_ctx(self._context)
        self.context_size: int = self.cells // kept_contexts(options)
        self.sequences, self.branches = int(params.n_seq_max), options.parallel
        self.batch_size: int = lib.llama_n_batch(self._context)
        self._batch = lib.llama_batch_init(self.batch_size, 0, 1)
        self._stack.callback(lib.llama_batch_free, self._batch)
        self._cancellation: Cancellation | None = None
        self._abort = lib.ggml_abort_callback(lambda _: self._is_cancelled())
        self._no_abort = lib.ggml_abort_callback()
        self._adapters: set[Adapter] = set()
        self.active: tuple[tuple[Adapter, float], ...] = ()
        """What is set, with its scale."""

    # ---- adapters ----

    def load_adapter(self, lora: LoraFile) -> Adapter:
        """Loads a checked LoRA; raises `PackError` where it does not fit this backbone."""
        if EMBEDDINGS in lora.pairs:  # what else does not fit, llama.cpp refuses itself
            check_fits(lora, read_header(self.path))
        clear_log()
        handle = lib.llama_adapter_lora_init(self._model, os.fsencode(lora.path))
        if not handle:
            raise PackError(
                f"{lora.path}: does not load on {self.path.name}: {last_log()}. Use an adapter made for it."
            )
        adapter = Adapter([handle], lora.size)
        self._adapters.add(adapter)
        return adapter

    def load_stack(self, stack: Stack) -> Adapter:
        """Builds and loads a stack of adapters."""
        return returned(self.loading_stack(stack))

    def loading_stack(self, stack: Stack) -> Generator[None, None, Adapter]:
        """Builds and loads a stack of adapters, a part of it for each step; given up, nothing of it stays."""
        handles = []
        with ExitStack() as loaded, closing(anonymous_files(stack.files())) as paths:
            for path in paths:
                handle = lib.llama_adapter_lora_init(self._model, os.fsencode(path))
                if not handle:
                    reason = last_log()
                    raise EngineError(f"llama.cpp refused a stack of adapters: {reason}. Set engine.stack to false.")
                handles.append(handle)
                loaded.callback(lib.llama_adapter_lora_free, handle)
                yield
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
        self.active = tuple(scaled)
        pairs = [(handle, scale) for adapter, scale in scaled for handle in adapter.handles]
        count = len(pairs)
        handles = (lib.llama_adapter_lora_p_ctypes * count)(
            *(ctypes.cast(handle, lib.llama_adapter_lora_p_ctypes) for handle, _ in pairs)
        )
        scales = (ctypes.c_float * count)(*(scale for _, scale in pairs))
        if lib.llama_set_adapters_lora(self._context, handles, count, scales) != 0:
            raise EngineError(f"llama.cpp refused the adapters: {last_log()}. Ask with --mix base.")

    # ---- cache and computation ----

    def decode(
        self, tokens: Sequence[int], position: int, sequence: int, cancellation: Cancellation | None = None
    ) -> bool:
        """Computes tokens onto a sequence, the first at `position`; logits are kept for the last one.

        Returns False where `cancellation` ended it early; the sequence then holds an unknown part of the tokens.
        Raises `EngineError` where llama.cpp fails, and once the backbone is closed.
        """
        if len(tokens) == 1:
            self.decode_rows([(tokens[0], position, sequence)], outputs=1)
            return True
        self.check_open()
        self._cancellation = cancellation
        for start in range(0, len(tokens), self.batch_size):
            chunk = tokens[start : start + self.batch_size]
            rows = [(token, position + start + i, sequence) for i, token in enumerate(chunk)]
            self._fill(rows, outputs=int(start + len(chunk) == len(tokens)))
            if not self._compute_prompt():
                return False
        return True

    def decode_rows(self, rows: Sequence[tuple[int, int, int]], outputs: int) -> None:
        """Computes a batch of tokens, each at a position of a sequence; logits are kept for the last `outputs` of them.

        Raises `EngineError` as `decode` does.
        """
        self.check_open()
        self._fill(rows, outputs)
        self._compute_step(answers=len(rows))

    def _fill(self, rows: Sequence[tuple[int, int, int]], outputs: int) -> None:
        """Makes the batch of tokens, each with its position and sequence."""
        batch = self._batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = i >= len(rows) - outputs

    def _compute_step(self, answers: int) -> None:
        """Computes the next token of each of some answers, by the number of threads that is fastest for that."""
        started = time.perf_counter()
        status = self._compute(self._threads.count_for(answers))
        self._threads.record(time.perf_counter() - started, answers)
        self._check(status)

    def _compute_prompt(self) -> bool:
        """Computes tokens of a prompt, unless that is cancelled: asked between the nodes of the graph."""
        lib.llama_set_abort_callback(self._context, self._abort, ctypes.c_void_p(0))
        status = self._compute(self._threads.settled)
        lib.llama_set_abort_callback(self._context, self._no_abort, ctypes.c_void_p(0))
        if status == 2 or self._is_cancelled():
            return False
        self._check(status)
        return True

    def _compute(self, threads: int) -> int:
        lib.llama_set_n_threads(self._context, threads, threads)
        return int(lib.llama_decode(self._context, self._batch))

    def _check(self, status: int) -> None:
        if status != 0:
            raise EngineError(f"llama.cpp could not compute the next tokens (code {status}): {last_log()}.")

    def _is_cancelled(self) -> bool:
        return self._cancellation is not None and self._cancellation.requested

    def logits(self, row: int = LAST_ROW) -> NDArray[np.float32]:
        """A copy of the logits of a token of the newest batch, shape (vocabulary,)."""
        return self.logits_in_place(row).copy()

    def logits_in_place(self, row: int) -> NDArray[np.float32]:
        """The logits of a token of the newest batch, until the next one is computed."""
        return np.ctypeslib.as_array(lib.llama_get_logits_ith(self._context, row), (self.vocabulary.size,))

    def copy_sequence(self, source: int, target: int) -> None:
        """Lets `target` share all cells of `source`."""
        lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def copy_start(self, source: int, target: int, end: int) -> bool:
        """Lets `target` share the cells of `source` up to a position; False where the model's memory cannot do that."""
        lib.llama_memory_seq_cp(self._memory, source, target, 0, end)
        if lib.llama_memory_seq_pos_max(self._memory, target) == end - 1:
            return True
        self.drop(target)
        return False

    def drop(self, sequence: int, start: int = 0) -> bool:
        """Forgets a sequence from a position on; False where the model's memory cannot do that."""
        return self.closed or bool(lib.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def clear(self) -> None:
        """Forgets every sequence: cells are taken from the first on again, in the order of which attention sums."""
        lib.llama_memory_clear(self._memory, False)

    def sampler(
        self,
        options: settings.Sampling,
        seed: int,
        biases: Biases = (),
        constraint: Constraint | None = None,
        is_free: Callable[[int], bool] = lambda _: False,
    ) -> Sampler:
        """A new sampler, which closes its constraint with it; its penalties see the answer alone, not the prompt.

        `is_free`: see `ConstrainedSampler`. Raises `InputError` for a bias of a token that there is not.
        """
        if is_plain_greedy(options) and not biases and not constraint:
            return GreedySampler(self.logits_in_place)
        chain = ChainSampler(self._context, self.vocabulary.size, options, seed, biases)
        return ConstrainedSampler(chain, constraint, self.logits_in_place, is_free) if constraint else chain

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
