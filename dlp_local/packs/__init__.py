"""Packs: a folder with a backbone, adapters, an encoder, a router and the `pack.toml` that names them."""

from dlp_local.packs.default import pack_folder
from dlp_local.packs.locations import bundled_pack
from dlp_local.packs.pack import Pack, open_pack

__all__ = ["Pack", "bundled_pack", "open_pack", "pack_folder"]
