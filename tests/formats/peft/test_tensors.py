"""The tensors of an adapter's folder: found under every name that trainers write, or refused by name and reason."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.formats.lora import left_out, read_lora
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.formats.peft.tensor_names import LoraTensor, module_of, parse_name
from tests.support.lora import read_pairs, write_lora
from tests.support.peft_folder import (
    FFN,
    PREFIX,
    VOCAB,
    WIDTH,
    pair,
    refused,
    safetensors,
    write_folder,
)

A, B = f"{PREFIX}.self_attn.q_proj.lora_A.weight", f"{PREFIX}.self_attn.q_proj.lora_B.weight"


def other(*names):
    """Tensors of another kind of adapter, of the module that `pair` is of."""
    return {f"{PREFIX}.self_attn.q_proj.{name}": np.ones((4, 4), np.float32) for name in names}


TENSORS = {
    "only A": ({A: pair()[A]}, "self_attn.q_proj: only one of A and B is there"),
    "shapes of another backbone": (pair(out=WIDTH // 2), r"are not of rank 4 for blk\.0\.attn_q\.weight"),
    "another layer": ({name.replace("layers.0", "layers.7"): a for name, a in pair().items()}, "no such weight"),
    "a weight it lacks": (pair("mlp.gate_proj", out=FFN), "this backbone has no blk.0.ffn_gate.weight"),
    "an expert": (pair("block_sparse_moe.experts.3.w1"), "expert of a mixture"),
    "a router of experts": (pair("block_sparse_moe.gate"), r"adapters of blk\.0\.ffn_gate_inp\.weight are not known"),
    "a norm": (pair("input_layernorm"), r"adapters of blk\.0\.attn_norm\.weight are not known"),
    "a DoRA's magnitudes": (
        pair() | {f"{PREFIX}.self_attn.q_proj.lora_magnitude_vector": np.ones(4, np.float32)},
        "is a DoRA, whose magnitudes .*Merge it",
    ),
    "a bias": (pair() | {B.replace("weight", "bias"): np.ones(4, np.float32)}, "it is a bias"),
    "added tokens": (
        pair() | {"base_model.model.model.embed_tokens.weight": np.ones((VOCAB + 1, WIDTH), np.float32)},
        "embed_tokens.weight: it is a whole weight",
    ),
    "embeddings of another size": (
        pair() | {"base_model.model.model.embed_tokens.base_layer.weight": np.ones((VOCAB + 1, WIDTH), np.float32)},
        "embed_tokens.base_layer.weight: it is a whole weight",
    ),
    "a classifier": (pair() | {"base_model.model.score.weight": np.ones((2, 4), np.float32)}, "neither A nor B"),
    "two modules for one weight": (
        pair() | {name.replace("model.layers", "model.language_model.layers", 1): a for name, a in pair().items()},
        r"another module is blk\.0\.attn_q\.weight, too",
    ),
    "a linear adapter of the embeddings": (
        {
            "base_model.model.model.embed_tokens.lora_A.weight": np.ones((4, VOCAB), np.float32),
            "base_model.model.model.embed_tokens.lora_B.weight": np.ones((WIDTH, 4), np.float32),
        },
        "it is not saved as the adapter of token_embd.weight is",
    ),
    "three dimensions": (pair() | {A: np.ones((1, 4, WIDTH), np.float32)}, "are not of rank 4"),
    "whole numbers": (pair() | {A: np.ones((4, WIDTH), np.int64)}, "has the type 'I64'"),
    "infinity": (pair() | {A: np.full((4, WIDTH), np.inf, np.float32)}, "lora_A.weight holds NaN or infinity"),
    "nothing": ({}, "holds no LoRA"),
    "two adapters": (
        pair() | {name.replace(".weight", ".second.weight"): array for name, array in pair("self_attn.v_proj").items()},
        "holds several adapters: one without a name, second",
    ),
    "one tensor twice": (pair() | {name.removesuffix(".weight"): a for name, a in pair().items()}, "is the A of this"),
    "halves of two programs": (
        {A: pair()[A], f"{PREFIX}.self_attn.q_proj.lora_b": np.ones((WIDTH, 4), np.float32)},
        "it is not saved as the adapter of",
    ),
    "a LoHa": (other("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), "is a LoHa, .*Merge it"),
    "a LoKr": (other("lokr_w1", "lokr_w2_a", "lokr_w2_b"), "is a LoKr, .*Merge it"),
    "a LoKr of LyCORIS's": ({"lycoris_model_layers_0_self_attn_q_proj.lokr_w1": np.ones((2, 2), np.float32)}, "LoKr"),
    "a LoHa of images": ({"lora_unet_mid.hada_w1_a": np.ones((2, 2), np.float32)}, "is a LoRA for an image model"),
    "an AdaLoRA": (pair() | other("lora_E"), "is an AdaLoRA, .*Merge it"),
    "an (IA)³": (other("ia3_l"), r"is learned factors of activations"),
    "another kind": (other("oft_r"), "is a PEFT adapter of the kind 'OFT', which is no LoRA"),
    "learned tokens": ({"prompt_embeddings": np.ones((2, 4), np.float32)}, "is learned tokens before the prompt"),
    "a DoRA of MLX's": (pair() | other("m"), "is a DoRA, "),
    "torchtune's own names": (
        {f"layers.0.attn.q_proj.lora_{half}.weight": np.ones((4, 4), np.float32) for half in "ab"},
        "is a LoRA under torchtune's own names.*FullModelHFCheckpointer",
    ),
    "a whole model": ({"model.layers.0.mlp.up_proj.weight": np.ones((4, 4), np.float32)}, "whole weights, and no LoRA"),
    "a LoRA under other names": (
        {name.replace("lora_A.weight", "lora.A").replace("lora_B.weight", "lora.B"): a for name, a in pair().items()},
        r"is a LoRA whose tensors have names that are not known here, as .*lora\.A\. Save it in PEFT's layout",
    ),
    "a bias of a LoRA with a name": (
        pair() | {A.replace("lora_A.weight", "lora_B.my.v1.bias"): np.ones(WIDTH, np.float32)},
        "it is a bias",
    ),
    "a quantized LoRA of bitsandbytes'": (
        pair() | {f"{A}.absmax": np.ones((4, 1), np.float32)},
        "it is neither A nor B of a LoRA",
    ),
    "a quantized LoRA of MLX's": (
        pair() | {f"{PREFIX}.self_attn.q_proj.lora_a_scales": np.ones((4, 1), np.float32)},
        "it belongs to a quantized LoRA",
    ),
    "the bias of a norm": (
        pair() | {f"{PREFIX}.input_layernorm.bias": np.ones(WIDTH, np.float32)},
        "it is a bias",
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_do_not_fit_are_refused_by_name_and_reason(tmp_path, backbone, case):
    tensors, reason = TENSORS[case]
    refused(tmp_path, backbone, rf"adapter_model\.safetensors: .*{reason}", weights=safetensors(tensors))


def renamed(rename):
    return {rename(name): array for name, array in (pair() | pair("mlp.up_proj", out=FFN)).items()}


NAMES = {
    "as PEFT saves it": lambda name: name,
    "without the prefix": lambda name: name.removeprefix("base_model.model."),
    "with half of the prefix": lambda name: name.removeprefix("base_model."),
    "with the prefix twice": lambda name: "base_model.model." + name,
    "with the adapter's name": lambda name: name.replace(".weight", ".default.weight"),
    "with another name": lambda name: name.replace(".weight", ".my-adapter_2.weight"),
    "with a name that has dots": lambda name: name.replace(".weight", ".my.v1.weight"),
    "without .weight": lambda name: name.removesuffix(".weight"),
    "with the adapter's name alone": lambda name: name.replace(".weight", ".default"),
    "without the outermost module": lambda name: name.removeprefix("base_model.model.model."),
    "trained on several devices": lambda name: "module." + name,
    "compiled": lambda name: name.replace("base_model.model.", "base_model.model._orig_mod."),
    "sharded": lambda name: name.replace(".layers.0.", ".layers.0._fsdp_wrapped_module."),
    "sharded, from the outermost module on": lambda name: "_fsdp_wrapped_module." + name,
    "checkpointed": lambda name: name.replace(".layers.0.", ".layers.0._checkpoint_wrapped_module."),
    "compiled, on several devices": lambda name: "module._orig_mod." + name,
    "compiled layer by layer": lambda name: name.replace(".layers.0.", ".layers.0._orig_mod."),
    "within DeepSpeed": lambda name: "_forward_module.module." + name,
    "with pictures": lambda name: name.replace("model.layers", "model.language_model.layers"),
}


@pytest.mark.parametrize("spelling", NAMES)
def test_tensors_are_found_under_the_names_that_trainers_write(tmp_path, backbone, spelling):
    plain = write_folder(tmp_path / "plain", safetensors(renamed(NAMES["as PEFT saves it"])))
    convert_lora(plain, backbone, tmp_path / "wanted.gguf")
    folder = write_folder(tmp_path / "peft", safetensors(renamed(NAMES[spelling])))
    assert convert_lora(folder, backbone, tmp_path / "a.gguf") == ""
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "wanted.gguf").read_bytes()


@given(
    module=st.from_regex(r"[a-z_]+(\.[a-z0-9_]+){0,4}", fullmatch=True).filter(lambda m: m == module_of(m)),
    half=st.sampled_from("AB"),
    adapter=st.from_regex("[a-zA-Z0-9_-]{1,12}", fullmatch=True).filter(lambda a: a not in ("weight", "bias")),
)
def test_a_name_says_its_module_its_half_and_its_adapter(module, half, adapter):
    linear = LoraTensor(module, half, adapter, is_table=False, is_transposed=False)
    assert parse_name(f"base_model.model.{module}.lora_{half}.{adapter}.weight") == linear
    assert parse_name(f"{module}.lora_{half}.weight") == replace(linear, adapter="")
    assert parse_name(f"{module}.lora_embedding_{half}.{adapter}") == replace(linear, is_table=True)
    assert parse_name(f"{module}.lora_{half.lower()}") == replace(linear, adapter="", is_transposed=True)
    assert parse_name(f"{module}.weight") is None


def write_mlx(folder, tensors, rank, scale):
    folder.mkdir()
    config = {"fine_tune_type": "lora", "num_layers": 1, "lora_parameters": {"rank": rank, "scale": scale}}
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    (folder / "adapters.safetensors").write_bytes(safetensors(tensors))
    return folder


def test_a_folder_of_mlx_becomes_what_the_same_lora_of_peft_does(tmp_path, backbone):
    embeddings = "base_model.model.model.embed_tokens.lora_embedding_"
    rng = np.random.default_rng(5)
    tensors = renamed(lambda name: name) | {
        f"{embeddings}A": rng.normal(size=(4, VOCAB)).astype(np.float32),
        f"{embeddings}B": rng.normal(size=(WIDTH, 4)).astype(np.float32),
    }
    convert_lora(write_folder(tmp_path / "peft", safetensors(tensors)), backbone, tmp_path / "wanted.gguf")
    mlx = {
        name.removeprefix("base_model.model.").replace("_embedding_", "_").removesuffix(".weight")[:-1]
        + name.removesuffix(".weight")[-1].lower(): np.ascontiguousarray(array.T)
        for name, array in tensors.items()
    }
    assert "model.layers.0.self_attn.q_proj.lora_a" in mlx
    assert convert_lora(write_mlx(tmp_path / "mlx", mlx, 4, 2.0), backbone, tmp_path / "a.gguf") == ""
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "wanted.gguf").read_bytes()


NORMS = ["input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "pre_feedforward_layernorm"]
"""The last two are not llama's."""


