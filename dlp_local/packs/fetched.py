"""What a reference to the hub gave, and the record of it that is used offline."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dlp_local.core.errors import HubError
from dlp_local.core.files import written_aside
from dlp_local.core.paths import data_folder
from dlp_local.hub.choice import Reference
from dlp_local.packs.clone import hash_file

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


def write_record(fetched: Fetched, downloads: Path) -> None:
    """Writes down what a reference gave; paths relative to the data folder, which may be moved."""

    def relative(value: object) -> str:
        assert isinstance(value, Path)
        return value.relative_to(data_folder()).as_posix()

    with written_aside(_record(fetched.reference, downloads)) as part:
        part.write_text(json.dumps(asdict(fetched), default=relative, indent=1), "utf-8")


def read_record(reference: Reference, downloads: Path) -> Fetched:
    """What a reference last gave, where every byte of it is still there; raises `HubError` where it is not."""
    try:
        raw: dict[str, Any] = json.loads(_record(reference, downloads).read_text("utf-8"))
        data = data_folder()
        files = tuple(FetchedFile(data / file["path"], file["size"], file["sha256"]) for file in raw["files"])
        fetched = Fetched(reference, raw["kind"], data / raw["path"], files, raw["revision"], raw["license"])
        is_whole = all(hash_file(file.path).sha256 == file.sha256 for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise HubError(f"{reference}: is not on this machine, and HF_HUB_OFFLINE is set. Unset it to fetch it.")
    return fetched


def recorded_path(reference: Reference, downloads: Path) -> Path | None:
    """Where what a reference last gave lies; None where nothing is there. Its bytes are not compared."""
    try:
        path = data_folder() / json.loads(_record(reference, downloads).read_text("utf-8"))["path"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if path.exists() else None


def repository_folder(reference: Reference, downloads: Path) -> Path:
    """Where the files of a repository are kept, one folder for each commit."""
    return downloads / reference.repo.replace("/", "--")


def _record(reference: Reference, downloads: Path) -> Path:
    name = hashlib.sha256(str(reference).encode()).hexdigest()[:16]
    return repository_folder(reference, downloads) / f"{name}.json"
