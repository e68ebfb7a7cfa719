"""The adapters of an engine, brought from those of a pack as it was to those of the pack as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dlp_local.core.values import AdapterFile
from dlp_local.engine.base import Engine


def change_adapters(engine: Engine, before: Iterable[AdapterFile], after: Iterable[AdapterFile]) -> None:
    """Adds and removes adapters; raises what the engine does of one that it refuses, and has those `before` then."""
    loaded = {file.name: file for file in before}
    was = dict(loaded)
    try:
        _load(engine, loaded, {file.name: file for file in after})
    except BaseException:
        _load(engine, loaded, was)
        raise


def _load(engine: Engine, loaded: dict[str, AdapterFile], wanted: Mapping[str, AdapterFile]) -> None:
    """Brings the engine from the adapters that are `loaded`, kept true at each step, to those `wanted`."""
    for name, file in wanted.items():
        if loaded.get(name) != file:
            engine.add_adapter(file)
            loaded[name] = file
    for name in loaded.keys() - wanted.keys():
        engine.remove_adapter(name)
        del loaded[name]
