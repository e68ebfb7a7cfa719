"""API keys: read from a file, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import read_text

SHORTEST = 16
"""Characters of a key."""

HOW_TO_MAKE = 'python -c "import secrets; print(secrets.token_urlsafe(32))" > FILE makes one'


class ApiKeys:
    """The keys that clients may send; none: everybody may ask."""

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, key: str) -> str:
        """Who sent a key, as a name that does not tell it; empty for a wrong one.

        Every key is compared, each in constant time, whichever is the right one.
        """
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return f"key {matches.index(True) + 1}" if any(matches) else ""


def mark_of(key: str) -> str:
    """By what the things that are kept on disk belong to a key, wherever it stands in the file; it does not tell it."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def read_keys(path: Path) -> ApiKeys:
    """The keys of a file, one a line; lines with # are comments. Raises `InputError` where it has no good one."""
    lines = [line.strip() for line in read_text(path).splitlines()]
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise InputError(f"{path}: holds no key. {HOW_TO_MAKE}.")
    if any(len(key) < SHORTEST or not key.isascii() or " " in key for key in keys):
        raise InputError(f"{path}: a key has {SHORTEST} ASCII characters or more, without spaces. {HOW_TO_MAKE}.")
    return ApiKeys(keys)
