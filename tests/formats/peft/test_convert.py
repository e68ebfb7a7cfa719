"""A PEFT adapter converted to GGUF computes in llama.cpp what PEFT computes, in every architecture that is known."""

import warnings

import numpy as np
import pytest

pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("transformers", reason="needs the train extra")
torch = pytest.importorskip("torch", reason="needs the train extra")

from llama_cpp import llama_cpp as lib  # noqa: E402

from dlp_local.core.errors import PackError  # noqa: E402
from dlp_local.engine.local import context_params  # noqa: E402
from dlp_local.formats.gguf import F16, Q8_0  # noqa: E402
from dlp_local.formats.lora import read_lora, values  # noqa: E402
from dlp_local.formats.peft.convert import convert_lora  # noqa: E402
from dlp_local.formats.peft.target import ARCHITECTURES  # noqa: E402
from tests.support.logits import difference, llama_logits, torch_logits  # noqa: E402
from tests.support.lora import read_pairs  # noqa: E402
from tests.support.peft_adapters import add_adapter, modules_of, save_adapter  # noqa: E402
from tests.support.tiny_models import MODELS, random_model, write_backbone  # noqa: E402

TOKENS = [5, 17, 80, 33, 33, 2, 60, 11, 94, 7, 41, 29]
CLOSE = 1e-3
"""Largest difference of two logits, relative to the largest logit."""


@pytest.fixture(autouse=True)
def exact_and_small(monkeypatch):
    """Keys and values in f32, whose rounding to f16 alone makes differences of 0.002; one thread is enough."""
    torch.set_num_threads(1)
    monkeypatch.setitem(context_params.KV_TYPES, "f16", lib.GGML_TYPE_F32)
    warnings.filterwarnings("ignore", category=UserWarning, module="peft")


