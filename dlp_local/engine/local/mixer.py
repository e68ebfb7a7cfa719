"""Which adapters of a mix are on, and how strongly: one alone by its scale, several as one stack."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dlp_local.core import settings
from dlp_local.core.errors import InputError
from dlp_local.core.text import unknown_name
from dlp_local.core.values import BASE, AdapterFile, Mix, Scope, Weights
from dlp_local.engine.local.library import rank_step
from dlp_local.engine.local.llama import Adapter, Backbone
from dlp_local.engine.local.memory import adapter_memory
from dlp_local.engine.local.stacking import NotStackableError, Stack
from dlp_local.formats.lora import LoraFile, read_lora


@dataclass(frozen=True, slots=True, order=True)
class Activation:
    """From this position of a prompt on (0: its first token) an adapter is on, with its weight in the mix."""

    position: int
    name: str
    weight: float


MAPPED_FILES = 64
"""So many adapters' files stay mapped, each with an open descriptor; another one is read and checked again."""


class Mixer:
    """Loads adapters when a mix first names them, and sets mixes on the backbone.

    A mix of several adapters becomes one stacked adapter. Four repay the building of their stack within about 9
    tokens, two within about 40 (docs/benchmarks.md), and a mix that comes again at once. Shorter answers are
    stacked all the same: side by side llama.cpp adds adapters up in the order of their addresses, and another order
    rounds otherwise, so an answer would depend on what was loaded before. What llama.cpp holds, a lone adapter by
    its name and a stack by its mix, is bounded in bytes: what was not used for longest goes first, and a stack does
    not need its adapters beside it.
    """

    def __init__(self, backbone: Backbone, files: Sequence[AdapterFile], options: settings.Engine) -> None:
        self._backbone = backbone
        self._files = {file.name: file for file in files}
        self._mapped: OrderedDict[str, LoraFile] = OrderedDict()
        self._fitting: set[str] = set()
        self._held: OrderedDict[str | Weights, Adapter] = OrderedDict()
        self._stacks_mixes = options.stack
        self.budget = adapter_memory(options)
        """Bytes for what llama.cpp holds of mixes."""

        self._active: tuple[Weights, object] = ((), None)
        """The mix that was set last, and what that made active."""

    @property
    def held(self) -> dict[str | Weights, int]:
        """What llama.cpp holds, the least recently used first: adapters by name, stacks by mix, and their bytes."""
        return {key: adapter.size for key, adapter in self._held.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that are known."""
        return tuple(self._files)

    def lora(self, name: str) -> LoraFile:
        """The checked file of an adapter; raises `InputError` for an unknown one and `PackError` for a bad file."""
        path = self._file(name).path
        lora = self._mapped.pop(name, None) or read_lora(path)
        self._map(name, lora)
        return lora

    def _map(self, name: str, lora: LoraFile) -> None:
        self._mapped[name] = lora
        if len(self._mapped) > MAPPED_FILES:
            self._mapped.popitem(last=False)

    def _file(self, name: str) -> AdapterFile:
        if name not in self._files:
            raise InputError(f"mix: {unknown_name('adapter', name, [*sorted(self._files), BASE])}")
        return self._files[name]

    def add(self, file: AdapterFile) -> None:
        """Makes an adapter known, in place of another one of that name; loads it, so that a bad file is told now.

        Raises `PackError` for a bad file; what was known before then stays.
        """
        lora = read_lora(file.path)
        adapter = self._backbone.load_adapter(lora)
        if file.name in self._files:
            self.remove(file.name)
        self._files[file.name] = file
        self._map(file.name, lora)
        self._held[file.name] = adapter
        self._fitting.add(file.name)
        self._backbone.set_adapters(())
        self._shrink((file.name,))

    def remove(self, name: str) -> None:
        """Forgets an adapter and frees it and its stacks; raises `InputError` for an unknown one."""
        if self._files.pop(name, None) is None:
            raise InputError(f"there is no adapter '{name}' to remove.")
        self._backbone.set_adapters(())
        self._mapped.pop(name, None)
        self._fitting.discard(name)
        for key in [key for key in self._held if key == name or (isinstance(key, tuple) and name in dict(key))]:
            self._free(key)

    def whole_context(self, mix: Mix, scope: Scope | None = None) -> dict[str, float]:
        """The part of a mix whose adapters want the history, too, under their own weights; `scope` overrides theirs."""
        return {name: weight for name, weight in mix.weights if (scope or self._file(name).scope) == "context"}

    def set(self, weights: Mapping[str, float]) -> None:
        """Makes exactly these adapters active, each with its weight times its file's scale."""
        key = tuple(sorted(weights.items()))
        if self._backbone.token_weights:
            self._backbone.token_weights.stop()
        if self._active == (key, self._backbone.active):
            return
        self._backbone.set_adapters(())
        stack = self._stack(key) if len(key) > 1 and self._stacks_mixes else None
        if stack:
            active: Collection[str | Weights] = (key,)
            self._backbone.set_adapters([(stack, stack.scale)])
        else:
            active = tuple(weights)
            self._backbone.set_adapters([(self._alone(name), self.strength(name, weight)) for name, weight in key])
        self._active = key, self._backbone.active
        self._shrink(active)

    def strength(self, name: str, weight: float) -> float:
        """An adapter's weight in a mix times its file's scale."""
        return weight * self._file(name).scale

    def _alone(self, name: str) -> Adapter:
        """An adapter by itself, held or loaded; raises `PackError` where it does not fit the backbone."""
        adapter = self._held.pop(name, None) or self._backbone.load_adapter(self.lora(name))
        self._fitting.add(name)
        self._held[name] = adapter
        return adapter

    def _stack(self, key: Weights) -> Adapter | None:
        """The stack of a mix, held or built; None where these adapters cannot be one."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        try:
            parts = [(self.lora(name), self.strength(name, weight)) for name, weight in key]
            plan = Stack(parts, rank_step())
        except NotStackableError:
            return None
        if plan.size > self.budget:
            return None
        for name, _ in key:
            if name not in self._fitting:
                self._alone(name)
            if name in self._held:
                self._free(name)
        self._held[key] = self._backbone.load_stack(plan)
        plan.forget_pages()
        return self._held[key]

    def _shrink(self, active: Collection[str | Weights]) -> None:
        """Frees what was not used for longest until the rest fits; what is active always stays."""
        total = sum(self.held.values())
        for key in list(self._held):
            if total <= self.budget:
                return
            if key not in active:
                total -= self._held[key].size
                self._free(key)

    def _free(self, key: str | Weights) -> None:
        self._backbone.free_adapter(self._held.pop(key))

    def activations(
        self, mix: Mix, prompt: tuple[int, ...], branch: int, scope: Scope | None = None
    ) -> list[Activation]:
        """Where in a prompt each adapter of a mix goes on, in order of position.

        That is `branch`, the start of the last user turn; or, for an adapter that names its invocation tokens
        (Activated LoRA, arXiv 2512.17910), their last occurrence. Without any occurrence it stays off. One with
        `scope = "context"` is on from the first token.
        """
        activations = []
        for name, weight in mix.weights:
            tokens = self.lora(name).invocation_tokens
            position = last_occurrence(tokens, prompt) if tokens else branch
            if (scope or self._file(name).scope) == "context":
                position = 0
            if position is not None:
                activations.append(Activation(position, name, weight))
        return sorted(activations)


def last_occurrence(needle: tuple[int, ...], tokens: tuple[int, ...]) -> int | None:
    """The last position at which `needle` stands in `tokens`, or None."""
    for start in range(len(tokens) - len(needle), -1, -1):
        if tokens[start : start + len(needle)] == needle:
            return start
    return None
