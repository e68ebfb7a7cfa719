"""A pack and the settings → its router, its engine, an assistant."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from dlp_local.assistant import Assistant
from dlp_local.core.errors import HistoryError
from dlp_local.core.option_defaults import OptionDefault, option_defaults
from dlp_local.core.paths import history_file
from dlp_local.core.settings import Settings, load_settings
from dlp_local.core.values import Correction
from dlp_local.engine.local.process.client import EngineProcess, inspect_in_process
from dlp_local.engine.remote.engine import RemoteEngine
from dlp_local.history import History
from dlp_local.pack_router import pack_router
from dlp_local.packs import Pack, bundled_pack, open_pack, pack_folder
from dlp_local.packs.backbone_kind import context_notice
from dlp_local.packs.default import fallback_notice
from dlp_local.routing import MessageRouter

Group = TypeVar("Group", bound=BaseModel)


def open_assistant(settings: Settings | None = None, folder: Path | None = None) -> Assistant:
    """Opens the pack in a folder (none: the one that the settings name); raises `PackError` and `EngineError`."""
    settings = settings or load_settings()
    pack = open_pack(folder or pack_folder(settings.pack))
    defaults, settings = defaults_for(pack, settings), settings_for(pack, settings)
    engine = open_engine(pack, settings)
    try:
        notices = (*opening_notices(pack, settings), *(engine.notices if isinstance(engine, RemoteEngine) else ()))
    except BaseException:
        engine.close()
        raise
    return Assistant(pack, settings, engine, partial(open_router, settings=settings), notices, defaults)


def open_engine(pack: Pack, settings: Settings) -> EngineProcess | RemoteEngine:
    """The engine of a pack: this machine's own, or the server at `engine.url`; `settings` are of `settings_for`."""
    if not settings.engine.url:
        return EngineProcess(pack.backbone_path, pack.adapter_files(), settings.engine)
    from dlp_local.engine.local.model_file import open_vocabulary

    return RemoteEngine(
        pack.name,
        pack.backbone_path,
        pack.adapter_files(),
        settings.engine,
        settings.routing.max_adapters,
        open_vocabulary,
    )


def backbone_notice(backbone: Path, chat_template: str, settings: Settings) -> str:
    """What there is to say of a backbone before a pack is made around it; nothing where it is well.

    `chat_template` takes the place of its own. Raises `PackError` where it could answer nothing: llama.cpp does not
    know its architecture, or its chat template is broken.
    """
    return inspect_in_process(backbone, chat_template, settings.engine)


def settings_for(pack: Pack, settings: Settings) -> Settings:
    """The settings with what the pack's `[backbone]` and `[sampling]` say wherever the user has set nothing."""
    backbone, sampling = pack.manifest.backbone, pack.manifest.sampling
    engine = {"context": backbone.context, "chat_template": pack.chat_template()}
    return settings.model_copy(
        update={
            "engine": _under(settings.engine, engine),
            "sampling": _under(settings.sampling, sampling.model_dump(exclude_unset=True) | {"stop": backbone.stop}),
        }
    )


def defaults_for(pack: Pack, settings: Settings) -> Mapping[str, OptionDefault]:
    """What holds for the options that a conversation leaves alone; `settings` are the user's."""
    both = settings_for(pack, settings)
    from_pack = both.sampling.model_fields_set - settings.sampling.model_fields_set
    return option_defaults(both, from_pack)


def _under(group: Group, values: Mapping[str, Any]) -> Group:
    """A group of settings with values, those that say something, for what the user has not set."""
    said = {key: value for key, value in values.items() if value not in (None, "", ())}
    return group.model_copy(update={key: value for key, value in said.items() if key not in group.model_fields_set})


def opening_notices(pack: Pack, settings: Settings) -> tuple[str, ...]:
    """What a user should know of an opened pack: a context that is cut, and why it is not the preferred one.

    `settings` are those of `settings_for`.
    """
    wanted = settings.engine.context if "context" in settings.engine.model_fields_set else None
    fallback = fallback_notice(settings.pack) if pack.folder == bundled_pack() else ""
    cut = "" if settings.engine.url else context_notice(pack.backbone_path, wanted)
    return tuple(filter(None, (fallback, cut)))


def open_router(pack: Pack, settings: Settings) -> MessageRouter:
    """The encoder and the router of a pack, without its backbone; raises `PackError` for files that do not fit.

    It knows what the user corrected. No message goes to an adapter that is switched off or no longer there: `base` has
    its share.
    """
    manifest = pack.manifest
    return pack_router(
        pack,
        settings.routing.encoder_threads,
        {name: pack.examples(name) for name in manifest.enabled},
        router=pack.router_path,
        detectors=pack.detectors(),
        corrections=[(correction.text, correction.right) for correction in stored_corrections(manifest.name)],
    )


def stored_corrections(pack: str) -> list[Correction]:
    """What the user corrected so far in a pack of this name, the oldest first; nothing where that cannot be read."""
    if not history_file().exists():
        return []
    try:
        with contextlib.closing(History(history_file())) as history:
            return history.corrections(pack)
    except HistoryError:
        return []
