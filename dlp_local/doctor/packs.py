"""What a pack is: its files, the memory it takes, its router against its adapters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

from dlp_local.core.errors import DlpLocalError
from dlp_local.core.settings import Settings
from dlp_local.core.text import size_text
from dlp_local.core.values import BASE
from dlp_local.doctor.check import Check
from dlp_local.engine.local.build_info import Build
from dlp_local.engine.local.memory import needed_memory
from dlp_local.opening import open_router, settings_for
from dlp_local.packs import Pack
from dlp_local.packs.adapters import verify_pack
from dlp_local.packs.manifest import read_manifest
from dlp_local.routing import MessageRouter

SHOWN = 5
"""So many examples that go elsewhere are quoted."""

_AGAIN = "Get these files again: pull the pack, or install dlp-local anew."
_GIVE = "Give these adapters examples: dlp-local adapters set NAME --examples FILE."


def check_pack(folder: Path, settings: Settings, build: Build | None) -> Iterator[Check]:
    """Everything about one pack; what cannot be looked at for what is broken is left out."""
    try:
        pack = Pack(folder, read_manifest(folder))
    except DlpLocalError as error:
        yield Check(f"pack {folder.name}", False, str(error), "Mend or remove the pack.")
        return
    files = _files(pack)
    yield files
    if not files.is_well:
        return
    try:
        yield _memory(pack, settings, build)
        router = open_router(pack, settings)
        yield _encoder(pack, router)
        yield from _router(pack, router, settings)
    except DlpLocalError as error:
        yield Check(f"{pack.name}: router", False, str(error), _AGAIN)


def _files(pack: Pack) -> Check:
    """Every file, read anew: hashes, and adapters against the backbone."""
    name, files = f"{pack.name}: files", list(pack.manifest.files())
    if problems := verify_pack(pack):
        return Check(name, False, "; ".join(problems), _AGAIN)
    total = sum(map(pack.size, files))
    return Check(name, True, f"{len(files)} files, {size_text(total)}, as pack.toml says; in {pack.folder}")


def _memory(pack: Pack, settings: Settings, build: Build | None) -> Check:
    name, engine = f"{pack.name}: memory", settings_for(pack, settings).engine
    adapters = [file.path for file in pack.adapter_files()]
    needed = needed_memory(pack.path(pack.manifest.backbone), adapters, engine).total
    if build and build.has_gpu and engine.gpu_layers:
        return Check(name, True, f"takes about {size_text(needed)}, most of it on the graphics card")
    free = psutil.virtual_memory().available
    is_well = needed <= free
    advice = "" if is_well else "Close other programs, set engine.context to less, or use a smaller backbone."
    return Check(name, is_well, f"takes about {size_text(needed)}, and {size_text(free)} are free", advice)


def _encoder(pack: Pack, router: MessageRouter) -> Check:
    """Which encoder it is. That its length fits the router was checked when both were opened."""
    encoder = pack.manifest.encoder
    found = f"{encoder.file}, {router.dims} numbers, sha256 {encoder.sha256[:12]}…"
    trained = f"; the router was trained on {router.trained_on}" if router.trained_on else ""
    return Check(f"{pack.name}: encoder", True, found + trained)


def _router(pack: Pack, router: MessageRouter, settings: Settings) -> Iterator[Check]:
    """Drift: a router of adapters that are gone, adapters without examples, and examples that go elsewhere."""
    known = set(router.labels) - {BASE}
    gone = sorted(known - pack.manifest.adapters.keys())
    detail = "; ".join(f"it knows {label}, which the pack does not have" for label in gone)
    advice = "Train it again: dlp-local router train. Until then their messages go to base." if gone else ""
    yield Check(
        f"{pack.name}: router", not gone, detail or f"knows {', '.join(sorted(known)) or 'nothing but base'}", advice
    )
    yield _examples(pack, router, settings)


def _examples(pack: Pack, router: MessageRouter, settings: Settings) -> Check:
    examples = {adapter: pack.examples(adapter) for adapter in pack.manifest.enabled}
    without = [adapter for adapter, texts in examples.items() if not texts]
    unreachable = [adapter for adapter in without if adapter not in router.labels]
    count, astray = 0, []
    for adapter, texts in examples.items():
        for text in texts:
            count += 1
            probabilities = router.route(text, settings.routing).probabilities
            best = max(probabilities, key=probabilities.__getitem__)
            if best != adapter:
                astray.append(f"'{text[:60]}' of {adapter} goes to {best} ({probabilities[best]:.2f})")
    found = [f"{count - len(astray)} of {count} go to their adapter", *astray[:SHOWN]]
    if len(astray) > SHOWN:
        found.append(f"and {len(astray) - SHOWN} more")
    if without:
        found.append(f"without examples: {', '.join(without)}")
    if unreachable:
        found.append(f"so no message goes to {', '.join(unreachable)}, for the router was not trained on it either")
    advice = [_GIVE] if without else []
    if astray:
        advice.append(
            "Say where such messages belong, in the chat or with dlp-local router train --examples FILE.jsonl."
        )
    return Check(f"{pack.name}: examples", not advice, "; ".join(found), " ".join(advice))
