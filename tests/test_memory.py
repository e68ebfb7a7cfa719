"""What a backbone will take is told before it is loaded."""

from collections import namedtuple

import pytest

from dlp_local.engine import memory
from dlp_local.engine.memory import check_memory, kv_bytes_per_token
from dlp_local.errors import EngineError
from dlp_local.gguf_header import Value, read_header, read_leading_values
from dlp_local.settings import Engine as Options


def free(monkeypatch, size):
    monkeypatch.setattr(
        memory.psutil, "virtual_memory", lambda: namedtuple("Memory", "available total")(size, 16 << 30)
    )


def header(numbers):
    values = {f"qwen2.{key}": Value(4, number) for key, number in numbers.items()}
    return values | {"general.architecture": Value(8, "qwen2")}


QWEN_HALF = {"embedding_length": 896, "block_count": 24, "attention.head_count": 14, "attention.head_count_kv": 2}


def test_the_cache_of_grouped_heads_is_counted_by_its_own_heads():
    assert kv_bytes_per_token(header(QWEN_HALF), "f16") == 24 * 2 * 64 * 2 * 2
    assert kv_bytes_per_token(header(QWEN_HALF), "q8_0") == 24 * 2 * 64 * 2 * 34 / 32


def test_a_header_that_gives_the_length_of_its_keys_or_heads_for_each_layer_is_followed():
    longer = header(QWEN_HALF | {"attention.key_length": 128, "attention.value_length": 128})
    assert kv_bytes_per_token(longer, "f16") == 2 * kv_bytes_per_token(header(QWEN_HALF), "f16")
    layers = header(QWEN_HALF) | {"qwen2.attention.head_count_kv": Value(4, (2, 4, 2), True)}
    assert kv_bytes_per_token(layers, "f16") == 2 * kv_bytes_per_token(header(QWEN_HALF), "f16")


def test_the_bundled_backbone_fits_where_there_is_room(bundled, monkeypatch):
    free(monkeypatch, 1 << 30)
    check_memory(bundled / "backbone.gguf", [bundled / "sql.gguf", bundled / "missing.gguf"], Options())


def test_where_it_does_not_fit_the_numbers_and_the_largest_context_that_would_are_said(bundled, monkeypatch):
    path = bundled / "backbone.gguf"
    token = kv_bytes_per_token(read_leading_values(path), "f16")
    free(monkeypatch, int(path.stat().st_size + memory.SPARE + 600 * token))
    with pytest.raises(EngineError, match=r"backbone\.gguf: needs about .* GB .* set engine\.context to 512 or less"):
        check_memory(path, [], Options())
    check_memory(path, [], Options(context=512))
    free(monkeypatch, 1000)
    with pytest.raises(EngineError, match="use a smaller backbone"):
        check_memory(path, [], Options())


def test_a_thousand_adapters_count_as_far_as_they_may_be_held_at_a_time(bundled, monkeypatch):
    thousand = [bundled / "sql.gguf"] * 1000
    free(monkeypatch, 1 << 30)
    check_memory(bundled / "backbone.gguf", thousand, Options(adapter_memory=64))
    with pytest.raises(EngineError, match="needs about"):
        check_memory(bundled / "backbone.gguf", thousand, Options(adapter_memory=1000))


def test_the_leading_values_are_those_of_the_whole_header(bundled):
    leading = read_leading_values(bundled / "backbone.gguf")
    whole = read_header(bundled / "backbone.gguf").values
    assert leading == {key: value for key, value in whole.items() if not key.startswith("tokenizer.")}
    assert leading["llama.block_count"].value > 0
