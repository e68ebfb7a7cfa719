"""Tokens a second with a fixed number of threads and with the number that adapts, beside busy programs.

    python -m tools.bench.threads BACKBONE.gguf --rounds 3

Beside 0, 1 and 2 programs that do nothing but count, each variant writes one answer of the same tokens in turn: one
thread, one for each core, and the number that adapts. Printed is the median over the rounds, with the smallest and the
largest, and the ratio of the one that adapts to the better of the fixed ones, taken within a round.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median

from dlp_local.core.events import Generated
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import Message, Mix
from dlp_local.engine.base import Engine
from dlp_local.engine.local.library import usable_cores
from dlp_local.engine.local.process.client import EngineProcess

MESSAGE = Message("user", "Write a long story about a lighthouse and the people who live there.")
WARM_UP = 16


@contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Runs programs that keep a core busy each."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def tokens_a_second(engine: Engine, tokens: int, seed: int) -> float:
    """How fast an answer of `tokens` tokens is written, after its first one."""
    sampling = Sampling(max_tokens=tokens, temperature=1.0, min_p=0.05, seed=seed)
    *_, end = engine.generate([MESSAGE], Mix(), sampling)
    if not isinstance(end, Generated):
        raise SystemExit(f"The answer ended with {end!r}.")
    return (end.answer_tokens - 1) / (end.total_ms - end.first_token_ms) * 1000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    variants = {"1 thread": 1, f"{usable_cores()} threads": usable_cores(), "adapts": 0}
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(closing(EngineProcess(args.backbone, (), Options(threads=threads, context=2048))))
            for name, threads in variants.items()
        }
        for busy in args.busy:
            with busy_programs(busy):
                for engine in engines.values():
                    tokens_a_second(engine, WARM_UP, 0)
                rounds = [
                    {name: tokens_a_second(engine, args.tokens, seed) for name, engine in engines.items()}
                    for seed in range(args.rounds)
                ]
            print(f"beside {busy} busy programs:")
            for name in variants:
                print(f"  {name:>10}: {_spread([speeds[name] for speeds in rounds], 1)} tokens/s")
            ratios = [
                speeds["adapts"] / max(speeds[name] for name in variants if name != "adapts") for speeds in rounds
            ]
            print(f"  adapts / the better fixed one: {_spread(ratios, 2)}", flush=True)


def _spread(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
