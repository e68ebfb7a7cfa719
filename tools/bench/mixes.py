"""What a mix costs in the engine: adapters side by side against one stack, on a model of real shape.

    python -m tools.bench.mixes --vocab ggml-vocab-qwen2.gguf --out build/bench

Each figure is the median over rounds in which all variants take turns, with the smallest and the largest; ratios are
taken within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import llama_cpp

from dlp_local.engine.llama import Backbone, usable_cores
from dlp_local.engine.mixer import Mixer
from dlp_local.records import AdapterFile
from dlp_local.settings import Engine as Options
from tools.bench import random_models

COUNTS = (1, 2, 4, 8)
TOKENS, PROMPT = 24, 256
MAX_ROUNDS = 8
"""So many mixes of eight adapters differ in the weight of the first alone."""


class Bench:
    """One backbone, eight adapters, and the two ways of mixing them."""

    def __init__(self, folder: Path, context: int) -> None:
        options = {policy: Options(context=context, stack=policy) for policy in (False, True)}
        self.backbone = Backbone(folder / "backbone.gguf", options[False])
        files = [AdapterFile(f"a{i}", folder / f"a{i}.gguf") for i in range(max(COUNTS))]
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


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Every figure of every round, by name."""
    bench = Bench(folder, 2048)
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
        for name, set_mix in variants.items():
            set_mix()
            bench.decode(2)
            note(f"decode, {name}", bench.decode(TOKENS))
            note(f"prompt, {name}", bench.prompt(PROMPT))
        for count in (2, 4, 8):
            note(f"build, {count}", bench.build(count, number))
        for name in ("1 side by side", "4 stacked"):
            variants[name]()
            bench.prompt(8)
            note(f"token after the same mix, {name}", bench.decode(1))
            variants["none"]()
            bench.prompt(8)
            variants[name]()
            note(f"token after a switch, {name}", bench.decode(1))
    bench.backbone.close()
    return figures


def table(figures: dict[str, list[float]]) -> str:
    """A Markdown table: median, min and max in milliseconds, and the ratio to one adapter of the same round."""
    lines = ["| | median, ms | min | max | to one adapter |", "|---|---|---|---|---|"]
    for name, values in figures.items():
        kind = name.split(",")[0]
        one = figures.get(f"{kind}, 1 side by side")
        ratio = statistics.median(v / o for v, o in zip(values, one, strict=True)) if one else None
        cells = [f"{statistics.median(values):.2f}", f"{min(values):.2f}", f"{max(values):.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {f'{ratio:.2f}' if ratio else ''} |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab", type=Path, required=True, help="llama.cpp's models/ggml-vocab-qwen2.gguf")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--shape", choices=random_models.SHAPES, default="0.5B")
    parser.add_argument("--quant", choices=random_models.QUANTS, default="Q4_0")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, MAX_ROUNDS + 1))
    args = parser.parse_args()
    folder = random_models.write_all(args.out, args.vocab, args.shape, args.quant, args.rank, max(COUNTS))
    figures = measure(folder, args.rounds)
    print(f"{args.shape} {args.quant}, adapters of rank {args.rank} on all seven weights, {args.rounds} rounds")
    print(
        f"{platform.machine()}, {usable_cores()} of {os.cpu_count()} cores; llama-cpp-python {llama_cpp.__version__}\n"
    )
    print(table(figures))
    (folder / "mixes.json").write_text(json.dumps(figures, indent=1), "utf-8")


if __name__ == "__main__":
    main()
