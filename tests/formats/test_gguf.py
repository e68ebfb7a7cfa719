"""The GGUF files of the bundle against the `gguf` reader, and the export against torch."""

import math
import string
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.settings import Engine as Options
from dlp_local.engine.local.llama import Backbone
from dlp_local.formats.lora import read_lora
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.packs import open_pack
from tests.support.logits import torch_logits
from tests.support.prompts import PROMPTS

ADAPTERS = sorted(PROMPTS)


def field(reader, key):
    return reader.get_field(key).contents()


def test_the_backbones_header_is_complete(bundled):
    reader = gguf.GGUFReader(bundled / "backbone.gguf")
    assert field(reader, "general.architecture") == "llama"
    assert field(reader, "general.license")
    assert "<|user|>" in field(reader, "tokenizer.ggml.tokens")
    assert "add_generation_prompt" in field(reader, "tokenizer.chat_template")
    parameters = sum(math.prod(tensor.shape) for tensor in reader.tensors)
    assert 6e6 <= parameters <= 10e6
    kinds = {tensor.tensor_type for tensor in reader.tensors if len(tensor.shape) == 2 and min(tensor.shape) > 1}
    assert kinds == {gguf.GGMLQuantizationType.Q8_0}


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapters_header_and_tensors_are_complete(bundled, name):
    reader = gguf.GGUFReader(bundled / f"{name}.gguf")
    backbone = gguf.GGUFReader(bundled / "backbone.gguf")
    assert field(reader, "general.type") == "adapter"
    assert field(reader, "adapter.type") == "lora"
    assert field(reader, "adapter.lora.alpha") > 0
    assert field(reader, "general.license")
    tokens = field(backbone, "tokenizer.ggml.tokens")
    assert [tokens[i] for i in field(reader, "adapter.alora.invocation_tokens")] == ["<|user|>"]
    shapes = {tensor.name: tuple(map(int, tensor.shape)) for tensor in reader.tensors}
    weights = {tensor.name: tuple(map(int, tensor.shape)) for tensor in backbone.tensors}
    layers = field(backbone, "llama.block_count")
    assert len(shapes) == layers * 7 * 2
    for key, shape in shapes.items():
        weight, half = key.rsplit(".", 1)
        inputs, outputs = weights[weight]
        assert shape == {"lora_a": (inputs, 16), "lora_b": (16, outputs)}[half]


def test_engine_and_header_agree_on_the_invocation_tokens(bundled):
    pack = open_pack(bundled)
    with Backbone(pack.backbone_path, Options()) as backbone:
        user = backbone.vocabulary.tokenize("<|user|>", special=True)
        for file in pack.adapter_files():
            assert list(read_lora(file.path).invocation_tokens) == user