@pytest.mark.parametrize("prefix", ["base_model.model.", ""])
def test_norms_beside_the_lora_are_left_out_and_told(tmp_path, backbone, prefix):
    norms = [f"{prefix}model.layers.0.{norm}.weight" for norm in NORMS] + [
        f"{prefix}model.norm.modules_to_save.default.weight"
    ]
    tensors = pair() | {name: np.ones(WIDTH, np.float32) for name in norms}
    told = convert_lora(write_folder(tmp_path / "peft", safetensors(tensors)), backbone, tmp_path / "a.gguf")
    assert told.startswith(f"left out: {norms[0]} and 4 more, ")
    assert set(read_pairs(tmp_path / "a.gguf")) == {"blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"}


def test_a_gguf_with_norms_is_read_without_them_by_the_same_rule(tmp_path):
    tensors = {
        "blk.0.attn_q.weight.lora_a": np.ones((4, WIDTH)),
        "blk.0.attn_q.weight.lora_b": np.ones((WIDTH, 4)),
        "blk.0.attn_norm.weight": np.ones(WIDTH),
    }
    lora = read_lora(write_lora(tmp_path / "a.gguf", tensors))
    assert set(lora.pairs) == {"blk.0.attn_q.weight"}
    assert left_out(lora.norms).startswith("left out: blk.0.attn_norm.weight, ")
