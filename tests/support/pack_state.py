"""What a pack's folder holds, to compare it before and after."""

import hashlib

from dlp_local.packs import transaction
from dlp_local.packs.manifest import read_manifest


def pack_state(folder):
    """File → sha256, but for the lock."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != transaction.LOCK
    }


def adapter_of(folder, name):
    """What the manifest of a pack says of an adapter."""
    return read_manifest(folder).adapters[name]
