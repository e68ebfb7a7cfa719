"""What a mix costs in the engine: adapters side by side against one stack, all variants in turns."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import ParamSpec, TypeVar
from unittest import mock

from dlp_local.core.settings import Engine as Options
from dlp_local.core.values import AdapterFile
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.process.subprocess import ENVIRONMENT
from dlp_local.engine.local.system_memory import only_small_pages
from tools.bench.random_models import Models

COUNTS = (1, 2, 4, 8)
"""Adapters in a mix."""

TOKENS, PROMPT = 24, 256
PASSES = 3
"""So often the variants take turns within a round, where a token or a few are timed."""

Given = ParamSpec("Given")
Found = TypeVar("Found")

MAX_ROUNDS = 8
"""So many mixes of eight adapters differ in the weight of the first alone."""


class Bench:
    """One backbone, its adapters, and the two ways of mixing them."""

    def __init__(self, models: Models, context: int, threads: int = 0) -> None:
        options = {policy: Options(context=context, stack=policy, threads=threads) for policy in (False, True)}
        self.backbone = Backbone(models.backbone, options[False])
        only_small_pages()
        files = [AdapterFile(f"a{i}", path) for i, path in enumerate(models.adapters)]
        self.mixers = {policy: Mixer(self.backbone, files, options[policy]) for policy in options}

    def weights(self, count: int, first: int = MAX_ROUNDS + 1) -> dict[str, float]:
        """A mix of so many adapters; another weight of the first, in 32nds, makes it another mix."""
        return {f"a{i}": (3 if i else first) / 32 for i in range(count)}

    def mix(self, policy: bool, count: int) -> Callable[[], None]:
        """Sets a mix."""
        return lambda: self.mixers[policy].set(self.weights(count))

    def decode(self, count: int) -> float:
        """Milliseconds a token of `count` tokens one after another."""
        return self._timed(lambda: [self.backbone.decode((100 + i,), i, 0) for i in range(count)]) / count

    def prompt(self, count: int) -> float:
        """Milliseconds of a prompt."""
        return self._timed(lambda: self.backbone.decode(tuple(range(100, 100 + count)), 0, 0))

    def _timed(self, work: Callable[[], object]) -> float:
        self.backbone.drop(0)
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1000

    def build(self, count: int, number: int) -> float:
        """Milliseconds until a mix is set that this round asks for first."""
        started = time.perf_counter()
        self.mixers[True].set(self.weights(count, 1 + number))
        return (time.perf_counter() - started) * 1000


def measure(models: Models, rounds: int) -> dict[str, list[float]]:
    """Milliseconds, round by round, by name.

    `decode`: one token of 24 in a row. `prompt`: 256 tokens. `build`: until a mix that was never asked for is set.
    `token after a switch`: the first one after the mix was set in place of none.
    """
    bench = Bench(models, 2048)
    variants = {"none": bench.mix(False, 0)}
    variants |= {f"{n} side by side": bench.mix(False, n) for n in COUNTS}
    variants |= {f"{n} stacked": bench.mix(True, n) for n in COUNTS if n > 1}
    for set_mix in variants.values():
        set_mix()
        bench.decode(2)
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    for number in range(rounds):
        for name, set_mix in [*variants.items()] * PASSES:
            set_mix()
            bench.decode(2)
            note(f"decode, {name}", bench.decode(TOKENS))
        for name, set_mix in variants.items():
            set_mix()
            note(f"prompt, {name}", bench.prompt(PROMPT))
        for count in (2, 4, 8):
            note(f"build, {count}", bench.build(count, number))
        for name in ("1 side by side", "4 stacked") * PASSES:
            variants[name]()
            bench.prompt(8)
            note(f"token after the same mix, {name}", bench.decode(1))
            variants["none"]()
            bench.prompt(8)
            variants[name]()
            note(f"token after a switch, {name}", bench.decode(1))
    bench.backbone.close()
    return figures


def measure_apart(models: Models, rounds: int) -> dict[str, list[float]]:
    """The same, in a process of its own, whose environment is that of the engine's."""
    return run_apart(measure, models, rounds)


def run_apart(work: Callable[Given, Found], /, *given: Given.args, **named: Given.kwargs) -> Found:
    """What a function of a module returns, in a process of its own, whose environment is that of the engine's."""
    with (
        mock.patch.dict(os.environ, ENVIRONMENT | os.environ),
        ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool,
    ):
        return pool.submit(work, *given, **named).result()


def _end_with_parent() -> None:
    """Ends this process when the one that started it does, however that ended."""

    def wait() -> None:
        if parent := parent_process():
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
