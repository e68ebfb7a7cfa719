"""The router of a pack: another one put in its place, and the one before brought back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit

from dlp_local.core.errors import InputError, PackError
from dlp_local.packs.manifest import File, Manifest, read_manifest
from dlp_local.packs.pack import Pack
from dlp_local.packs.transaction import FILES, edited_manifest, store_file, toml_table


def place_router(folder: Path, router: Path, compared_with: Manifest, about: str, *, forced: bool = False) -> None:
    """Puts a router in the place of a pack's, which is kept as the one before; the same one changes nothing.

    One that was put in place by force (`forced`) is never kept: the router before it stays the one to go back to.
    `compared_with` is the manifest that the new router was found good beside. Raises `InputError` where the pack has
    another router or encoder by now, and as `edited_manifest`; the pack then stays as it was.
    """
    with edited_manifest(folder) as document:
        now = read_manifest(folder)
        if (now.router, now.encoder) != (compared_with.router, compared_with.encoder):
            raise InputError(f"{folder}: has another router since this one was begun. Train it again.")
        entry = store_file(folder, router, "router", "onnx") | {"attribution": about}
        if forced:
            entry["forced"] = True
        if not now.router or entry["sha256"] != now.router.sha256:
            _set(document, now, entry)


def rollback_router(folder: Path) -> bool:
    """Changes a pack's router with the one before; whether it has one now.

    One that was put in place by force does not come back. A pack that had none before its first training goes back to
    prototypes alone. Raises `InputError` where there is
    nothing to go back to, `PackError` where the one before is damaged, and as `edited_manifest`.
    The pack then stays as it was.
    """
    with edited_manifest(folder) as document:
        now = read_manifest(folder)
        was_trained_here = now.router and now.router.file.startswith(f"{FILES}/router-")
        if not now.router_before and not was_trained_here:
            raise InputError("there is no router before this one. `dlp-local router train` makes another.")
        if now.router_before:
            problems = Pack(folder, now).problems([now.router_before], backbone=False, recall=False)
            if problems:
                raise PackError(f"{problems[0]}: the router stays as it is. `dlp-local router train` makes another.")
        _set(document, now, now.router_before.model_dump() if now.router_before else None, back=True)
        return now.router_before is not None


def _set(document: tomlkit.TOMLDocument, now: Manifest, entry: dict[str, Any] | None, *, back: bool = False) -> None:
    """Puts `entry` in the place of the router, and that one in the place of the one before, unless it was forced."""
    before: File | None = now.router
    if now.router and now.router.forced:
        before = None if back else now.router_before
    kept = before.model_dump(exclude={"forced"}) if before else None
    for key, values in (("router", entry), ("router_before", kept)):
        document.pop(key, None)
        if values:
            document[key] = toml_table(values)
