"""What a user names as the source of a backbone or an adapter, as a GGUF file: a path, a PEFT folder, or `hf:…`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlp_local.core.errors import InputError
from dlp_local.core.files import temporary_folder
from dlp_local.core.paths import user_path
from dlp_local.core.text import did_you_mean
from dlp_local.formats.peft.convert import convert_peft
from dlp_local.packs.catalogue import catalogue

if TYPE_CHECKING:
    from dlp_local.hub.download import Progress


@dataclass(frozen=True, slots=True)
class Source:
    """A GGUF file, and what is known of where it comes from."""

    path: Path
    license: str = ""
    attribution: str = ""


@contextlib.contextmanager
def adapter_source(source: str | Path, backbone: Path, progress: Progress | None = None) -> Iterator[Source]:
    """The GGUF file of an adapter; a PEFT folder is converted for the backbone, and that file goes at the end.

    Raises what `fetch` and `convert_peft` raise, and `InputError` for what cannot be read.
    """
    found = _found(source, ("adapter", "peft"), progress)
    if not found.path.is_dir():
        yield _readable(found)
        return
    with temporary_folder() as folder:
        out = folder / "adapter.gguf"
        about = {"license": found.license} if found.license else {}
        convert_peft(found.path, backbone, out, about=about, half=True)
        yield Source(out, found.license, found.attribution)


def backbone_source(source: str | Path, progress: Progress | None = None) -> Source:
    """The GGUF file of a backbone, which may be a name of the catalogue, too; raises as `adapter_source` does."""
    entries = catalogue()
    known = entries.get(str(source))
    near = did_you_mean(str(source), entries)
    return _readable(_found(str(known.reference) if known else source, ("backbone",), progress), near)


def _found(source: str | Path, kinds: tuple[str, ...], progress: Progress | None) -> Source:
    if not str(source).startswith("hf:"):
        return Source(user_path(source))
    from dlp_local.hub.choice import parse_reference
    from dlp_local.packs.fetch import fetch

    fetched = fetch(parse_reference(str(source)), progress=progress)
    if fetched.kind not in kinds:
        raise InputError(f"{source}: is of the kind '{fetched.kind}', and {' or '.join(kinds)} is wanted here.")
    return Source(fetched.path, fetched.license, fetched.source)


def _readable(source: Source, near: str = "") -> Source:
    """The source as it is; raises `InputError` where it is no file that can be read, with the name it is `near` to."""
    if source.path.exists() and not source.path.is_file():  # a pipe or a device, which may have no end
        raise InputError(f"{source.path}: is no file. Name a GGUF file.")
    try:
        with source.path.open("rb"):
            return source
    except OSError as error:
        raise InputError(f"{source.path}: cannot be read ({error.strerror}).{near} Check the path.") from None
