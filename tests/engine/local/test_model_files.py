"""Models and adapters that cannot be opened are told with the reason."""

import numpy as np
import pytest

from dlp_local.core.errors import PackError
from dlp_local.core.settings import Engine as Options
from dlp_local.engine.local import library
from dlp_local.engine.local.library import lib
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.formats.lora import read_lora
from tests.support.gguf_files import write_gguf
from tests.support.lora import write_lora


@pytest.mark.parametrize(
    ("features", "laid_out"), [("AVX2 = 1 | AMX_INT8 = 1 | REPACK = 1", False), ("AVX2 = 1", True)]
)
def test_weights_are_never_laid_out_for_amx_whose_first_product_ends_the_process(
    bundled, monkeypatch, features, laid_out
):
    given = []
    monkeypatch.setattr(library, "_features", lambda: features)
    monkeypatch.setattr(lib, "llama_model_load_from_file", lambda _, params: given.append(params.use_extra_bufts))
    with pytest.raises(PackError):
        Backbone(bundled / "backbone.gguf", Options())
    assert given == [laid_out]


def test_a_file_that_is_no_gguf_is_refused_by_name(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(PackError, match=r"model\.gguf: is not a GGUF file"):
        Backbone(path, Options())


@pytest.mark.parametrize("size", [4, 100, 5_000, 1_000_000])
def test_a_truncated_model_is_refused_with_llama_cpps_reason(bundled, tmp_path, size):
    path = tmp_path / "model.gguf"
    path.write_bytes((bundled / "backbone.gguf").read_bytes()[:size])
    with pytest.raises(PackError, match=r"model\.gguf: llama\.cpp cannot load it: .*\w+: "):
        Backbone(path, Options())


def test_an_architecture_that_llama_cpp_does_not_know_is_named(tmp_path):
    path = write_gguf(tmp_path / "model.gguf", "quux", {}, [])
    with pytest.raises(PackError, match=r"architecture that this llama\.cpp does not know \('quux'\)"):
        Backbone(path, Options())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, r"has no vocabulary: its header lacks tokenizer\.ggml\.model"),
        ({"tokenizer.ggml.model": "llama"}, "has a part of a vocabulary alone: its header lacks the vocab"),
        ({"tokenizer.ggml.model": "quux"}, r"has a vocabulary of a kind that this llama\.cpp does not know \('quux'\)"),
    ],
)
def test_a_model_without_a_vocabulary_is_told_so_in_plain_words(tmp_path, values, told):
    path = write_gguf(tmp_path / "model.gguf", "rwkv7", values, ["token_embd.weight"])
    with pytest.raises(PackError, match=rf"model\.gguf: {told}") as caught, open_vocabulary(path):
        pass
    assert "key not found" not in str(caught.value)


def test_a_header_that_lacks_what_llama_cpp_needs_is_told_with_what(tmp_path):
    path = write_gguf(tmp_path / "model.gguf", "llama", {}, ["token_embd.weight"])
    with pytest.raises(PackError, match=r"model\.gguf: cannot be used: its header lacks llama\.context_length\. Get"):
        Backbone(path, Options())


def test_an_adapter_for_another_model_is_refused_with_llama_cpps_reason(bundled, tmp_path):
    a, b = np.ones((4, 32)), np.ones((32, 4))
    unfit = {
        "architecture": ({"arch": "qwen2"}, "blk.0.attn_q.weight", "arch mismatch"),
        "shape": ({}, "blk.0.attn_q.weight", "incorrect shape"),
        "layer": ({}, "blk.99.attn_q.weight", "does not exist in base model"),
    }
    with Backbone(bundled / "backbone.gguf", Options()) as backbone:
        for name, (options, weight, reason) in unfit.items():
            path = write_lora(tmp_path / f"{name}.gguf", {f"{weight}.lora_a": a, f"{weight}.lora_b": b}, **options)
            with pytest.raises(PackError, match=rf"{name}\.gguf: does not load on backbone\.gguf: .*{reason}"):
                backbone.load_adapter(read_lora(path))
