"""Fetches backbones, adapters and whole packs from the Hugging Face Hub, and keeps them in the downloads folder.

    downloads/OWNER--REPO/COMMIT/…        the files, under the repository's own names
    downloads/OWNER--REPO/COMMIT.pack/…   a pack, until it is whole and moves to the packs folder
    downloads/OWNER--REPO/HASH.json       what a reference last gave, a pack in the packs folder too: used offline
    downloads/parts/DIGEST                what is not whole yet: gone on with by the next pull

Everything is compared with the hash that the hub states before it gets its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from dlp_local.core.errors import HubError, PackError
from dlp_local.core.files import sync_folder, written_aside
from dlp_local.core.paths import data_folder, downloads_folder, packs_folder
from dlp_local.formats.gguf import read_leading_values
from dlp_local.formats.safetensors_file import open_safetensors
from dlp_local.hub import client
from dlp_local.hub.choice import PEFT_WEIGHTS, Reference, RepoFile, choose, pack_files, parse_reference
from dlp_local.hub.download import Progress, check_room, download, is_promised, persist
from dlp_local.packs.locations import BUNDLED
from dlp_local.packs.manifest import Manifest, Pack, open_pack, read_manifest
from dlp_local.packs.transaction import locked

__all__ = ["Fetched", "FetchedFile", "Progress", "Reference", "fetch", "parse_reference"]

Kind = Literal["backbone", "adapter", "peft", "pack"]


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A fetched file, its size in bytes and the sha256 of its content."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a reference gave.

    `path` is the file of a backbone or a GGUF adapter, or the folder of a PEFT adapter or a pack. `revision` is the
    full hash of the commit; `license` is what the repository's model card states, or empty.
    """

    reference: Reference
    kind: Kind
    path: Path
    files: tuple[FetchedFile, ...]
    revision: str
    license: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def source(self) -> str:
        """The reference with the revision that it gave: pulled again, it gives the same bytes."""
        return str(Reference(self.reference.repo, self.revision, self.reference.file))


