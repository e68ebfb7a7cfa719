"""Mixes on the bundled pack: stacked or side by side, kept, freed, and changed while the engine runs."""

import os
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from dlp_local.core.errors import EngineError, InputError, PackError
from dlp_local.core.settings import Engine as Options
from dlp_local.core.values import AdapterFile, Mix
from dlp_local.engine.local import stacking
from dlp_local.engine.local.library import lib
from dlp_local.engine.local.llama import Backbone
from dlp_local.engine.local.mixer import Mixer
from tests.support.engines import adapter_files, ask, open_engine
from tests.support.prompts import PROMPTS

SEVERAL = {"sql": 0.5, "shell": 0.25, "dates": 0.125}


@pytest.fixture(scope="module")
def backbone(bundled):
    with Backbone(bundled / "backbone.gguf", Options()) as opened:
        yield opened


def logits(backbone, mixer, weights):
    """The logits after a prompt under a mix."""
    tokens = backbone.vocabulary.tokenize("<|user|>tar: list the files<|end|><|assistant|>", special=True)
    mixer.set(weights)
    backbone.drop(0)
    backbone.decode(tokens, 0, 0)
    return backbone.logits()


def test_a_stack_gives_the_logits_of_its_adapters_side_by_side(backbone, bundled):
    together = logits(backbone, Mixer(backbone, adapter_files(bundled), Options(stack=True)), SEVERAL)
    apart = logits(backbone, Mixer(backbone, adapter_files(bundled), Options(stack=False)), SEVERAL)
    other = logits(backbone, Mixer(backbone, adapter_files(bundled), Options(stack=False)), {"sql": 0.5, "shell": 0.25})
    # Activations are rounded to 8 bits inside llama.cpp, which turns a change of 1e-7 into differences of about 0.1.
    assert np.abs(together - apart).max() < 0.1 * np.abs(other - apart).max()


def test_a_stack_of_many_files_is_to_the_bit_that_of_one(backbone, bundled, monkeypatch):
    seen, files = [], []
    for size in (1 << 30, 1 << 16):
        monkeypatch.setattr(stacking, "FILE_SIZE", size)
        mixer = Mixer(backbone, adapter_files(bundled), Options())
        seen.append(logits(backbone, mixer, SEVERAL))
        files.append(len(mixer._held[tuple(sorted(SEVERAL.items()))].handles))
    assert np.array_equal(*seen)
    assert files[0] == 1 < files[1]


def test_a_stack_of_which_a_file_is_refused_leaves_the_others_and_the_memory_as_they_were(
    backbone, bundled, monkeypatch
):
    monkeypatch.setattr(stacking, "FILE_SIZE", 1 << 16)
    mixer = Mixer(backbone, adapter_files(bundled), Options())
    wanted = logits(backbone, mixer, SEVERAL)
    before = open_files() if Path("/proc/self/fd").exists() else 0
    load, freed = lib.llama_adapter_lora_init, []
    free = lib.llama_adapter_lora_free
    loads = iter(range(3))
    with monkeypatch.context() as broken:
        broken.setattr(
            lib, "llama_adapter_lora_init", lambda *args: load(*args) if next(loads, None) is not None else None
        )
        broken.setattr(lib, "llama_adapter_lora_free", lambda handle: (freed.append(handle), free(handle)))
        with pytest.raises(EngineError, match="refused a stack"):
            mixer.set({"sql": 0.25, "shell": 0.25})
    assert len(freed) >= 3
    if before:
        assert open_files() <= before
    assert np.array_equal(logits(backbone, mixer, SEVERAL), wanted)


def test_several_adapters_are_stacked_and_kept_by_mix(backbone, bundled):
    mixer = Mixer(backbone, adapter_files(bundled), Options())
    mixer.set({"sql": 1.0})
    assert list(mixer.held) == ["sql"]
    mixer.set({"sql": 0.5, "shell": 0.25})
    assert list(mixer.held) == [(("shell", 0.25), ("sql", 0.5))], "a stack does not need its adapters beside it"
    mixer.set(SEVERAL)
    once = mixer.held
    loads = []
    load = backbone.load_stack
    backbone.load_stack = lambda stack: (loads.append(stack), load(stack))[1]
    mixer.set({})
    mixer.set(SEVERAL)
    del backbone.load_stack
    assert len(once) == 2
    assert loads == []
    assert mixer.held == once


def test_what_was_not_used_for_longest_goes_when_the_memory_for_adapters_is_full(backbone, bundled):
    mixer = Mixer(backbone, adapter_files(bundled), Options(adapter_memory=6))
    for shell in range(1, 20):
        mixer.set({"sql": 0.25, "shell": shell / 32})
        mixer.set({"dates": 1.0})
        assert sum(mixer.held.values()) <= 6 << 20
    assert sum(mixer.held.values()) > 3 << 20


