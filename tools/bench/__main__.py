"""All figures of the engine, against llama.cpp's own programs and against itself, in one run.

    pip install '.[bench]' && python -m tools.bench --rounds 5 --out build/bench

Builds llama-bench and llama-server first, from llama-cpp-python's source distribution, and makes models of real shapes
with random weights. All variants take turns within a round; each figure is the median over the rounds of a ratio taken
within a round, with the smallest and the largest. Writes `results.json`, and prints the tables of docs/benchmarks.md;
`--plot` draws its picture.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from importlib.metadata import version
from itertools import product
from pathlib import Path

from dlp_local.engine.local.library import usable_cores
from tools.bench import against_llama_cpp, mixes, peers, random_models, report


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--shapes", nargs="+", choices=random_models.SHAPES, default=list(random_models.SHAPES))
    parser.add_argument("--quants", nargs="+", choices=random_models.QUANTS, default=list(random_models.QUANTS))
    parser.add_argument("--adapters", nargs="+", choices=random_models.ADAPTERS, default=list(random_models.ADAPTERS))
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, mixes.MAX_ROUNDS + 1))
    parser.add_argument("--plot", type=Path, help="an SVG file")
    args = parser.parse_args()
    programs = peers.build(args.out / "peers")
    results: report.Results = {}
    for shape, quant, adapters in product(args.shapes, args.quants, args.adapters):
        name = f"{shape} {quant}, {adapters}"
        print(name, flush=True)
        models = random_models.write_all(args.out, programs.vocabulary, shape, quant, adapters, max(mixes.COUNTS))
        figures = mixes.measure_apart(models, args.rounds)
        results[name] = figures | against_llama_cpp.measure(models, programs, args.rounds)
        (args.out / "results.json").write_text(json.dumps(results, indent=1), "utf-8")
    print(
        f"\n{platform.machine()}, {usable_cores()} of {os.cpu_count()} cores, {platform.system()}; llama-cpp-python "
        f"{version('llama-cpp-python')}, Python {platform.python_version()}; {args.rounds} rounds, "
        f"{datetime.datetime.now(datetime.UTC).date()}\n"
    )
    print(report.tables(results))
    if args.plot:
        report.plot(results, args.plot)


if __name__ == "__main__":
    main()
