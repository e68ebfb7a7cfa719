"""From what a user names as a backbone or an adapter (a path, a PEFT folder, `hf:…`) to a GGUF file."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import is_file, is_folder, is_there, temporary_folder
from dlp_local.core.paths import user_path
from dlp_local.core.text import did_you_mean
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.formats.peft.file_names import CONFIG
from dlp_local.formats.peft.folder import lora_folder
from dlp_local.formats.peft.other_folders import about_model
from dlp_local.hub.choice import SHARD, is_model, refuse_page
from dlp_local.packs.catalogue import catalogue

if TYPE_CHECKING:
    from dlp_local.hub.download import Progress


SHOWN = 10

Conversion = Callable[[Path, Path, Path], None]
"""Writes the adapter in a folder, for a backbone, as PEFT's LoRA into another folder."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A GGUF file to bring into a pack, and what is known of where it comes from."""

    path: Path
    name: str
    """What it is called in what people are told: the file that was taken, or what they named it by."""

    license: str = ""
    attribution: str = ""
    left_out: str = ""
    """What of an adapter was not taken over, in a sentence; empty where all was."""


@contextlib.contextmanager
def resolve_adapter(
    source: str | Path, backbone: Path, progress: Progress | None = None, conversion: Conversion | None = None
) -> Iterator[SourceFile]:
    """The GGUF file of an adapter; a folder of PEFT's or MLX's is converted, and that file goes at the end.

    `conversion`: what makes a LoRA of a folder that holds an adapter of another kind. Raises what it, `fetch` and
    `convert_lora` raise, and `InputError` for what cannot be read.
    """
    named = _local_or_fetched(source, ("adapter", "peft"), progress)
    if not is_there(named.path / CONFIG) and (file := _only_gguf(named.path)):
        named = replace(named, path=file, name=str(file))
    folder_of_lora = lora_folder(named.path)
    if folder_of_lora is None:
        if conversion:
            raise InputError(f"{named.name}: is no folder of PEFT's. Name one, or leave --as-lora out.")
        yield _readable(named)
        return
    with temporary_folder() as folder:
        out = folder / "adapter.gguf"
        if conversion:
            conversion(folder_of_lora, backbone, folder / "lora")
            folder_of_lora = folder / "lora"
        metadata = {"license": named.license} if named.license else {}
        try:
            left_out = convert_lora(folder_of_lora, backbone, out, metadata=metadata, precision="f16")
        except PackError as error:
            raise PackError(str(error).replace(str(folder / "lora"), str(source))) from None
        yield SourceFile(out, str(source), named.license, named.attribution, left_out)


def resolve_backbone(source: str | Path, progress: Progress | None = None) -> SourceFile:
    """The GGUF file of a backbone, which may be a name of the catalogue, too; raises as `resolve_adapter` does."""
    entries = catalogue()
    known = entries.get(str(source))
    near = did_you_mean(str(source), entries)
    named = _local_or_fetched(str(known.reference) if known else source, ("backbone",), progress)
    if is_folder(named.path):
        file = _only_gguf(named.path) or _refused_folder(named.path)
        named = replace(named, path=file, name=str(file))
    return _readable(named, near)


def is_fetched(source: str | Path) -> bool:
    """Whether a backbone comes from the hub, and is no file of the user's."""
    return str(source).startswith("hf:") or str(source) in catalogue()


def _only_gguf(folder: Path) -> Path | None:
    """The one GGUF file in a folder, or the first part of the one model there; None where there is none.

    Raises `InputError` that names them where there are several, and where it cannot be read.
    """
    if not is_folder(folder):
        return None
    try:
        files = sorted(path for path in folder.iterdir() if is_model(path.name) and is_file(path))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check the folder's rights.") from None
    if len({SHARD.sub("", path.name) for path in files}) > 1:
        more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
        names = ", ".join(path.name for path in files[:SHOWN])
        raise InputError(f"{folder}: holds several GGUF files. Name one of them: {names}{more}.")
    return files[0] if files else None


def _refused_folder(folder: Path) -> NoReturn:
    """Raises `InputError` for a folder that no backbone is in, with what it is."""
    if is_there(folder / CONFIG):
        raise InputError(
            f"{folder}: holds an adapter, and a backbone is wanted here. "
            f"It goes into a pack that is made: dlp-local adapters add {shlex.quote(str(folder))} --name NAME"
        )
    raise InputError(f"{folder}: {about_model(folder) or 'holds no GGUF file. Name the file of a model.'}")


def _local_or_fetched(source: str | Path, kinds: tuple[str, ...], progress: Progress | None) -> SourceFile:
    if not str(source):
        raise InputError("an empty name names no file. Give the path of one, or hf:owner/repo.")
    refuse_page(str(source))
    if not str(source).startswith("hf:"):
        return SourceFile(user_path(source), str(source))
    from dlp_local.hub.choice import parse_reference
    from dlp_local.packs.fetch import fetch

    fetched = fetch(parse_reference(str(source)), progress=progress)
    if fetched.kind not in kinds:
        raise InputError(f"{source}: is of the kind '{fetched.kind}', and {' or '.join(kinds)} is wanted here.")
    return SourceFile(fetched.path, str(source), fetched.license, fetched.source)


def _readable(source: SourceFile, near: str = "") -> SourceFile:
    """The source unchanged; raises `InputError` where it is no file that can be read, with the name it is `near` to."""
    if is_there(source.path) and not is_file(source.path):  # a pipe or a device, which may have no end
        raise InputError(f"{source.path}: is no file. Name a GGUF file.")
    try:
        with source.path.open("rb"):
            return source
    except OSError as error:
        raise InputError(f"{source.path}: cannot be read ({error.strerror}).{near} Check the path.") from None
