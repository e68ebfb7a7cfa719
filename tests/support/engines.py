"""Engines on a pack, and one message to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlp_local.core.events import Generated, TextDelta
from dlp_local.core.settings import Engine as Options
from dlp_local.core.settings import Sampling
from dlp_local.core.values import AdapterFile, Message, Mix, Scope
from dlp_local.engine.base import Engine
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.packs import open_pack

GREEDY = Sampling(temperature=0, max_tokens=160)


def adapter_files(folder: Path, scopes: Mapping[str, Scope] | None = None) -> list[AdapterFile]:
    """The adapters of a pack, some with a scope of their own."""
    return [
        replace(file, scope=(scopes or {}).get(file.name, file.scope)) for file in open_pack(folder).adapter_files()
    ]


def open_engine(
    folder: Path,
    kind: Callable[..., Any] = LocalEngine,
    scopes: Mapping[str, Scope] | None = None,
    **options: Any,
) -> Any:
    """A pack's engine, or another kind of engine on it, with these of its settings."""
    pack = open_pack(folder)
    return kind(pack.backbone_path, adapter_files(folder, scopes), Options(**options))


def ask(
    engine: Engine | LocalEngine,
    text: str,
    mix: Mix | None = None,
    history: Sequence[Message] = (),
    sampling: Sampling = GREEDY,
) -> tuple[str, Generated]:
    """A message's answer, and what the engine says at its end."""
    *events, done = engine.generate([*history, Message("user", text)], mix or Mix(), sampling)
    assert isinstance(done, Generated)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), done


def first_logits(engine: LocalEngine, text: str, mix: Mix, history: Sequence[Message] = ()) -> Any:
    """The logits after the prompt of a turn."""
    events = engine.generate([*history, Message("user", text)], mix, GREEDY)
    seen = []
    logits_in_place = engine._backbone.logits_in_place
    engine._backbone.logits_in_place = lambda row: (seen.append(logits_in_place(row).copy()), logits_in_place(row))[1]
    list(events)
    del engine._backbone.logits_in_place
    return seen[0]
