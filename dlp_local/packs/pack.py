"""A pack that is opened: its manifest, and its files, found and compared with their hashes.

All problems of a pack are found and reported together.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.paths import MANIFEST
from dlp_local.core.text import switched_off
from dlp_local.core.values import AdapterFile
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.example_rows import read_rows
from dlp_local.packs.hash_cache import HashCache
from dlp_local.packs.locations import bundled_pack
from dlp_local.packs.manifest import Content, EncoderFile, File, Manifest, read_manifest, regular_inside

MAX_TEXT = 1 << 20
"""Bytes of a chat template."""


class Pack:
    """A manifest and the folder that it describes."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @property
    def name(self) -> str:
        """The pack's own name."""
        return self.manifest.name

    def path(self, file: File) -> Path:
        """Where a file of the pack is."""
        return self._folder(file) / file.file

    def _folder(self, file: File) -> Path:
        return bundled_pack() if isinstance(file, EncoderFile) and file.bundled else self.folder

    def size(self, file: File) -> int:
        """Bytes of a file of the pack; 0 where it is not there."""
        try:
            return self.path(file).stat().st_size
        except OSError:
            return 0

    def adapter_files(self) -> list[AdapterFile]:
        """The adapters that are not switched off, by name."""
        adapters = self.manifest.enabled.items()
        return [AdapterFile(name, self.path(adapter), adapter.scale, adapter.scope) for name, adapter in adapters]

    def check_enabled(self, names: Iterable[str]) -> None:
        """Raises `InputError` for an adapter that is switched off."""
        for name in names:
            if (adapter := self.manifest.adapters.get(name)) and not adapter.enabled:
                raise InputError(switched_off(name))

    def examples(self, name: str) -> tuple[str, ...]:
        """The messages that an adapter of this name is for; raises `PackError` where their file cannot be used."""
        adapter = self.manifest.adapters[name]
        if adapter.examples_file is None:
            return adapter.examples
        try:
            return adapter.examples + read_rows(self.path(adapter.examples_file))
        except InputError as error:
            raise PackError(str(error)) from None

    def detectors(self) -> dict[str, Path]:
        """The detectors of the adapters that are not switched off, by name."""
        return {name: self.path(one.detector) for name, one in self.manifest.enabled.items() if one.detector}

    def chat_template(self) -> str:
        """The template in place of the backbone's own, or nothing; raises `PackError` for one that is no text."""
        backbone = self.manifest.backbone
        if backbone.chat_template_file is None:
            return backbone.chat_template
        path = self.path(backbone.chat_template_file)
        try:
            with path.open("rb") as file:
                return file.read(MAX_TEXT).decode("utf-8")
        except OSError as error:
            raise PackError(f"{path}: cannot be read ({error.strerror}). Check the pack.") from None
        except UnicodeDecodeError:
            raise PackError(f"{path}: is not UTF-8. Mend the chat template.") from None

    @property
    def router_path(self) -> Path | None:
        """Where the router's file is; None where the pack has none."""
        return self.path(self.manifest.router) if self.manifest.router else None

    @property
    def backbone_path(self) -> Path:
        """Where the backbone's file is; raises `PackError` with the ways to get it where it is not on this machine."""
        path = find_backbone(self.folder, self.manifest.backbone)
        if path is None:
            raise PackError(f"pack '{self.name}': {how_to_get(self.manifest.backbone)}")
        return path

    @property
    def backbone_size(self) -> int:
        """Bytes of the backbone's file; 0 where it is not on this machine."""
        path = find_backbone(self.folder, self.manifest.backbone)
        return path.stat().st_size if path else 0

    def problems(self, files: Iterable[File], *, backbone: bool = True, recall: bool = True) -> list[str]:
        """What is wrong with some files: missing, unreadable, or not the bytes that `pack.toml` promises.

        With `backbone`, one that is not in the pack's folder is looked at, too. Files that were found sound before and
        look unchanged are not read again, unless `recall` is off.
        """
        hashes = HashCache(self.folder, recall=recall)
        problems = [self._problem(file, hashes) for file in files]
        if backbone and not self.manifest.backbone.packed:
            problems.append(self._backbone_problem(hashes))
        hashes.save()
        return [problem for problem in problems if problem]

    def _problem(self, file: File, hashes: HashCache) -> str:
        path = self.path(file)
        try:
            return _difference(path, regular_inside(self._folder(file), file.file), file, hashes)
        except OSError as error:
            return f"{path}: cannot be read ({error.strerror})"
        except ValueError as error:
            return f"{path}: {error}"

    def _backbone_problem(self, hashes: HashCache) -> str:
        backbone = self.manifest.backbone
        path = find_backbone(self.folder, backbone)
        if path is None:
            return how_to_get(backbone)
        try:
            problem = "is no file" if not path.is_file() else _difference(path, path.resolve(), backbone, hashes)
        except OSError as error:
            return f"{path}: cannot be read ({error.strerror})"
        if problem and backbone.path:
            return f"{problem}. It is the backbone, used in place: put it back as it was, or create the pack again"
        return problem


def _difference(path: Path, real: Path, content: Content, hashes: HashCache) -> str:
    """In what the file `path`, which is `real` without links, differs from what it must hold; raises `OSError`."""
    if content.size is not None and (size := real.stat().st_size) != content.size:
        return f"{path}: is damaged or was changed (it has {size} bytes, and {MANIFEST} says {content.size})"
    if hashes.sha256(real) != content.sha256:
        return f"{path}: is damaged or was changed (its sha256 is not the one in {MANIFEST})"
    return ""


def open_pack(folder: Path, *, only_routing: bool = False) -> Pack:
    """Reads and checks a pack, or only what routing needs; raises `PackError` that lists everything that is wrong.

    The files of adapters that are switched off are not looked at.
    """
    manifest = read_manifest(folder)
    pack = Pack(folder, manifest)
    files = manifest.routing_files() if only_routing else manifest.files(only_enabled=True)
    check_files(pack, files, backbone=not only_routing)
    return pack


def check_files(pack: Pack, files: Iterable[File], *, backbone: bool) -> None:
    """Raises `PackError` that lists what is wrong with some files, and with a backbone outside of the pack's folder."""
    if problems := pack.problems(files, backbone=backbone):
        if problems == [how_to_get(pack.manifest.backbone)]:
            raise PackError(f"pack '{pack.name}': {problems[0]}")
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise PackError(f"pack '{pack.name}': get these files again, or install dlp-local anew:\n{listing}")
