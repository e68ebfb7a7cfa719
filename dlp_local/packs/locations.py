"""Where packs are, and which of them is opened.

The bundled pack comes with the program and is never changed. A user's own ones are in the data folder, by name; any
other folder with a `pack.toml` is a pack, too.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import dlp_local
from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import written_aside
from dlp_local.core.paths import data_folder, packs_folder, user_path
from dlp_local.core.text import did_you_mean

BUNDLED = "bundled"
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""What a pack or an adapter may be called."""


def bundled_pack() -> Path:
    """The folder of the pack that comes with the program, in an installation or a checkout."""
    package = Path(dlp_local.__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "models" / "bundled"


def is_bundled(folder: Path) -> bool:
    """Whether a folder is the bundled pack's."""
    return os.path.realpath(folder) == os.path.realpath(bundled_pack())


def check_name(name: str, what: str) -> str:
    """The name as it is; raises `InputError` for one that no pack and no adapter may have."""
    if not re.fullmatch(NAME, name):
        raise InputError(
            f"{what}: '{name}' is no name. Use lower-case letters, digits, '.', '_' and '-', 64 of them at most, "
            "and begin with a letter or a digit."
        )
    return name


def user_packs() -> list[Path]:
    """The folders of the user's packs, sorted by name."""
    try:
        folders = [folder for folder in packs_folder().iterdir() if folder.is_dir()]
    except OSError:
        return []
    return sorted(folder for folder in folders if re.fullmatch(NAME, folder.name))


def find_pack(name: str) -> Path:
    """The folder of a pack: `bundled`, the name of a user's pack, or else a folder (`./mine` is always one).

    Raises `PackError` where there is none.
    """
    if name == BUNDLED:
        return bundled_pack()
    if re.fullmatch(NAME, name) and (packs_folder() / name).is_dir():
        return packs_folder() / name
    folder = user_path(name)
    if not name or not folder.is_dir():
        near = did_you_mean(name, [BUNDLED, *(pack.name for pack in user_packs())])
        raise PackError(
            f"'{name}': there is no pack of that name, and no such folder.{near} See `dlp-local pack list`."
        )
    return folder


def pack_folder(setting: str | None) -> Path:
    """The pack that the setting names, else that of `set_default_pack`, else the bundled one; raises `PackError`."""
    name = setting or default_pack_name()
    try:
        return find_pack(name)
    except PackError as error:
        if setting:
            raise
        raise PackError(f"{error} `dlp-local pack use bundled` goes back to the bundled one.") from None


def default_pack_name() -> str:
    """What `choose` wrote down last, or `bundled`."""
    try:
        return _choice().read_text("utf-8").removesuffix("\n") or BUNDLED
    except (FileNotFoundError, NotADirectoryError):
        return BUNDLED
    except (OSError, UnicodeDecodeError) as error:
        raise PackError(f"{_choice()}: cannot be read ({error}). Remove the file.") from None


def set_default_pack(name: str) -> Path:
    """Writes down which pack is opened where nothing else says so, and returns its folder."""
    folder = find_pack(name)
    is_name = name == BUNDLED or folder.parent == packs_folder()
    folder = folder if is_name else folder.resolve()
    try:
        _choice().parent.mkdir(parents=True, exist_ok=True)
        with written_aside(_choice()) as part:
            part.write_text(f"{name if is_name else folder}\n", "utf-8")
    except OSError as error:
        raise InputError(f"{_choice()}: cannot be written ({error.strerror}). Use --pack instead.") from None
    return folder


def _choice() -> Path:
    return data_folder() / "pack.txt"
