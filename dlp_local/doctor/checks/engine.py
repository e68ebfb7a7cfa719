"""The server at engine.url that computes in place of this machine: what it is, or what is wrong with it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from dlp_local.core.errors import EngineError, InputError, PackError
from dlp_local.core.settings import Settings
from dlp_local.core.text import counted
from dlp_local.doctor.result import CheckResult
from dlp_local.engine.remote.engine import RemoteEngine
from dlp_local.opening import open_engine, settings_for
from dlp_local.packs import open_pack

NAME = "engine"

_MEND = "Mend that, or unset engine.url (DLP_LOCAL_ENGINE__URL): this machine then computes itself."


def check_engine(folder: Path, settings: Settings) -> CheckResult | None:
    """Whether the server at `settings.engine.url` can compute for a pack; None where that cannot be opened."""
    try:
        pack = open_pack(folder)
    except PackError:  # told by the checks of the pack
        return None
    try:
        engine = open_engine(pack, settings_for(pack, settings))
        assert isinstance(engine, RemoteEngine)
        with closing(engine):
            server = engine.description
            adapters = len(pack.manifest.enabled)
            return CheckResult(
                NAME,
                True,
                f"{server.name} at {settings.engine.url}, {counted(adapters, 'adapter')}, {server.context_size} tokens "
                f"of context, {counted(server.concurrent_replies, 'answer')} at a time"
                + "".join(f"; {notice.rstrip('.')}" for notice in server.notices),
            )
    except (EngineError, InputError) as error:
        return CheckResult(NAME, False, str(error), _MEND)
