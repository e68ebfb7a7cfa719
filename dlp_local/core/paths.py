"""Where the program keeps what is the user's: settings, packs, downloads, history."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from dlp_local.core.errors import InputError

APP = "dlp-local"

MANIFEST = "pack.toml"
"""The file that makes a folder a pack."""

OTHER_DATA = "set DLP_LOCAL_DATA to another folder"
"""What helps where the data folder cannot be written to."""

SHOWN = 60
"""Characters that are shown of what can be no path."""


def user_path(path: str | Path) -> Path:
    """A path as a user writes it, with `~` and variables (`$HOME`, on Windows `%USERPROFILE%`) filled in.

    Every path from a flag, the environment, a file of settings or the window goes through here: no shell has seen it
    where it stands behind `--option=` or in a file. What names nobody's home and no variable stays as it is.
    Raises `InputError` for what can name no file: it is too long, or holds a character that no name may.
    """
    try:
        filled_in = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 (Path.expanduser raises for ~nobody)
        os.lstat(filled_in)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"'{str(path)[:SHOWN]}…': is too long for a file's name. Give another path.") from None
    except ValueError:  # NUL, or half a character
        name = str(path).replace("\0", "\\0")[:SHOWN]
        raise InputError(f"'{name}': holds a character that no file's name may. Give another path.") from None
    return Path(filled_in)


def config_file() -> Path:
    """The user's `config.toml`: `DLP_LOCAL_CONFIG`, or the one in the platform's configuration folder."""
    override = os.environ.get("DLP_LOCAL_CONFIG")
    return user_path(override or Path(platformdirs.user_config_dir(APP, appauthor=False)) / "config.toml")


def data_folder() -> Path:
    """Where the program keeps what it stores: `DLP_LOCAL_DATA`, or the platform's folder for a user's data."""
    override = os.environ.get("DLP_LOCAL_DATA")
    return user_path(override or platformdirs.user_data_dir(APP, appauthor=False))


def packs_folder() -> Path:
    """Where the user's own packs are, each in a folder with its name."""
    return data_folder() / "packs"


def downloads_folder() -> Path:
    """Where backbones and adapters lie that were fetched from the hub."""
    return data_folder() / "downloads"


def history_file() -> Path:
    """The SQLite file of the conversations, drafts, corrections, lessons and personas."""
    return data_folder() / "history.db"


def training_folder(pack: str, names: Iterable[str]) -> Path:
    """Where a training of adapters of a pack is kept: their rows, and how far it came."""
    return data_folder() / "training" / pack / "+".join(sorted(names))


def serving_folder(pack: str) -> Path:
    """Where a server of a pack keeps the files that clients sent, and its trainings."""
    return data_folder() / "server" / pack


def embeddings_file(encoder_sha256: str) -> Path:
    """The SQLite file of one encoder's embeddings of examples, corrections and training rows."""
    return data_folder() / "embeddings" / f"{encoder_sha256[:12]}.sqlite"