def test_a_pack_of_a_thousand_adapters_holds_what_fits_and_few_open_files(backbone, bundled):
    many = [AdapterFile(f"a{i}", bundled / "dates.gguf") for i in range(1000)]
    mixer = Mixer(backbone, many, Options(adapter_memory=8))
    before = open_files() if Path("/proc/self/fd").exists() else 0
    for file in many:
        mixer.set({file.name: 1.0})
        assert sum(mixer.held.values()) <= 8 << 20
    mixer.set({"a0": 0.5, "a999": 0.5})
    if before:
        assert open_files() - before <= 64


def test_adapters_that_are_added_one_by_one_stay_within_the_memory_for_adapters(backbone, bundled):
    mixer = Mixer(backbone, [], Options(adapter_memory=8))
    before = open_files() if Path("/proc/self/fd").exists() else 0
    for i in range(100):
        mixer.add(AdapterFile(f"a{i}", bundled / "dates.gguf"))
        assert sum(mixer.held.values()) <= 8 << 20
    assert "a99" in mixer.held
    assert "a0" not in mixer.held
    mixer.set({"a0": 1.0})
    if before:
        assert open_files() - before <= 64


def test_a_mix_larger_than_the_memory_for_stacks_is_computed_side_by_side(backbone, bundled):
    everything = dict.fromkeys(PROMPTS, 0.125)
    mixer = Mixer(backbone, adapter_files(bundled), Options(adapter_memory=1))
    assert np.isfinite(logits(backbone, mixer, everything)).all()
    assert set(mixer.held) == set(everything)


@pytest.fixture
def engine(bundled):
    opened = open_engine(bundled)
    yield opened
    opened.close()


def answer(engine, text, mix):
    return ask(engine, text, mix)[0]


def test_an_adapter_is_replaced_in_a_running_engine(engine, bundled):
    message, mix = PROMPTS["sql"][0], Mix.of({"sql": 1.0})
    before, shell = answer(engine, message, mix), answer(engine, message, Mix.of({"shell": 1.0}))
    mixed = answer(engine, message, Mix.of({"sql": 0.75, "dates": 0.25}))
    engine.add_adapter(AdapterFile("sql", bundled / "shell.gguf"))
    assert answer(engine, message, mix) == shell
    engine.add_adapter(AdapterFile("sql", bundled / "sql.gguf"))
    assert answer(engine, message, mix) == before
    assert answer(engine, message, Mix.of({"sql": 0.75, "dates": 0.25})) == mixed


def test_a_removed_adapter_is_unknown_and_can_come_back(engine, bundled):
    answer(engine, "hello", Mix.of({"sql": 0.5, "dates": 0.25}))
    engine.remove_adapter("sql")
    with pytest.raises(InputError, match="no adapter 'sql'"):
        answer(engine, "hello", Mix.of({"sql": 1.0}))
    with pytest.raises(InputError, match="no adapter 'sql'"):
        engine.remove_adapter("sql")
    engine.add_adapter(AdapterFile("sql", bundled / "sql.gguf"))
    assert answer(engine, PROMPTS["sql"][0], Mix.of({"sql": 1.0})).startswith("SELECT")


def test_a_bad_adapter_leaves_the_engine_and_the_adapter_of_its_name_as_they_were(engine, bundled, tmp_path):
    message, mix = PROMPTS["dates"][0], Mix.of({"dates": 1.0})
    before = answer(engine, message, mix)
    bad = tmp_path / "bad.gguf"
    bad.write_bytes((bundled / "dates.gguf").read_bytes()[:100_000])
    with pytest.raises(PackError, match=r"bad\.gguf: .*cut off"):
        engine.add_adapter(AdapterFile("dates", bad))
    with pytest.raises(PackError, match=r"backbone\.gguf: is a whole model, no LoRA"):
        engine.add_adapter(AdapterFile("dates", bundled / "backbone.gguf"))
    assert answer(engine, message, mix) == before


def test_memory_goes_back_down_over_many_loads_and_unloads(engine, bundled):
    def resident():
        return psutil.Process().memory_info().rss

    def cycle():
        engine.add_adapter(AdapterFile("extra", bundled / "sql.gguf"))
        answer(engine, "tar: x", Mix.of({"extra": 0.5, "shell": 0.25}))
        engine.remove_adapter("extra")

    for _ in range(50):
        cycle()
    before = resident()
    for _ in range(200):
        cycle()
    assert resident() - before < 24 << 20, "200 adapters of 1 MB each were not given back"


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists open files through /proc")
@pytest.mark.parametrize("in_memory", [True, False])
def test_stacks_leave_no_file_open_and_none_in_the_temporary_folder(
    backbone, bundled, monkeypatch, tmp_path, in_memory
):
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    mixer = Mixer(backbone, adapter_files(bundled), Options())
    mixer.set({"sql": 0.5, "shell": 0.25})
    before = open_files()
    for steps in range(1, 10):
        mixer.set({"sql": 0.5, "shell": steps / 32})
    assert open_files() == before
    assert list(folder.iterdir()) == []
