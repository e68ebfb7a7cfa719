"""What a step of many answers takes beside one token: what a server can gain from batches on this machine.

    python -m tools.bench.batches models/smollm2 --cells 128

Each of 1 to 16 sequences holds `--cells` tokens. A step computes one more token of each: without adapters, under the
stack of one mix of three, and each under another mix through the bank. Printed are the milliseconds of a step, the
median over the rounds with the smallest and the largest, and the gain: tokens a second of such a step over those of a
step of one token under a mix's own stack, which is what a server without batches computes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from dlp_local.core.settings import Engine
from dlp_local.core.values import Weights
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.engine.local.library import usable_cores
from dlp_local.packs import open_pack

SIZES = (1, 2, 4, 8, 16)
ROOM = 4096
FIRST_TOKEN = 300
"""The tokens do not matter: they are ordinary ones."""

Row = tuple[int, int, int]


class Bench:
    """Sequences of one length, and steps that go back to it."""

    def __init__(self, engine: LocalEngine, cells: int) -> None:
        self._backbone, self._mixer, self._bank = engine._backbone, engine._mixer, engine._bank
        self._cells = cells
        names = self._mixer.names
        self.mixes: list[Weights] = [
            tuple(sorted((names[(number + i) % len(names)], (8 + number) / 32 / 3) for i in range(min(3, len(names)))))
            for number in range(max(SIZES))
        ]
        self._mixer.set({})
        for sequence in range(max(SIZES)):
            tokens = [FIRST_TOKEN + (sequence + i) % 500 for i in range(cells)]
            if tokens:
                self._backbone.decode(tokens, 0, sequence)

    def bare(self, size: int) -> None:
        """No adapters."""
        self._mixer.set({})

    def one_mix(self, size: int) -> None:
        """One mix's stack."""
        self._mixer.set(dict(self.mixes[0]))

    def each_another(self, size: int) -> None:
        """Each its own mix."""
        if not self._bank or not self._bank.build(self.mixes[:size]):
            raise SystemExit("batches of many mixes cannot be had here")
        self._bank.set(self.mixes[:size], outputs=size)

    def step(self, size: int, prepare: Callable[[int], None]) -> float:
        """Milliseconds of a step."""
        prepare(size)
        rows: Sequence[Row] = [(FIRST_TOKEN + i, self._cells, i) for i in range(size)]
        started = time.perf_counter()
        self._backbone.decode_rows(rows, outputs=size)
        taken = (time.perf_counter() - started) * 1000
        for _, position, sequence in rows:
            self._backbone.drop(sequence, position)
        return taken


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--cells", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--kv-type", default="f16")
    args = parser.parse_args()
    pack = open_pack(args.pack)
    options = Engine(context=ROOM, parallel=max(SIZES), threads=usable_cores(), kv_type=args.kv_type)
    with closing(LocalEngine(pack.backbone_path, pack.adapter_files(), options)) as engine:
        bench = Bench(engine, args.cells)
        kinds = {"no adapters": bench.bare, "one mix": bench.one_mix, "each another": bench.each_another}
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(args.rounds):
            for (name, prepare), size in ((kind, size) for kind in kinds.items() for size in SIZES):
                bench.step(size, prepare)
                times.setdefault((name, size), []).append(bench.step(size, prepare))
    alone = median(times["one mix", 1])
    print(f"{usable_cores()} cores, {pack.name}, {args.cells} tokens in each sequence\n")
    print("| tokens in a step | " + " | ".join(kinds) + " | gain |\n|---|" + "---|" * (len(kinds) + 1))
    for size in SIZES:
        shown = [times[name, size] for name in kinds]
        cells = [f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})" for values in shown]
        print(f"| {size} | {' | '.join(cells)} | {size * alone / median(shown[-1]):.2f} |")


if __name__ == "__main__":
    main()
