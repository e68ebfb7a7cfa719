"""A file that is not what its name promises is called what it is, with what helps."""

import io
import pickle
import struct
import zipfile

import pytest

from dlp_local.core.errors import PackError
from dlp_local.formats.file_signature import kind_of_file
from dlp_local.formats.gguf import read_header
from dlp_local.formats.safetensors_file import open_safetensors
from tests.support.gguf_files import write_gguf
from tests.support.peft_folder import pair, safetensors


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return file.getvalue()


FILES = {
    "nothing": (b"", r"is empty\. Get the file again"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 130\n",
        "is a Git LFS pointer.*git lfs pull",
    ),
    "a page": (b"\r\n<!DOCTYPE html><html><head>", "is a web page.*Download the file itself"),
    "a page that begins otherwise": (b"\xef\xbb\xbf<HTML lang=en>", "is a web page"),
    "torch's zip": (zipped("archive/data.pkl", "archive/data/0"), "is a pickle.*may run any program"),
    "torch's zip of another order": (zipped("model/byteorder", "model/data.pkl"), "is a pickle"),
    "a plain pickle": (pickle.dumps({"a": 1}), "is a pickle"),
    "numpy's archive": (zipped("weight.npy"), r"is an archive of numpy's"),
    "a zip": (zipped("model.gguf"), r"is an archive \(zip\)\. Unpack it"),
    "gzip": (b"\x1f\x8b\x08\0\0\0", r"is an archive \(gzip\)"),
    "tar": (b"a.gguf".ljust(257, b"\0") + b"ustar\0", r"is an archive \(tar\)"),
    "whisper.cpp's": (b"lmgg" + bytes(40), "is GGML.*before GGUF"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_another_kind_is_named_wherever_weights_are_read(tmp_path, kind):
    content, told = FILES[kind]
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(PackError, match=f"weights: {told}"):
        read_header(path)
    with pytest.raises(PackError, match=f"weights: {told}"), open_safetensors(path):
        pass


def test_gguf_and_safetensors_are_told_apart(tmp_path):
    gguf = write_gguf(tmp_path / "a.safetensors", "llama", {}, ["token_embd.weight"])
    with pytest.raises(PackError, match="is a GGUF file"), open_safetensors(gguf):
        pass
    (tmp_path / "b.gguf").write_bytes(safetensors(pair()))
    with pytest.raises(PackError, match=r"is a safetensors file.*convert_hf_to_gguf\.py"):
        read_header(tmp_path / "b.gguf")


@pytest.mark.parametrize("start", [b"some text", b"\0" * 512, b"GGML", b"{}", b"\x80"])
def test_nothing_is_said_of_what_is_not_known(start):
    assert kind_of_file(start) == ""


def header_of_version(layout, version):
    return b"GGUF" + struct.pack(layout, version) + bytes(16)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (header_of_version(">I", 3), "is big-endian GGUF.*little-endian file"),
        (header_of_version(">I", 2), "is big-endian GGUF"),
        (header_of_version("<I", 1), "is GGUF of version 1, .*Get a newer file"),
        (header_of_version("<I", 4), r"is GGUF of version 4, and 2 and 3 can be read\. Look for a newer dlp-local"),
        (header_of_version("<I", 0), "is GGUF of version 0"),
    ],
)
def test_gguf_of_another_order_or_version_is_told(tmp_path, content, told):
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(PackError, match=told):
        read_header(tmp_path / "a.gguf")


def test_gguf_of_version_2_is_read(tmp_path):
    path = write_gguf(tmp_path / "a.gguf", "llama", {"llama.context_length": 8}, ["token_embd.weight"])
    newer = read_header(path)
    path.write_bytes(path.read_bytes().replace(b"GGUF\3", b"GGUF\2", 1))
    assert read_header(path) == newer
