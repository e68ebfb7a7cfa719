"""Which pack is opened where no flag and no setting names one."""

from __future__ import annotations

from pathlib import Path

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import make_folder, written_aside
from dlp_local.core.paths import OTHER_DATA, data_folder, packs_folder
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.locations import BUNDLED, SHIPPED, bundled_pack, find_pack, shipped_pack, shipped_packs
from dlp_local.packs.manifest import read_manifest

PREFERRED = "smollm2"
"""The pack that is opened by default where its backbone is on this machine; else it is the bundled one."""


def pack_folder(setting: str | None) -> Path:
    """The pack that the setting names, else that of `set_default_pack`, else the program's; raises `PackError`."""
    if setting:
        return find_pack(setting)
    name = chosen_pack()
    if name is None:
        return _shipped_default()
    try:
        return find_pack(name)
    except PackError as error:
        raise PackError(f"{error} `dlp-local pack use bundled` goes back to the bundled one.") from None


def fallback_notice(setting: str | None) -> str:
    """Why the bundled pack is opened in place of the preferred one, and what helps; empty where it is not so."""
    folder = shipped_pack(PREFERRED)
    if setting or chosen_pack() or folder not in shipped_packs() or _shipped_default() == folder:
        return ""
    try:
        reason = how_to_get(read_manifest(folder).backbone)
    except PackError as error:
        reason = str(error)
    return (
        f"This is the small demonstration pack. The pack '{PREFERRED}' does real work: {reason} "
        f"`dlp-local pack use {BUNDLED}` stays with this one."
    )


def chosen_pack() -> str | None:
    """What `set_default_pack` wrote down last; None where nothing was chosen. Raises `PackError`."""
    try:
        return _choice_file().read_text("utf-8").removesuffix("\n") or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PackError(f"{_choice_file()}: cannot be read ({_reason(error)}). Remove it.") from None


def set_default_pack(name: str) -> Path:
    """Writes down which pack is opened where nothing else says so, and returns its folder; raises `PackError`."""
    folder = find_pack(name)
    is_name = (name in SHIPPED and folder == shipped_pack(name)) or folder.parent == packs_folder()
    folder = folder if is_name else folder.resolve()
    try:
        make_folder(_choice_file().parent)
        with written_aside(_choice_file()) as part:
            part.write_text(f"{name if is_name else folder}\n", "utf-8")
    except OSError as error:
        raise InputError(
            f"{_choice_file()}: cannot be written ({error.strerror}). Use --pack instead, or {OTHER_DATA}."
        ) from None
    return folder


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"


def _shipped_default() -> Path:
    folder = shipped_pack(PREFERRED)
    try:
        if folder in shipped_packs() and find_backbone(folder, read_manifest(folder).backbone):
            return folder
    except PackError:  # `fallback_notice` tells
        pass
    return bundled_pack()


def _choice_file() -> Path:
    return data_folder() / "pack.txt"
