"""Models and adapters that cannot be opened are told with the reason."""

import math
import re
import struct

import numpy as np
import pytest

from dlp_local.core.errors import EngineError, PackError
from dlp_local.core.settings import Engine as Options
from dlp_local.engine.local import library
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.engine.local.inspection import inspect_backbone
from dlp_local.engine.local.library import lib
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.memory import needed_memory
from dlp_local.engine.local.model_file import open_vocabulary
from dlp_local.engine.local.process.client import inspect_in_process
from dlp_local.formats.lora import read_lora
from tests.support.gguf_files import write_gguf
from tests.support.lora import write_lora
from tests.support.scripted_models import write_scripted_model


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
def test_a_truncated_model_is_refused_as_cut_off(bundled, tmp_path, size):
    path = tmp_path / "model.gguf"
    path.write_bytes((bundled / "backbone.gguf").read_bytes()[:size])
    with pytest.raises(PackError, match=r"model\.gguf: is cut off.*\. Get the file again\.$"):
        Backbone(path, Options())


def number(name, value):
    """A number as it stands in a header."""
    kind, form = (6, "<f") if isinstance(value, float) else (4, "<I")
    return f"llama.{name}".encode() + struct.pack("<I", kind) + struct.pack(form, value)


WRONG = {
    "no layer": ("block_count", 1, 0, r"llama\.block_count is 0, and models have 1 to 512 layers"),
    "too many layers": ("block_count", 1, 99_999, r"llama\.block_count is 99999"),
    "layers that are not there": ("block_count", 1, 9, r"lacks weights .* as blk\.1\.attn_norm\.weight"),
    "an epsilon that is no number": ("attention.layer_norm_rms_epsilon", 1e-6, math.nan, r"epsilon is nan"),
    "an epsilon below zero": ("attention.layer_norm_rms_epsilon", 1e-6, -1.0, r"epsilon is -1\.0"),
    "no head": ("attention.head_count", 8, 0, r"blk\.0\.attn_q\.weight has another shape than its header says"),
    "another number of heads": ("attention.head_count", 8, 7, "numbers in its header contradict each other"),
    "other heads of keys": ("attention.head_count_kv", 8, 3, r"blk\.0\.attn_k\.weight has another shape"),
    "other embeddings": ("embedding_length", 512, 256, "numbers in its header contradict each other"),
    "other rotations": ("rope.dimension_count", 64, 63, "numbers in its header contradict each other"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_header_that_does_not_fit_its_weights_is_refused_in_plain_words_and_so_is_a_pack_of_it(tmp_path, wrong):
    name, right, given, told = WRONG[wrong]
    path = write_scripted_model(tmp_path / "model.gguf", ["[assistant]", "Hi"])
    before = path.read_bytes()
    assert before.count(number(name, right)) == 1
    path.write_bytes(before.replace(number(name, right), number(name, given)))
    for opening in (lambda: Backbone(path, Options()), lambda: inspect_backbone(path, "")):
        with pytest.raises(PackError, match=rf"model\.gguf: cannot be used: .*{told}.*\. Get another file") as caught:
            opening()
        assert not re.search(r"ASSERT|llama_model|check_tensor|/tmp/pip", str(caught.value))


def test_the_memory_for_a_number_of_layers_that_cannot_be_is_not_told(tmp_path):
    path = write_scripted_model(tmp_path / "model.gguf", ["[assistant]", "Hi"])
    path.write_bytes(path.read_bytes().replace(number("block_count", 1), number("block_count", 99_999)))
    with pytest.raises(PackError, match=r"llama\.block_count is 99999"):
        LocalEngine(path, (), Options())


def test_a_number_in_another_form_is_named(tmp_path):
    path = write_scripted_model(tmp_path / "model.gguf", ["[assistant]", "Hi"])
    key = b"llama.context_length" + struct.pack("<I", 4)
    path.write_bytes(path.read_bytes().replace(key, b"llama.context_length" + struct.pack("<I", 5)))
    told = r"its header has llama\.context_length in a form that llama\.cpp does not read"
    with pytest.raises(PackError, match=told):
        inspect_backbone(path, "")


def test_a_file_at_which_llama_cpp_stops_is_told_without_the_place_in_its_source(tmp_path):
    path = write_scripted_model(
        tmp_path / "model.gguf", ["[assistant]", "Hi"], more=lambda writer: writer.add_expert_used_count(3)
    )
    told = r"model\.gguf: cannot be loaded\. The model's file makes llama\.cpp stop \("
    with pytest.raises(EngineError, match=told) as caught:
        inspect_in_process(path, "", Options())
    assert "Get another file of this model" in str(caught.value)
    assert ".cpp:" not in str(caught.value)
    assert "ASSERT" not in str(caught.value)


def test_a_context_of_nothing_is_one_that_is_not_known(tmp_path):
    path = write_scripted_model(tmp_path / "model.gguf", ["[assistant]", "Hi"], context=0)
    with Backbone(path, Options(context=256)) as backbone:
        assert backbone.context_size == 256
    assert needed_memory(path, (), Options(context=256)).context == 256


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
