"""What the configuration of an adapter's folder says: followed as PEFT does, or refused with the reason."""

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import PackError
from dlp_local.formats.lora import read_lora
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.formats.peft.folder import read_folder
from dlp_local.formats.peft.rank_patterns import Patterns
from tests.support.peft_folder import refused, write_backbone, write_config, write_folder

CONFIGS = {
    "no rank": ({"r": 0}, r"r: 0 cannot be used \(give a whole number, 1 to 65536\)"),
    "a rank as text": ({"r": "8"}, "r: '8' cannot be used"),
    "a rank that is true": ({"r": True}, "r: true cannot be used"),
    "half a rank": ({"r": 8.5}, r"r: 8\.5 cannot be used"),
    "alpha as text": (
        {"lora_alpha": "much"},
        r"lora_alpha: 'much' cannot be used \(give a number, -1000000 to 1000000\)",
    ),
    "rank 0 of a module": (
        {"rank_pattern": {"q_proj": 0}},
        r"rank_pattern\.q_proj: 0 cannot be used \(give a whole number, 1 to 65536\)",
    ),
    "a negative rank of a module": ({"rank_pattern": {"q_proj": -4}}, r"rank_pattern\.q_proj: -4 cannot be used"),
    "a rank of a module as text": ({"rank_pattern": {"q_proj": "4"}}, r"rank_pattern\.q_proj: '4' cannot be used"),
    "a rank of a module that is true": ({"rank_pattern": {"q": True}}, r"rank_pattern\.q: true cannot be used"),
    "an alpha of a module as text": (
        {"alpha_pattern": {"q": "x"}},
        r"alpha_pattern\.q: 'x' cannot be used \(give a num",
    ),
    "patterns that are a list": ({"rank_pattern": [4]}, r"rank_pattern: \[4\] cannot be used \(give a table of values"),
    "rsLoRA as a number": ({"use_rslora": 7}, r"use_rslora: 7 cannot be used \(give true or false\)"),
    "an infinite alpha": ({"lora_alpha": float("inf")}, "does not describe a LoRA"),
    "an endless alpha": ({"lora_alpha": 1e300}, "lora_alpha: 1e.300 cannot be used"),
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
    "a pattern that would take for ever": ({"alpha_pattern": {"(a|a)*b": 3}}, "could take for ever"),
    "a pattern with too many repeats": ({"alpha_pattern": {".*" * 9 + "x": 3}}, "could take for ever"),
    "a pattern of many choices": ({"alpha_pattern": {"(.|.)" * 40 + "x": 3}}, "could take for ever"),
    "too many patterns": ({"alpha_pattern": {f"a{i}": 3 for i in range(4097)}}, "alpha_pattern: is longer than 4096"),
    "a broken pattern": ({"rank_pattern": {"(q_proj": 3}}, "is no regular expression"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_cannot_be_expressed_is_refused_with_the_reason(tmp_path, backbone, case):
    config, reason = CONFIGS[case]
    refused(tmp_path, backbone, rf"peft.*{reason}", **config)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000, b'{"r": 1' + b"0" * 10_000 + b"}"])
def test_a_configuration_that_is_none_is_refused(tmp_path, backbone, content):
    folder = write_folder(tmp_path / "peft")
    (folder / "adapter_config.json").write_bytes(content)
    with pytest.raises(PackError, match=r"adapter_config\.json: does not describe a LoRA"):
        convert_lora(folder, backbone, tmp_path / "a.gguf")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "utf-32"])
def test_a_configuration_is_read_in_whatever_encoding_it_shows(tmp_path, backbone, encoding):
    folder = write_folder(tmp_path / "peft")
    file = folder / "adapter_config.json"
    file.write_bytes(file.read_text("utf-8").encode(encoding))
    convert_lora(folder, backbone, tmp_path / "a.gguf")


