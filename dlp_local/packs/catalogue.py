"""The backbones that the program knows by name: `models/catalogue.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import dlp_local
from dlp_local.core.errors import InputError
from dlp_local.core.text import did_you_mean
from dlp_local.hub.choice import Reference, parse_reference, refuse_page


@dataclass(frozen=True, slots=True)
class Entry:
    """A backbone: where it is, its file's `size` and the `ram` that it needs, in bytes, and its license."""

    name: str
    reference: Reference
    description: str
    size: int
    ram: int
    license: str


def catalogue_file() -> Path:
    """Where the catalogue is, in an installation or a checkout."""
    package = Path(dlp_local.__file__).parent
    installed = package / "catalogue.toml"
    return installed if installed.is_file() else package.parent / "models" / "catalogue.toml"


def catalogue() -> dict[str, Entry]:
    """The backbones by name, in the order of the file: the smallest first."""
    raw = tomllib.loads(catalogue_file().read_text("utf-8"))
    return {name: Entry(name, parse_reference(fields.pop("reference")), **fields) for name, fields in raw.items()}


def named_reference(text: str) -> Reference:
    """A name of the catalogue, or `hf:…`; raises `InputError` that lists the names for anything else."""
    entries = catalogue()
    if text in entries:
        return entries[text].reference
    refuse_page(text)
    if not text.startswith("hf:"):
        near = did_you_mean(text, entries)
        raise InputError(
            f"'{text}' is not in the catalogue.{near} Write hf:owner/repo, or one of: {', '.join(entries)}."
        )
    return parse_reference(text)
