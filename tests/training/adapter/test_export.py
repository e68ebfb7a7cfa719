"""What was trained becomes a file, and a file becomes what a training can begin with."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dlp_local.core.errors import InputError, PackError  # noqa: E402
from dlp_local.formats.lora import read_lora  # noqa: E402
from dlp_local.training.adapter.export import read_adapter, write_adapter, write_peft_folder  # noqa: E402
from tests.support.adapter_training import (  # noqa: E402
    TOKENS,
    drawn_method,
    new_method,
    next_logits,
    product,
    some_choices,
)
from tests.support.logits import difference  # noqa: E402
from tests.support.lora import read_pairs, write_lora  # noqa: E402
from tests.support.tiny_models import FFN, HIDDEN, VOCAB, random_model, write_backbone  # noqa: E402


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("method", ["xgb", "multilora"])
def test_peft_computes_what_the_training_does_from_its_folder(backbone, tmp_path, method):
    import peft

    made = drawn_method(backbone, some_choices(method=method))
    made.enter(2 if method == "xgb" else 0)  # ranks of 0 to 3
    for tensor in made.trained:
        tensor.data.normal_(0, 0.2, generator=torch.Generator().manual_seed(5))
    write_peft_folder(made, 0, tmp_path)
    theirs = peft.PeftModel.from_pretrained(random_model("llama"), tmp_path)
    with torch.no_grad():
        wanted = theirs(input_ids=torch.tensor([TOKENS])).logits[0, -1].numpy()
    assert difference(next_logits(backbone, TOKENS), wanted) > 1e-2
    assert difference(next_logits(backbone, TOKENS, made), wanted) < 1e-5


def test_a_file_says_where_the_adapter_goes_on_and_what_it_was_made_of(backbone, tiny_path, tmp_path):
    method, out = drawn_method(backbone, some_choices()), tmp_path / "a.gguf"
    write_adapter(method, 0, tiny_path, out, invocation=(5, 17), metadata={"name": "dates", "training": "{}"})
    lora = read_lora(out)
    assert lora.invocation_tokens == (5, 17)
    assert {key: lora.metadata[f"general.{key}"] for key in ("name", "training")} == {"name": "dates", "training": "{}"}


def test_without_invocation_tokens_the_adapter_is_always_on(backbone, tiny_path, tmp_path):
    write_adapter(drawn_method(backbone, some_choices()), 0, tiny_path, tmp_path / "a.gguf")
    assert read_lora(tmp_path / "a.gguf").invocation_tokens == ()


def test_half_precision_is_what_is_written_where_nothing_is_said(backbone, tiny_path, tmp_path):
    method = drawn_method(backbone, some_choices())
    write_adapter(method, 0, tiny_path, tmp_path / "half.gguf")
    write_adapter(method, 0, tiny_path, tmp_path / "whole.gguf", precision="f32")
    half, whole = (read_pairs(tmp_path / name) for name in ("half.gguf", "whole.gguf"))
    assert half.keys() == whole.keys()
    assert all(np.array_equal(whole[name].astype(np.float16), half[name]) for name in whole)


def test_an_adapter_that_was_read_is_the_one_that_was_written(backbone, tiny_path, tmp_path):
    method = drawn_method(backbone, some_choices(method="xgb", booster_layers=0.5))
    write_adapter(method, 0, tiny_path, tmp_path / "a.gguf", precision="f32")
    read = read_adapter(tmp_path / "a.gguf", tiny_path)
    for name in method.weights:
        if name in read:
            assert torch.allclose(read[name].b @ read[name].a, product(method, name).detach(), atol=1e-6)
        else:
            assert not product(method, name).any()


def test_a_method_that_has_learnt_nothing_is_written_as_nothing(backbone, tiny_path, tmp_path):
    write_adapter(new_method(backbone, some_choices()), 0, tiny_path, tmp_path / "a.gguf")
    assert not any(array.any() for name, array in read_pairs(tmp_path / "a.gguf").items() if name.endswith("lora_b"))


def test_an_adapter_of_another_backbone_is_refused(backbone, tiny_path, tmp_path):
    write_adapter(drawn_method(backbone, some_choices()), 0, tiny_path, tmp_path / "a.gguf")
    write_backbone("qwen2", random_model("qwen2"), tmp_path / "other.gguf")
    with pytest.raises(PackError, match="does not fit the backbone"):
        read_adapter(tmp_path / "a.gguf", tmp_path / "other.gguf")


@pytest.mark.parametrize(
    ("weight", "a", "b", "reason"),
    [
        ("token_embd.weight", (VOCAB, 2), (HIDDEN, 2), "changes the embeddings"),
        ("output.weight", (2, HIDDEN), (VOCAB, 2), "changes lm_head, which is not trained here"),
    ],
)
def test_what_is_not_trained_here_is_nothing_to_begin_with(backbone, tiny_path, tmp_path, weight, a, b, reason):
    up = {"blk.0.ffn_up.weight.lora_a": np.ones((2, HIDDEN)), "blk.0.ffn_up.weight.lora_b": np.ones((FFN, 2))}
    tensors = up | {f"{weight}.lora_a": np.ones(a), f"{weight}.lora_b": np.ones(b)}
    path = write_lora(tmp_path / "a.gguf", tensors)
    with pytest.raises(InputError, match=reason):
        new_method(backbone, some_choices()).start_from(read_adapter(path, tiny_path))


def test_a_place_that_cannot_be_written_is_named(backbone, tiny_path, tmp_path):
    with pytest.raises(InputError, match=r"none/a\.gguf: cannot be written"):
        write_adapter(drawn_method(backbone, some_choices()), 0, tiny_path, tmp_path / "none" / "a.gguf")


def test_the_configuration_is_a_plain_loras(backbone, tmp_path):
    write_peft_folder(drawn_method(backbone, some_choices()), 0, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text("utf-8"))
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 4, 4)
    assert (config["rank_pattern"], config["target_modules"]) == ({}, sorted(backbone.weights))