def test_a_configuration_that_only_begins_like_utf16_is_refused(tmp_path, backbone):
    folder = write_folder(tmp_path / "peft")
    (folder / "adapter_config.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(PackError, match=r"adapter_config\.json: is no text, though it begins like utf-16-le"):
        convert_lora(folder, backbone, tmp_path / "a.gguf")


def test_rslora_that_is_null_is_none(tmp_path, backbone):
    folder = write_folder(tmp_path / "peft", use_rslora=None)
    convert_lora(folder, backbone, tmp_path / "a.gguf")
    assert read_lora(tmp_path / "a.gguf").alpha == read_folder(write_folder(tmp_path / "b")).config.strength("x")


def test_fields_that_only_say_how_it_was_trained_do_not_matter(tmp_path, backbone):
    config = {
        "lora_dropout": 0.1,
        "base_model_name_or_path": "x/y",
        "loftq_config": {"a": 1},
        "megatron_core": "megatron.core",
        "megatron_config": {"tensor_model_parallel_size": 2},
        "corda_config": {"c": float("nan")},
        "runtime_config": {"b": 2},
    }
    convert_lora(
        write_folder(tmp_path / "peft", **config, use_dora=False, a_later_field=None), backbone, tmp_path / "a"
    )
    assert read_lora(tmp_path / "a").pairs


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
        convert_lora(folder / "peft", write_backbone(folder / "b.gguf"), folder / "a.gguf")
        assert read_lora(folder / "a.gguf").pairs


NAMES = [
    f"model.layers.{layer}.{module}"
    for layer in (0, 1, 9, 10, 23)
    for module in ("self_attn.q_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
]
PATTERNS = [
    "q_proj",
    "model.layers.1.mlp.up_proj",
    r"model\.layers\.(?:0)\.mlp\.(?:gate|up)_proj",
    r".*\.layers\.(1[0-9]|2[0-3])\..*(q|k|v)_proj",
    r"^model\.layers\.(?!0\.).*q_proj",
    r"layers\.\d{1,2}\.mlp\..*",
    r"(?P<which>q|v)_proj",
    r".*?(?:q_proj|v_proj)",
    r"model.layers.[0-9]+.self_attn.(q|v)_proj",
    r"(?i:Q_PROJ)",
    r"\bup_proj",
    ".*.*.*_proj",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_matches_what_it_does_in_peft(tmp_path, pattern):
    """`get_pattern_key` of peft.utils.other."""
    config = read_folder(write_folder(tmp_path / "peft", rank_pattern={pattern: 7}, alpha_pattern={pattern: 3})).config
    wanted = [bool(re.match(rf"(.*\.)?({pattern})$", name)) for name in NAMES]
    assert any(wanted)
    assert [config.rank(name) == 7 for name in NAMES] == wanted
    assert [config.strength(name) == 3 for name in NAMES] == wanted


@pytest.mark.parametrize("flags", ["(?i)", "(?i)(?s)", "(?ix)"])
def test_flags_at_the_start_of_a_pattern_hold_for_all_of_it(tmp_path, flags):
    """As in PEFT before Python 3.11, which takes none in the middle of an expression, where PEFT puts them."""
    config = read_folder(write_folder(tmp_path / "peft", rank_pattern={f"{flags}Q_PROJ": 7})).config
    assert config.rank("MODEL.layers.0.self_attn.q_proj") == 7
    assert config.rank("model.layers.0.self_attn.v_proj") == 4


def test_flags_in_the_middle_of_a_pattern_are_refused_in_plain_words(tmp_path):
    with pytest.raises(PackError, match="has flags in its middle, which Python takes at the start alone"):
        read_folder(write_folder(tmp_path / "peft", rank_pattern={"q_proj|(?i)V_PROJ": 7}))


def test_the_first_pattern_that_matches_counts(tmp_path):
    config = read_folder(write_folder(tmp_path / "peft", rank_pattern={".*q_proj": 2, "q_proj": 3})).config
    assert config.rank("model.layers.0.self_attn.q_proj") == 2


ENDLESS = [
    "(a+)+", "(a|a)*b", "(a|aa)+b", "(.*)*x", "(?:.*){20}x", r"(\w+\.?)+z", "(.{0,50}){50}", "((a*)*)*",
    ".*.*.*-", "a*a*a*b", r"\w+\w+\w+-", "(.|..|...|....|a).*.*-", "(?=(a+)+b)", "(?:(?:.{0,9}){9}){9}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_could_take_for_ever_is_refused_at_once(tmp_path, pattern):
    folder = write_folder(tmp_path / "peft", alpha_pattern={pattern: 2})
    start = time.perf_counter()
    with pytest.raises(PackError, match="could take for ever"):
        read_folder(folder).config.strength(("a" * 30 + ".") * 8)
    assert time.perf_counter() - start < 1


@settings(deadline=None, max_examples=200)
@given(pattern=st.text("ab.*+?|(){}1,[]^$\\w-", min_size=1, max_size=24))
def test_any_pattern_is_followed_in_a_moment_or_refused(pattern):
    start = time.perf_counter()
    with contextlib.suppress(ValueError):
        Patterns({pattern: 2}).value("model.layers.11.self_attn.q_proj" + "a" * 60, 1)
    assert time.perf_counter() - start < 2


KINDS = {
    "IA3": r"\(IA\)³.*Merge it",
    "LOHA": "LoHa.*--as-lora RANK` makes it a LoRA",
    "VERA": "the kind 'VERA', which is no LoRA.*--as-lora RANK",
    "PROMPT_TUNING": "learned tokens before the prompt.*Use a LoRA",
    "PREFIX_TUNING": "learned tokens before the prompt.*Use a LoRA",
    "ADALORA": "AdaLoRA.*Merge it",
    "XLORA": "mixture of LoRAs.*one by one",
    "OFT": "the kind 'OFT', which is no LoRA.*Merge it",
    "TELEPATHY": "the kind 'TELEPATHY', which is no LoRA",
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_adapters_are_named_with_what_helps(tmp_path, backbone, kind):
    refused(tmp_path, backbone, rf"adapter_config\.json: describes .*{KINDS[kind]}", peft_type=kind)


def test_configurations_of_other_programs_are_named(tmp_path, backbone):
    for config, reason in (
        ({"config": {"r": 8}, "model_type": "llama", "hidden_size": 64}, "the library `adapters`"),
        ({"r": 8}, "it has no peft_type"),
    ):
        with pytest.raises(PackError, match=reason):
            convert_lora(write_config(tmp_path / "other", config), backbone, tmp_path / "a.gguf")


def test_a_folder_that_holds_no_adapter_is_named(tmp_path, backbone):
    for names, reason in (
        (["a.gguf", "README.md"], r"folder with GGUF files.*a\.gguf"),
        (["config.json", "model.safetensors"], "holds a whole model"),
        (["pytorch_lora_weights.safetensors"], "LoRA for images"),
        (["adapters.safetensors"], "an adapter of MLX's without its adapter_config.json"),
    ):
        folder = tmp_path / names[0]
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"")
        with pytest.raises(PackError, match=reason):
            convert_lora(folder, backbone, tmp_path / "out.gguf")


def test_norms_among_the_whole_modules_are_no_obstacle_and_others_are(tmp_path, backbone):
    folder = write_folder(tmp_path / "peft", modules_to_save=["input_layernorm", "norm"])
    convert_lora(folder, backbone, tmp_path / "a.gguf")
    with pytest.raises(PackError, match="modules_to_save"):
        convert_lora(write_folder(tmp_path / "peft", modules_to_save=["norm", "lm_head"]), backbone, tmp_path / "a")
