"""Adapters of PEFT's other kinds as LoRAs: llama.cpp computes what PEFT computes, and what is lost is told."""

import json
import shutil
import time
import warnings

import pytest
import torch

peft = pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("peft.tuners.lora.conversion", reason="needs a PEFT that converts adapters")

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING  # noqa: E402
from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from dlp_local.cli import adapters  # noqa: E402
from dlp_local.core.errors import InputError, PackError  # noqa: E402
from dlp_local.formats.peft.other_kinds import CONVERTED  # noqa: E402
from dlp_local.packs.resolve import resolve_adapter  # noqa: E402
from dlp_local.training.adapter import as_lora, torch_extra  # noqa: E402
from dlp_local.training.adapter.as_lora import AsLora  # noqa: E402
from tests.support.command import out, refused  # noqa: E402
from tests.support.logits import difference, llama_logits, torch_logits  # noqa: E402
from tests.support.tiny_models import random_model, write_backbone  # noqa: E402

TOKENS = [5, 17, 80, 33, 33, 2, 60, 11]
SQUARE = ["q_proj", "o_proj", "up_proj", "down_proj"]
"""Of 32 inputs or outputs at least."""

KINDS = {
    "C3A": {"block_size": 16},
    "DELORA": {"r": 4},
    "FOURIERFT": {"n_frequency": 50},
    "GRALORA": {"r": 4, "gralora_k": 2},
    "LOHA": {"r": 3},
    "LOKR": {"r": 4},
    "MISS": {"r": 4},
    "PSOFT": {"r": 4},
    "RANDLORA": {"r": 4},
    "TINYLORA": {"r": 4},
    "UNILORA": {"r": 4},
    "VBLORA": {"r": 4, "num_vectors": 8, "vector_length": 4, "topk": 2},
    "VERA": {"r": 4},
    "WAVEFT": {"n_frequency": 48},
}


@pytest.fixture(autouse=True)
def no_hints():
    warnings.filterwarnings("ignore", category=UserWarning, module="peft")


def saved(folder, kind="LOHA", size=0.2, modules=SQUARE, model=None, **more):
    """A folder of PEFT's with random numbers, and the model that computes with them."""
    model = model or random_model("llama")
    config = PEFT_TYPE_TO_CONFIG_MAPPING[kind](task_type="CAUSAL_LM", target_modules=modules, **KINDS[kind] | more)
    adapted = peft.get_peft_model(model, config).eval()
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, size)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return adapted


@pytest.fixture(scope="module")
def loha(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loha")
    saved(folder)
    return folder


@pytest.fixture
def copied(loha, tmp_path):
    return shutil.copytree(loha, tmp_path / "copy")


def change_config(folder, **fields):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | fields), "utf-8")
    return folder


def refusal(folder, backbone, tmp_path, rank="8", kind=PackError):
    with pytest.raises(kind) as refused:
        AsLora(rank)(folder, backbone, tmp_path / "out")
    return str(refused.value)


@pytest.mark.usefixtures("exact_cache")
@pytest.mark.parametrize("kind", KINDS)
def test_with_all_of_its_rank_the_file_computes_in_llama_cpp_what_peft_does(tmp_path, tiny_llama, tiny_path, kind):
    adapted = saved(tmp_path / "peft", kind)
    conversion = AsLora("32")
    with resolve_adapter(tmp_path / "peft", tiny_path, conversion=conversion) as file:
        given = llama_logits(tiny_path, TOKENS, file.path)
    wanted = torch_logits(adapted.merge_and_unload(), TOKENS)
    assert difference(wanted, torch_logits(tiny_llama, TOKENS)) > 0.05
    assert difference(given, wanted) <= 2e-3
    assert conversion.kept.weights == 8
    assert conversion.kept.error < 1e-3
    assert "a LoRA of rank" in conversion.kept_text


def test_the_kinds_that_are_said_to_become_loras_are_those_that_peft_converts():
    assert KINDS.keys() == CONVERTED
    for name in PEFT_TYPE_TO_CONFIG_MAPPING.keys() - KINDS.keys() - {"LORA"}:
        try:
            config = PEFT_TYPE_TO_CONFIG_MAPPING[name](task_type="CAUSAL_LM", target_modules=SQUARE)
            adapted = peft.get_peft_model(random_model("llama"), config)
        except (ValueError, TypeError):
            continue  # learned tokens, or what wants more to be said
        layers = [module for module in adapted.modules() if isinstance(module, BaseTunerLayer)]
        assert not layers or not all(layer.supports_lora_conversion() for layer in layers), name


