"""GGUF adapters become PEFT folders that say the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import InputError, PackError
from dlp_local.formats.lora import read_lora
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.formats.peft.export import export_lora, stacked_rank
from dlp_local.formats.peft.module_names import module_name
from dlp_local.formats.peft.target import Target
from dlp_local.formats.safetensors_file import open_safetensors
from tests.support.lora import read_pairs, write_lora
from tests.support.peft_folder import write_backbone

RNG = np.random.default_rng(5)
FAMILIES = ("llama", "qwen2", "gemma3", "bloom", "falcon", "gpt2", "gptneox", "lfm2", "phi2", "phi3", "starcoder2")
"""One of each way to name modules, and some of the one that most models have."""

Q, UP = "blk.0.attn_q.weight", "blk.0.ffn_up.weight"


def deltas(path):
    """B·A times its scale of every weight of a GGUF adapter."""
    lora, tensors = read_lora(path), read_pairs(path)
    return {
        name: pair.scale * tensors[f"{name}.lora_b"] @ tensors[f"{name}.lora_a"] for name, pair in lora.pairs.items()
    }


def adapter(path, rank, *weights, alpha=8.0):
    outputs = {Q: 32, UP: 48}
    tensors = {}
    for weight in weights:
        tensors[f"{weight}.lora_a"] = RNG.normal(size=(rank, 32))
        tensors[f"{weight}.lora_b"] = RNG.normal(size=(outputs[weight], rank))
    return write_lora(path, tensors, alpha=alpha)


@pytest.mark.parametrize("name", ["sql", "dates"])
def test_an_adapter_of_the_pack_comes_back_as_it_was(bundled, tmp_path, name):
    backbone, original = bundled / "backbone.gguf", bundled / f"{name}.gguf"
    export_lora([(read_lora(original), 1.0)], backbone, tmp_path / "peft")
    convert_lora(tmp_path / "peft", backbone, tmp_path / "back.gguf")
    before, after = deltas(original), deltas(tmp_path / "back.gguf")
    assert before.keys() == after.keys()
    for weight, delta in before.items():
        assert np.allclose(after[weight], delta, atol=1e-6, rtol=1e-5), weight


def test_what_is_exported_is_on_for_the_whole_context(bundled, tmp_path):
    export_lora([(read_lora(bundled / "sql.gguf"), 1.0)], bundled / "backbone.gguf", tmp_path / "peft")
    convert_lora(tmp_path / "peft", bundled / "backbone.gguf", tmp_path / "back.gguf")
    assert read_lora(tmp_path / "back.gguf").invocation_tokens == ()


@settings(max_examples=15)
@given(st.lists(st.sampled_from([-0.5, 0.0, 0.03125, 0.75, 1.0]), min_size=2, max_size=3))
def test_several_adapters_as_one_compute_their_weighted_sum(tmp_path_factory, factors):
    folder = tmp_path_factory.mktemp("several")
    backbone = write_backbone(folder / "b.gguf")
    chosen = [adapter(folder / f"{i}.gguf", 2 + i, *weights) for i, weights in enumerate(((Q,), (Q, UP), (UP,)))]
    parts = [(read_lora(path), factor) for path, factor in zip(chosen, factors, strict=False)]
    export_lora(parts, backbone, folder / "peft", rank=16)
    config = json.loads((folder / "peft" / "adapter_config.json").read_text("utf-8"))
    assert (config["r"], config["lora_alpha"]) == (16, 16)
    convert_lora(folder / "peft", backbone, folder / "one.gguf")
    summed = {}
    for lora, factor in parts:
        for weight, delta in deltas(lora.path).items():
            summed[weight] = summed.get(weight, 0) + factor * delta
    one = deltas(folder / "one.gguf")
    assert one.keys() == summed.keys()
    for weight, delta in summed.items():
        assert np.allclose(one[weight], delta, atol=1e-4), weight


def test_the_rank_of_several_is_the_largest_sum_that_a_weight_has(tmp_path):
    paths = [adapter(tmp_path / "a.gguf", 3, Q), adapter(tmp_path / "b.gguf", 4, Q, UP)]
    assert stacked_rank([(read_lora(path), 1.0) for path in paths]) == 7


def test_ranks_are_filled_up_with_zeros(tmp_path):
    backbone = write_backbone(tmp_path / "b.gguf")
    lora = read_lora(adapter(tmp_path / "a.gguf", 3, Q))
    export_lora([(lora, 1.0)], backbone, tmp_path / "peft", rank=8)
    with open_safetensors(tmp_path / "peft" / "adapter_model.safetensors") as tensors:
        prefix = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
        assert not tensors.read(f"{prefix}A.weight")[3:].any()
        assert not tensors.read(f"{prefix}B.weight")[:, 3:].any()


def test_what_transformers_does_not_know_is_refused():
    with pytest.raises(PackError, match=r"blk\.0\.ssm_in\.weight.*'llama'.*llama-server"):
        module_name("llama", "blk.0.ssm_in.weight")
    with pytest.raises(PackError, match="'mamba'"):
        module_name("mamba", Q)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    backbone = write_backbone(tmp_path / "b.gguf")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is no folder"):
        export_lora([(read_lora(adapter(tmp_path / "a.gguf", 3, Q)), 1.0)], backbone, tmp_path / "file" / "peft")


def test_modules_are_called_as_transformers_calls_them(tmp_path):
    pytest.importorskip("torch", reason="needs the train extra")
    pytest.importorskip("transformers", reason="needs the train extra")
    from tests.support import tiny_models
    from tests.support.peft_adapters import modules_of

    for name in FAMILIES:
        model = tiny_models.random_model(name)
        tiny_models.write_backbone(name, model, tmp_path / "b.gguf")
        target = Target(Path(tmp_path / "b.gguf"))
        for module in modules_of(model):
            assert module_name(target.architecture, target.weight(module).name) == module, name
