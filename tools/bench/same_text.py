"""How often a stack writes what its adapters write side by side, and how often those write the same in another order.

    python -m tools.bench.same_text --data DATA --prompts 100

On the bundled pack, greedy. llama.cpp adds active adapters up in the order of their addresses, so it has two answers
of its own to a mix of two: the same numbers, summed from the one end or from the other.
"""

from __future__ import annotations

import argparse
import ctypes
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling, load_settings
from dlp_local.core.values import Message, Mix
from dlp_local.engine.local.llama import Adapter, Backbone
from dlp_local.engine.local.mixer import Mixer
from dlp_local.engine.local.sampler import LAST_ROW
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.opening import open_router
from dlp_local.packs import bundled_pack, open_pack
from tools import data

MIXES = ((16, 16), (23, 9), (16, 8, 4, 4), (19, 7, 3, 3))
"""Weights in 32nds, beside what the router chooses; the first adapter is that of the message's task."""

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
        self._backbone = Backbone(pack.backbone_path, options)
        self._prompts = PromptBuilder(self._backbone.vocabulary, self._backbone.vocabulary.template(""))
        self._mixer = Mixer(self._backbone, files, options)
        self._copies: dict[str, list[Adapter]] = {file.name: [] for file in files}
        for number in range(COPIES):
            for name in random.Random(number).sample(list(self._copies), len(self._copies)):
                self._copies[name].append(self._backbone.load_adapter(self._mixer.lora(name)))

    def answer(self, text: str, set_mix: Callable[[], None]) -> list[int]:
        """The tokens of the greedy answer to a first message under a mix."""
        (prompt,) = self._prompts.prompt([Message("user", text)]).turns
        self._backbone.drop(0)
        set_mix()
        self._backbone.decode(prompt, 0, 0)
        sampler = self._backbone.sampler(Sampling(temperature=0), 0)
        answer: list[int] = []
        while not self._backbone.vocabulary.is_end(token := sampler.next_token(LAST_ROW)) and len(answer) < LONGEST:
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
    return ctypes.cast(adapter.handles[0], ctypes.c_void_p).value or 0


def messages(folder: Path) -> list[tuple[str, str]]:
    """(task, message) of valid rows, in an order drawn once; the tasks take turns."""
    rng = random.Random(3)
    rows = [data.load(folder, task, "valid") for task in data.TASKS]
    drawn = [rng.sample(of_task, len(of_task)) for of_task in rows]
    turns = zip(*drawn, strict=False)
    return [(task, row.message) for turn in turns for task, row in zip(data.TASKS, turn, strict=True)]


def mix_for(task: str, weights: Sequence[int], rng: random.Random) -> Mix:
    """A mix of the task's adapter and of others, drawn at random."""
    others = rng.sample([other for other in data.TASKS if other != task], len(weights) - 1)
    return Mix.of({name: weight / 32 for name, weight in zip([task, *others], weights, strict=True)})


def cases(folder: Path, count: int) -> Iterator[tuple[str, list[tuple[str, Mix]]]]:
    """Names of ways to mix, each with so many messages and their mixes."""
    asked = messages(folder)
    settings = load_settings()
    router = open_router(open_pack(bundled_pack()), settings)
    routed = ((text, router.route(text, settings.routing).mix) for _, text in asked)
    yield "as routed", list(islice(routed, count))
    yield "as routed, of several", list(islice((pair for pair in routed if len(pair[1].weights) > 1), count))
    for weights in MIXES:
        rng = random.Random(5)
        shares = ", ".join(f"{weight}/32" for weight in weights)
        yield shares, [(text, mix_for(task, weights, rng)) for task, text in asked[:count]]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--prompts", type=int, default=100)
    args = parser.parse_args()
    bench = Bench()
    print("| mixes | stack = side by side | side by side = in the other order |\n|---|---|---|")
    for name, asked in cases(args.data, args.prompts):
        by_stack = by_order = 0
        for text, mix in asked:
            stack = bench.answer(text, partial(bench.stacked, mix))
            rising = bench.answer(text, partial(bench.side_by_side, mix, backwards=False))
            falling = bench.answer(text, partial(bench.side_by_side, mix, backwards=True))
            by_stack += stack == rising
            by_order += rising == falling
        print(f"| {name} | {by_stack} of {len(asked)} | {by_order} of {len(asked)} |", flush=True)


if __name__ == "__main__":
    main()