def test_what_a_rank_loses_is_the_rest_of_the_singular_values(tmp_path, loha, tiny_path, tiny_llama):
    merged = saved(tmp_path / "again").merge_and_unload()
    before, after = tiny_llama.state_dict(), merged.state_dict()
    values = [
        torch.linalg.svdvals(after[name] - before[name]) for name in after if not torch.equal(after[name], before[name])
    ]
    whole = sum(float(one.square().sum()) for one in values)
    errors, told = [], []
    for rank in (1, 4, 9):
        conversion = AsLora(str(rank))
        conversion(loha, tiny_path, tmp_path / str(rank))
        rest = sum(float(one[rank:].square().sum()) for one in values)
        assert conversion.kept.error == pytest.approx((rest / whole) ** 0.5, rel=1e-3, abs=1e-4)
        assert conversion.kept.least_rank == conversion.kept.most_rank == rank
        errors.append(conversion.kept.error)
        told.append(conversion.kept_text)
    assert errors == sorted(errors, reverse=True)
    assert "a larger rank, or a share such as 99%, keeps more" in told[0]
    assert "keeps more" not in told[-1]


def test_a_share_gives_each_weight_the_rank_that_it_needs(tmp_path, loha, tiny_path):
    conversion = AsLora("95%")
    conversion(loha, tiny_path, tmp_path / "out")
    assert conversion.kept.error <= 0.05**0.5
    assert 1 < conversion.kept.least_rank < conversion.kept.most_rank <= 9
    assert f"of rank {conversion.kept.least_rank} to {conversion.kept.most_rank} " in conversion.kept_text


@pytest.mark.parametrize("rank", ["0", "257", "-1", "8.5", "", "101%", "0%", "eight", "9" * 5000])
def test_what_is_neither_a_rank_nor_a_share_is_refused(rank):
    with pytest.raises(InputError, match="is neither a rank from 1 to 256 nor a share"):
        AsLora(rank)


def test_a_rank_beyond_a_weights_own_is_refused_with_the_largest(tmp_path, loha, tiny_path):
    said = refusal(loha, tiny_path, tmp_path, "33", InputError)
    assert "33 is more than the 32 inputs or outputs of a weight that LOHA changes. Give 32 or less" in said


