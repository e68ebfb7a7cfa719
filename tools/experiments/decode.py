"""Decode speed of 1 to 16 adapters, stacked and side by side, as ratios to one adapter."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from itertools import islice

from dlp_local.packs import open_pack
from tools.bench.mixes import Bench, run_apart
from tools.bench.random_models import Models
from tools.experiments.markdown import section, table
from tools.experiments.part import Figures, Part, Setup

COUNTS = (1, 2, 4, 8, 16)
TOKENS, ROUNDS, CONTEXT = 24, 5, 2048


def measured(setup: Setup) -> Figures:
    """The milliseconds of a token, round by round; all variants take turns within a round."""
    pack = open_pack(setup.pack)
    files = [file.path for file in pack.adapter_files()]
    several = islice((file for _ in range(max(COUNTS)) for file in files), max(COUNTS))
    return run_apart(decode_times, Models(pack.backbone_path, tuple(several)), setup.threads, ROUNDS)


def decode_times(models: Models, threads: int, rounds: int) -> Figures:
    """Milliseconds of a token, by "N stacked" and "N side by side", round by round."""
    bench = Bench(models, CONTEXT, threads)
    variants = {f"{count} side by side": bench.mix(False, count) for count in COUNTS}
    variants |= {f"{count} stacked": bench.mix(True, count) for count in COUNTS if count > 1}
    found: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, set_mix in variants.items():
            set_mix()
            bench.decode(2)
            took = bench.decode(TOKENS)
            if number:  # the first round warms up
                found[name].append(round(took, 4))
    bench.backbone.close()
    return {"milliseconds": found}


def ratios(found: Figures) -> dict[str, list[float]]:
    """Each variant's times over those of one adapter in the same round."""
    one = found["milliseconds"]["1 side by side"]
    return {
        name: [took / of_one for took, of_one in zip(times, one, strict=True)]
        for name, times in found["milliseconds"].items()
    }


def _cell(values: list[float] | None) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})" if values else "1"


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    of = ratios(found["measured"])
    rows = (
        [str(count), _cell(of.get(f"{count} stacked")), "1" if count == 1 else _cell(of[f"{count} side by side"])]
        for count in COUNTS
    )
    return section(
        "## What more adapters cost",
        "Time of a token over that with one adapter, SmolLM2-135M and the pack's adapters (the same files again "
        f"beyond ten), {TOKENS} tokens one after another; median of {ROUNDS} rounds in which all take turns, with "
        "the least and the greatest. Stacked is how the product runs a mix, side by side is how llama.cpp computes "
        "several. Other shapes: [docs/benchmarks.md](benchmarks.md).",
        table(["adapters in the mix", "stacked", "side by side"], rows),
        "**The paper beside ours.** Its figures are 1.18 ×, 1.76 × at 50 and 1.83 × at 100. Here it is up to 16 "
        "adapters in one mix, the time of a token alone, without the router, of one small model on this machine's "
        "CPU: the ratios say what stacking is worth, and cannot be compared one by one.",
    )


PART = Part("decode", ("threads",), {"measured": measured}, page)
