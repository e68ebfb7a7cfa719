"""A GGUF file becomes the model that llama.cpp would compute, or it is said why not."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dlp_local.core.errors import PackError  # noqa: E402
from dlp_local.training.adapter.backbone import Backbone  # noqa: E402
from tests.support.adapter_training import TOKENS, next_logits  # noqa: E402
from tests.support.logits import difference, llama_logits  # noqa: E402
from tests.support.quantized import quantize  # noqa: E402
from tests.support.tiny_models import HEAD, MODELS, random_model, write_backbone  # noqa: E402

CLOSE = 1e-3
LONG = TOKENS * 4
BLOCKS = np.zeros((4, 4), np.float32)


def tensors_of(backbone):
    """Its parameters by name, as a model that has no adapters beside its weights has them."""
    return {name: tensor.detach() for name, tensor in backbone._model.named_parameters()}


def written(monkeypatch, path, name="llama", more=None, **keys):
    """A tiny model's file with these values in its header, and `more` tensors."""
    spelled = {key.replace("__", "."): value for key, value in keys.items()}
    monkeypatch.setitem(MODELS, name, replace(MODELS[name], keys=MODELS[name].keys | spelled))
    write_backbone(name, random_model(name), path, more or {})
    return path


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0"])
def test_the_weights_are_those_of_transformers_own_loader(bundled, tmp_path, kind):
    import transformers

    path = quantize(bundled / "backbone.gguf", tmp_path / "b.gguf", kind)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    ours, wanted = tensors_of(Backbone(path)), dict(theirs.named_parameters())
    assert ours.keys() == wanted.keys()
    assert all(torch.equal(ours[name], wanted[name]) for name in wanted)


def test_blocks_of_k_quants_are_read_too(bundled, tmp_path):
    path = quantize(bundled / "backbone.gguf", tmp_path / "b.gguf", "Q4_K_M")
    fine, coarse = (tensors_of(Backbone(one)) for one in (bundled / "backbone.gguf", path))
    for name, tensor in fine.items():
        assert (tensor - coarse[name]).norm() < 0.2 * tensor.norm(), name


@pytest.mark.usefixtures("exact_cache")
def test_frequencies_of_positions_are_divided_as_llama_3_wants_it(monkeypatch, tmp_path):
    factors = np.linspace(1, 8, HEAD // 2, dtype=np.float32)
    scaled = Backbone(written(monkeypatch, tmp_path / "b.gguf", more={"rope_freqs.weight": factors}))
    plain = Backbone(written(monkeypatch, tmp_path / "plain.gguf"))
    assert difference(next_logits(scaled, LONG), next_logits(plain, LONG)) > 10 * CLOSE
    assert difference(next_logits(scaled, LONG), llama_logits(scaled.path, LONG)) <= CLOSE


@pytest.mark.usefixtures("exact_cache")
@pytest.mark.parametrize(("name", "close"), [("llama", CLOSE), ("gemma3", 3 * CLOSE)])  # llama.cpp's GELU is a table
def test_positions_that_are_scaled_evenly_are_computed_so(monkeypatch, tmp_path, name, close):
    scaling = {"rope__scaling__type": "linear", "rope__scaling__factor": 4.0}
    monkeypatch.setattr("tests.support.tiny_models.LAYERS", 6)  # the sixth of Gemma 3's layers is the first that scales
    monkeypatch.setitem(MODELS, name, replace(MODELS[name], config=MODELS[name].config | {"num_hidden_layers": 6}))
    scaled = Backbone(written(monkeypatch, tmp_path / "b.gguf", name, **scaling))
    plain = Backbone(written(monkeypatch, tmp_path / "plain.gguf", name, rope__scaling__type="none"))
    assert difference(next_logits(scaled, LONG), next_logits(plain, LONG)) > 10 * CLOSE
    assert difference(next_logits(scaled, LONG), llama_logits(scaled.path, LONG)) <= close


@pytest.mark.usefixtures("exact_cache")
def test_heads_may_be_of_any_size(monkeypatch, tmp_path):
    monkeypatch.setitem(MODELS, "qwen3", replace(MODELS["qwen3"], config=MODELS["qwen3"].config | {"head_dim": 16}))
    lengths = {"attention__key_length": 16, "attention__value_length": 16, "rope__dimension_count": 16}
    backbone = Backbone(written(monkeypatch, tmp_path / "b.gguf", "qwen3", **lengths))
    assert difference(next_logits(backbone, LONG), llama_logits(backbone.path, LONG)) <= CLOSE


REFUSED = {
    "positions scaled in another way": ({"rope__scaling__type": "yarn"}, r"scales positions .*\(yarn\)"),
    "a weight that is not computed with": ({"more": {"blk.0.attn_sinks.weight": BLOCKS}}, r"blk\.0\.attn_sinks"),
    "frequencies of another number": ({"more": {"rope_freqs.weight": np.ones(7, np.float32)}}, r"shape \(7,\)"),
    "no layers": ({"block_count": 0}, "block_count"),
    "heads that are no number": ({"attention__head_count": "four"}, "head_count is no number"),
    "heads that do not share the width": ({"attention__head_count": 5}, "does not describe a model"),
    "an epsilon of nothing": ({"attention__layer_norm_rms_epsilon": 0.0}, "epsilon is no number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_computed_is_refused_with_the_reason(monkeypatch, tmp_path, case):
    given, reason = REFUSED[case]
    with pytest.raises(PackError, match=rf"b\.gguf: .*{reason}.*\. (Use|Get) "):
        Backbone(written(monkeypatch, tmp_path / "b.gguf", **given))


@pytest.mark.parametrize("name", ["lfm2", "bloom", "qwen3moe", "gpt2"])
def test_an_architecture_that_is_not_computed_here_is_named(tmp_path, name):
    write_backbone(name, random_model(name), tmp_path / "b.gguf")
    with pytest.raises(PackError, match=f"the architecture {name} cannot be trained on here.*gemma3.*llama.*qwen3"):
        Backbone(tmp_path / "b.gguf")


def test_an_architecture_that_nobody_knows_is_named(tmp_path, tiny_path):
    (tmp_path / "b.gguf").write_bytes(tiny_path.read_bytes().replace(b"llama", b"lla\x1ba"))
    with pytest.raises(PackError, match=r"lla\\x1ba"):
        Backbone(tmp_path / "b.gguf")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.999])
def test_a_file_that_is_cut_off_is_refused(tmp_path, tiny_path, share):
    whole = tiny_path.read_bytes()
    (tmp_path / "b.gguf").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PackError, match=r"b\.gguf: .*\. "):
        Backbone(tmp_path / "b.gguf")


def test_a_missing_weight_is_named(tmp_path, tiny_path):
    (tmp_path / "b.gguf").write_bytes(tiny_path.read_bytes().replace(b"output_norm.weight", b"output_form.weight"))
    with pytest.raises(PackError, match=r"has no output_norm\.weight"):
        Backbone(tmp_path / "b.gguf")


def test_a_weight_of_another_shape_is_refused(monkeypatch, tmp_path):
    with pytest.raises(
        PackError, match=r"attn_k\.weight is of the shape \(16, 32\), where its header asks for \(32, 32\)"
    ):
        Backbone(written(monkeypatch, tmp_path / "b.gguf", attention__head_count_kv=4))
