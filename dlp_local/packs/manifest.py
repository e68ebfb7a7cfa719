"""`pack.toml`: what a pack is made of. All problems of a pack are found and reported together."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

import dlp_local
from dlp_local.errors import PackError
from dlp_local.records import BASE, AdapterFile, Scope

FORMAT = 1
MANIFEST = "pack.toml"


def inside(value: str) -> str:
    """A path as it is where it stays inside the folder it is relative to; raises `ValueError` for any other."""
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts or not value.isprintable() or set(value) & set("\\:"):
        raise ValueError("must be a file inside the pack's folder")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    """One file of a pack."""

    file: Annotated[str, AfterValidator(inside)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    licence: str = ""
    attribution: str = ""


class Encoder(File):
    """The sentence encoder and its tokenizer."""

    tokenizer: File


class Adapter(File):
    """One LoRA."""

    description: str = ""
    scale: float = Field(1.0, gt=0, le=8)
    scope: Scope = "turn"
    examples: tuple[str, ...] = ()


class Manifest(_Part):
    """The whole of `pack.toml`."""

    format: int = Field(ge=FORMAT, le=FORMAT)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    description: str = ""
    greeting: str = ""
    examples: tuple[str, ...] = ()
    backbone: File
    encoder: Encoder
    router: File
    adapters: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")], Adapter] = {}

    def files(self) -> Iterator[File]:
        """Every file that the manifest names."""
        yield from self.routing_files()
        yield self.backbone
        yield from self.adapters.values()

    def routing_files(self) -> Iterator[File]:
        """The files that a route alone needs."""
        yield from (self.encoder, self.encoder.tokenizer, self.router)


class Pack:
    """An opened pack: its manifest and where its files are."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @property
    def name(self) -> str:
        """The pack's own name."""
        return self.manifest.name

    def path(self, file: File) -> Path:
        """Where a file of the pack is."""
        return self.folder / file.file

    def adapter_files(self) -> list[AdapterFile]:
        """The adapters, by name."""
        adapters = sorted(self.manifest.adapters.items())
        return [AdapterFile(name, self.path(adapter), adapter.scale, adapter.scope) for name, adapter in adapters]

    def problems(self, files: Iterable[File]) -> list[str]:
        """What is wrong with some files: missing, unreadable, or not the bytes that `pack.toml` promises."""
        found = []
        for file in files:
            path = self.path(file)
            try:
                with path.open("rb") as data:
                    digest = hashlib.file_digest(data, "sha256").hexdigest()
            except OSError as error:
                found.append(f"{path}: cannot be read ({error.strerror})")
                continue
            if digest != file.sha256:
                found.append(f"{path}: is damaged or was changed (its sha256 is not the one in {MANIFEST})")
        return found


def bundled_pack() -> Path:
    """The folder of the pack that comes with the program, in an installation or a checkout."""
    package = Path(dlp_local.__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "models" / "bundled"


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks a pack's `pack.toml`, and none of its files; raises `PackError` that lists every wrong field."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Name a pack's folder with --pack.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackError(f"{path}: is not valid TOML ({error}). Mend the file.") from None
    except ValidationError as error:
        fields = "\n".join(f"  {'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise PackError(f"{path}: does not describe a pack. Mend these fields:\n{fields}") from None
    if BASE in manifest.adapters:
        raise PackError(f"{path}: no adapter may be called '{BASE}'. Rename it.")
    return manifest


def open_pack(folder: Path, *, only_routing: bool = False) -> Pack:
    """Reads and checks a pack, or only what routing needs; raises `PackError` that lists everything that is wrong."""
    manifest = read_manifest(folder)
    pack = Pack(folder, manifest)
    if problems := pack.problems(manifest.routing_files() if only_routing else manifest.files()):
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise PackError(f"pack '{pack.name}': get these files again, or install dlp-local anew:\n{listing}")
    return pack
