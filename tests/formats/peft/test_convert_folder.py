"""What is read of a PEFT folder, without torch, and how one that cannot be used is refused."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import InputError, PackError
from dlp_local.formats.gguf import read_header
from dlp_local.formats.lora import read_lora
from dlp_local.formats.peft.config import read_config
from dlp_local.formats.peft.convert import convert_peft
from dlp_local.formats.safetensors_file import MAX_HEADER, open_safetensors
from tests.support.lora import read_pairs
from tests.support.peft_folder import (
    FFN,
    PREFIX,
    VOCAB,
    WIDTH,
    pair,
    safetensors,
    with_header,
    write_backbone,
    write_folder,
)

A, B = f"{PREFIX}.self_attn.q_proj.lora_A.weight", f"{PREFIX}.self_attn.q_proj.lora_B.weight"


@pytest.fixture
def backbone(tmp_path):
    return write_backbone(tmp_path / "b.gguf")


def refused(tmp_path, backbone, reason, **folder):
    with pytest.raises(PackError, match=reason):
        convert_peft(write_folder(tmp_path / "peft", **folder), backbone, tmp_path / "a.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.gguf", "peft"], "nothing is left of the file"


def test_the_header_says_what_it_is_for_and_whose_it_is(tmp_path, backbone):
    about = {"name": "greetings", "license": "MIT", "description": "says hello"}
    convert_peft(write_folder(tmp_path / "peft"), backbone, tmp_path / "a.gguf", about=about)
    values = {key: value.value for key, value in read_header(tmp_path / "a.gguf").values.items()}
    assert values == {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 8.0,
        **{f"general.{key}": value for key, value in about.items()},
    }
    assert read_lora(tmp_path / "a.gguf").pairs["blk.0.attn_q.weight"].scale == 2


@pytest.mark.parametrize("key", ["architecture", "type"])
def test_what_the_header_must_say_cannot_be_overridden(tmp_path, backbone, key):
    with pytest.raises(InputError, match=f"general.{key} is not free"):
        convert_peft(write_folder(tmp_path / "peft"), backbone, tmp_path / "a.gguf", about={key: "x"})


def test_conversion_needs_neither_torch_nor_the_engine(tmp_path, backbone):
    write_folder(tmp_path / "peft")
    code = (
        "import sys\nfrom pathlib import Path\nfrom dlp_local.formats.peft.convert import convert_peft\n"
        "convert_peft(*map(Path, sys.argv[1:]))\n"
        "heavy = {'torch', 'safetensors', 'peft', 'transformers', 'llama_cpp'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    arguments = [str(tmp_path / name) for name in ("peft", "b.gguf", "a.gguf")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)
    assert read_lora(tmp_path / "a.gguf").pairs


@pytest.mark.parametrize("wrapper", ["model.language_model.layers", "language_model.model.layers", "model.layers"])
def test_the_language_model_inside_a_model_with_pictures_is_found(tmp_path, backbone, wrapper):
    weights = {name.replace("model.layers", wrapper, 1): array for name, array in pair("mlp.up_proj", out=FFN).items()}
    convert_peft(write_folder(tmp_path / "peft", safetensors(weights)), backbone, tmp_path / "a.gguf")
    assert set(read_pairs(tmp_path / "a.gguf")) == {"blk.0.ffn_up.weight.lora_a", "blk.0.ffn_up.weight.lora_b"}


def test_q_is_reordered_by_all_heads_and_k_by_its_own(tmp_path):
    backbone = write_backbone(tmp_path / "b.gguf", **{"attention.head_count_kv": 2})
    tensors = pair("self_attn.q_proj") | pair("self_attn.k_proj")
    convert_peft(write_folder(tmp_path / "peft", safetensors(tensors)), backbone, tmp_path / "a.gguf")
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
        convert_peft(write_folder(tmp_path / "peft", use_dora=True), backbone, tmp_path / "a.gguf")
    broken = pair() | {B: np.full((WIDTH, 4), np.nan, np.float32)}
    with pytest.raises(PackError, match=r"lora_B\.weight holds NaN"):
        convert_peft(write_folder(tmp_path / "peft", safetensors(broken)), backbone, tmp_path / "a.gguf")
    assert (tmp_path / "a.gguf").read_text() == "earlier"


def test_a_file_that_cannot_be_written_is_told(tmp_path, backbone):
    with pytest.raises(InputError, match=r"missing.a\.gguf: cannot be written"):
        convert_peft(write_folder(tmp_path / "peft"), backbone, tmp_path / "missing" / "a.gguf")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_is_told_and_nothing_is_left(tmp_path, backbone):
    import resource

    folder = write_folder(tmp_path / "peft")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(InputError, match="File too large"):
            convert_peft(folder, backbone, tmp_path / "a.gguf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("a*.gguf"))


CONFIGS = {
    "another kind": ({"peft_type": "LOHA"}, "Input should be 'LORA'"),
    "no rank": ({"r": 0}, "r: .*greater than or equal to 1"),
    "alpha as text": ({"lora_alpha": "much"}, "lora_alpha: "),
    "an infinite alpha": ({"lora_alpha": float("inf")}, "does not describe a LoRA"),
    "an endless alpha": ({"lora_alpha": 1e300}, "lora_alpha: .*less than or equal"),
    "an alpha too small for the file": ({"lora_alpha": 1e-60}, "has the alpha 0"),
    "alpha 0": ({"lora_alpha": 0}, "has the alpha 0"),
    "another rank": ({"r": 8}, "are not of rank 8"),
    "DoRA": ({"use_dora": True}, "it is a DoRA"),
    "biases": ({"bias": "all"}, "it trains biases"),
    "whole modules": ({"modules_to_save": ["score"]}, "modules_to_save"),
    "stacked experts": ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
    "PiSSA": ({"init_lora_weights": "pissa_niter_4"}, "changed the backbone's own weights"),
    "text for invocation": ({"invocation_string": "<|user|>"}, "names its invocation as text"),
    "an unknown field": ({"use_telepathy": True}, "uses 'use_telepathy', which is not known here"),
    "negative tokens": ({"alora_invocation_tokens": [-1]}, "alora_invocation_tokens"),
    "a pattern that would take for ever": ({"alpha_pattern": {"(a|a)*b": 3}}, "is not followed here"),
    "a pattern with too many repeats": ({"alpha_pattern": {".*.*.*.*x": 3}}, "is not followed here"),
    "a pattern of many choices": ({"alpha_pattern": {"(.|.)" * 40 + "x": 3}}, "is not followed here"),
    "too many patterns": ({"alpha_pattern": {f"a{i}": 3 for i in range(4097)}}, "alpha_pattern: .*4096"),
    "a broken pattern": ({"rank_pattern": {"(q_proj": 3}}, "is not followed here"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_cannot_be_expressed_is_refused_with_the_reason(tmp_path, backbone, case):
    config, reason = CONFIGS[case]
    refused(tmp_path, backbone, rf"peft.*{reason}", **config)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"r": 1' + b"0" * 10_000 + b"}"])
def test_a_configuration_that_is_none_is_refused(tmp_path, backbone, content):
    folder = write_folder(tmp_path / "peft")
    (folder / "adapter_config.json").write_bytes(content)
    with pytest.raises(PackError, match=r"adapter_config\.json: does not describe a LoRA"):
        convert_peft(folder, backbone, tmp_path / "a.gguf")


def test_fields_that_only_say_how_it_was_trained_do_not_matter(tmp_path, backbone):
    config = {
        "lora_dropout": 0.1,
        "base_model_name_or_path": "x/y",
        "loftq_config": {"a": 1},
        "runtime_config": {"b": 2},
    }
    convert_peft(
        write_folder(tmp_path / "peft", **config, use_dora=False, a_later_field=None), backbone, tmp_path / "a"
    )
    assert read_lora(tmp_path / "a").pairs


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
        "magnitude of a DoRA",
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
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_do_not_fit_are_refused_by_name_and_reason(tmp_path, backbone, case):
    tensors, reason = TENSORS[case]
    refused(tmp_path, backbone, rf"adapter_model\.safetensors: .*{reason}", weights=safetensors(tensors))


def test_the_embeddings_own_weight_beside_their_adapter_is_passed_over(tmp_path, backbone):
    embeddings = "base_model.model.model.embed_tokens"
    tensors = pair() | {f"{embeddings}.base_layer.weight": np.ones((VOCAB, WIDTH), np.float32)}
    convert_peft(write_folder(tmp_path / "peft", safetensors(tensors)), backbone, tmp_path / "a.gguf")
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
        convert_peft(folder, backbone, tmp_path / "a.gguf", half=True)
    convert_peft(folder, backbone, tmp_path / "a.gguf")
    assert read_pairs(tmp_path / "a.gguf")["blk.0.attn_q.weight.lora_a"].max() == np.float32(1e5)


def test_a_pickle_is_refused_unread(tmp_path, backbone):
    folder = write_folder(tmp_path / "peft")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(PackError, match=r"adapter_model\.bin, a pickle, which may run any program"):
        convert_peft(folder, backbone, tmp_path / "a.gguf")


def test_a_missing_folder_and_missing_weights_are_told(tmp_path, backbone):
    with pytest.raises(PackError, match=r"nowhere.adapter_config\.json: cannot be read"):
        convert_peft(tmp_path / "nowhere", backbone, tmp_path / "a.gguf")
    (write_folder(tmp_path / "peft") / "adapter_model.safetensors").unlink()
    with pytest.raises(PackError, match=r"adapter_model\.safetensors: cannot be read"):
        convert_peft(tmp_path / "peft", backbone, tmp_path / "a.gguf")


def test_a_backbone_that_is_not_known_or_unsound_is_refused(tmp_path):
    folder = write_folder(tmp_path / "peft")
    unknown = write_backbone(tmp_path / "mamba.gguf", arch="mamba")
    with pytest.raises(PackError, match=r"mamba\.gguf: adapters for the architecture 'mamba' .*known are arcee, bloom"):
        convert_peft(folder, unknown, tmp_path / "a.gguf")
    endless = write_backbone(tmp_path / "endless.gguf", block_count=2**31)
    with pytest.raises(PackError, match=r"its llama\.block_count is no number up to 1024"):
        convert_peft(folder, endless, tmp_path / "a.gguf")
    uneven = write_backbone(tmp_path / "uneven.gguf", **{"attention.head_count": 7})
    with pytest.raises(PackError, match="32 outputs are not to be divided among 7 and 7 heads"):
        convert_peft(folder, uneven, tmp_path / "a.gguf")
    with pytest.raises(PackError, match=r"adapter_config\.json: is not a GGUF file"):
        convert_peft(folder, folder / "adapter_config.json", tmp_path / "a.gguf")


# ---- safetensors ----


def read_all(path):
    with open_safetensors(path) as source:
        return {name: source.read(name) for name in source.shapes}


NAMES = st.text("abc._0", min_size=1, max_size=30).filter(lambda name: name != "__metadata__")
ARRAYS = st.tuples(
    st.lists(st.integers(0, 5), max_size=4), st.sampled_from([np.float32, np.float16]), st.integers(0, 2**32 - 1)
)


@settings(deadline=None)
@given(tensors=st.dictionaries(NAMES, ARRAYS, max_size=6))
def test_what_was_written_is_read(tmp_path_factory, tensors):
    arrays = {
        name: np.random.default_rng(seed).normal(size=shape).astype(kind)
        for name, (shape, kind, seed) in tensors.items()
    }
    path = tmp_path_factory.mktemp("s") / "x.safetensors"
    path.write_bytes(safetensors(arrays))
    read = read_all(path)
    assert read.keys() == arrays.keys()
    assert all(np.array_equal(read[name], array) and read[name].dtype == np.float32 for name, array in arrays.items())


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([1.0, -2.5, 3.0e38, 1e-40], np.float32)
    bits = (values.view("<u4") >> 16).astype("<u2")
    header = {"x": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}
    (tmp_path / "x").write_bytes(with_header(json.dumps(header).encode(), bits.tobytes()))
    expected = (bits.astype("<u4") << 16).view("<f4").reshape(2, 2)
    assert np.array_equal(read_all(tmp_path / "x")["x"], expected)
    assert expected == pytest.approx(values.reshape(2, 2), rel=1e-2)


WHOLE = safetensors(pair() | pair("self_attn.v_proj"))


@settings(deadline=None, max_examples=200)
@given(size=st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("cut") / "x.safetensors"
    path.write_bytes(WHOLE[:size])
    with pytest.raises(PackError, match=r"x\.safetensors: is no sound safetensors file"):
        read_all(path)


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
        convert_peft(folder / "peft", write_backbone(folder / "b.gguf"), folder / "a.gguf")
        assert read_lora(folder / "a.gguf").pairs


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    "peft_type r lora_alpha rank_pattern alpha_pattern use_rslora bias init_lora_weights alora_invocation_tokens "
    "modules_to_save use_dora target_modules".split()
)


@settings(deadline=None, max_examples=200)
@given(config=st.dictionaries(FIELDS, JSON, max_size=3))
def test_any_configuration_is_followed_or_refused_and_nothing_else(tmp_path_factory, config):
    folder = tmp_path_factory.mktemp("config")
    write_folder(folder / "peft", **config)
    with contextlib.suppress(PackError):
        convert_peft(folder / "peft", write_backbone(folder / "b.gguf"), folder / "a.gguf")
        assert read_lora(folder / "a.gguf").pairs


@settings(deadline=None, max_examples=200)
@given(header=st.dictionaries(st.text(max_size=10), JSON, max_size=4), data=st.binary(max_size=64))
def test_any_header_is_read_or_refused_and_nothing_else(tmp_path_factory, header, data):
    path = tmp_path_factory.mktemp("header") / "x.safetensors"
    path.write_bytes(with_header(json.dumps(header).encode("utf-8", "surrogatepass"), data))
    with contextlib.suppress(PackError):
        read_all(path)


def entry(start, end, shape=(1,), kind="F32"):
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}


HEADERS = {
    "tensors that overlap": ({"a": entry(0, 4), "b": entry(2, 6), "c": entry(4, 8)}, 8, "overlap with others"),
    "a gap": ({"a": entry(0, 4), "b": entry(8, 12)}, 12, "leave a gap"),
    "data that no tensor has": ({"a": entry(0, 4)}, 8, "the file has"),
    "bytes before the data": ({"a": entry(-4, 0)}, 4, "the place of a is none"),
    "a shape of other size": ({"a": entry(0, 4, (2,))}, 4, r"a has 4 bytes and the shape \[2\] of F32"),
    "a shape beyond all numbers": ({"a": entry(0, 4, (2**40, 2**40))}, 4, "a has 4 bytes"),
    "a negative shape": ({"a": entry(0, 4, (-1, -1))}, 4, "the shape of a is none"),
    "a shape of booleans": ({"a": entry(0, 4, (True,))}, 4, "the shape of a is none"),
    "many dimensions": ({"a": entry(0, 4, [1] * 99)}, 4, "the shape of a is none"),
    "more than is known": ({"a": entry(0, 4) | {"x": 1}}, 4, "does not describe a"),
    "a name with a zero byte": ({"a\0b": entry(0, 4)}, 4, "holds the name"),
    "a long name": ({"a" * 257: entry(0, 4)}, 4, "holds the name"),
    "a list": ([], 0, "its header is no JSON object"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_lies_is_refused_with_what_is_wrong(tmp_path, case):
    header, size, reason = HEADERS[case]
    (tmp_path / "x").write_bytes(with_header(json.dumps(header).encode(), bytes(size)))
    with pytest.raises(PackError, match=rf"x: is no sound safetensors file: .*{reason}"):
        read_all(tmp_path / "x")


def test_a_name_that_stands_there_twice_is_refused(tmp_path):
    twice = f'{{"a": {json.dumps(entry(0, 4))}, "a": {json.dumps(entry(0, 4))}}}'
    (tmp_path / "x").write_bytes(with_header(twice.encode(), bytes(4)))
    with pytest.raises(PackError, match="names something twice"):
        read_all(tmp_path / "x")


def test_a_header_that_claims_to_be_endless_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "x"
    for length in (2**63, MAX_HEADER + 1):
        with path.open("wb") as file:
            file.write(struct.pack("<Q", length))
            os.truncate(file.fileno(), 1 << 34)
        with pytest.raises(PackError, match=f"promises a header of {length} bytes"):
            read_all(path)


def test_a_deeply_nested_header_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(with_header(b"[" * 1_000_000))
    with pytest.raises(PackError, match="is no sound safetensors file"):
        read_all(tmp_path / "x")


@pytest.mark.parametrize("pattern", [".*.*.*-", "a*a*a*b", r"\w+\w+\w+-", "(.|..|...|....|a).*.*-"])
def test_the_worst_pattern_that_is_followed_ends_within_a_second(tmp_path, pattern):
    config = read_config(write_folder(tmp_path / "peft", alpha_pattern={pattern: 2}))
    start = time.perf_counter()
    assert config.strength(("a" * 30 + ".") * 8) == 8
    assert time.perf_counter() - start < 1
