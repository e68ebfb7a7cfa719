"""Which adapters of a mix are on, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping

from dlp_local.engine.llama import Adapter, Backbone
from dlp_local.errors import InputError
from dlp_local.records import BASE, AdapterFile, Mix


class Mixer:
    """Loads adapters when a mix first names them, and sets mixes on the backbone."""

    def __init__(self, backbone: Backbone, files: Mapping[str, AdapterFile]) -> None:
        self._backbone = backbone
        self._files = files
        self._loaded: dict[str, Adapter] = {}

    def adapter(self, name: str) -> Adapter:
        """The loaded adapter of a name; raises `InputError` for an unknown one."""
        if name not in self._loaded:
            if name not in self._files:
                known = ", ".join([*sorted(self._files), BASE])
                raise InputError(f"mix: there is no adapter '{name}' in this pack; it has {known}.")
            self._loaded[name] = self._backbone.load_adapter(self._files[name].path)
        return self._loaded[name]

    def set(self, weights: Mapping[str, float]) -> None:
        """Makes exactly these adapters active, each with its weight times its file's scale."""
        self._backbone.set_adapters(
            [(self.adapter(name), weight * self._files[name].scale) for name, weight in sorted(weights.items())]
        )

    def switch_on(self, mix: Mix, prompt: tuple[int, ...], branch: int) -> list[tuple[int, str, float]]:
        """Where in a prompt each adapter of a mix goes on: (position, name, weight), in order of position.

        That is `branch`, the start of the last user turn; or, for an adapter that names its invocation tokens
        (Activated LoRA, arXiv 2512.17910), their last occurrence. Without any occurrence it stays off.
        """
        places = []
        for name, weight in mix.weights:
            tokens = self.adapter(name).invocation_tokens
            position = last_occurrence(tokens, prompt) if tokens else branch
            if position is not None:
                places.append((position, name, weight))
        return sorted(places)


def last_occurrence(needle: tuple[int, ...], tokens: tuple[int, ...]) -> int | None:
    """The last position at which `needle` stands in `tokens`, or None."""
    for start in range(len(tokens) - len(needle), -1, -1):
        if tokens[start : start + len(needle)] == needle:
            return start
    return None