class Silent:
    """A progress that nobody looks at."""

    def at(self, file: RepoFile, done: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


def fetch(reference: Reference, *, offline: bool = False, progress: Progress | None = None) -> Fetched:
    """Fetches what a reference means, or finds it where it was fetched before; a pack is in the packs folder then.

    With `offline`, or `HF_HUB_OFFLINE` set, no request is made. Raises `HubError` where the hub cannot be reached,
    refuses, or sends other bytes than it promised, and `PackError` where what it has cannot be used.
    """
    downloads = downloads_folder()
    try:
        with _alone(downloads):
            if offline or client.is_offline():
                return _remembered(reference, downloads)
            fetched = _fetch(reference, downloads, progress or Silent())
            _remember(fetched, downloads)
            return fetched
    except OSError as error:
        raise HubError(
            f"{error.filename or downloads}: cannot be written ({error.strerror}). Make room, or set DLP_LOCAL_DATA to "
            "another folder; pulled again, it goes on from where it is."
        ) from None


@contextlib.contextmanager
def _alone(downloads: Path) -> Iterator[None]:
    """One pull at a time: two would write to the same parts."""
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(downloads / "lock", timeout=0):
            yield
    except Timeout:
        raise HubError(f"{downloads}: another pull is running. Wait until it has ended.") from None


def _fetch(reference: Reference, downloads: Path, progress: Progress) -> Fetched:
    repository = persist(reference, progress, lambda: client.read_repository(reference))
    choice = choose(reference, repository.files)
    getter = _Getter(reference, repository.commit, downloads, progress)
    if choice.kind == "pack":
        return _fetch_pack(getter, repository, choice.files[0])
    paths = getter.get(choice.files, getter.folder)
    kind: Kind
    if choice.kind == "peft":
        kind, path = "peft", paths[0].parent
        _check_safetensors(path / PEFT_WEIGHTS)
    else:
        kind, path = _gguf_kind(paths[0]), paths[0]
    files = tuple(
        FetchedFile(path, file.size, file.sha256 or _sha256(path))
        for path, file in zip(paths, choice.files, strict=True)
    )
    return Fetched(reference, kind, path, files, repository.commit, repository.license)


class _Getter:
    """Fetches files of one repository at one commit."""

    def __init__(self, reference: Reference, commit: str, downloads: Path, progress: Progress) -> None:
        self.reference, self.commit, self._progress = reference, commit, progress
        self.folder = _repo_folder(reference, downloads) / commit
        self._parts = downloads / "parts"
        self._parts.mkdir(exist_ok=True)

    def get(self, files: Sequence[RepoFile], folder: Path) -> list[Path]:
        """Where the files are, in their order; fetches the ones that are not there."""
        missing = [file for file in files if not is_promised(folder / file.path, file)]
        check_room(missing, self._parts)
        for file in missing:
            download(self.reference, self.commit, file, folder / file.path, self._parts, self._progress)
        return [folder / file.path for file in files]


def _fetch_pack(getter: _Getter, repository: client.Repository, manifest_file: RepoFile) -> Fetched:
    """A whole pack: nothing is in the packs folder before all of it is there and verified."""
    reference = getter.reference
    root = getter.folder.with_name(f"{getter.commit}.pack")
    (path,) = getter.get([manifest_file], root)
    manifest = read_manifest(path.parent)
    installed = packs_folder() / manifest.name
    if not _is_installed(reference, manifest, installed, path):
        folder = manifest_file.path.removesuffix(path.name)
        getter.get(pack_files(reference, repository.files, folder, manifest), root)
        open_pack(path.parent)
        _move(path.parent, installed, aside=getter.folder.with_name(f"{getter.commit}.damaged"))
    shutil.rmtree(root, ignore_errors=True)
    files = tuple(
        FetchedFile(installed / f.file, (installed / f.file).stat().st_size, f.sha256) for f in manifest.files()
    )
    return Fetched(reference, "pack", installed, files, repository.commit, repository.license)


def _is_installed(reference: Reference, manifest: Manifest, installed: Path, fetched: Path) -> bool:
    """Whether this very pack is there and undamaged; raises `PackError` where another one has its name."""
    if manifest.name == BUNDLED:
        raise PackError(f"{reference}: is called '{BUNDLED}', as the program's own pack. Its author must rename it.")
    if not installed.exists():
        return False
    there = installed / fetched.name
    if not there.is_file() or there.read_bytes() != fetched.read_bytes():
        raise PackError(
            f"{reference}: there is another pack called '{manifest.name}'. Remove it first: "
            f"dlp-local pack remove {manifest.name}."
        )
    return not Pack(installed, manifest).problems(manifest.files(), recall=False)


def _move(pack: Path, installed: Path, aside: Path) -> None:
    """Gives a whole pack its place; a damaged one that is there goes."""
    installed.parent.mkdir(parents=True, exist_ok=True)
    with locked(installed.parent):
        if installed.exists():
            os.replace(installed, aside)
        os.replace(pack, installed)
        sync_folder(installed.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _gguf_kind(path: Path) -> Kind:
    """Whether a GGUF file is a backbone or an adapter; raises `PackError`, and deletes it, where it is neither."""
    try:
        given = read_leading_values(path).get("general.type")
        kind = given.value if given else "model"
        if kind not in ("model", "adapter"):
            raise PackError(f"{path.name}: is GGUF of the kind '{kind}', not a language model. Name another file.")
    except PackError:
        path.unlink()
        raise
    return "adapter" if kind == "adapter" else "backbone"


def _check_safetensors(path: Path) -> None:
    """Raises `PackError`, and deletes the file, where it is no sound safetensors file."""
    try:
        with open_safetensors(path):
            pass
    except PackError:
        path.unlink()
        raise


def _repo_folder(reference: Reference, downloads: Path) -> Path:
    return downloads / reference.repo.replace("/", "--")


def _record(reference: Reference, downloads: Path) -> Path:
    name = hashlib.sha256(str(reference).encode()).hexdigest()[:16]
    return _repo_folder(reference, downloads) / f"{name}.json"


def _remember(fetched: Fetched, downloads: Path) -> None:
    """Writes down what a reference gave; paths relative to the data folder, which may be moved."""

    def plain(value: object) -> str:
        assert isinstance(value, Path)
        return value.relative_to(data_folder()).as_posix()

    with written_aside(_record(fetched.reference, downloads)) as part:
        part.write_text(json.dumps(asdict(fetched), default=plain, indent=1), "utf-8")


def _remembered(reference: Reference, downloads: Path) -> Fetched:
    """What a reference last gave, where every byte of it is still there; raises `HubError` where it is not."""
    try:
        raw: dict[str, Any] = json.loads(_record(reference, downloads).read_text("utf-8"))
        data = data_folder()
        files = tuple(FetchedFile(data / file["path"], file["size"], file["sha256"]) for file in raw["files"])
        fetched = Fetched(reference, raw["kind"], data / raw["path"], files, raw["revision"], raw["license"])
        is_whole = all(_sha256(file.path) == file.sha256 for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise HubError(f"{reference}: is not on this machine, and HF_HUB_OFFLINE is set. Unset it to fetch it.")
    return fetched