@pytest.fixture(scope="module")
def small_llama(tmp_path_factory) -> Path:
    """A random Llama-architecture model with grouped heads and a trained tokenizer, as transformers saves it."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    pytest.importorskip("transformers", reason="needs the train extra")
    from tools import train_backbone
    from tools.frame import CHAT_TEMPLATE

    folder = tmp_path_factory.mktemp("llama")
    plan = train_backbone.Plan(vocab=384, hidden=64, layers=2, heads=4, kv_heads=2, ffn=96, context=128)
    texts = [prompt for prompts in PROMPTS.values() for prompt in prompts] + [CHAT_TEMPLATE]
    tokenizer = train_backbone.train_tokenizer(texts, plan.vocab)
    train_backbone.save_tokenizer(tokenizer, folder, plan.context)
    model = train_backbone.build_model(replace(plan, vocab=tokenizer.get_vocab_size()))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1) if parameter.ndim == 2 else parameter.uniform_(0.5, 1.5)
    model.save_pretrained(folder)
    return folder


def test_the_exported_tokenizer_and_weights_compute_what_torch_does(small_llama, tmp_path):
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from tools import gguf_export

    gguf_export.export_backbone(small_llama, tmp_path / "b.gguf", {"name": "test"}, quantize=False)
    tokenizer = Tokenizer.from_file(str(small_llama / "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(small_llama).eval()
    with Backbone(tmp_path / "b.gguf", Options()) as backbone:
        for prompts in PROMPTS.values():
            for prompt in prompts:
                text = f"<|user|>{prompt}, été 12345  x\n\n<|end|><|assistant|>"
                ids = tokenizer.encode(text).ids
                assert backbone.vocabulary.tokenize(text, special=True) == ids
        backbone.decode(ids, 0, 0)
        expected = torch_logits(model, ids)
        assert np.abs(backbone.logits() - expected).max() <= 1e-3 * np.abs(expected).max()


def test_an_exported_peft_adapter_computes_what_torch_does(small_llama, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the train extra")
    pytest.importorskip("peft", reason="needs the train extra")
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from tools import gguf_export

    tokenizer = Tokenizer.from_file(str(small_llama / "tokenizer.json"))
    user = tokenizer.token_to_id("<|user|>")
    plain = LlamaForCausalLM.from_pretrained(small_llama).eval()
    config = LoraConfig(
        r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM", alora_invocation_tokens=[user]
    )
    model = get_peft_model(LlamaForCausalLM.from_pretrained(small_llama), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.05)
    model.save_pretrained(tmp_path / "peft")
    gguf_export.export_backbone(small_llama, tmp_path / "b.gguf", {"name": "test"}, quantize=False)
    convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf")

    turn = "<|user|>hello<|end|><|assistant|>"
    history = "<|user|>one two<|end|><|assistant|>three<|end|>"
    with Backbone(tmp_path / "b.gguf", Options()) as backbone:
        adapter = backbone.load_adapter(read_lora(tmp_path / "a.gguf"))
        for text in (turn, history + turn):
            ids = tokenizer.encode(text).ids
            start = max(i for i, token in enumerate(ids) if token == user)
            backbone.drop(0)
            backbone.set_adapters(())
            backbone.decode(ids[:start], 0, 0)
            backbone.set_adapters([(adapter, 1.0)])
            backbone.decode(ids[start:], start, 0)
            expected = torch_logits(model, ids)
            assert np.abs(backbone.logits() - expected).max() <= 1e-3 * np.abs(expected).max()
            assert not np.allclose(expected, torch_logits(plain, ids), atol=1e-2)


@pytest.fixture(scope="module")
def small_llama_files(small_llama, tmp_path_factory):
    """The small model's own tokenizer, and its backbone as llama.cpp reads it."""
    from tokenizers import Tokenizer

    from tools import gguf_export

    path = tmp_path_factory.mktemp("gguf") / "b.gguf"
    gguf_export.export_backbone(small_llama, path, {"name": "small"}, quantize=False)
    with Backbone(path, Options()) as backbone:
        yield Tokenizer.from_file(str(small_llama / "tokenizer.json")), backbone


TEXTS = st.text(
    st.sampled_from(string.ascii_letters + string.digits + string.punctuation + "  \n\téüñß“”—日本😀"), max_size=60
)


@settings(deadline=None)
@given(text=TEXTS)
def test_llama_cpp_cuts_a_text_into_the_tokens_that_were_trained(small_llama_files, text):
    tokenizer, backbone = small_llama_files
    assert backbone.vocabulary.tokenize(text, special=True) == tokenizer.encode(text).ids
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@given(word=st.text(st.sampled_from(string.ascii_letters + "éüñ"), min_size=1, max_size=20))
def test_a_word_falls_into_the_same_pieces_wherever_it_stands(small_llama_files, word):
    tokenizer, _ = small_llama_files
    bare, *rest = tokenizer.encode(word).tokens
    for before in ("=", "'", '"', "_", "(", "5"):
        assert tokenizer.encode(before + word).tokens[-len(rest) - 1 :] == [bare, *rest]
    after_a_space = tokenizer.encode(f"a {word}").tokens[1:]
    assert after_a_space in ([f"Ġ{bare}", *rest], ["Ġ", bare, *rest])
