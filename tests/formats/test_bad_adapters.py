"""Files that are no adapter, or a broken one, are refused by name and cause before llama.cpp reads them."""

import contextlib
import errno
import os
import struct

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from dlp_local.core.errors import PackError
from dlp_local.core.settings import Engine as Options
from dlp_local.engine.local.llama import Backbone
from dlp_local.formats import gguf as gguf
from dlp_local.formats.lora import read_lora
from tests.support.lora import write_lora

NAME = "blk.0.attn_q.weight"


def pair(rank=4, inputs=32, out=32, name=NAME):
    rng = np.random.default_rng(0)
    return {f"{name}.lora_a": rng.normal(size=(rank, inputs)), f"{name}.lora_b": rng.normal(size=(out, rank))}


def with_nan(half):
    tensors = pair()
    tensors[f"{NAME}.lora_{half}"][1, 1] = np.nan
    return tensors


BAD = {
    "only one half": (pair() | {"blk.1.attn_q.weight.lora_a": np.ones((4, 32))}, {}, "only one of lora_a and lora_b"),
    "ranks that differ": (
        {f"{NAME}.lora_a": np.ones((4, 32)), f"{NAME}.lora_b": np.ones((32, 8))},
        {},
        "do not go together",
    ),
    "a NaN in A": (with_nan("a"), {}, r"lora_a holds NaN"),
    "a NaN in B": (with_nan("b"), {"kind": Kind.F32}, r"lora_b holds NaN"),
    "a tensor of no LoRA": (pair() | {"blk.0.attn_q.weight": np.ones((4, 4))}, {}, "is no part of a LoRA"),
    "a tensor whose name llama.cpp reads otherwise": (
        pair(name=f"{NAME}.lora_a\0_norm.weight"),
        {},
        r"holds the name 'blk.0.attn_q.weight.lora_a\\x00",
    ),
    "a value whose name llama.cpp reads otherwise": (pair(), {"values": {"general.name\0": "x"}}, "holds the name"),
    "a value without a name": (pair(), {"values": {"": "x"}}, "holds the name ''"),
    "no tensors": ({}, {}, "holds no LoRA tensors"),
    "alpha as text": (pair(), {"alpha": None, "values": {"adapter.lora.alpha": "16"}}, "alpha is no number"),
    "alpha NaN": (pair(), {"alpha": float("nan")}, "alpha is no number"),
    "another kind of adapter": (pair(), {"values": {"adapter.type": "control"}}, "is no LoRA"),
    "a type as number": (pair(), {"values": {"general.type": 1.0}}, "is no LoRA"),
    "invocation tokens as text": (
        pair(),
        {"values": {"adapter.alora.invocation_tokens": "<|user|>"}},
        "invocation tokens are no list",
    ),
    "invocation tokens as signed numbers": (
        pair(),
        {"values": {"adapter.alora.invocation_tokens": [1, 2]}},
        "invocation tokens are no list",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_adapter_is_refused_with_its_name_and_what_is_wrong(tmp_path, name):
    tensors, options, reason = BAD[name]
    path = write_lora(tmp_path / "bad.gguf", tensors, **options)
    with pytest.raises(PackError, match=rf"bad\.gguf: .*{reason}"):
        read_lora(path)


def test_an_adapter_of_embeddings_that_are_the_output_too_is_refused_and_the_backbone_goes_on(tmp_path, bundled):
    """llama.cpp would load it, and end the process at the first token."""
    with Backbone(bundled / "backbone.gguf", Options()) as backbone:
        width = gguf.read_header(bundled / "backbone.gguf").tensors[gguf.EMBEDDINGS].shape[0]
        tensors = {
            f"{gguf.EMBEDDINGS}.lora_a": np.ones((backbone.vocabulary.size, 4)),
            f"{gguf.EMBEDDINGS}.lora_b": np.ones((width, 4)),
        }
        lora = read_lora(write_lora(tmp_path / "bad.gguf", tensors))
        with pytest.raises(
            PackError, match=r"bad\.gguf: does not fit .*token_embd\.weight is the backbone's output, too"
        ):
            backbone.load_adapter(lora)
        assert backbone.decode([1, 2, 3], 0, 0)


def test_a_backbone_is_told_to_be_a_model_and_what_is_made_of_it(bundled):
    with pytest.raises(PackError, match=r"backbone\.gguf: is a whole model, no LoRA\. Start a pack with it"):
        read_lora(bundled / "backbone.gguf")


def test_a_sound_adapter_is_read(tmp_path):
    lora = read_lora(write_lora(tmp_path / "good.gguf", pair()))
    assert lora.pairs[NAME].scale == 8
    assert lora.pairs[NAME].a.shape == (32, 4)


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"some text\n" * 100, b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60)]
)
def test_a_file_that_is_no_gguf_is_refused(tmp_path, content):
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(PackError, match=r"bad\.gguf: "):
        read_lora(path)


def test_every_truncation_is_refused(tmp_path):
    whole = write_lora(tmp_path / "good.gguf", pair()).read_bytes()
    path = tmp_path / "bad.gguf"
    for size in [*range(0, len(whole) - 1, 37), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(PackError, match=r"bad\.gguf: "):
            read_lora(path)


def test_a_list_that_claims_to_be_endless_is_refused_at_once(tmp_path):
    key = b"general.tags"
    header = b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, len(key)) + key
    for kind in (4, 8):
        path = tmp_path / "bad.gguf"
        path.write_bytes(header + struct.pack("<IIQ", 9, kind, 2**60))
        with pytest.raises(PackError, match="list of 1152921504606846976 values"):
            read_lora(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing.gguf"):
        with pytest.raises(PackError, match="cannot be read"):
            read_lora(path)


def test_a_sparse_file_of_ten_gigabytes_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "bad.gguf"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 10 << 30)
    with pytest.raises(PackError, match="is not a GGUF file"):
        read_lora(path)


def test_random_damage_to_the_header_never_ends_in_anything_but_a_clear_error(tmp_path):
    whole = bytearray(write_lora(tmp_path / "good.gguf", pair()).read_bytes())
    rng = np.random.default_rng(1)
    path = tmp_path / "bad.gguf"
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(0, 500)] = rng.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(PackError):
            read_lora(path)


def test_a_file_that_can_no_longer_be_read_after_its_header_is_refused_with_the_reason(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError(errno.ENODEV, "No such device")

    path = write_lora(tmp_path / "gone.gguf", pair())
    monkeypatch.setattr("dlp_local.formats.lora.mmap.mmap", fails)
    with pytest.raises(PackError, match=r"gone\.gguf: cannot be read \(No such device\)\. Check"):
        read_lora(path)


def test_a_file_that_has_become_empty_after_its_header_was_read_is_refused(tmp_path, monkeypatch):
    path = write_lora(tmp_path / "emptied.gguf", pair())
    header = gguf.read_header(path)
    path.write_bytes(b"")
    monkeypatch.setattr("dlp_local.formats.gguf.read_header", lambda _: header)
    with pytest.raises(PackError, match=r"emptied\.gguf: became empty"):
        read_lora(path)
