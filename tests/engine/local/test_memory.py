"""What a backbone will take is told before it is loaded."""

import subprocess
import sys
from types import SimpleNamespace

import gguf
import numpy as np
import pytest

from dlp_local.core.errors import EngineError
from dlp_local.core.settings import Engine as Options
from dlp_local.engine.local import memory
from dlp_local.engine.local.memory import check_memory, kv_bytes_per_token, needed_memory, score_bytes_per_token
from dlp_local.formats.gguf import Value, read_header, read_leading_values


def free(monkeypatch, size):
    sizes = SimpleNamespace(available=size, total=16 << 30)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: sizes)


def header(numbers):
    values = {f"qwen2.{key}": Value(4, number) for key, number in numbers.items()}
    return values | {"general.architecture": Value(8, "qwen2")}


FULL_CONTEXT = """
import sys
from pathlib import Path
import psutil
from dlp_local.engine.local.llama import Backbone
from dlp_local.core.settings import Engine
before = psutil.Process().memory_info().rss
with Backbone(Path(sys.argv[1]), Engine.model_validate_json(sys.argv[2])) as backbone:
    backbone.decode([1] * backbone.context_size, 0, 0)
    print(psutil.Process().memory_info().rss - before)
"""


def write_many_heads(path):
    """A Llama of one layer with 16 heads of 8 numbers, all alike, and no tokenizer."""
    width, ffn, vocab = 128, 32, 32
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(16)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(vocab)
    writer.add_tokenizer_model("no_vocab")
    shapes = {
        "token_embd": (vocab, width), "output_norm": (width,), "blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,),
        **{f"blk.0.attn_{weight}": (width, width) for weight in ("q", "k", "v", "output")},
        "blk.0.ffn_gate": (ffn, width), "blk.0.ffn_up": (ffn, width), "blk.0.ffn_down": (width, ffn),
    }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.full(shape, 0.01, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


QWEN_HALF = {"embedding_length": 896, "block_count": 24, "attention.head_count": 14, "attention.head_count_kv": 2}


def test_the_cache_of_grouped_heads_is_counted_by_its_own_heads():
    assert kv_bytes_per_token(header(QWEN_HALF), "f16") == 24 * 2 * 64 * 2 * 2
    assert kv_bytes_per_token(header(QWEN_HALF), "q8_0") == 24 * 2 * 64 * 2 * 34 / 32


def test_a_header_that_gives_the_length_of_its_keys_or_heads_for_each_layer_is_followed():
    longer = header(QWEN_HALF | {"attention.key_length": 128, "attention.value_length": 128})
    assert kv_bytes_per_token(longer, "f16") == 2 * kv_bytes_per_token(header(QWEN_HALF), "f16")
    layers = header(QWEN_HALF) | {"qwen2.attention.head_count_kv": Value(4, (2, 4, 2), True)}
    assert kv_bytes_per_token(layers, "f16") == 2 * kv_bytes_per_token(header(QWEN_HALF), "f16")


def test_the_scores_of_a_batch_are_counted_where_there_is_no_flash_attention():
    values = header(QWEN_HALF)
    assert score_bytes_per_token(values, 8192, Options()) == 512 * (14 * 6 + 4)
    assert score_bytes_per_token(values, 100, Options()) == 100 * (14 * 6 + 4)
    assert score_bytes_per_token(values, 8192, Options(flash_attention="off", batch=64)) == 64 * (14 * 6 + 4)
    for flash in (Options(flash_attention="on"), Options(kv_type="q8_0"), Options(parallel=2)):
        assert score_bytes_per_token(values, 8192, flash) == 0


@pytest.mark.parametrize("flash", ["auto", "on"])
def test_what_a_full_context_takes_is_what_was_counted(tmp_path, flash):
    """A model of many heads, so that its scores outweigh everything else; the memory of a process of its own."""
    path = tmp_path / "heads.gguf"
    write_many_heads(path)
    options = Options(context=4096, flash_attention=flash)
    ran = subprocess.run([sys.executable, "-c", FULL_CONTEXT, path, options.model_dump_json()], capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()
    need = needed_memory(path, [], options)
    taken, counted = int(ran.stdout), need.total - memory.SPARE
    assert counted <= taken + (16 << 20)
    assert taken <= need.total
    assert (counted > 150 << 20) == (flash == "auto")


def test_the_bundled_backbone_fits_where_there_is_room(bundled, monkeypatch):
    free(monkeypatch, 1 << 30)
    check_memory(bundled / "backbone.gguf", [bundled / "sql.gguf", bundled / "missing.gguf"], Options())


def test_where_it_does_not_fit_the_numbers_and_the_largest_context_that_would_are_said(bundled, monkeypatch):
    path = bundled / "backbone.gguf"
    token = needed_memory(path, [], Options()).per_token
    free(monkeypatch, int(path.stat().st_size + memory.SPARE + 600 * token))
    with pytest.raises(EngineError, match=r"backbone\.gguf: needs about .* MB .* set engine\.context to 512 or less"):
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
