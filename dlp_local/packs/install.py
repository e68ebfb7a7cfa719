"""Installs a pack of a repository in the packs folder, where it is seen only once it is complete and verified."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from dlp_local.core.errors import PackError
from dlp_local.core.files import make_folder, rename, sync_folder
from dlp_local.core.paths import MANIFEST, packs_folder
from dlp_local.formats.file_signature import PICKLES
from dlp_local.hub.choice import Reference, RepoFile
from dlp_local.hub.client import Repository
from dlp_local.hub.download import Downloader
from dlp_local.packs.fetched import Fetched, FetchedFile
from dlp_local.packs.locations import SHIPPED
from dlp_local.packs.manifest import EncoderFile, File, Manifest, read_manifest
from dlp_local.packs.pack import Pack, check_files
from dlp_local.packs.transaction import locked


def install_pack(
    downloader: Downloader, repository: Repository, manifest_file: RepoFile, commit_folder: Path
) -> Fetched:
    """Downloads the pack that a repository's `pack.toml` names and moves it to the packs folder.

    Beside `commit_folder` lie its files meanwhile. Raises `HubError`, and `PackError` where the pack is not complete
    in the repository, is damaged, or has the name of another pack.
    """
    reference = downloader.reference
    root = commit_folder.with_name(f"{commit_folder.name}.pack")
    (path,) = downloader.get([manifest_file], root)
    manifest = read_manifest(path.parent)
    installed = packs_folder() / manifest.name
    if not _is_installed(reference, manifest, installed, path):
        folder = manifest_file.path.removesuffix(path.name)
        downloader.get(pack_files(reference, repository.files, folder, manifest), root)
        check_files(Pack(path.parent, manifest), manifest.files(), backbone=False)
        _move(path.parent, installed, aside=commit_folder.with_name(f"{commit_folder.name}.damaged"))
    shutil.rmtree(root, ignore_errors=True)
    files = tuple(
        FetchedFile(installed / file.file, (installed / file.file).stat().st_size, file.sha256)
        for file in _own_files(manifest)
    )
    return Fetched(reference, "pack", installed, files, repository.commit, repository.license)


def pack_files(reference: Reference, files: Iterable[RepoFile], folder: str, manifest: Manifest) -> list[RepoFile]:
    """The files that a pack's manifest names, its paths relative to `folder` (empty, or ending in a slash).

    Raises `PackError` that lists the ones that the repository does not have, and those with another sha256 than the
    manifest promises: these need not be fetched to know it.
    """
    by_path = {file.path: file for file in files}
    wanted: dict[str, RepoFile] = {}
    problems = []
    for part in _own_files(manifest):
        file = by_path.get(folder + part.file)
        if file is None:
            problems.append(f"{part.file}: is not in the repository")
        elif file.sha256 and file.sha256 != part.sha256:
            problems.append(f"{part.file}: has another sha256 than {MANIFEST} says")
        elif PurePosixPath(part.file).suffix.lower() in PICKLES:
            problems.append(f"{part.file}: is a pickle, which can run any code")
        else:
            wanted[file.path] = file
    if problems:
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise PackError(f"{reference}: is not a whole pack. Tell its author, or take another revision:\n{listing}")
    return list(wanted.values())


def _own_files(manifest: Manifest) -> Iterator[File]:
    """The files of the pack's folder, without an encoder that is the bundled pack's."""
    return (file for file in manifest.files() if not (isinstance(file, EncoderFile) and file.bundled))


def _is_installed(reference: Reference, manifest: Manifest, installed: Path, fetched: Path) -> bool:
    """Whether this very pack is there and undamaged; raises `PackError` where another one has its name."""
    if manifest.name in SHIPPED:
        raise PackError(
            f"{reference}: is called '{manifest.name}', as a pack of the program. Its author must rename it."
        )
    if not installed.exists():
        return False
    own_manifest = installed / fetched.name
    if not own_manifest.is_file() or own_manifest.read_bytes() != fetched.read_bytes():
        raise PackError(
            f"{reference}: there is another pack called '{manifest.name}'. Remove it first: "
            f"dlp-local pack remove {manifest.name}."
        )
    return not Pack(installed, manifest).problems(manifest.files(), backbone=False, recall=False)


def _move(pack: Path, installed: Path, aside: Path) -> None:
    """Moves a complete pack to its place in the packs folder; a damaged one that is there is removed."""
    make_folder(installed.parent)
    with locked(installed.parent):
        if installed.exists():
            rename(installed, aside)
        rename(pack, installed)
        sync_folder(installed.parent)
    shutil.rmtree(aside, ignore_errors=True)
