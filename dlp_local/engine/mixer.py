"""Which adapters of a mix are on, and how strongly: one alone by its scale, several as one stack."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import psutil

from dlp_local import settings
from dlp_local.engine.llama import Adapter, Backbone, FileAdapter
from dlp_local.engine.stacking import NotStackableError, Stack
from dlp_local.errors import InputError
from dlp_local.records import BASE, AdapterFile, Mix, Weights

MEMORY_SHARE = 16
"""Stacks are kept in a sixteenth of the machine's memory unless the settings say otherwise."""


class Mixer:
    """Loads adapters when a mix first names them, and sets mixes on the backbone.

    A mix of several adapters becomes one stacked adapter, kept by mix, the least recently used freed first. Four repay
    the building of their stack within about 11 tokens, two within about 35 (docs/benchmarks.md), and a mix that comes
    again at once. Shorter answers are stacked all the same: side by side llama.cpp adds adapters up in the order of
    their addresses, and another order rounds otherwise, so an answer would depend on what was loaded before.
    """

    def __init__(self, backbone: Backbone, files: Sequence[AdapterFile], options: settings.Engine) -> None:
        self._backbone = backbone
        self._files = {file.name: file for file in files}
        self._loaded: dict[str, FileAdapter] = {}
        self._stacks: OrderedDict[Weights, Adapter] = OrderedDict()
        self._stacks_mixes = options.stack
        budget = options.stack_memory << 20
        self._budget = budget or psutil.virtual_memory().total // MEMORY_SHARE

    @property
    def stacked_bytes(self) -> int:
        """Memory of the stacks that are kept."""
        return sum(stack.size for stack in self._stacks.values())

    def adapter(self, name: str) -> FileAdapter:
        """The loaded adapter of a name; raises `InputError` for an unknown one and `PackError` for a bad file."""
        file = self._file(name)
        if name not in self._loaded:
            self._loaded[name] = self._backbone.load_adapter(file.path)
        return self._loaded[name]

    def _file(self, name: str) -> AdapterFile:
        if name not in self._files:
            known = ", ".join([*sorted(self._files), BASE])
            raise InputError(f"mix: there is no adapter '{name}' in this pack; it has {known}.")
        return self._files[name]

    def add(self, file: AdapterFile) -> None:
        """Makes an adapter known, in place of another one of that name; loads it, so that a bad file is told now.

        Raises `PackError` for a bad file; what was known before then stays.
        """
        adapter = self._backbone.load_adapter(file.path)
        if file.name in self._files:
            self.remove(file.name)
        self._files[file.name] = file
        self._loaded[file.name] = adapter

    def remove(self, name: str) -> None:
        """Forgets an adapter and frees it and its stacks; raises `InputError` for an unknown one."""
        if self._files.pop(name, None) is None:
            raise InputError(f"there is no adapter '{name}' to remove.")
        self._backbone.set_adapters(())
        for weights in [weights for weights in self._stacks if name in dict(weights)]:
            self._free(weights)
        if adapter := self._loaded.pop(name, None):
            self._backbone.free_adapter(adapter)

    def whole_context(self, mix: Mix) -> dict[str, float]:
        """The part of a mix whose adapters want the history, too, under their own weights."""
        return {name: weight for name, weight in mix.weights if self._file(name).scope == "context"}

    def set(self, weights: Mapping[str, float]) -> None:
        """Makes exactly these adapters active, each with its weight times its file's scale."""
        key = tuple(sorted(weights.items()))
        parts = [(self.adapter(name), weight * self._file(name).scale) for name, weight in key]
        stack = self._stack(key, parts) if len(parts) > 1 and self._stacks_mixes else None
        self._backbone.set_adapters([(stack, stack.scale)] if stack else parts)
        self._shrink(key)

    def _stack(self, key: Weights, parts: Sequence[tuple[FileAdapter, float]]) -> Adapter | None:
        """The stack of a mix, kept or built; None where these adapters cannot be one."""
        if key in self._stacks:
            self._stacks.move_to_end(key)
            return self._stacks[key]
        try:
            plan = Stack([(adapter.lora, weight) for adapter, weight in parts])
        except NotStackableError:
            return None
        if plan.size > self._budget:
            return None
        self._stacks[key] = self._backbone.load_stack(plan)
        return self._stacks[key]

    def _shrink(self, active: Weights) -> None:
        """Frees the stacks that were not used for longest until the others fit; the active one always stays."""
        for weights in list(self._stacks):
            if self.stacked_bytes <= self._budget:
                return
            if weights != active:
                self._free(weights)

    def _free(self, weights: Weights) -> None:
        self._backbone.free_adapter(self._stacks.pop(weights))

    def switch_on(self, mix: Mix, prompt: tuple[int, ...], branch: int) -> list[tuple[int, str, float]]:
        """Where in a prompt each adapter of a mix goes on: (position, name, weight), in order of position.

        That is `branch`, the start of the last user turn; or, for an adapter that names its invocation tokens
        (Activated LoRA, arXiv 2512.17910), their last occurrence. Without any occurrence it stays off. One with
        `scope = "context"` is on from the first token.
        """
        places = []
        for name, weight in mix.weights:
            tokens = self.adapter(name).invocation_tokens
            position = last_occurrence(tokens, prompt) if tokens else branch
            if self._file(name).scope == "context":
                position = 0
            if position is not None:
                places.append((position, name, weight))
        return sorted(places)


def last_occurrence(needle: tuple[int, ...], tokens: tuple[int, ...]) -> int | None:
    """The last position at which `needle` stands in `tokens`, or None."""
    for start in range(len(tokens) - len(needle), -1, -1):
        if tokens[start : start + len(needle)] == needle:
            return start
    return None
