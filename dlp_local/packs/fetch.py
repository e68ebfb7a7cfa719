"""Fetches backbones, adapters and whole packs from the Hugging Face Hub, and keeps them in the downloads folder.

    downloads/OWNER--REPO/COMMIT/…        the files, under the repository's own names
    downloads/OWNER--REPO/COMMIT.pack/…   a pack, until it is complete and moves to the packs folder
    downloads/OWNER--REPO/HASH.json       what a reference last gave, a pack in the packs folder too: used offline
    downloads/parts/DIGEST                what is not complete yet: continued by the next pull

A file gets its name once its bytes have the hash that the hub states.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from dlp_local.core.errors import HubError, PackError
from dlp_local.core.files import make_folder
from dlp_local.core.paths import OTHER_DATA, downloads_folder
from dlp_local.formats.gguf import read_header
from dlp_local.formats.safetensors_file import open_safetensors
from dlp_local.hub import client
from dlp_local.hub.choice import Reference, RepoFile, choose
from dlp_local.hub.download import Downloader, Progress, persist
from dlp_local.packs.backbone_kind import check_backbone, is_adapter
from dlp_local.packs.clone import hash_file
from dlp_local.packs.fetched import (
    Fetched,
    FetchedFile,
    Kind,
    read_record,
    repository_folder,
    write_record,
)
from dlp_local.packs.install import install_pack


class Silent:
    """A `Progress` that shows nothing."""

    def at(self, file: RepoFile, done: int) -> None:
        """Ignores how far a file is."""

    def note(self, text: str) -> None:
        """Ignores a note."""


def fetch(reference: Reference, progress: Progress | None = None) -> Fetched:
    """Fetches what a reference names, or finds it where it was fetched before; a pack is installed in the packs folder.

    With `HF_HUB_OFFLINE` set no request is made. Raises `HubError` where the hub cannot be reached,
    refuses, or sends other bytes than it promised, and `PackError` where what it has cannot be used.
    """
    downloads = downloads_folder()
    try:
        with _only_pull(downloads):
            if client.is_offline():
                return read_record(reference, downloads)
            fetched = _fetch(reference, downloads, progress or Silent())
            write_record(fetched, downloads)
            return fetched
    except OSError as error:
        raise HubError(
            f"{error.filename or downloads}: cannot be written ({error.strerror}). "
            f"Check its rights and its room, or {OTHER_DATA}; pulled again, it goes on from where it is."
        ) from None


@contextlib.contextmanager
def _only_pull(downloads: Path) -> Iterator[None]:
    """One pull at a time: two would write to the same parts."""
    make_folder(downloads)
    try:
        with FileLock(downloads / "lock", timeout=0):
            yield
    except Timeout:
        raise HubError(f"{downloads}: another pull is running. Wait until it has ended.") from None


def _fetch(reference: Reference, downloads: Path, progress: Progress) -> Fetched:
    repository = persist(reference, progress, lambda: client.read_repository(reference))
    choice = choose(reference, repository.files)
    downloader = Downloader(reference, repository.commit, downloads / "parts", progress)
    folder = repository_folder(reference, downloads) / repository.commit
    if choice.kind == "pack":
        return install_pack(downloader, repository, choice.files[0], folder)
    paths = downloader.get(choice.files, folder)
    kind: Kind
    if choice.kind == "peft":
        kind, path = "peft", paths[0].parent
        _check_safetensors(paths[1])
    else:
        kind, path = _gguf_kind(paths[0]), paths[0]
    files = tuple(
        FetchedFile(path, file.size, file.sha256 or hash_file(path).sha256)
        for path, file in zip(paths, choice.files, strict=True)
    )
    return Fetched(reference, kind, path, files, repository.commit, repository.license)


def _gguf_kind(path: Path) -> Kind:
    """Whether a GGUF file is a backbone or an adapter; raises `PackError`, and deletes it, where it is neither."""
    try:
        header = read_header(path)
        if is_adapter(header):
            return "adapter"
        check_backbone(header, path, path.name)
    except PackError:
        path.unlink()
        raise
    return "backbone"


def _check_safetensors(path: Path) -> None:
    """Raises `PackError`, and deletes the file, where it is no sound safetensors file."""
    try:
        with open_safetensors(path):
            pass
    except PackError:
        path.unlink()
        raise
