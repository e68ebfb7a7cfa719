"""The router of a pack: another one put in its place, and the one before brought back."""

from __future__ import annotations

from pathlib import Path

import tomlkit

from dlp_local.core.errors import InputError, PackError
from dlp_local.packs.manifest import Manifest, RouterFile, read_manifest
from dlp_local.packs.pack import Pack
from dlp_local.packs.transaction import edited_manifest, store_file, toml_table


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
        first = now.router is None or (now.router.first and now.router.forced)
        entry = RouterFile.model_validate(
            store_file(folder, router, "router", "onnx") | {"attribution": about, "forced": forced, "first": first}
        )
        if not now.router or entry.sha256 != now.router.sha256:
            _set(document, now, entry)


def rollback_router(folder: Path) -> bool:
    """Changes a pack's router with the one before; whether it has one now.

    One that was put in place by force does not come back. A pack that had none before its first one goes back to
    prototypes alone. Raises `InputError` where there is nothing to go back to, `PackError` where the one before is
    damaged, and as `edited_manifest`. The pack then stays as it was.
    """
    with edited_manifest(folder) as document:
        now = read_manifest(folder)
        if not now.router_before and not (now.router and now.router.first):
            raise InputError("there is no router before this one. `dlp-local router train` makes another.")
        if now.router_before:
            problems = Pack(folder, now).problems([now.router_before], backbone=False, recall=False)
            if problems:
                raise PackError(f"{problems[0]}: the router stays as it is. `dlp-local router train` makes another.")
        _set(document, now, now.router_before, back=True)
        return now.router_before is not None


def _set(document: tomlkit.TOMLDocument, now: Manifest, router: RouterFile | None, *, back: bool = False) -> None:
    """Puts a router in the place of the one that is there, and that in the place of the one before, unless forced."""
    before = now.router
    if now.router and now.router.forced:
        before = None if back else now.router_before
    for key, file in (("router", router), ("router_before", before)):
        document.pop(key, None)
        if file:
            document[key] = toml_table(file.model_dump(exclude_defaults=True))
