"""What a file is that is not what its name promises, told by its first bytes: a page, a pointer, an archive."""

from __future__ import annotations

import struct

READ = 512
"""Bytes of a file's beginning that are enough to tell."""

PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
"""What the names of files end with that may run any program when they are read."""

ANOTHER = "Get the file again, or name another one"

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
_TAR = slice(257, 262)

_PICKLE = (
    "a pickle (PyTorch's .bin, .pt, .pth), which may run any program when it is read. "
    "Get the file as safetensors or GGUF, or save it so with the program that made it"
)
_ARCHIVE = "an archive ({}). Unpack it, and name what is in it"
_UNIQUE = {
    b"\x1f\x8b": _ARCHIVE.format("gzip"),
    b"BZh": _ARCHIVE.format("bzip2"),
    b"\xfd7zXZ\0": _ARCHIVE.format("xz"),
    b"\x28\xb5\x2f\xfd": _ARCHIVE.format("zstd"),
    b"7z\xbc\xaf\x27\x1c": _ARCHIVE.format("7z"),
    b"Rar!": _ARCHIVE.format("rar"),
    b"\x93NUMPY": "an array of numpy's. Name a GGUF file, or the folder of an adapter",
    b"\x89HDF\r\n": "an HDF5 file, as Keras saves models. Name a GGUF file, or the folder of an adapter",
    **dict.fromkeys(
        (b"lmgg", b"fmgg", b"tjgg"),
        "GGML, as llama.cpp and whisper.cpp wrote it before GGUF. Get the model as GGUF",
    ),
}
"""What files begin with → what they are, and what helps."""


def kind_of_file(start: bytes) -> str:
    """What a file of another kind is, and what helps, by its first `READ` bytes; empty where these do not tell."""
    if not start:
        return f"empty. {ANOTHER}"
    if start.startswith(_LFS_POINTER):
        return (
            "a Git LFS pointer, which stands for the file in a repository that was cloned without it. "
            "Run `git lfs pull` in that repository, or fetch the file with `dlp-local pull`"
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return (
            "a web page that was saved under this name. Download the file itself: "
            "on Hugging Face by its download button, or with `dlp-local pull`"
        )
    for beginning, kind in _UNIQUE.items():
        if start.startswith(beginning):
            return kind
    if start.startswith(b"PK\x03\x04"):
        return _of_zip(start)
    if start[0] == 0x80 and len(start) > 1 and 2 <= start[1] <= 5:
        return _PICKLE
    if start[_TAR] == b"ustar":
        return _ARCHIVE.format("tar")
    if start.startswith(b"GGUF"):
        return "a GGUF file. Give it a name that ends in .gguf"
    if begins_as_safetensors(start):
        return (
            "a safetensors file. Name the folder of an adapter, or make a model GGUF with "
            "llama.cpp's convert_hf_to_gguf.py"
        )
    return ""


def _of_zip(start: bytes) -> str:
    """PyTorch and numpy save zip files, too; the first entry's name tells."""
    (length,) = struct.unpack("<H", start[26:28].ljust(2, b"\0"))
    name = start[30 : 30 + length]
    if name.endswith((b"/data.pkl", b"/version", b"/byteorder", b"/.format_version")) or b"/data/" in name:
        return _PICKLE
    if name.endswith(b".npy"):
        return "an archive of numpy's (.npz). Save the weights as safetensors"
    return _ARCHIVE.format("zip")


def begins_as_safetensors(start: bytes) -> bool:
    """Whether a file begins with eight bytes of length and then a JSON object."""
    return len(start) > 9 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32
