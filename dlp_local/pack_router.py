"""A pack's files and what its adapters are known by → the router of its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from dlp_local.core.paths import embeddings_file
from dlp_local.packs import Pack
from dlp_local.routing import MessageRouter


def pack_router(
    pack: Pack,
    threads: int,
    adapters: Mapping[str, Sequence[str]],
    *,
    router: Path | None,
    detectors: Mapping[str, Path] = MappingProxyType({}),
    corrections: Sequence[tuple[str, str]] = (),
    cache: Path | None = None,
) -> MessageRouter:
    """The pack's encoder with a router, which routes to `adapters` (name → examples) and `base`.

    What else is given is that of `MessageRouter`; `cache`: another place than usual for embeddings of examples. Raises
    `PackError` for files that do not fit.
    """
    encoder = pack.manifest.encoder
    return MessageRouter(
        pack.path(encoder),
        pack.path(encoder.tokenizer),
        router,
        threads,
        adapters,
        detectors=detectors,
        corrections=corrections,
        cache=cache or embeddings_file(encoder.sha256),
    )
