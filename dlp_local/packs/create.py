"""Packs of the user's own: made from another pack or around a backbone, and removed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import tomlkit

from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, rename, sync_folder
from dlp_local.core.names import check_name
from dlp_local.core.paths import packs_folder
from dlp_local.core.text import did_you_mean
from dlp_local.formats.gguf import STRING, read_header
from dlp_local.hub.choice import RepoFile
from dlp_local.packs.backbone_kind import check_backbone
from dlp_local.packs.clone import Content, hash_file, share_file
from dlp_local.packs.hash_cache import forget_hashes
from dlp_local.packs.locations import SHIPPED, bundled_pack, user_packs
from dlp_local.packs.manifest import Adapter, File, manifest_text
from dlp_local.packs.pack import Pack, open_pack
from dlp_local.packs.resolve import SourceFile, is_fetched, resolve_backbone
from dlp_local.packs.transaction import disk_errors_told, locked, stored_name, toml_table, write_manifest

if TYPE_CHECKING:
    from dlp_local.hub.download import Progress

_MAKING = ".making-"
_REMOVED = ".removed-"


def copy_pack(name: str, source: Path, *, progress: Progress | None = None) -> Path:
    """Makes a pack of the user's own out of another one, and returns its folder.

    Raises `InputError` for a name that is none or taken, and `PackError` for a pack that is not sound.
    """

    def fill(folder: Path) -> tomlkit.TOMLDocument:
        pack = open_pack(source)
        document = tomlkit.parse(manifest_text(source))
        document["name"] = name
        copies = {file.file: pack.path(file) for file in pack.manifest.files() if not isinstance(file, Adapter)}
        for entry in (document["encoder"], document["encoder"]["tokenizer"]):
            entry.pop("bundled", None)  # the copy has one of its own, whatever encoder a later version brings
        tables = {"adapters": pack.manifest.adapters, "adapters_before": pack.manifest.adapters_before}
        for table, adapters in tables.items():
            for key, adapter in adapters.items():
                name_inside = stored_name(key, adapter.sha256, "gguf")
                document[table][key]["file"] = name_inside
                copies[name_inside] = pack.path(adapter)
        for inside, path in copies.items():
            _share(path, folder / inside, progress)
        return document

    return _make(name, fill)


def start_pack(
    name: str,
    source: str | Path,
    about: Mapping[str, Any] = MappingProxyType({}),
    *,
    in_place: bool = False,
    progress: Progress | None = None,
    inspect: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Makes a pack around a GGUF backbone, with the bundled pack's encoder and no adapter; returns its folder.

    The backbone is a file, a folder with one GGUF file, `hf:…` or a name of the catalogue. It is brought into the pack,
    which nothing that happens to the file reaches then; with `in_place` a file stays where it is, and the pack names
    its path and hash.

    `inspect` looks at the backbone's file before anything is made, and raises where it is of no use.

    `about` holds fields of `[backbone]`, and `description` of the pack. Raises `InputError` for a name that is none or
    taken and for a file that cannot be read, `PackError` for one that is no language model, and `HubError`.
    """
    _check_free(name)
    if in_place and is_fetched(source):
        raise InputError(f"{source}: is fetched, and --in-place uses a file of yours. Leave --in-place out.")
    backbone = resolve_backbone(source, progress)
    header = read_header(backbone.path)
    check_backbone(header, backbone.path, backbone.name)
    inspect(backbone.path)
    license = header.values.get("general.license")
    stated = str(license.value) if license and license.kind == STRING else ""

    def fill(folder: Path) -> tomlkit.TOMLDocument:
        bundled = Pack(bundled_pack(), open_pack(bundled_pack(), only_routing=True).manifest)
        encoder = bundled.manifest.encoder
        for file in (encoder, encoder.tokenizer):
            share_file(bundled.path(file), folder / file.file)
        document = tomlkit.document()
        document["format"] = 1
        document["name"] = name
        fields = dict(about)
        if description := fields.pop("description", None):
            document["description"] = description
        entry = _entry_in_place(backbone) if in_place else _stored_entry(backbone, folder, progress)
        known = {"license": backbone.license or stated, "attribution": backbone.attribution}
        document["backbone"] = toml_table(entry | known | fields)
        document["encoder"] = toml_table(_as_written(encoder))
        document["encoder"]["tokenizer"] = toml_table(_as_written(encoder.tokenizer))
        return document

    return _make(name, fill)


def _stored_entry(backbone: SourceFile, folder: Path, progress: Progress | None) -> dict[str, Any]:
    content = _share(backbone.path, folder / "backbone.gguf", progress)
    return {"file": "backbone.gguf", "sha256": content.sha256, "size": content.size}


def _entry_in_place(backbone: SourceFile) -> dict[str, Any]:
    path = backbone.path.resolve()
    content = hash_file(path)
    return {"path": str(path), "sha256": content.sha256, "size": content.size}


def _share(source: Path, target: Path, progress: Progress | None) -> Content:
    """Brings a file into a pack, and tells how far that is."""
    file = RepoFile(source.name, source.stat().st_size)
    return share_file(source, target, partial(progress.at, file) if progress else None)


def _as_written(file: File) -> dict[str, Any]:
    return file.model_dump(include=set(File.model_fields), exclude_defaults=True)


def remove_pack(name: str) -> None:
    """Removes a pack of the user's own, for good; raises `InputError` where there is none of that name."""
    folder = packs_folder() / check_name(name, "pack")
    if name in SHIPPED and not folder.is_dir():
        raise InputError(f"the {name} pack belongs to the program and stays.")
    if not folder.is_dir():
        near = did_you_mean(name, (pack.name for pack in user_packs()))
        raise InputError(f"there is no pack '{name}' of your own.{near} See `dlp-local pack list`.")
    with disk_errors_told(folder), locked(packs_folder()):
        forget_hashes(folder)
        gone = packs_folder() / f"{_REMOVED}{name}"
        rename(folder, gone)
        _clean()


def _make(name: str, fill: Callable[[Path], tomlkit.TOMLDocument]) -> Path:
    """Makes a pack's folder aside and gives it its name once everything in it is on the disk."""
    with disk_errors_told(packs_folder()):
        make_folder(packs_folder())
        with locked(packs_folder()), _cleaned():
            folder = _check_free(name)
            making = packs_folder() / f"{_MAKING}{name}"
            making.mkdir()
            write_manifest(making, fill(making))
            rename(making, folder)
            sync_folder(packs_folder())
    return folder


def _check_free(name: str) -> Path:
    """The folder that a pack of this name will have; raises `InputError` for a name that is none or taken."""
    folder = packs_folder() / check_name(name, "pack")
    if name in SHIPPED:
        raise InputError(f"'{name}' is a pack that comes with the program. Choose another name.")
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