def test_a_share_that_takes_more_than_an_adapter_may_have_is_refused(tmp_path, loha, tiny_path, monkeypatch):
    monkeypatch.setattr(as_lora, "MOST_RANK", 6)
    assert "takes a rank of 9, and an adapter here has 6 at most" in refusal(
        loha, tiny_path, tmp_path, "100%", InputError
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"r": "four"}, "has a rank that is no number"),
        ({"r": 10**12}, "has a rank that is no number up to 65536"),
        ({"r": 5}, "does not fit this backbone: it has in another shape"),
        ({"target_modules": ["c_attn"]}, "cannot be put on llama.gguf"),
        ({"target_modules": ["q_proj"]}, "it has beside what fits"),
        ({"target_modules": [*SQUARE, "v_proj"]}, "it lacks"),
        ({"target_modules": 7}, "adapter_config.json: "),
        ({"target_modules": "(a+)+.*" * 9}, "could take for ever"),
        ({"rank_pattern": {"(a|b|ab)*" * 12 + "c": 2}}, "could take for ever"),
        ({"layers_pattern": "(", "layers_to_transform": [0]}, "is no regular expression"),
        ({"task_type": "NOTHING"}, "describes no adapter"),
        ({"modules_to_save": ["lm_head"]}, r"trains whole modules"),
        ({"new_magic": True}, "says 'new_magic', which PEFT .* does not know. Update it"),
        ({"peft_type": "LORA"}, "describes a LoRA already. Leave --as-lora out"),
        ({"peft_type": "IA3"}, r"learned factors of activations"),
        ({"peft_type": "PROMPT_TUNING"}, "learned tokens before the prompt"),
        ({"peft_type": ["LOHA"]}, "it has no peft_type"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_used_is_told_and_why(tmp_path, copied, tiny_path, fields, reason):
    start = time.monotonic()
    with pytest.raises(PackError, match=reason):
        AsLora("8")(change_config(copied, **fields), tiny_path, tmp_path / "out")
    assert time.monotonic() - start < 10


def test_names_that_lead_to_a_hub_are_not_followed(tmp_path, copied, tiny_path):
    change_config(
        copied, base_model_name_or_path="https://example.invalid/x", revision="main",
        auto_mapping={"base_model_class": "os", "parent_library": "os"},
    )  # fmt: skip
    AsLora("8")(copied, tiny_path, tmp_path / "out")
    assert "example.invalid" not in (tmp_path / "out" / "adapter_config.json").read_text("utf-8")


def test_damaged_tensors_are_told(tmp_path, copied, tiny_path):
    weights = copied / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    assert "is damaged" in refusal(copied, tiny_path, tmp_path)
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "a Git LFS pointer" in refusal(copied, tiny_path, tmp_path)
    weights.write_bytes(whole)
    tensors = load_file(weights)
    first = min(tensors)
    save_file(tensors | {first: torch.full_like(tensors[first], torch.nan)}, weights)
    assert f"{first} holds NaN or infinity" in refusal(copied, tiny_path, tmp_path)
    save_file({name: torch.zeros_like(tensor) for name, tensor in tensors.items()}, weights)
    assert "changes nothing" in refusal(copied, tiny_path, tmp_path)


def test_a_pickle_is_never_opened(tmp_path, copied, tiny_path):
    (copied / "adapter_model.safetensors").rename(copied / "adapter_model.bin")
    assert "a pickle, which may run any program" in refusal(copied, tiny_path, tmp_path)


def test_a_backbone_of_another_size_is_told(tmp_path, tiny_path):
    other = random_model("qwen2")
    other.model.layers = other.model.layers[:1]
    saved(tmp_path / "peft", model=other)
    assert "does not fit this backbone: it lacks" in refusal(tmp_path / "peft", tiny_path, tmp_path)


def test_a_backbone_that_torch_does_not_open_here_is_told(tmp_path, loha):
    write_backbone("falcon", random_model("falcon"), tmp_path / "falcon.gguf")
    assert "the architecture falcon cannot be trained on here" in refusal(loha, tmp_path / "falcon.gguf", tmp_path)


def test_what_the_converter_says_names_the_folder_that_was_given(tmp_path):
    saved(tmp_path / "peft", modules=["lm_head"])
    write_backbone("llama", _tied(random_model("llama")), tmp_path / "tied.gguf")
    with (
        pytest.raises(PackError) as refused,
        resolve_adapter(tmp_path / "peft", tmp_path / "tied.gguf", conversion=AsLora("4")),
    ):
        pass
    assert str(tmp_path / "peft") in str(refused.value)
    assert "embeddings and output are one weight" in str(refused.value)


def _tied(model):
    model.config.tie_word_embeddings = True
    return model


def test_a_loha_comes_into_a_pack_from_the_command_line(tmp_path, mine, bundled):
    from dlp_local.formats.peft.target import Target
    from dlp_local.training.adapter.gguf_model import load_model

    backbone = bundled / "backbone.gguf"
    saved(tmp_path / "peft", size=0.05, modules=["q_proj"], model=load_model(backbone, Target(backbone)))
    add = ("adapters", "add", tmp_path / "peft", "--name", "extra", "--pack", mine)
    assert "a LoHa, a Hadamard product of two low-rank matrices. `dlp-local adapters add" in refused(3, *add)
    said = out(*add, "--as-lora", "9")
    assert "a LoRA of rank 9 in place of the LOHA: what it adds to" in said
    assert "extra is in" in said
    shown = json.loads(out("adapters", "show", "extra", "--json", "--pack", mine))
    assert (shown["ranks"], shown["fits"]) == ([9], True)


def test_a_gguf_file_is_no_adapter_of_another_kind(bundled):
    conversion = AsLora("8")
    with (
        pytest.raises(InputError, match=r"is no folder of PEFT's. Name one, or leave --as-lora out"),
        resolve_adapter(bundled / "sql.gguf", bundled / "backbone.gguf", conversion=conversion),
    ):
        pass
    assert conversion.kept_text == ""


def test_without_torch_or_peft_the_command_that_installs_them_is_told(tmp_path, mine, monkeypatch):
    monkeypatch.setattr(torch_extra, "PACKAGES", ("no_such_package",))
    with pytest.raises(InputError, match=r"--as-lora needs no_such_package, which is not installed. Install the train"):
        adapters.add(str(tmp_path), "extra", as_lora="8", pack=str(mine))
