"""Packs of the user's own: made from another pack or around a backbone, and removed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import tomlkit

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import sync_folder
from dlp_local.core.paths import packs_folder
from dlp_local.core.text import did_you_mean
from dlp_local.formats.gguf import STRING, read_header
from dlp_local.packs.hash_cache import HashCache, forget
from dlp_local.packs.locations import BUNDLED, bundled_pack, check_name, user_packs
from dlp_local.packs.manifest import Adapter, File, Pack, manifest_text, open_pack
from dlp_local.packs.resolve import backbone_source
from dlp_local.packs.transaction import link_or_copy, locked, pack_errors, stored_name, table, write_manifest

if TYPE_CHECKING:
    from dlp_local.hub.download import Progress

_MAKING = ".making-"
_REMOVED = ".removed-"


def copy_pack(name: str, source: Path) -> Path:
    """Makes a pack of the user's own out of another one, and returns its folder.

    Its files are the same bytes on the disk where that can do so (hard links). Raises `InputError` for a name that is
    none or taken, and `PackError` for a pack that is not sound.
    """

    def fill(folder: Path) -> tomlkit.TOMLDocument:
        pack = open_pack(source)
        document = tomlkit.parse(manifest_text(source))
        document["name"] = name
        links = {(file.file, file.file) for file in pack.manifest.files() if not isinstance(file, Adapter)}
        for key, adapter in pack.manifest.adapters.items():
            place = stored_name(key, adapter.sha256, "gguf")
            document["adapters"][key]["file"] = place
            links.add((adapter.file, place))
        for old, new in links:
            link_or_copy(source / old, folder / new)
        return document

    return _made(name, fill)


def start_pack(
    name: str, source: str | Path, about: Mapping[str, Any] = MappingProxyType({}), *, progress: Progress | None = None
) -> Path:
    """Makes a pack around a GGUF backbone, with the bundled pack's encoder and no adapter; returns its folder.

    The backbone is a file, `hf:…` or a name of the catalogue; the pack links to its bytes where the disk can do that.

    `about` holds fields of `[backbone]`, and `description` of the pack. Raises `InputError` for a name that is none or
    taken and for a file that cannot be read, `PackError` for one that is no language model, and `HubError`.
    """
    _check_free(name)
    backbone = backbone_source(source, progress)
    header = read_header(backbone.path)
    kind, license = header.values.get("general.type"), header.values.get("general.license")
    if "general.architecture" not in header.values or (kind and kind.value != "model"):
        raise PackError(f"{source}: is no language model. Name the GGUF file of one.")

    def fill(folder: Path) -> tomlkit.TOMLDocument:
        bundled = Pack(bundled_pack(), open_pack(bundled_pack(), only_routing=True).manifest)
        encoder = bundled.manifest.encoder
        for file in (encoder, encoder.tokenizer):
            link_or_copy(bundled.path(file), folder / file.file)
        link_or_copy(backbone.path, folder / "backbone.gguf")
        document = tomlkit.document()
        document["format"] = 1
        document["name"] = name
        fields = dict(about)
        if description := fields.pop("description", None):
            document["description"] = description
        stated = str(license.value) if license and license.kind == STRING else ""
        given = {"license": backbone.license or stated, "attribution": backbone.attribution}
        document["backbone"] = table(_entry(folder, "backbone.gguf") | given | fields)
        document["encoder"] = table(_as_written(encoder))
        document["encoder"]["tokenizer"] = table(_as_written(encoder.tokenizer))
        return document

    return _made(name, fill)


def _entry(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    return {"file": name, "sha256": HashCache(folder, recall=False).sha256(path), "size": path.stat().st_size}


def _as_written(file: File) -> dict[str, Any]:
    return file.model_dump(include=set(File.model_fields), exclude_defaults=True)


def remove_pack(name: str) -> None:
    """Removes a pack of the user's own, for good; raises `InputError` where there is none of that name."""
    folder = packs_folder() / check_name(name, "pack")
    if name == BUNDLED:
        raise InputError("the bundled pack belongs to the program and stays.")
    if not folder.is_dir():
        near = did_you_mean(name, (pack.name for pack in user_packs()))
        raise InputError(f"there is no pack '{name}' of your own.{near} See `dlp-local pack list`.")
    with pack_errors(folder), locked(packs_folder()):
        forget(folder)
        gone = packs_folder() / f"{_REMOVED}{name}"
        os.replace(folder, gone)
        _clean()


def _made(name: str, fill: Callable[[Path], tomlkit.TOMLDocument]) -> Path:
    """Makes a pack's folder aside and gives it its name once everything in it is on the disk."""
    with pack_errors(packs_folder()):
        packs_folder().mkdir(parents=True, exist_ok=True)
        with locked(packs_folder()), _cleaned():
            folder = _check_free(name)
            making = packs_folder() / f"{_MAKING}{name}"
            making.mkdir()
            write_manifest(making, fill(making))
            os.replace(making, folder)
            sync_folder(packs_folder())
    return folder


def _check_free(name: str) -> Path:
    """The folder that a pack of this name will have; raises `InputError` for a name that is none or taken."""
    folder = packs_folder() / check_name(name, "pack")
    if name == BUNDLED:
        raise InputError(f"'{BUNDLED}' is the pack that comes with the program. Choose another name.")
    if folder.exists():
        raise InputError(f"there is a pack '{name}' already. Use another name, or remove that one.")
    return folder


@contextlib.contextmanager
def _cleaned() -> Iterator[None]:
    _clean()
    try:
        yield
    finally:
        _clean()


def _clean() -> None:
    """Removes what an earlier cut left half made or half removed."""
    for folder in packs_folder().iterdir():
        if folder.name.startswith((_MAKING, _REMOVED)):
            shutil.rmtree(folder, ignore_errors=True)