def test_every_known_architecture_is_compared_here():
    assert {tiny.arch for tiny in MODELS.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("name", MODELS)
def test_a_converted_adapter_computes_what_peft_does(tmp_path, name):
    model = random_model(name)
    backbone = tmp_path / "b.gguf"
    write_backbone(name, model, backbone)
    bare = torch_logits(model, TOKENS)
    assert difference(llama_logits(backbone, TOKENS), bare) <= CLOSE
    folder = save_adapter(model, tmp_path / "peft")
    convert_lora(folder, backbone, tmp_path / "a.gguf")
    wanted = torch_logits(model, TOKENS)
    assert difference(wanted, bare) > 100 * CLOSE
    assert difference(llama_logits(backbone, TOKENS, tmp_path / "a.gguf"), wanted) <= CLOSE


@pytest.mark.parametrize("name", ["llama", "phi3", "gptneox", "falcon"])
def test_the_rows_of_each_weight_are_where_llama_cpp_has_them(tmp_path, name):
    """Alone, and strong, an adapter of Q, K or V cannot hide behind the others."""
    modules = [module for module in modules_of(random_model(name)) if module.split(".")[-1].startswith(("q", "k"))]
    assert modules
    for module in modules[:2]:
        model = random_model(name)
        write_backbone(name, model, tmp_path / "b.gguf")
        bare = torch_logits(model, TOKENS)
        add_adapter(model, [module], lora_alpha=64).save_pretrained(tmp_path / "peft")
        convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf")
        wanted = torch_logits(model, TOKENS)
        assert difference(wanted, bare) > 50 * CLOSE
        assert difference(llama_logits(tmp_path / "b.gguf", TOKENS, tmp_path / "a.gguf"), wanted) <= CLOSE


SCALES = {
    "rsLoRA": {"use_rslora": True},
    "alpha_pattern": {"alpha_pattern": {"q_proj": 24, r"model\.layers\.1\.mlp\..*": 2, "lm_head": 0}},
    "rank_pattern": {"rank_pattern": {"self_attn.o_proj": 7, "embed_tokens": 2}},
    "all of them": {
        "use_rslora": True,
        "rank_pattern": {r"layers\.0\.mlp\..*_proj": 3, "k_proj": 6},
        "alpha_pattern": {"k_proj": 11, "layers.1.mlp.up_proj": 1},
    },
}


@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
def test_scales_that_differ_among_weights_are_kept(tmp_path, scales):
    model = random_model("llama")
    write_backbone("llama", model, tmp_path / "b.gguf")
    convert_lora(save_adapter(model, tmp_path / "peft", **scales), tmp_path / "b.gguf", tmp_path / "a.gguf")
    assert (
        difference(llama_logits(tmp_path / "b.gguf", TOKENS, tmp_path / "a.gguf"), torch_logits(model, TOKENS)) <= CLOSE
    )


def test_rslora_and_one_alpha_leave_the_numbers_of_b_as_they_are(tmp_path):
    model = random_model("qwen2")
    write_backbone("qwen2", model, tmp_path / "b.gguf")
    save_adapter(model, tmp_path / "peft", use_rslora=True)
    convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf")
    b = dict(model.named_parameters())["model.layers.0.self_attn.q_proj.lora_B.default.weight"]
    assert np.array_equal(read_pairs(tmp_path / "a.gguf")["blk.0.attn_q.weight.lora_b"], b.detach().numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_adapter_saved_in_16_bits_is_read_bit_for_bit(tmp_path, dtype):
    model = random_model("qwen2").to(getattr(torch, dtype))
    write_backbone("qwen2", model, tmp_path / "b.gguf")
    adapted = add_adapter(model, modules_of(model), init_lora_weights="gaussian").to(getattr(torch, dtype))
    adapted.save_pretrained(tmp_path / "peft")
    convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf")
    a = dict(model.named_parameters())["model.layers.0.mlp.up_proj.lora_A.default.weight"]
    assert a.dtype == getattr(torch, dtype)
    assert np.array_equal(read_pairs(tmp_path / "a.gguf")["blk.0.ffn_up.weight.lora_a"], a.detach().float().numpy())


def test_half_precision_halves_the_file_and_rounds_only(tmp_path):
    model = random_model("llama")
    write_backbone("llama", model, tmp_path / "b.gguf")
    folder = save_adapter(model, tmp_path / "peft")
    convert_lora(folder, tmp_path / "b.gguf", tmp_path / "whole.gguf")
    convert_lora(folder, tmp_path / "b.gguf", tmp_path / "half.gguf", precision="f16")
    whole, half = read_pairs(tmp_path / "whole.gguf"), read_pairs(tmp_path / "half.gguf")
    assert whole.keys() == half.keys()
    assert all(np.array_equal(whole[name].astype(np.float16), half[name]) for name in whole)
    assert read_lora(tmp_path / "half.gguf").size * 2 == read_lora(tmp_path / "whole.gguf").size
    assert (
        difference(llama_logits(tmp_path / "b.gguf", TOKENS, tmp_path / "half.gguf"), torch_logits(model, TOKENS))
        <= 1e-2
    )


def test_in_8_bits_rows_of_whole_blocks_are_rounded_and_the_others_are_half_precision(tmp_path):
    model = random_model("llama")
    write_backbone("llama", model, tmp_path / "b.gguf")
    folder = save_adapter(model, tmp_path / "peft")
    convert_lora(folder, tmp_path / "b.gguf", tmp_path / "whole.gguf")
    convert_lora(folder, tmp_path / "b.gguf", tmp_path / "small.gguf", precision="q8_0")
    whole, lora = read_pairs(tmp_path / "whole.gguf"), read_lora(tmp_path / "small.gguf")
    assert {pair.b.kind for pair in lora.pairs.values()} == {F16}
    assert {pair.a.kind for pair in lora.pairs.values() if pair.a.shape[0] % 32 == 0} == {Q8_0}
    for name, pair in lora.pairs.items():
        if pair.a.kind == Q8_0:
            blocks = whole[f"{name}.lora_a"].reshape(-1, 32)
            steps = np.abs(blocks).max(axis=1, keepdims=True) / 127
            assert (np.abs(blocks - values(lora.data, pair.a).reshape(-1, 32)) <= 0.57 * steps).all()
    assert (
        difference(llama_logits(tmp_path / "b.gguf", TOKENS, tmp_path / "small.gguf"), torch_logits(model, TOKENS))
        <= 5e-2
    )


@pytest.mark.parametrize("module", ["embed_tokens", "lm_head"])
def test_an_adapter_of_tied_embeddings_is_refused(tmp_path, module):
    model = random_model("gemma")
    write_backbone("gemma", model, tmp_path / "b.gguf")
    add_adapter(model, [module]).save_pretrained(tmp_path / "peft")
    with pytest.raises(PackError, match="embeddings and output are one weight"):
        convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf")
    assert not (tmp_path / "a.gguf").exists()


REFUSED = {
    "DoRA": ({"use_dora": True}, "DoRA"),
    "biases": ({"bias": "lora_only"}, "biases"),
    "biases of B": ({"lora_bias": True}, "biases"),
    "whole modules": ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    "PiSSA": ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa'"),
    "replicated layers": ({"layer_replication": [[0, 2], [1, 2]]}, "replicates layers"),
    "tokens one by one": ({"trainable_token_indices": [3]}, "one by one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_gguf_adapter_cannot_express_is_refused_with_the_reason(tmp_path, case):
    options, reason = REFUSED[case]
    model = random_model("llama")
    write_backbone("llama", model, tmp_path / "b.gguf")
    add_adapter(model, ["q_proj"], **options).save_pretrained(tmp_path / "peft")
    with pytest.raises(PackError, match=rf"peft.*{reason}"):
        convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf")


def test_other_kinds_of_peft_adapters_are_refused(tmp_path):
    import peft

    model = random_model("llama")
    write_backbone("llama", model, tmp_path / "b.gguf")
    peft.get_peft_model(model, peft.LoHaConfig(target_modules=["q_proj"])).save_pretrained(tmp_path / "peft")
    with pytest.raises(PackError, match="describes a LoHa"):
        convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf")


def test_an_adapter_of_another_model_is_refused(tmp_path):
    folder = save_adapter(random_model("llama"), tmp_path / "peft")
    write_backbone("phi3", random_model("phi3"), tmp_path / "b.gguf")
    with pytest.raises(PackError, match=r"gate_proj: a backbone of the architecture phi3 has no such weight"):
        convert_lora(folder, tmp_path / "b.gguf", tmp_path / "a.gguf")


def test_an_activated_lora_keeps_its_invocation_tokens(tmp_path):
    model = random_model("llama")
    write_backbone("llama", model, tmp_path / "b.gguf")
    save_adapter(model, tmp_path / "peft", alora_invocation_tokens=[5, 17, 80], target_modules=["q_proj", "v_proj"])
    convert_lora(tmp_path / "peft", tmp_path / "b.gguf", tmp_path / "a.gguf", metadata={"license": "MIT"})
    assert read_lora(tmp_path / "a.gguf").invocation_tokens == (5, 17, 80)
