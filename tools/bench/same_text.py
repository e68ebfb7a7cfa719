"""How often a stack writes what its adapters write side by side, and how often those write the same in another order.

    python -m tools.bench.same_text --data DATA --prompts 100

On the bundled pack, greedy. llama.cpp adds active adapters up in the order of their addresses, so it has two answers
of its own to a mix of two: the same numbers, summed from the one end or from the other.
"""

from __future__ import annotations

import argparse
import ctypes
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dlp_local.engine.llama import Adapter, Backbone
from dlp_local.engine.mixer import Mixer
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.packs import bundled_pack, open_pack
from dlp_local.records import Message, Mix
from dlp_local.settings import Engine as Options
from dlp_local.settings import Sampling
from tools import data

MIXES = ((16, 16), (23, 9), (16, 8, 4, 4), (19, 7, 3, 3))
"""Weights in 32nds; the first adapter is that of the message's task."""

COPIES = 12
"""Loaded copies of each adapter, so that some lie in memory in any order that is asked for."""

LONGEST = 64
"""Tokens of an answer at most."""


class Bench:
    """The bundled backbone, its adapters at many addresses, and their stacks."""

    def __init__(self) -> None:
        pack = open_pack(bundled_pack())
        files = pack.adapter_files()
        options = Options(stack=True)
        self._backbone = Backbone(pack.path(pack.manifest.backbone), options)
        self._prompts = PromptBuilder(self._backbone)
        self._mixer = Mixer(self._backbone, files, options)
        self._copies: dict[str, list[Adapter]] = {file.name: [] for file in files}
        for number in range(COPIES):
            for name in random.Random(number).sample(list(self._copies), len(self._copies)):
                self._copies[name].append(self._backbone.load_adapter(self._mixer.lora(name)))

    def answer(self, text: str, set_mix: Callable[[], None]) -> list[int]:
        """The tokens of the greedy answer to a first message under a mix."""
        (prompt,) = self._prompts.turns([Message("user", text)])
        self._backbone.drop(0)
        set_mix()
        self._backbone.decode(prompt, 0, 0)
        sampler = self._backbone.sampler(Sampling(temperature=0), 0)
        answer: list[int] = []
        while not self._backbone.is_end(token := sampler.next_token()) and len(answer) < LONGEST:
            self._backbone.decode((token,), len(prompt) + len(answer), 0)
            answer.append(token)
        sampler.close()
        return answer

    def stacked(self, mix: Mix) -> None:
        """Sets a mix as one adapter."""
        self._mixer.set(dict(mix.weights))

    def side_by_side(self, mix: Mix, backwards: bool) -> None:
        """Sets a mix as llama.cpp's list of adapters, whose addresses rise in the order of their names, or fall."""
        chosen: list[tuple[Adapter, float]] = []
        below = 0
        for name, weight in sorted(mix.weights, reverse=backwards):
            adapter = min((copy for copy in self._copies[name] if _address(copy) > below), key=_address)
            below = _address(adapter)
            chosen.append((adapter, weight))
        self._backbone.set_adapters(chosen)


def _address(adapter: Adapter) -> int:
    return ctypes.cast(adapter.handle, ctypes.c_void_p).value or 0


def prompts(folder: Path, count: int) -> list[tuple[str, str]]:
    """(task, message) of valid rows, the tasks alike often."""
    rng = random.Random(3)
    each = -(-count // len(data.TASKS))
    drawn = [[(task, row.message) for row in rng.sample(data.load(folder, task, "valid"), each)] for task in data.TASKS]
    return [pair for pairs in zip(*drawn, strict=True) for pair in pairs][:count]


def mix_for(task: str, weights: Sequence[int], rng: random.Random) -> Mix:
    """A mix of the task's adapter and of others, drawn at random."""
    others = rng.sample([other for other in data.TASKS if other != task], len(weights) - 1)
    return Mix.of({name: weight / 32 for name, weight in zip([task, *others], weights, strict=True)})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--prompts", type=int, default=100)
    args = parser.parse_args()
    bench = Bench()
    asked = prompts(args.data, args.prompts)
    print("| weights | stack = side by side | side by side = in the other order |\n|---|---|---|")
    for weights in MIXES:
        rng, by_stack, by_order = random.Random(5), 0, 0
        for task, text in asked:
            mix = mix_for(task, weights, rng)
            stack = bench.answer(text, partial(bench.stacked, mix))
            rising = bench.answer(text, partial(bench.side_by_side, mix, backwards=False))
            falling = bench.answer(text, partial(bench.side_by_side, mix, backwards=True))
            by_stack += stack == rising
            by_order += rising == falling
        shares = ", ".join(f"{weight}/32" for weight in weights)
        print(f"| {shares} | {by_stack} of {len(asked)} | {by_order} of {len(asked)} |", flush=True)


if __name__ == "__main__":
    main()
