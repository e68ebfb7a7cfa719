"""What is read of a PEFT folder, without torch, and how one that cannot be used is refused."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import InputError, PackError
from dlp_local.formats.gguf import read_header
from dlp_local.formats.lora import read_lora
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.formats.peft.folder import lora_folder
from tests.support.lora import read_pairs
from tests.support.peft_folder import (
    FFN,
    PREFIX,
    VOCAB,
    WIDTH,
    pair,
    refused,
    safetensors,
    write_backbone,
    write_folder,
)

A, B = f"{PREFIX}.self_attn.q_proj.lora_A.weight", f"{PREFIX}.self_attn.q_proj.lora_B.weight"


def test_the_header_says_what_it_is_for_and_whose_it_is(tmp_path, backbone):
    metadata = {"name": "greetings", "license": "MIT", "description": "says hello"}
    convert_lora(write_folder(tmp_path / "peft"), backbone, tmp_path / "a.gguf", metadata=metadata)
    values = {key: value.value for key, value in read_header(tmp_path / "a.gguf").values.items()}
    assert values == {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 8.0,
        **{f"general.{key}": value for key, value in metadata.items()},
    }
    assert read_lora(tmp_path / "a.gguf").pairs["blk.0.attn_q.weight"].scale == 2


@pytest.mark.parametrize("key", ["architecture", "type"])
def test_what_the_header_must_say_cannot_be_overridden(tmp_path, backbone, key):
    with pytest.raises(InputError, match=f"general.{key} is not free"):
        convert_lora(write_folder(tmp_path / "peft"), backbone, tmp_path / "a.gguf", metadata={key: "x"})


def test_conversion_needs_neither_torch_nor_the_engine(tmp_path, backbone):
    write_folder(tmp_path / "peft")
    code = (
        "import sys\nfrom pathlib import Path\nfrom dlp_local.formats.peft.convert import convert_lora\n"
        "convert_lora(*map(Path, sys.argv[1:]))\n"
        "heavy = {'torch', 'peft', 'transformers', 'llama_cpp'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    arguments = [str(tmp_path / name) for name in ("peft", "b.gguf", "a.gguf")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)
    assert read_lora(tmp_path / "a.gguf").pairs


@pytest.mark.parametrize("wrapper", ["model.language_model.layers", "language_model.model.layers", "model.layers"])
def test_the_language_model_inside_a_model_with_pictures_is_found(tmp_path, backbone, wrapper):
    weights = {name.replace("model.layers", wrapper, 1): array for name, array in pair("mlp.up_proj", out=FFN).items()}
    convert_lora(write_folder(tmp_path / "peft", safetensors(weights)), backbone, tmp_path / "a.gguf")
    assert set(read_pairs(tmp_path / "a.gguf")) == {"blk.0.ffn_up.weight.lora_a", "blk.0.ffn_up.weight.lora_b"}


def test_q_is_reordered_by_all_heads_and_k_by_its_own(tmp_path):
    backbone = write_backbone(tmp_path / "b.gguf", **{"attention.head_count_kv": 2})
    tensors = pair("self_attn.q_proj") | pair("self_attn.k_proj")
    convert_lora(write_folder(tmp_path / "peft", safetensors(tensors)), backbone, tmp_path / "a.gguf")
    converted = read_pairs(tmp_path / "a.gguf")
    for kind, heads in (("q", 4), ("k", 2)):
        b = tensors[f"{PREFIX}.self_attn.{kind}_proj.lora_B.weight"]
        d = WIDTH // heads
        for head in range(heads):
            for i in range(d // 2):
                rows = converted[f"blk.0.attn_{kind}.weight.lora_b"][head * d + 2 * i : head * d + 2 * i + 2]
                assert np.array_equal(rows, b[[head * d + i, head * d + d // 2 + i]])


def test_an_earlier_file_stays_where_the_conversion_fails(tmp_path, backbone):
    (tmp_path / "a.gguf").write_text("earlier")
    with pytest.raises(PackError):
        convert_lora(write_folder(tmp_path / "peft", use_dora=True), backbone, tmp_path / "a.gguf")
    broken = pair() | {B: np.full((WIDTH, 4), np.nan, np.float32)}
    with pytest.raises(PackError, match=r"lora_B\.weight holds NaN"):
        convert_lora(write_folder(tmp_path / "peft", safetensors(broken)), backbone, tmp_path / "a.gguf")
    assert (tmp_path / "a.gguf").read_text() == "earlier"


def test_a_file_that_cannot_be_written_is_told(tmp_path, backbone):
    with pytest.raises(InputError, match=r"missing.a\.gguf: cannot be written"):
        convert_lora(write_folder(tmp_path / "peft"), backbone, tmp_path / "missing" / "a.gguf")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_is_told_and_nothing_is_left(tmp_path, backbone):
    import resource

    folder = write_folder(tmp_path / "peft")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(InputError, match="File too large"):
            convert_lora(folder, backbone, tmp_path / "a.gguf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("a*.gguf"))


def test_the_embeddings_own_weight_beside_their_adapter_is_passed_over(tmp_path, backbone):
    embeddings = "base_model.model.model.embed_tokens"
    tensors = pair() | {f"{embeddings}.base_layer.weight": np.ones((VOCAB, WIDTH), np.float32)}
    convert_lora(write_folder(tmp_path / "peft", safetensors(tensors)), backbone, tmp_path / "a.gguf")
    assert len(read_pairs(tmp_path / "a.gguf")) == 2


@pytest.mark.parametrize("module", ["model.embed_tokens", "lm_head"])
def test_an_adapter_of_embeddings_that_are_the_output_too_is_refused(tmp_path, module):
    backbone = write_backbone(tmp_path / "b.gguf", untied=False)
    halves = {"lm_head": ("lora_A.weight", "lora_B.weight")}.get(module, ("lora_embedding_A", "lora_embedding_B"))
    tensors = {f"base_model.model.{module}.{half}": np.ones((4, 4), np.float32) for half in halves}
    refused(tmp_path, backbone, "embeddings and output are one weight", weights=safetensors(tensors))


def test_numbers_too_large_for_half_precision_are_refused_in_it_and_kept_without(tmp_path, backbone):
    folder = write_folder(tmp_path / "peft", safetensors(pair() | {A: np.full((4, WIDTH), 1e5, np.float32)}))
    with pytest.raises(PackError, match="too large for 16 bits"):
        convert_lora(folder, backbone, tmp_path / "a.gguf", precision="f16")
    convert_lora(folder, backbone, tmp_path / "a.gguf")
    assert read_pairs(tmp_path / "a.gguf")["blk.0.attn_q.weight.lora_a"].max() == np.float32(1e5)


def test_a_pickle_is_refused_unread(tmp_path, backbone):
    folder = write_folder(tmp_path / "peft")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(PackError, match=r"adapter_model\.bin, a pickle, which may run any program"):
        convert_lora(folder, backbone, tmp_path / "a.gguf")


def test_another_file_beside_the_adapters_is_not_taken_for_it(tmp_path):
    folder = write_folder(tmp_path / "peft")
    weights = folder / "adapter_model.safetensors"
    assert lora_folder(folder) == lora_folder(weights) == lora_folder(folder / "adapter_config.json") == folder
    assert lora_folder(folder / "gone.safetensors") is None
    (folder / "0000100_adapters.safetensors").write_bytes(weights.read_bytes())
    with pytest.raises(PackError, match=r"is not what the adapter of this folder is read from, which is adapter_model"):
        lora_folder(folder / "0000100_adapters.safetensors")


def test_a_missing_folder_and_missing_weights_are_told(tmp_path, backbone):
    with pytest.raises(PackError, match=r"nowhere.adapter_config\.json: cannot be read"):
        convert_lora(tmp_path / "nowhere", backbone, tmp_path / "a.gguf")
    (write_folder(tmp_path / "peft") / "adapter_model.safetensors").unlink()
    with pytest.raises(PackError, match=r"adapter_model\.safetensors: is not there"):
        convert_lora(tmp_path / "peft", backbone, tmp_path / "a.gguf")


def test_a_backbone_that_is_not_known_or_unsound_is_refused(tmp_path):
    folder = write_folder(tmp_path / "peft")
    unknown = write_backbone(tmp_path / "mamba.gguf", arch="mamba")
    with pytest.raises(PackError, match=r"mamba\.gguf: adapters for the architecture 'mamba' .*known are arcee, bloom"):
        convert_lora(folder, unknown, tmp_path / "a.gguf")
    endless = write_backbone(tmp_path / "endless.gguf", block_count=2**31)
    with pytest.raises(PackError, match=r"its llama\.block_count is no number up to 1024"):
        convert_lora(folder, endless, tmp_path / "a.gguf")
    uneven = write_backbone(tmp_path / "uneven.gguf", **{"attention.head_count": 7})
    with pytest.raises(PackError, match="32 outputs are not to be divided among 7 and 7 heads"):
        convert_lora(folder, uneven, tmp_path / "a.gguf")
    with pytest.raises(PackError, match=r"adapter_config\.json: is not a GGUF file"):
        convert_lora(folder, folder / "adapter_config.json", tmp_path / "a.gguf")


WHOLE = safetensors(pair() | pair("self_attn.v_proj"))
SPOTS = st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=5)
SNIPPETS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"-1", b"1e9", b"true", b"null", b"[]", b"{}", b'"F64"', b"9" * 30, b"NaN", b"\\u0000", b"[[["]),
)


@settings(deadline=None, max_examples=300)
@given(spots=SPOTS, at=st.integers(0, 700), snippet=SNIPPETS)
def test_a_garbled_file_is_read_or_refused_and_nothing_else(tmp_path_factory, spots, at, snippet):
    """Bytes changed, and a piece put over the header: the conversion ends in a file or in one clear error."""
    folder = tmp_path_factory.mktemp("garbled")
    damaged = bytearray(WHOLE)
    for place, value in spots:
        damaged[place] = value
    damaged[at : at + len(snippet)] = snippet
    write_folder(folder / "peft", bytes(damaged))
    with contextlib.suppress(PackError):
        convert_lora(folder / "peft", write_backbone(folder / "b.gguf"), folder / "a.gguf")
        assert read_lora(folder / "a.gguf").pairs


KOHYA = {
    "images": ({"lora_unet_down_blocks_0_attn.lora_down.weight": (4, 8)}, "is a LoRA for an image model"),
    "kohya": ({"model_layers_0_q_proj.lora_down.weight": (4, 8)}, r"kohya's layout \(lora_down, lora_up\)"),
    "no configuration": ({A: (4, 8)}, "is a LoRA without its adapter_config.json"),
}


@pytest.mark.parametrize("kind", KOHYA)
def test_a_folder_without_a_configuration_is_named_for_what_is_in_it(tmp_path, backbone, kind):
    shapes, told = KOHYA[kind]
    tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "some.safetensors").write_bytes(safetensors(tensors))
    with pytest.raises(PackError, match=f"some.safetensors .*{told}"):
        convert_lora(tmp_path / "lora", backbone, tmp_path / "a.gguf")


@pytest.mark.parametrize("kind", ["images", "kohya"])
def test_tensors_in_another_layout_are_named_for_what_they_are_beside_a_configuration_too(tmp_path, backbone, kind):
    shapes, told = KOHYA[kind]
    weights = safetensors({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    with pytest.raises(PackError, match=told):
        convert_lora(write_folder(tmp_path / "peft", weights), backbone, tmp_path / "a.gguf")
