"""Checks of a pack: its files, context and memory, its router against its adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil

from dlp_local.core.errors import DlpLocalError
from dlp_local.core.settings import Settings
from dlp_local.core.text import size_text
from dlp_local.core.values import BASE, most_probable
from dlp_local.doctor.result import CheckResult
from dlp_local.engine.local.build_info import Build
from dlp_local.engine.local.memory import needed_memory
from dlp_local.opening import open_router, settings_for
from dlp_local.packs import Pack
from dlp_local.packs.adapters import verify_pack
from dlp_local.packs.backbone_kind import context_notice, trained_context
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.manifest import read_manifest
from dlp_local.routing import MessageRouter

SHOWN = 5
"""So many examples that go elsewhere are quoted."""

_GET = "Get it, or open another pack: dlp-local pack use bundled."
_AGAIN = "Get these files again: pull the pack, or install dlp-local anew."
_GIVE = "Give these adapters examples: dlp-local adapters set NAME --examples FILE."


@dataclass(frozen=True)
class CheckedPack:
    """A pack whose files are sound, for its checks; `build` is that of llama.cpp, where this can be loaded."""

    pack: Pack
    settings: Settings
    build: Build | None

    @cached_property
    def router(self) -> MessageRouter:
        """Its router; raises `PackError` where it cannot be opened."""
        return open_router(self.pack, self.settings)


def check_pack(
    folder: Path, settings: Settings, build: Build | None, *, is_used: bool = False
) -> Iterator[CheckResult]:
    """Checks everything about one pack; what cannot be looked at because something is broken is left out.

    A backbone that is not on this machine is wrong where the pack is the one in use.
    """
    try:
        pack = Pack(folder, read_manifest(folder))
    except DlpLocalError as error:
        yield CheckResult(f"pack {folder.name}", False, str(error), "Mend or remove the pack.")
        return
    backbone = pack.manifest.backbone
    if find_backbone(folder, backbone) is None and not backbone.packed:
        yield CheckResult(f"{pack.name}: backbone", not is_used, how_to_get(backbone), _GET if is_used else "")
        return
    files = _files(pack)
    yield files
    if not files.is_well:
        return
    checked = CheckedPack(pack, settings, build)
    try:
        for check in CHECKS:
            if not (settings.engine.url and check in COMPUTING):
                yield check(checked)
    except DlpLocalError as error:
        yield CheckResult(f"{pack.name}: router", False, str(error), _AGAIN)


def _files(pack: Pack) -> CheckResult:
    """Every file, read anew: hashes, and adapters against the backbone."""
    name, files = f"{pack.name}: files", list(pack.manifest.files())
    if problems := verify_pack(pack):
        return CheckResult(name, False, "; ".join(problems), _AGAIN)
    total = sum(map(pack.size, files))
    elsewhere = "" if pack.manifest.backbone.packed else f"; the backbone is {pack.backbone_path}"
    return CheckResult(
        name, True, f"{len(files)} files, {size_text(total)}, as pack.toml says; in {pack.folder}{elsewhere}"
    )


def _context(checked: CheckedPack) -> CheckResult:
    """The context that the pack or the settings ask for, beside what the backbone was trained for."""
    engine = settings_for(checked.pack, checked.settings).engine
    name, backbone = f"{checked.pack.name}: context", checked.pack.backbone_path
    if "context" in engine.model_fields_set and (notice := context_notice(backbone, engine.context)):
        return CheckResult(name, False, notice, "Change it in pack.toml, config.toml or DLP_LOCAL_ENGINE__CONTEXT.")
    trained = trained_context(backbone)
    used = min(engine.context, trained or engine.context)
    return CheckResult(name, True, f"{used} tokens; trained for {trained}" if trained else f"{used} tokens")


def _memory(checked: CheckedPack) -> CheckResult:
    pack, build = checked.pack, checked.build
    name, engine = f"{pack.name}: memory", settings_for(pack, checked.settings).engine
    adapters = [file.path for file in pack.adapter_files()]
    needed = needed_memory(pack.backbone_path, adapters, engine).total
    if build and build.has_gpu and engine.gpu_layers:
        return CheckResult(name, True, f"takes about {size_text(needed)}, most of it on the graphics card")
    free = psutil.virtual_memory().available
    is_well = needed <= free
    advice = "" if is_well else "Close other programs, set engine.context to less, or use a smaller backbone."
    return CheckResult(name, is_well, f"takes about {size_text(needed)}, and {size_text(free)} are free", advice)


def _encoder(checked: CheckedPack) -> CheckResult:
    """Which encoder it is. That its length fits the router was checked when both were opened."""
    router, encoder = checked.router, checked.pack.manifest.encoder
    described = f"{encoder.file}, {router.dims} numbers, sha256 {encoder.sha256[:12]}…"
    trained = f"; the router was trained on {router.trained_on}" if router.trained_on else ""
    return CheckResult(f"{checked.pack.name}: encoder", True, described + trained)


def _router(checked: CheckedPack) -> CheckResult:
    """A router that knows adapters which are gone."""
    labels = set(checked.router.labels) - {BASE}
    gone = sorted(labels - checked.pack.manifest.adapters.keys())
    detail = "; ".join(f"it knows {label}, which the pack does not have" for label in gone)
    advice = "Train it again: dlp-local router train. Until then their messages go to base." if gone else ""
    names = ", ".join(sorted(labels)) or "nothing but base"
    return CheckResult(f"{checked.pack.name}: router", not gone, detail or f"knows {names}", advice)


def _examples(checked: CheckedPack) -> CheckResult:
    """Adapters without examples, and examples that go elsewhere."""
    pack, router = checked.pack, checked.router
    examples = {adapter: pack.examples(adapter) for adapter in pack.manifest.enabled}
    without = [adapter for adapter, texts in examples.items() if not texts]
    unreachable = [adapter for adapter in without if adapter not in router.labels]
    count, astray = 0, []
    for adapter, texts in examples.items():
        for text in texts:
            count += 1
            probabilities = router.route(text, checked.settings.routing).probabilities
            best = most_probable(probabilities)
            if best != adapter:
                astray.append(f"'{text[:60]}' of {adapter} goes to {best} ({probabilities[best]:.2f})")
    details = [f"{count - len(astray)} of {count} go to their adapter", *astray[:SHOWN]]
    if len(astray) > SHOWN:
        details.append(f"and {len(astray) - SHOWN} more")
    if without:
        details.append(f"without examples: {', '.join(without)}")
    if unreachable:
        details.append(f"so no message goes to {', '.join(unreachable)}, for the router was not trained on it either")
    advice = [_GIVE] if without else []
    if astray:
        advice.append(
            "Say where such messages belong, in the chat or with dlp-local router train --examples FILE.jsonl."
        )
    return CheckResult(f"{pack.name}: examples", not advice, "; ".join(details), " ".join(advice))


CHECKS: tuple[Callable[[CheckedPack], CheckResult], ...] = (_context, _memory, _encoder, _router, _examples)
"""In the order in which they are shown."""

COMPUTING = (_context, _memory)
"""Those of computing on this machine, which a server at engine.url makes needless."""
