"""Where packs are: those that come with the program, and the user's own ones.

A pack that comes with the program is never changed. A user's own ones are in the data folder, by name; any other
folder with a `pack.toml` is a pack, too.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import dlp_local
from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import is_folder
from dlp_local.core.names import NAME_PATTERN
from dlp_local.core.paths import MANIFEST, packs_folder, user_path
from dlp_local.core.text import did_you_mean

BUNDLED = "bundled"
SHIPPED = ("smollm2", BUNDLED)
"""The packs that come with the program; which one is opened is `default.py`'s."""


def shipped_pack(name: str) -> Path:
    """The folder of a pack that comes with the program, in an installation or a checkout."""
    package = Path(dlp_local.__file__).parent
    installed = package / name
    return installed if (installed / MANIFEST).is_file() else package.parent / "models" / name


def shipped_packs() -> list[Path]:
    """The folders of the packs that come with the program, as far as they are there."""
    folders = map(shipped_pack, SHIPPED)
    return [folder for folder in folders if (folder / MANIFEST).is_file()]


def bundled_pack() -> Path:
    """The folder of the small pack that is whole in every installation."""
    return shipped_pack(BUNDLED)


def is_shipped(folder: Path) -> bool:
    """Whether a folder is that of a pack that comes with the program."""
    return os.path.realpath(folder) in map(os.path.realpath, shipped_packs())


def user_packs() -> list[Path]:
    """The folders of the user's packs, sorted by name."""
    try:
        folders = [folder for folder in packs_folder().iterdir() if folder.is_dir()]
    except OSError:
        return []
    return sorted(folder for folder in folders if re.fullmatch(NAME_PATTERN, folder.name))


def find_pack(name: str) -> Path:
    """The folder of a pack: one of the program's, the name of a user's pack, or else a folder (`./mine` is always one).

    Raises `PackError` where there is none.
    """
    if name in SHIPPED and shipped_pack(name).is_dir():
        return shipped_pack(name)
    if re.fullmatch(NAME_PATTERN, name) and (packs_folder() / name).is_dir():
        return packs_folder() / name
    with suppress(InputError):  # what can be no path is no folder either
        if name and is_folder(folder := user_path(name)):
            return folder
    near = did_you_mean(name, [pack.name for pack in (*shipped_packs(), *user_packs())])
    raise PackError(f"'{name}': there is no pack of that name, and no such folder.{near} See `dlp-local pack list`.")
